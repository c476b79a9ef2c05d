"""What still comes in for an order that has ended: money after expiry, a parcel that comes back."""

from temporalio import workflow
from temporalio.common import WorkflowIDReusePolicy
from temporalio.exceptions import WorkflowAlreadyStartedError

with workflow.unsafe.imports_passed_through():
    from domain.order import Lifecycle, has_ended

from workflows.order.contract import OrderInput, order_workflow_id
from workflows.order.course import Course
from workflows.order.escalation import escalate_overdue
from workflows.order.giving_back import give_back_surplus
from workflows.order.inlet import HearsFacts, Inlet
from workflows.order.nodes.compensate import undo_all
from workflows.order.shown import attributes_of, summary_of
from workflows.order.workflow import OrderWorkflow


@workflow.defn
class FollowUpWorkflow(HearsFacts):
    """Books late facts of one ended order and sends back money that nothing stands against; ends when all is settled.

    An order that late money has brought back gets its own workflow again. Signals are those of the order's own
    workflow: whoever brings a fact need not know whether the order has ended.
    """

    @workflow.init
    def __init__(self, order: OrderInput) -> None:
        self._course = Course(order)
        self._inlet = Inlet(self._course)

    @workflow.run
    async def run(self, order: OrderInput) -> str:
        self._inlet.open(escalate_overdue, give_back_surplus)
        await self._inlet.wait(lambda: self._course.standing.version > 0)
        await self._inlet.all_booked()
        while self._owes_money():
            self._course.register_undo("payment.refund")
            await undo_all(self._course)
            await self._inlet.all_booked()
        if has_ended(self._course.standing.lifecycle):
            await self._inlet.wait(lambda: not self._course.standing.surplus_due)
            await self._inlet.all_booked()
        else:
            # Its own workflow sends back what is owed besides.
            await _start_again(order)
        self._inlet.close()
        return order.order_no

    def _owes_money(self) -> bool:
        standing = self._course.standing
        broken_off = has_ended(standing.lifecycle) and standing.lifecycle != Lifecycle.COMPLETED
        return standing.money_in and broken_off


async def _start_again(order: OrderInput) -> None:
    """Afterwards the order's own workflow runs, from the start of its flow: its steps find what is done already."""
    try:
        await workflow.start_child_workflow(
            OrderWorkflow.run,
            order,
            id=order_workflow_id(order.order_no),
            id_reuse_policy=WorkflowIDReusePolicy.ALLOW_DUPLICATE,
            parent_close_policy=workflow.ParentClosePolicy.ABANDON,
            search_attributes=attributes_of(order),
            static_summary=summary_of(order),
        )
    except WorkflowAlreadyStartedError:
        workflow.logger.info("the order runs already")
