"""Facts that reach a running order: kept in the order they came, applied one by one, each once."""

import asyncio
import contextlib
from collections import deque
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from datetime import timedelta

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from activities.step import Fact
    from domain.flow.words import said

from workflows import options
from workflows.order import advancing
from workflows.order.contract import FactSignal
from workflows.order.course import Course
from workflows.order.steps import FACTS
from workflows.order.trouble import StepFailed, Trouble

# With other goods there, or less to send, an order that was short of them may have enough.
_WAKING = frozenset({"stock.replenished", "order.adjusted"})
# What may have mended why a fact could not be booked.
_SETTLED = frozenset({"effective", "resend", "refund"})
_A_BREATH = timedelta(milliseconds=1)
Chore = Callable[[Course], Coroutine[None, None, None]]


@dataclass(frozen=True)
class Arrival:
    """A fact that was signalled and waits for its turn."""

    kind: str
    inbox_id: int


class Inlet:
    """What was signalled and is not applied yet. A repeated signal is dropped here, a repeated fact in the database."""

    def __init__(self, course: Course) -> None:
        self._course = course
        self._waiting: deque[Arrival] = deque()
        self._heard: set[int] = set()
        # Facts that could not be booked; they are tried again when somebody has settled the hold.
        self._put_back: list[Arrival] = []
        self._busy = False
        self._applied = 0
        self._beside: list[asyncio.Task[None]] = []

    def hear(self, kind: str, signal: FactSignal) -> None:
        """Afterwards the fact will be applied, early or late, unless it was heard before."""
        if signal.inbox_id not in self._heard:
            self._heard.add(signal.inbox_id)
            self._waiting.append(Arrival(kind, signal.inbox_id))
            self._course.facts_under_way += 1

    def open(self, *chores: Chore) -> None:
        """Afterwards what is heard gets applied, what was heard before included; so is everything else done that goes
        on beside the order's story."""
        self._beside = [asyncio.create_task(self._apply_all())]
        self._beside += [asyncio.create_task(chore(self._course)) for chore in chores]

    def heard(self) -> tuple[tuple[str, int], ...]:
        """What is still to be applied, for the run that goes on after this one."""
        return tuple((arrival.kind, arrival.inbox_id) for arrival in self._waiting)

    def rests(self) -> bool:
        """Whether a new run may take over: the history is long, nothing is under way, and the order only waits."""
        return self._wants_rest() and not self._busy and workflow.all_handlers_finished()

    def _wants_rest(self) -> bool:
        long = self._applied >= options.FACTS_IN_A_RUN or workflow.info().is_continue_as_new_suggested()
        return long and not self._put_back and self._course.only_waits()

    def close(self) -> None:
        """Afterwards nothing is applied any more."""
        for task in self._beside:
            task.cancel()

    async def wait(self, happened: Callable[[], bool]) -> None:
        """Afterwards it has happened. Raises RuntimeError when facts are no longer applied.

        Only a defect of ours ends that; it must show as a failing workflow task, not as an order that goes silent.
        """
        await workflow.wait_condition(lambda: happened() or any(task.done() for task in self._beside))
        for task in self._beside:
            if task.done():
                raise RuntimeError("facts are no longer applied") from task.exception()

    async def all_booked(self) -> None:
        """Afterwards every fact heard is booked, however often that has to be tried.

        For orders whose story is over: nobody can settle their holds any more, and no fact may be dropped.
        """
        course = self._course
        await self.wait(self._is_idle)
        while course.unbooked:
            await workflow.sleep(options.UNDO_PAUSE, summary="A fact could not be booked: next try")
            if course.unbooked:
                await course.settle(Trouble(course.at, course.unbooked[0]), "retried")
            await self.wait(self._is_idle)

    def _is_idle(self) -> bool:
        return not self._waiting and not self._busy and not self._course.book_again

    async def _apply_all(self) -> None:
        course, began = self._course, workflow.now()
        while True:
            if not self._is_due():
                await workflow.wait_condition(self._is_due)
                began = workflow.now()
            if course.book_again:
                self._line_up_again()
            if not self._waiting:
                continue
            self._busy = True
            arrival = self._waiting.popleft()
            try:
                await self._apply(arrival)
            finally:
                self._busy, self._applied = False, self._applied + 1
                course.facts_under_way -= 1
            if len(self._waiting) > options.LONG_LINE and workflow.now() - began >= options.LONG_STRETCH:
                await self._take_breath()
                began = workflow.now()

    def _is_due(self) -> bool:
        return (bool(self._waiting) or self._course.book_again) and not self._wants_rest()

    async def _take_breath(self) -> None:
        """Afterwards what was done of a long line is kept, whatever comes in next."""
        told, heard = f"Many facts at once: {len(self._waiting)} wait for their turn", len(self._heard)
        # The server ends no timer within less than a second; what comes in meanwhile begins the next task as well.
        with contextlib.suppress(TimeoutError):
            await workflow.wait_condition(lambda: len(self._heard) > heard, timeout=_A_BREATH, timeout_summary=told)

    def _line_up_again(self) -> None:
        self._waiting.extend(self._put_back)
        self._course.facts_under_way += len(self._put_back)
        self._put_back.clear()
        self._course.unbooked.clear()
        self._course.book_again = False

    async def _apply(self, arrival: Arrival) -> None:
        course = self._course
        fact = Fact(course.order_no, arrival.inbox_id)
        try:
            result = await advancing.apply(course, arrival.kind, fact)
            if result is None:
                result = await course.local(FACTS[arrival.kind], fact, said(arrival.kind))
            course.saw(result)
            # Goods that did not arrive are to be sent once more: what was done is found done on the way there.
            course.begins_anew = course.begins_anew or result.outcome == "resend"
            if result.standing.revenue_due and result.standing.fulfilment != "delivered":
                # A part of the goods has changed hands: its revenue does not wait for the rest.
                await course.perform("revenue.recognise")
        except StepFailed as failed:
            await course.open_hold(Trouble(course.at, failed.reason))
            # Not before: whoever settles the hold must find it open.
            self._put_back.append(arrival)
            course.unbooked.append(failed.reason)
            return
        course.tell(f"{said(arrival.kind)}: {result.outcome}")
        if arrival.kind == "payment.settled" and result.standing.money_in:
            course.register_undo("payment.refund")
        if arrival.kind in _WAKING and result.outcome != "ignored":
            course.woken = True
        if arrival.kind == "approval.decided" and result.outcome == "effective":
            course.words_heard += 1
        if arrival.kind == "hold.decided" and result.outcome in _SETTLED:
            course.book_again = bool(course.unbooked)


class HearsFacts:
    """The signals by which facts reach a workflow about an order; the same whether the order runs or has ended."""

    _inlet: Inlet

    @workflow.signal(description="Money came in")
    def payment_settled(self, signal: FactSignal) -> None:
        self._inlet.hear("payment.settled", signal)

    @workflow.signal(description="The carrier reports a parcel")
    def parcel_scanned(self, signal: FactSignal) -> None:
        self._inlet.hear("parcel.scanned", signal)

    @workflow.signal(description="Goods that the order waits for have come in")
    def stock_replenished(self, signal: FactSignal) -> None:
        self._inlet.hear("stock.replenished", signal)

    @workflow.signal(description="The order is not what it was: a part of it was refunded")
    def order_adjusted(self, signal: FactSignal) -> None:
        self._inlet.hear("order.adjusted", signal)

    @workflow.signal(description="Somebody has decided about an approval")
    def approval_decided(self, signal: FactSignal) -> None:
        self._inlet.hear("approval.decided", signal)

    @workflow.signal(description="Customs have said something about a document of the order")
    def customs_cleared(self, signal: FactSignal) -> None:
        self._inlet.hear("customs.reported", signal)

    @workflow.signal(description="The group that the order belongs to has its number")
    def group_completed(self, signal: FactSignal) -> None:
        self._inlet.hear("group.completed", signal)

    @workflow.signal(description="Somebody has decided about one hold")
    def hold_decided(self, signal: FactSignal) -> None:
        self._inlet.hear("hold.decided", signal)
