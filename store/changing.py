"""Changes of placed orders: what had effect, what of it is not paid yet, and which units are free."""

from collections.abc import Iterable, Sequence

from sqlalchemy import text
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from models.changing import OrderChange
from store.whole import Question

_DEARER = Question("SELECT 1 FROM order_changes WHERE order_no = %(order_no)s AND balance_minor > 0 LIMIT 1")


async def find(session: AsyncSession, order_no: str, change_id: str) -> OrderChange | None:
    """The order's change of this id, if it had effect."""
    return await session.get(OrderChange, (order_no, change_id))


async def of_order(session: AsyncSession, order_no: str) -> Sequence[OrderChange]:
    """The order's changes, first one first."""
    query = select(OrderChange).where(OrderChange.order_no == order_no)
    return (await session.exec(query.order_by(col(OrderChange.changed_at), col(OrderChange.change_id)))).all()


async def asked_for_more(session: AsyncSession, order_no: str) -> bool:
    """Whether a change made the order dearer after it had been paid."""
    return bool(await _DEARER.answer(session, order_no))


async def free_units(session: AsyncSession, skus: Iterable[str]) -> dict[str, int]:
    """Units of each SKU that are promised to nobody, all active warehouses together."""
    rows = await session.execute(
        text("""
        SELECT s.sku, sum(s.on_hand - s.reserved) AS units FROM stock_levels s
        JOIN warehouses w ON w.code = s.warehouse AND w.active WHERE s.sku = ANY(:skus) GROUP BY s.sku
        """),
        {"skus": sorted(set(skus))},
    )
    return {row.sku: int(row.units) for row in rows}
