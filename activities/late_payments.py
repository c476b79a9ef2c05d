"""Money for an order that has run out: it goes on as if nothing had happened when it can, else the money goes back."""

from datetime import timedelta
from enum import StrEnum
from typing import Final

from sqlmodel.ext.asyncio.session import AsyncSession

from domain.order import Lifecycle, moved
from models.columns import now
from models.order import Order
from models.payment import Payment
from store import events, journal, orders, payments, stock
from store.events import Event

REVIVED: Final = "order.revived"


class LatePolicy(StrEnum):
    """What becomes of an order that expired and is paid in full afterwards."""

    REVIVE = "revive"
    REFUND = "refund"


async def revive(session: AsyncSession, order: Order, payment: Payment, ttl: timedelta | None) -> bool:
    """Afterwards the order is accepted again with every unit reserved; or nothing has changed, and False says so.

    Only an order that ran out by itself comes back: who cancelled or rejected it meant it. One with a deposit does not:
    its windows have closed, and the deposit may be lost. And an order comes back only once all its earlier money is
    back, so that nobody is about to send money back while it goes on. Its row must be locked.
    """
    lines = await orders.lines(session, order.order_no)
    if order.lifecycle != Lifecycle.EXPIRED or order.paid_minor > order.refunded_minor:
        return False
    if order.deposit_minor is not None or order.forfeited_minor:
        return False
    if await journal.is_posted(session, payments.undone_key(order.order_no)):
        return False
    cancelled = {line.line_id: line.cancelled for line in lines}
    for line in lines:
        line.cancelled = 0
    taken = await stock.reserve(session, order.order_no, None if ttl is None else now() + ttl)
    if not isinstance(taken, stock.Reserved):
        for line in lines:
            line.cancelled = cancelled[line.line_id]
        await session.flush()
        return False
    order.lifecycle, order.closed_at = moved(order.lifecycle, Lifecycle.ACCEPTED), None
    told = {"payment_id": payment.payment_id, "warehouses": stock.units_by_warehouse(taken.allocations)}
    await events.record(session, order, Event(REVIVED, told, reason="paid in full after it had expired"))
    return True


async def came_back(session: AsyncSession, order: Order, result: str, seen: int) -> bool:
    """Whether money has brought the order back since event `seen`, the latest that whoever ends it knew of: the step
    had ended it before, and is only repeated. Whatever has become of that money meanwhile.
    """
    return result == Lifecycle.EXPIRED and await events.has_kind(session, order.order_no, REVIVED, after=seen)


async def tell_of_refund(session: AsyncSession, order: Order, payment: Payment) -> None:
    """Afterwards customer and service are told that the money came too late and goes back."""
    told = {
        "notice": "payment.late",
        "audience": ["customer", "service"],
        "template": None,
        "payment_id": payment.payment_id,
        "amount_minor": payment.amount_minor,
        "currency": payment.currency,
    }
    await events.record(session, order, Event("notice.payment.late", told))
