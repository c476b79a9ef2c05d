"""A refund that somebody asked for, from the decision to the credit note, whatever its order is doing meanwhile."""

import asyncio
from dataclasses import dataclass
from functools import partial

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from activities.invoices import InvoiceActivities
    from activities.payments import PaymentActivities
    from activities.refunding import RefundActivities
    from activities.step import Fact, Step, StepResult

from workflows.errand import HearsHolds, carry_out
from workflows.order.contract import OrderInput
from workflows.order.course import Course
from workflows.order.steps import EINVOICE, PAYMENT_PROVIDER


@dataclass(frozen=True)
class RefundInput:
    """The order that is refunded as its workflow began with it, and the inbox row that says what goes back."""

    order: OrderInput
    inbox_id: int


def refund_workflow_id(order_no: str, refund_id: str) -> str:
    """The id under which a refund's workflow runs, and its message in the inbox; one per refund, for ever."""
    return f"refund/{order_no}/{refund_id}"


@workflow.defn
class RefundWorkflow(HearsHolds):
    """Decides the refund, pays it out and takes it off the invoice; ends with `granted`, `refused` or `ignored`.

    What it is held for is tried again after a pause, or at once when a person says so (`hold_decided`).
    """

    @workflow.init
    def __init__(self, asked: RefundInput) -> None:
        self._course = Course(asked.order)
        self._course.at = "refund"

    @workflow.run
    async def run(self, asked: RefundInput) -> str:
        course, fact = self._course, Fact(asked.order.order_no, asked.inbox_id)
        grant = partial(course.local, RefundActivities.grant_refund, fact, "Decide the refund")
        decided: StepResult = await carry_out(course, grant)
        course.tell(f"Refund: {decided.outcome}")
        if decided.outcome == "granted":
            await give_back(course)
        await workflow.wait_condition(workflow.all_handlers_finished)
        return decided.outcome


async def give_back(course: Course) -> None:
    """Afterwards what was granted is with who paid, and invoices say no more than what is left."""
    step = Step(course.order_no, course.at)
    pay = partial(course.external, PaymentActivities.pay_refunds, step, PAYMENT_PROVIDER, "Pay the refund out")
    credit = partial(course.external, InvoiceActivities.credit_refunds, step, EINVOICE, "Credit the invoice")
    await asyncio.gather(carry_out(course, pay), carry_out(course, credit))
