"""Orders at rest, brought there by the real activities: one finished, two that wait, one undone."""

from contextlib import closing
from datetime import timedelta

from temporalio.testing import ActivityEnvironment

from activities.approvals import ApprovalActivities, ApprovalInput
from activities.changing import ChangeActivities
from activities.invoices import InvoiceActivities
from activities.orders import CancelInput, CloseInput, OrderActivities, WaitInput
from activities.payments import PaymentActivities
from activities.refunding import RefundActivities
from activities.revenue import RevenueActivities
from activities.shipping import ShippingActivities
from activities.step import Step
from activities.stock import StockActivities
from integrations.carrier.simulated import SimulatedCarrier
from integrations.einvoice.simulated import SimulatedEInvoiceProvider
from integrations.memory import Memory
from integrations.payment.simulated import SimulatedPaymentProvider
from models.access import Person
from runtime.database import Sessions
from tests.factories.approvals import gm_approval
from tests.factories.books import open_books
from tests.factories.changing import ask as change_asked
from tests.factories.changing import in_force, units
from tests.factories.orders import Line, place
from tests.factories.payments import report
from tests.factories.refunding import ask as refund_asked
from tests.factories.refunding import units as unsent
from tests.factories.shipping import ready_to_ship, reported

PRICE = 11_300


async def at_rest(sessions: Sessions) -> None:
    """Afterwards SO-1 is completed with all that belongs to it, SO-2 waits for its money, SO-3 was cancelled.

    SO-4 waits for a general manager, SO-5 was paid and then made smaller, and of SO-6 a unit was refunded after that.
    """
    await open_books(sessions)
    for order_no in ("SO-1", "SO-2", "SO-3"):
        await ready_to_ship(sessions, order_no, [Line(quantity=2)])
    memory = Memory()
    try:
        await _finish(sessions, memory)
        await _undo(sessions, memory)
    finally:
        memory.close()
    wait = WaitInput("SO-2", "pay", 1, "payment.full", timedelta(hours=24))
    await ActivityEnvironment().run(OrderActivities(sessions).open_wait, wait)
    await _ask(sessions)
    await _change(sessions)


async def _finish(sessions: Sessions, memory: Memory) -> None:
    run, step = ActivityEnvironment().run, Step("SO-1", "node")
    payments = PaymentActivities(sessions, SimulatedPaymentProvider(memory), tolerance_minor=1)
    shipping = ShippingActivities(sessions, SimulatedCarrier(memory))
    await run(payments.apply_payment, await report(sessions, 2 * PRICE, order_no="SO-1"))
    await run(shipping.book_shipments, step)
    for hours, status in enumerate(("picked_up", "delivered")):
        await run(shipping.apply_scan, await reported(sessions, status, hours=hours))
    await run(RevenueActivities(sessions).recognise_revenue, step)
    await run(InvoiceActivities(sessions, SimulatedEInvoiceProvider(memory)).issue_invoice, step)
    await run(OrderActivities(sessions).close_order, CloseInput("SO-1", "completed"))


async def _undo(sessions: Sessions, memory: Memory) -> None:
    run, step = ActivityEnvironment().run, Step("SO-3", "node")
    payments = PaymentActivities(sessions, SimulatedPaymentProvider(memory), tolerance_minor=1)
    own = OrderActivities(sessions)
    await run(payments.apply_payment, await report(sessions, 2 * PRICE, order_no="SO-3"))
    await run(own.begin_cancel, CancelInput("SO-3", "clerk"))
    await run(payments.refund_payments, step)
    await run(StockActivities(sessions, None).release_stock, step)
    await run(own.close_order, CloseInput("SO-3", "cancelled"))


async def _change(sessions: Sessions) -> None:
    run = ActivityEnvironment().run
    await in_force(sessions)
    with closing(Memory()) as memory:
        payments = PaymentActivities(sessions, SimulatedPaymentProvider(memory), tolerance_minor=1)
        for order_no in ("SO-5", "SO-6"):
            await ready_to_ship(sessions, order_no, [Line(quantity=4), Line("2", "SKU-2", 2)])
            await run(payments.apply_payment, await report(sessions, 6 * PRICE, order_no=order_no))
            for change_id, wanted in (("C-1", 1), ("C-2", 2)):
                asked = await change_asked(sessions, units(l2=wanted), change_id, order_no=order_no)
                await run(ChangeActivities(sessions, None, 1).change_order, asked)
    refund = await refund_asked(sessions, unsent({"1": 1}, "out_of_stock"), order_no="SO-6")
    await run(RefundActivities(sessions).grant_refund, refund)


async def _ask(sessions: Sessions) -> None:
    async with sessions() as session, session.begin():
        session.add(Person(person_id="gina", name="Gina", roles=["gm"]))
    await place(sessions, "SO-4")
    asked = ApprovalInput("SO-4", "gm", 1, "normal_big", 1, gm_approval())
    await ActivityEnvironment().run(ApprovalActivities(sessions).open_approval, asked)
