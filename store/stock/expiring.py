"""Promises that have run out: units go back on sale when nobody pays for them."""

from sqlalchemy import text
from sqlmodel.ext.asyncio.session import AsyncSession

from domain.allocation import Allocation
from store import events, orders
from store.events import Event
from store.stock.reserving import release, units_by_warehouse

# Only who has to pay first and has paid nothing loses the units: once money has come in, the wait for the rest has a
# deadline of its own, and an order in fulfilment must find what it was promised.
_EXPIRED = """
SELECT r.order_no FROM reservations r JOIN orders o ON o.order_no = r.order_no
WHERE r.state = 'active' AND r.expires_at <= now()
  AND o.payment_terms IN ('prepaid', 'deposit_balance') AND o.paid_minor = 0 AND o.total_minor > 0
  AND o.lifecycle <> 'fulfilling'
"""


async def expired(session: AsyncSession, limit: int) -> list[str]:
    """Up to `limit` orders whose promises have run out, longest ago first."""
    found = await session.execute(
        text(f"{_EXPIRED} GROUP BY r.order_no ORDER BY min(r.expires_at), r.order_no LIMIT :limit"), {"limit": limit}
    )
    return list(found.scalars())


async def release_expired(session: AsyncSession, order_no: str) -> list[Allocation]:
    """Afterwards the order, now locked, has no promise that has run out; returns what it had. Raises OrderNotFound.

    An order that was paid or got a new promise since it was found keeps it.
    """
    order = await orders.lock(session, order_no)
    still = await session.execute(text(f"{_EXPIRED} AND r.order_no = :order_no LIMIT 1"), {"order_no": order_no})
    if still.one_or_none() is None:
        return []
    released = await release(session, order_no)
    told = {"warehouses": units_by_warehouse(released)}
    await events.record(session, order, Event("stock.released", told, reason="reservation expired"))
    return released
