"""Facts that reach a running order: kept in the order they came, applied one by one, each once."""

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from activities.orders import OrderActivities, ResolveInput
    from activities.step import Fact, StepResult

from workflows import options
from workflows.order.contract import FactSignal
from workflows.order.course import Course, StepFailed, Trouble
from workflows.order.steps import FACTS

# With other goods there, or less to send, an order that was short of them may have enough.
_WAKING = frozenset({"stock.replenished", "order.adjusted"})


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
        self._applying: asyncio.Task[None] | None = None

    def hear(self, kind: str, signal: FactSignal) -> None:
        """Afterwards the fact will be applied, early or late, unless it was heard before."""
        if signal.inbox_id not in self._heard:
            self._heard.add(signal.inbox_id)
            self._waiting.append(Arrival(kind, signal.inbox_id))

    def open(self) -> None:
        """Afterwards what is heard gets applied, what was heard before included."""
        self._applying = asyncio.create_task(self._apply_all())

    def close(self) -> None:
        """Afterwards nothing is applied any more."""
        if self._applying is not None:
            self._applying.cancel()

    async def wait(self, happened: Callable[[], bool]) -> None:
        """Afterwards it has happened. Raises RuntimeError when facts are no longer applied.

        Only a defect of ours ends that; it must show as a failing workflow task, not as an order that goes silent.
        """
        applying = self._applying
        await workflow.wait_condition(lambda: happened() or (applying is not None and applying.done()))
        if applying is not None and applying.done():
            raise RuntimeError("facts are no longer applied") from applying.exception()

    def try_again(self) -> None:
        """Afterwards facts that could not be booked are in line again."""
        self._waiting.extend(self._put_back)
        self._put_back.clear()
        self._course.unbooked = False

    async def all_booked(self) -> None:
        """Afterwards every fact heard is booked, however often that has to be tried.

        For orders whose story is over: nobody can settle their holds any more, and no fact may be dropped.
        """
        await self.wait(self._is_idle)
        while self._course.unbooked:
            await workflow.sleep(options.UNDO_PAUSE, summary="a fact could not be booked: next try")
            settled = ResolveInput(self._course.order_no, "retried", "orderflow")
            await self._course.insist(OrderActivities.resolve_holds, settled, "resolve hold")
            self.try_again()
            await self.wait(self._is_idle)

    def _is_idle(self) -> bool:
        return not self._waiting and not self._busy

    async def _apply_all(self) -> None:
        while True:
            await workflow.wait_condition(lambda: bool(self._waiting))
            self._busy = True
            arrival = self._waiting.popleft()
            try:
                await self._apply(arrival)
            finally:
                self._busy = False

    async def _apply(self, arrival: Arrival) -> None:
        course = self._course
        fact = Fact(course.order_no, arrival.inbox_id)
        try:
            result: StepResult = course.saw(await course.local(FACTS[arrival.kind], fact, arrival.kind))
            if result.standing.revenue_due and result.standing.fulfilment != "delivered":
                # A part of the goods has changed hands: its revenue does not wait for the rest.
                await course.perform("revenue.recognise")
        except StepFailed as failed:
            self._put_back.append(arrival)
            course.unbooked = True
            await course.open_hold(Trouble(course.at, failed.reason))
            return
        course.tell(f"{arrival.kind}: {result.outcome}")
        if arrival.kind == "payment.settled" and result.standing.money_in:
            course.register_undo("payment.refund")
        if arrival.kind in _WAKING and result.outcome != "ignored":
            course.woken = True


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
