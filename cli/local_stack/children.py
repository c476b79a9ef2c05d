"""One child process: started so that it dies with us, recognised again at the next start, stopped without remains."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import psutil

from cli.local_stack import LocalStackError
from cli.local_stack.accounts import Account

_LAUNCHER: Final = Path(__file__).with_name("launch.py")
_CLOCK_STEP_S: Final = 2.0
_LOG_LIMIT: Final = 20_000_000


@dataclass(frozen=True)
class Program:
    """What to start: `argv[0]` is an absolute path; `marker` is a text of its command line that no other stack has."""

    name: str
    argv: tuple[str, ...]
    env: Mapping[str, str]
    log: Path
    marker: str = ""
    stop_signal: signal.Signals = signal.SIGTERM
    account: Account | None = None
    cwd: str = "/"


class Child:
    """At most one process of `program` at a time. Start it from the main thread: Linux ends it with that thread."""

    def __init__(self, program: Program, pid_file: Path | None = None) -> None:
        self.program = program
        self._pid_file = pid_file
        self._process: subprocess.Popen[bytes] | None = None
        self._log_start = 0

    @property
    def pid(self) -> int | None:
        """The pid of the running process, or None."""
        return self._process.pid if self._process is not None and self._process.poll() is None else None

    @property
    def exit_code(self) -> int | None:
        """None while it runs or was never started."""
        return self._process.poll() if self._process is not None else None

    def spawn(self) -> None:
        """Starts the process and does not wait for it to be of use."""
        program = self.program
        account = program.account
        owner = [str(account.uid), str(account.gid)] if account else ["-1", "-1"]
        launcher = [sys.executable, "-I", "-S", str(_LAUNCHER), str(int(program.stop_signal)), str(os.getpid())]
        program.log.parent.mkdir(parents=True, exist_ok=True)
        if program.log.exists() and program.log.stat().st_size > _LOG_LIMIT:
            program.log.replace(program.log.with_suffix(".log.1"))
        with program.log.open("ab") as log:
            self._log_start = log.tell()
            self._process = subprocess.Popen(  # noqa: S603 - our own programs
                [*launcher, *owner, *program.argv],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=program.cwd,
                env=dict(program.env),
                process_group=0,
            )
        self._remember(self._process.pid)

    def output(self) -> str:
        """What the process has written since it was started, at most the last 4 kB."""
        with contextlib.suppress(FileNotFoundError), self.program.log.open("rb") as log:
            end = log.seek(0, os.SEEK_END)
            log.seek(max(self._log_start, end - 4096))
            return log.read().decode(errors="replace").strip()
        return ""

    def ask_to_stop(self) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(self.program.stop_signal)

    def stop(self, timeout: float) -> None:
        """Afterwards the process is gone: asked first, killed with its whole group after `timeout` seconds."""
        if self._process is None:
            return
        self.ask_to_stop()
        try:
            self._process.wait(timeout)
        except subprocess.TimeoutExpired:
            self.kill()
        self._forget()

    def kill(self) -> None:
        """Afterwards the process and all of its group are gone."""
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
            self._forget()

    def stop_leftover(self, timeout: float) -> None:
        """Afterwards no process of an earlier supervisor is left that our pid file tells of."""
        left = self._leftover()
        if left is not None:
            end_process(left, self.program.stop_signal, timeout)
        self._forget()

    def _remember(self, pid: int) -> None:
        if self._pid_file is not None:
            self._pid_file.parent.mkdir(parents=True, exist_ok=True)
            record = {"pid": pid, "created": psutil.Process(pid).create_time(), "marker": self.program.marker}
            self._pid_file.write_text(json.dumps(record))

    def _forget(self) -> None:
        if self._pid_file is not None:
            self._pid_file.unlink(missing_ok=True)

    def _leftover(self) -> psutil.Process | None:
        if self._pid_file is None:
            return None
        try:
            record = json.loads(self._pid_file.read_text())
            process = live_process(int(record["pid"]), str(record["marker"]))
            created = process.create_time() if process is not None else 0.0
        except (FileNotFoundError, ValueError, KeyError, TypeError, psutil.NoSuchProcess):
            return None
        return process if abs(created - float(record["created"])) < _CLOCK_STEP_S else None


def live_process(pid: int, marker: str) -> psutil.Process | None:
    """The process `pid` if it runs (a zombie does not) and has `marker` in its command line: pids are reused."""
    try:
        process = psutil.Process(pid)
        if process.status() == psutil.STATUS_ZOMBIE or marker not in " ".join(process.cmdline()):
            return None
    except (psutil.NoSuchProcess, psutil.AccessDenied):
        return None
    return process


def end_process(process: psutil.Process, first: signal.Signals, timeout: float) -> None:
    """Afterwards a process that is not our child has ended: asked by `first`, killed after `timeout` seconds."""
    with contextlib.suppress(psutil.NoSuchProcess):
        process.send_signal(first)
        if wait_until(lambda: not _runs(process), timeout):
            return
        process.kill()
        if not wait_until(lambda: not _runs(process), timeout):
            raise LocalStackError(f"process {process.pid} ({process.name()}) of an earlier start does not end")


def wait_until(condition: Callable[[], bool], timeout: float, pause: float = 0.05) -> bool:
    """Whether `condition` came true within `timeout` seconds."""
    deadline = time.monotonic() + timeout
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(pause)
    return True


def _runs(process: psutil.Process) -> bool:
    with contextlib.suppress(psutil.NoSuchProcess):
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    return False
