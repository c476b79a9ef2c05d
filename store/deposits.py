"""What is on record about a deposit: whether its terms let it go back."""

from collections.abc import Iterable

from sqlalchemy import text
from sqlmodel.ext.asyncio.session import AsyncSession

from models.order import Order
from models.payment import Payment
from store import payments

BINDING = frozenset({payments.APPLIED, payments.UNPOSTED})
"""States of payments that count towards the order, and so towards its deposit."""

_ASKED_IN_TIME = text("""
SELECT EXISTS (SELECT 1 FROM order_events
               WHERE order_no = :order_no AND kind = 'notice.order.balance_due' AND at < :closes_at)
""")


async def is_refundable(session: AsyncSession, order: Order) -> bool:
    """Whether the deposit goes back when the balance is missed: by the order's terms, or because we never asked.

    A customer who was not told in time that the balance is due, because the goods were not there, has missed nothing.
    """
    if order.deposit_refundable or order.balance_closes_at is None:
        return True
    asked = {"order_no": order.order_no, "closes_at": order.balance_closes_at}
    return not (await session.execute(_ASKED_IN_TIME, asked)).scalar_one()


def less_kept(left: Iterable[tuple[Payment, int]], forfeited_minor: int) -> list[tuple[Payment, int]]:
    """Payments with what is left of them, less a deposit that is kept; what came first is kept first."""
    found = []
    for payment, minor in left:
        kept = min(forfeited_minor, minor) if payment.state in BINDING else 0
        forfeited_minor -= kept
        if minor > kept:
            found.append((payment, minor - kept))
    return found
