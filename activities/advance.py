"""Several things that follow each other in an order, done in one go for as long as they go smoothly.

Each is the activity that would be asked for by itself, with its own key, and those between two calls of outside parties
share a transaction. What is not in the answer is asked for by itself afterwards, where operators see it with its
failures; having been done already is harmless then.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

import structlog
from temporalio import activity
from temporalio.exceptions import ApplicationError

from activities.orders import CloseInput, WaitInput, WaitResult
from activities.step import Fact, Step, StepResult
from domain.order import Standing, has_happened
from runtime.sessions import one_go

_log = structlog.get_logger(__name__)

WAIT: Final = "wait"
CLOSE: Final = "close"
# How long an outside party may take, and how many calls of it may be under way, before it is asked on its own queue.
PARTY_AT_ONCE_S: Final = 3.0
PARTY_HANDS: Final = 4
# One that took longer twice running is left alone for a while: others would wait for it in vain as well.
PARTY_RESTS_S: Final = 10.0
_TWICE: Final = 2

StepMethod = Callable[[Step], Awaitable[StepResult]]


@dataclass(frozen=True)
class Ahead:
    """One thing to do: a step of the vocabulary, or `wait` and `close` with what they need."""

    name: str
    step: Step
    wait: WaitInput | None = None
    close: CloseInput | None = None

    def __str__(self) -> str:
        return f"{self.name} {self.step.node}/{self.step.visit}"


@dataclass(frozen=True)
class AdvanceInput:
    """A fact first, if there is one; then, if what was `awaited` has happened by it, one thing after the other."""

    order_no: str
    ahead: tuple[Ahead, ...]
    kind: str = ""
    inbox_id: int = 0
    awaited: str = ""


@dataclass(frozen=True)
class AdvanceResult:
    """What was done, in order. `refused`: the code with which the next thing was refused for good, if it was.

    `tried` names what was begun; the last of it may have been done although it is not in the answer.
    """

    fact: StepResult | None = None
    done: tuple[StepResult, ...] = ()
    deadline: datetime | None = None
    refused: str = ""
    tried: tuple[str, ...] = ()


class _Unanswered(Exception):
    """It could not be done now; that says nothing about the order."""


@dataclass
class _Told:
    """What came of it so far, and how much of that is final."""

    fact: StepResult | None = None
    done: list[StepResult] = field(default_factory=list)
    deadline: datetime | None = None
    tried: list[str] = field(default_factory=list)
    final: tuple[StepResult | None, int] = (None, 0)

    def is_final(self) -> None:
        """Afterwards all that is told has come to stay."""
        self.final = (self.fact, len(self.done))

    def answer(self, refused: str = "") -> AdvanceResult:
        """What has come to stay. What was undone with a refusal has to be done first before it can be refused again."""
        fact, count = self.final
        lost = (fact, count) != (self.fact, len(self.done))
        return AdvanceResult(fact, tuple(self.done[:count]), self.deadline, "" if lost else refused, tuple(self.tried))


class Party:
    """An outside party that is asked within a step as long as it answers at once, and by a few at a time only."""

    def __init__(self, ask: StepMethod) -> None:
        self._ask = ask
        self._asking = 0
        self._late = 0
        self._rests_until = 0.0

    async def __call__(self, step: Step) -> StepResult:
        """The party's answer. Raises TimeoutError when there is none at once."""
        if self._asking >= PARTY_HANDS or time.monotonic() < self._rests_until:
            raise TimeoutError
        self._asking += 1
        try:
            async with asyncio.timeout(PARTY_AT_ONCE_S):
                answer = await self._ask(step)
        except TimeoutError:
            self._late += 1
            if self._late >= _TWICE:
                self._late, self._rests_until = 0, time.monotonic() + PARTY_RESTS_S
            raise
        else:
            self._late = 0
            return answer
        finally:
            self._asking -= 1


class AdvanceActivities:
    """`steps` by their names in the vocabulary, `facts` by their kinds in the inbox."""

    def __init__(
        self,
        steps: Mapping[str, StepMethod],
        facts: Mapping[str, Callable[[Fact], Awaitable[StepResult]]],
        open_wait: Callable[[WaitInput], Awaitable[WaitResult]],
        close_order: Callable[[CloseInput], Awaitable[StepResult]],
    ) -> None:
        self._steps = steps
        self._facts = facts
        self._open_wait = open_wait
        self._close_order = close_order

    @activity.defn
    async def advance(self, asked: AdvanceInput) -> AdvanceResult:
        """Effect: that of the fact and of each step, until one holds the order, is refused, or is not answered at once.
            Between two calls of outside parties all of it is one transaction.
        Key: that of each of them.
        Fails: never; what failed, or was undone with what failed, is not in the answer.
        """
        told = _Told()
        async with one_go(told.is_final) as going:
            refused = ""
            try:
                await self._go(asked, told)
            except ApplicationError as final:
                refused = final.type or "step_failed"
            except _Unanswered:
                pass
            try:
                await going.commit()
            except Exception as failed:  # noqa: BLE001 - whatever it was: what was undone is asked for by itself
                _log.info("done in one go and undone", order_no=asked.order_no, error=type(failed).__name__)
        return told.answer(refused)

    async def _go(self, asked: AdvanceInput, told: _Told) -> None:
        if asked.kind:
            told.fact = await _tried(self._facts[asked.kind](Fact(asked.order_no, asked.inbox_id)))
            if not _goes_on(told.fact) or not has_happened(asked.awaited, told.fact.standing):
                return
        standing = None if told.fact is None else told.fact.standing
        for one in asked.ahead:
            told.tried.append(str(one))
            if one.wait is not None:
                opened = await self._wait(one.wait, standing)
                result, told.deadline = opened.result, opened.deadline
            else:
                result = await _tried(self._do(one))
            told.done.append(result)
            if not _goes_on(result):
                return
            standing = result.standing

    def _do(self, one: Ahead) -> Awaitable[StepResult]:
        return self._steps[one.name](one.step) if one.close is None else self._close_order(one.close)

    async def _wait(self, wait: WaitInput, standing: Standing | None) -> WaitResult:
        # What has happened is not waited for.
        if standing is None or has_happened(wait.event, standing):
            raise _Unanswered
        opened: WaitResult = await _tried(self._open_wait(wait))
        return opened


async def _tried(doing: Awaitable[Any]) -> Any:
    """The answer. A final refusal comes out as it is, whatever else happens as _Unanswered."""
    try:
        return await doing
    except Exception as failed:
        if isinstance(failed, ApplicationError) and failed.non_retryable:
            raise
        raise _Unanswered from None


def _goes_on(result: StepResult) -> bool:
    standing = result.standing
    return (
        result.held is None
        and result.outcome == "applied"
        and not standing.blocking_holds
        and not standing.cancelling
        and not standing.surplus_due
    )
