"""One return, from the wish to send goods back to the money and the credit note, whatever its order is doing."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import Any

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from activities.approvals import ApprovalActivities, ApprovalInput
    from activities.returning import ReturnActivities, ReturnConsent, ReturnFact, ReturnResult, ReturnStep
    from activities.step import Fact, StepResult
    from domain.flow.scaling import scaled
    from domain.flow.words import said
    from domain.returning import CONSENT, OPEN, ReturnState, what_is_asked

from workflows import search_attributes
from workflows.approval import decided
from workflows.errand import HearsHolds, carry_out
from workflows.order.contract import FactSignal
from workflows.order.course import Course
from workflows.order.shown import moment
from workflows.refunding import give_back
from workflows.returns.contract import ReturnInput


@dataclass(frozen=True)
class _Arrival:
    """A fact that was signalled and waits for its turn."""

    kind: str
    inbox_id: int


@dataclass(frozen=True, kw_only=True)
class _Answer(StepResult):
    """What became of an approval, to be settled."""

    consent: ReturnConsent


@workflow.defn
class ReturnWorkflow(HearsHolds):
    """Opens the return, asks people where the rule says nothing, waits for the goods, and gives their price back.

    Signals bring facts: `approval_decided`, `return_received`, `hold_decided`. It ends with the return's state: closed,
    rejected or expired, once nothing of it is left to do; a fact that comes later starts it again and finds that out.
    """

    @workflow.init
    def __init__(self, asked: ReturnInput) -> None:
        self._course = Course(asked.order)
        self._course.at = "return"
        self._about = ReturnStep(asked.order.order_no, asked.return_no, asked.time_scale)
        self._waiting: deque[_Arrival] = deque()
        self._heard: set[int] = set()
        self._known = ReturnResult()

    @property
    def _state(self) -> str | None:
        return self._known.state

    @workflow.run
    async def run(self, asked: ReturnInput) -> str:
        await self._perform(ReturnActivities.open_return, self._about, "Open the return")
        asking = asyncio.create_task(self._ask_people())
        while self._state in OPEN or self._waiting:
            if self._waiting:
                await self._apply(self._waiting.popleft())
            elif await self._goods_are_late(asking):
                late = await self._perform(
                    ReturnActivities.expire_return, self._about, "The time for the goods is over"
                )
                if late.granted:
                    await give_back(self._course)
        await asking
        await workflow.wait_condition(workflow.all_handlers_finished)
        self._course.tell(f"Return {asked.return_no}: {self._state or 'unknown'}")
        return self._state or "ignored"

    async def _goods_are_late(self, asking: "asyncio.Task[None]") -> bool:
        """Waits for what comes next; True: it is the end of the time that goods have. Who decides has a clock apart."""
        if asking.done():
            # A defect of ours must show, not leave a return that nobody is asked about.
            asking.result()
        state, due = self._state, self._known.goods_due_at
        pause = max(due - workflow.now(), timedelta(0)) if due and state == ReturnState.APPROVED else None
        try:
            await workflow.wait_condition(
                lambda: (
                    bool(self._waiting) or self._state != state or (asking.done() and state == ReturnState.REQUESTED)
                ),
                timeout=pause,
                timeout_summary=f"Returned goods are due by {moment(due)}" if due else None,
            )
        except TimeoutError:
            return True
        return False

    async def _ask_people(self) -> None:
        """Afterwards somebody has decided: when nobody does, or what was asked is void, they are asked anew."""
        visit = 0
        while self._state == ReturnState.REQUESTED:
            visit += 1
            answer = await carry_out(self._course, partial(self._answer, visit))
            await self._perform(ReturnActivities.settle_return, answer.consent, "Settle what was decided")
        if visit:
            self._course.show(search_attributes.WAITING_FOR.value_unset(), search_attributes.DEADLINE.value_unset())

    async def _answer(self, visit: int) -> _Answer:
        about, known, flow = self._about, self._known, self._course.flow
        asked = ApprovalInput(
            about.order_no,
            f"return.{about.return_no}",
            visit,
            flow.key,
            flow.version,
            scaled(CONSENT, about.time_scale),
            content=what_is_asked(about.return_no, known.units, known.worth_minor),
            order_waits=False,
            submitter=known.requested_by,
            amount_minor=known.worth_minor,
        )
        found = await decided(self._course, asked)
        consent = ReturnConsent(about.order_no, about.return_no, found.approval_id, about.time_scale)
        return _Answer(found.result.standing, consent=consent)

    async def _apply(self, arrival: _Arrival) -> None:
        if arrival.kind == "approval.decided":
            word = Fact(self._about.order_no, arrival.inbox_id)
            step = partial(self._course.local, ApprovalActivities.apply_decision, word, said(arrival.kind))
            heard = await carry_out(self._course, step)
            self._course.saw(heard)
            self._course.words_heard += heard.outcome == "effective"
            return
        fact = ReturnFact(self._about.order_no, self._about.return_no, arrival.inbox_id)
        result = await self._perform(ReturnActivities.receive_return, fact, said(arrival.kind))
        self._course.tell(f"{said(arrival.kind)}: {result.outcome}")
        if result.granted:
            await give_back(self._course)

    async def _perform(self, method: Callable[[Any, Any], Awaitable[Any]], payload: Any, summary: str) -> ReturnResult:
        step = partial(self._course.local, method, payload, summary)
        result: ReturnResult = await carry_out(self._course, step)
        if result.standing.version >= self._known.standing.version:
            # People are asked beside: what is known of a later moment stays.
            self._known = result
        return result

    @workflow.signal(description="Somebody decided about the return")
    def approval_decided(self, signal: FactSignal) -> None:
        self._hear("approval.decided", signal)

    @workflow.signal(description="Returned goods came in")
    def return_received(self, signal: FactSignal) -> None:
        self._hear("return.received", signal)

    def _hear(self, kind: str, signal: FactSignal) -> None:
        if signal.inbox_id not in self._heard:
            self._heard.add(signal.inbox_id)
            self._waiting.append(_Arrival(kind, signal.inbox_id))
