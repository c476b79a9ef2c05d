"""Promises that have run out: units go back on sale when nobody pays for them."""

from collections.abc import Sequence

from sqlalchemy import text
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from models.order import Order
from store import events
from store.events import Event
from store.stock.reserving import release_all, units_by_warehouse

# Only who has to pay first and has paid nothing loses the units: once money has come in, the wait for the rest has a
# deadline of its own, and an order in fulfilment must find what it was promised.
_EXPIRED = text("""
SELECT r.order_no FROM reservations r JOIN orders o ON o.order_no = r.order_no
WHERE r.state = 'active' AND r.expires_at <= now()
  AND o.payment_terms IN ('prepaid', 'deposit_balance') AND o.paid_minor = 0 AND o.total_minor > 0
  AND o.lifecycle <> 'fulfilling' AND (CAST(:order_nos AS text[]) IS NULL OR r.order_no = ANY(:order_nos))
GROUP BY r.order_no ORDER BY min(r.expires_at), r.order_no LIMIT :limit
""")


async def expired(session: AsyncSession, limit: int, among: Sequence[str] | None = None) -> list[str]:
    """Up to `limit` orders (of those `among`) whose promises have run out, longest ago first."""
    found = await session.execute(_EXPIRED, {"limit": limit, "order_nos": None if among is None else list(among)})
    return list(found.scalars())


async def release_expired(session: AsyncSession, limit: int) -> list[str]:
    """Afterwards up to `limit` orders have lost promises that had run out; returns their numbers.

    Orders that somebody is working on are left for the next time. So every order is locked before any level is, and
    who was paid or got a new promise meanwhile keeps it.
    """
    found = await expired(session, limit)
    if not found:
        return []
    query = select(Order).where(col(Order.order_no).in_(found)).order_by(col(Order.order_no))
    locked = {order.order_no: order for order in await session.exec(query.with_for_update(skip_locked=True))}
    released = await release_all(session, await expired(session, limit, among=list(locked)))
    for order_no, units in released.items():
        told = {"warehouses": units_by_warehouse(units)}
        await events.record(session, locked[order_no], Event("stock.released", told, reason="reservation expired"))
    return list(released)
