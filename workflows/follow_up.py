"""What still comes in for an order that has ended: money after expiry, a parcel that comes back."""

import asyncio

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from domain.order import Lifecycle

from workflows.order.contract import FactSignal, OrderInput
from workflows.order.course import Course
from workflows.order.inlet import Inlet
from workflows.order.nodes.compensate import undo_all


@workflow.defn
class FollowUpWorkflow:
    """Books late facts of one ended order and sends back money that nothing stands against; ends when all is settled.

    Signals are those of the order's own workflow: whoever brings a fact need not know whether the order has ended.
    """

    @workflow.init
    def __init__(self, order: OrderInput) -> None:
        self._course = Course(order)
        self._inlet = Inlet(self._course)

    @workflow.run
    async def run(self, order: OrderInput) -> str:
        facts = asyncio.create_task(self._inlet.run())
        await workflow.wait_condition(lambda: self._course.standing.version > 0)
        await self._inlet.all_booked()
        while self._owes_money():
            self._course.register_undo("payment.refund")
            await undo_all(self._course)
            await self._inlet.all_booked()
        facts.cancel()
        return order.order_no

    @workflow.signal(description="Money came in")
    def payment_settled(self, signal: FactSignal) -> None:
        self._inlet.hear("payment.settled", signal)

    @workflow.signal(description="The carrier reports a parcel")
    def parcel_scanned(self, signal: FactSignal) -> None:
        self._inlet.hear("parcel.scanned", signal)

    @workflow.signal(description="Goods have come in")
    def stock_replenished(self, signal: FactSignal) -> None:
        self._inlet.hear("stock.replenished", signal)

    def _owes_money(self) -> bool:
        standing = self._course.standing
        return standing.money_in and standing.lifecycle != Lifecycle.COMPLETED
