"""What still comes in for an order that has ended: money after expiry, a parcel that comes back."""

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from domain.order import Lifecycle

from workflows.order.contract import OrderInput
from workflows.order.course import Course
from workflows.order.escalation import escalate_overdue
from workflows.order.inlet import HearsFacts, Inlet
from workflows.order.nodes.compensate import undo_all


@workflow.defn
class FollowUpWorkflow(HearsFacts):
    """Books late facts of one ended order and sends back money that nothing stands against; ends when all is settled.

    Signals are those of the order's own workflow: whoever brings a fact need not know whether the order has ended.
    """

    @workflow.init
    def __init__(self, order: OrderInput) -> None:
        self._course = Course(order)
        self._inlet = Inlet(self._course)

    @workflow.run
    async def run(self, order: OrderInput) -> str:
        self._inlet.open(escalate_overdue)
        await self._inlet.wait(lambda: self._course.standing.version > 0)
        await self._inlet.all_booked()
        while self._owes_money():
            self._course.register_undo("payment.refund")
            await undo_all(self._course)
            await self._inlet.all_booked()
        self._inlet.close()
        return order.order_no

    def _owes_money(self) -> bool:
        standing = self._course.standing
        return standing.money_in and standing.lifecycle != Lifecycle.COMPLETED
