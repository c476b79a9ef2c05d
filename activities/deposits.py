"""The deposit of a customer who does not keep to the order: when it is lost, and how it becomes ours in the books."""

from sqlmodel.ext.asyncio.session import AsyncSession

from activities.posting import sale_of
from domain.order import Standing
from domain.posting.entry import some
from domain.posting.sale import deposit_forfeited
from models.columns import now
from models.order import Order
from store import deposits, events, inbox, journal, orders, payments
from store.events import Event
from store.journal import PostingContext


async def is_lost_by_cancelling(session: AsyncSession, order: Order, standing: Standing, inbox_id: int) -> bool:
    """Whether calling the order off now costs the customer the deposit; not if who cancels gives it back."""
    plan = orders.plan(order)
    held, refundable = bool(standing.blocking_holds), order.deposit_refundable
    if not plan.is_lost_by_cancelling(order.paid_minor, refundable=refundable, held=held):
        return False
    said = await inbox.said_in(session, inbox_id, order.order_no)
    return said.get("deposit") != "refund"


async def forfeit(session: AsyncSession, order: Order, node: str) -> None:
    """Afterwards the deposit will be kept when the order is undone, unless it is paid in full or refundable.

    The order's row must be locked.
    """
    paid = order.paid_minor + order.written_off_minor >= orders.plan(order).total_minor
    if order.forfeit_deposit or paid or await deposits.is_refundable(session, order):
        return
    order.forfeit_deposit = True
    told = {"deposit_minor": order.deposit_minor, "currency": order.currency}
    await events.record(session, order, Event("deposit.lost", told, node=node))


async def keep_deposit(session: AsyncSession, order: Order) -> None:
    """Afterwards a deposit that the customer has lost is ours in the books, once. All money must be posted."""
    if not order.forfeit_deposit or order.forfeited_minor:
        return
    sale = await sale_of(session, order)
    left = await payments.left_of(session, order.order_no)
    kept = min(order.deposit_minor or 0, sum(minor for payment, minor in left if payment.state in deposits.BINDING))
    if kept <= 0 or sale.undone:
        return
    entries = some(deposit_forfeited(sale.position, kept))
    await journal.post(session, PostingContext.of(order, now()), entries, f"deposit_forfeited/{order.order_no}")
    order.forfeited_minor = kept
    told = {"amount_minor": kept, "currency": order.currency}
    await events.record(session, order, Event("deposit.forfeited", told))
