"""One return, from the wish to send goods back to the money and the credit note, whatever its order is doing."""

from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from activities.returning import ReturnActivities, ReturnFact, ReturnResult, ReturnStep
    from domain.returning import OPEN, ReturnState

from workflows.errand import carry_out
from workflows.order.contract import FactSignal
from workflows.order.course import Course
from workflows.refunding import give_back
from workflows.returns.contract import ReturnInput


@dataclass(frozen=True)
class _Arrival:
    """A fact that was signalled and waits for its turn."""

    kind: str
    inbox_id: int


@workflow.defn
class ReturnWorkflow:
    """Opens the return, waits for a decision where the rule gives none, then for the goods, and gives their price back.

    Signals bring facts: `return_decided`, `return_received`. It ends with the return's state: closed, rejected or
    expired, once nothing of it is left to do; a fact that comes later starts it again and finds that out.
    """

    @workflow.init
    def __init__(self, asked: ReturnInput) -> None:
        self._course = Course(asked.order)
        self._course.at = "return"
        self._about = ReturnStep(asked.order.order_no, asked.return_no)
        self._waiting: deque[_Arrival] = deque()
        self._heard: set[int] = set()
        self._state: str | None = None
        self._goods_due_at: datetime | None = None

    @workflow.run
    async def run(self, asked: ReturnInput) -> str:
        await self._perform(ReturnActivities.open_return, self._about, "return.open")
        while self._state in OPEN or self._waiting:
            if await self._has_fact():
                await self._apply(self._waiting.popleft())
            else:
                await self._perform(ReturnActivities.expire_return, self._about, "return.expire")
        self._course.tell(f"return {asked.return_no}: {self._state or 'unknown'}")
        return self._state or "ignored"

    async def _has_fact(self) -> bool:
        """Waits for one; False: the goods have not come in time. Whoever has to decide has no such moment."""
        due = self._goods_due_at if self._state == ReturnState.APPROVED else None
        pause = None if due is None else max(due - workflow.now(), timedelta(0))
        try:
            await workflow.wait_condition(lambda: bool(self._waiting), timeout=pause, timeout_summary="goods are due")
        except TimeoutError:
            return False
        return True

    async def _apply(self, arrival: _Arrival) -> None:
        fact = ReturnFact(self._about.order_no, self._about.return_no, arrival.inbox_id)
        result = await self._perform(_APPLIED_BY[arrival.kind], fact, arrival.kind)
        self._course.tell(f"{arrival.kind}: {result.outcome}")
        if result.granted:
            await give_back(self._course)

    async def _perform(self, method: Callable[[Any, Any], Awaitable[Any]], payload: Any, summary: str) -> ReturnResult:
        step = partial(self._course.local, method, payload, summary)
        result: ReturnResult = await carry_out(self._course, step)
        self._state, self._goods_due_at = result.state, result.goods_due_at
        return result

    @workflow.signal(description="Somebody decided about the return")
    def return_decided(self, signal: FactSignal) -> None:
        self._hear("return.decided", signal)

    @workflow.signal(description="Returned goods came in")
    def return_received(self, signal: FactSignal) -> None:
        self._hear("return.received", signal)

    def _hear(self, kind: str, signal: FactSignal) -> None:
        if signal.inbox_id not in self._heard:
            self._heard.add(signal.inbox_id)
            self._waiting.append(_Arrival(kind, signal.inbox_id))


_APPLIED_BY: dict[str, Callable[[Any, Any], Awaitable[Any]]] = {
    "return.decided": ReturnActivities.decide_return,
    "return.received": ReturnActivities.receive_return,
}
