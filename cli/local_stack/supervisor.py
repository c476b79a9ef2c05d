"""Keeps the parts of the stack running and ends them in order, in one thread, because children end with theirs."""

import signal
import time
from collections.abc import Callable, Sequence
from typing import Final, Protocol

from cli.local_stack import LocalStackError
from cli.local_stack.children import Child

_TICK_S: Final = 0.1
_STABLE_AFTER_S: Final = 30.0
_LONGEST_PAUSE_S: Final = 5.0
_STARTS_BEFORE_READY: Final = 3
# A terminal and `uv run` each pass on the same Ctrl-C: what follows at once is not a second wish.
_SAME_WISH_S: Final = 1.0

Say = Callable[[str], None]


class StopRequested(Exception):
    """Someone asked the stack to stop."""


class Part(Protocol):
    """A server of the stack."""

    @property
    def name(self) -> str: ...

    @property
    def child(self) -> Child: ...

    def prepare(self) -> None:
        """Afterwards the process can be started: nothing of an earlier one is in its way."""

    def is_ready(self) -> bool:
        """Whether our own process is of use to others."""


class StopSignals:
    """Turns SIGINT, SIGTERM and SIGHUP into a wish to stop, and a later one into a wish to stop at once."""

    def __init__(self) -> None:
        self._asked_at: float | None = None
        self.at_once = False

    def listen(self) -> None:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, self._on_signal)

    def check(self) -> None:
        """Raises StopRequested once somebody has asked."""
        if self._asked_at is not None:
            raise StopRequested

    def _on_signal(self, _number: int, _frame: object) -> None:
        now = time.monotonic()
        if self._asked_at is None:
            self._asked_at = now
        elif now - self._asked_at > _SAME_WISH_S:
            self.at_once = True


class Keeper:
    """Starts one part, and starts it again whenever it ends by itself, with growing pauses."""

    def __init__(self, part: Part, say: Say) -> None:
        self.part = part
        self.starts = 0
        self._say = say
        self._started_at = 0.0
        self._again_at: float | None = None
        self._pause = 0.2

    def start(self) -> None:
        self.part.prepare()
        self.part.child.spawn()
        self.starts += 1
        self._started_at = time.monotonic()
        self._again_at = None

    def tend(self) -> bool:
        """One look at the part; whether it had ended and has been started again."""
        now = time.monotonic()
        if self.part.child.pid is not None:
            if now - self._started_at > _STABLE_AFTER_S:
                self._pause = 0.2
            return False
        if self._again_at is None:
            self._say(f"{self.part.name} ended ({_cause(self.part.child.exit_code)}), starting it again")
            self._again_at = now + self._pause
            self._pause = min(self._pause * 2, _LONGEST_PAUSE_S)
        if now < self._again_at:
            return False
        return self._start_again(now)

    def _start_again(self, now: float) -> bool:
        try:
            self.start()
        except LocalStackError as problem:
            self._say(str(problem))
            self._again_at = now + self._pause
            return False
        return True


class Supervisor:
    """All parts that were started, in that order."""

    def __init__(self, signals: StopSignals, say: Say) -> None:
        self._signals = signals
        self._say = say
        self._keepers: list[Keeper] = []

    def start(self, parts: Sequence[Part]) -> None:
        """Starts the parts together; `wait_ready` says when they are of use."""
        for part in parts:
            self._signals.check()
            keeper = Keeper(part, self._say)
            self._keepers.append(keeper)
            keeper.start()

    def wait_ready(self, timeout: float) -> None:
        """Afterwards all parts are ready. LocalStackError if one keeps ending, StopRequested if somebody asks."""
        deadline = time.monotonic() + timeout
        while waiting := [keeper for keeper in self._keepers if not keeper.part.is_ready()]:
            self._signals.check()
            for keeper in waiting:
                part = keeper.part
                if part.child.pid is None and keeper.starts >= _STARTS_BEFORE_READY:
                    raise LocalStackError(f"{part.name} does not start: {part.child.output()}")
                keeper.tend()
            if time.monotonic() > deadline:
                late = ", ".join(keeper.part.name for keeper in waiting)
                raise LocalStackError(
                    f"not ready after {timeout:.0f} s: {late}. See {waiting[0].part.child.program.log}"
                )
            time.sleep(0.03)

    def watch(self, on_change: Callable[[], None]) -> None:
        """Keeps all parts running until somebody asks to stop; `on_change` is called after each restart."""
        while True:
            self._signals.check()
            restarted = [keeper.part.name for keeper in self._keepers if keeper.tend()]
            if restarted:
                on_change()
            time.sleep(_TICK_S)

    def stop(self, stages: Sequence[Sequence[Part]], timeout: float) -> None:
        """Afterwards no part is left: stage by stage, the parts of a stage together, each killed after `timeout`."""
        for stage in stages:
            for part in stage:
                part.child.ask_to_stop()
            deadline = time.monotonic() + timeout
            while any(part.child.pid for part in stage) and not self._signals.at_once and time.monotonic() < deadline:
                time.sleep(0.02)
            for part in stage:
                if part.child.pid:
                    self._say(f"{part.name} is killed")
                    part.child.kill()
                part.child.stop(timeout=0)


def _cause(exit_code: int | None) -> str:
    if exit_code is None:
        return "not started"
    if exit_code < 0:
        return signal.Signals(-exit_code).name
    return f"exit status {exit_code}"
