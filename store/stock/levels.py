"""Reading levels, and proving that they agree with the movements and promises they come from."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import text, tuple_
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from models.stock import StockLevel


async def levels(
    session: AsyncSession,
    *,
    sku: str | None = None,
    warehouses: Sequence[str] | None = None,
    after: tuple[str, str] | None = None,
    limit: int = 200,
) -> Sequence[StockLevel]:
    """Up to `limit` levels by (sku, warehouse), those behind `after`; `warehouses` None: all of them."""
    query = select(StockLevel).order_by(col(StockLevel.sku), col(StockLevel.warehouse)).limit(limit)
    if sku is not None:
        query = query.where(StockLevel.sku == sku)
    if warehouses is not None:
        query = query.where(col(StockLevel.warehouse).in_(warehouses))
    if after is not None:
        query = query.where(tuple_(col(StockLevel.sku), col(StockLevel.warehouse)) > after)
    return (await session.exec(query)).all()


@dataclass(frozen=True, slots=True)
class Difference:
    """Two records of the same figure that do not agree. `key`: SKU and warehouse, or order and line."""

    figure: str
    key: tuple[str, str]
    recorded: int
    expected: int


_DIFFERENCES = text("""
WITH moved AS (
    SELECT sku, warehouse, sum(quantity) AS units, sum(value_minor) AS value FROM stock_movements
    GROUP BY sku, warehouse
), promised AS (
    SELECT sku, warehouse, sum(quantity) AS units FROM reservations WHERE state = 'active' GROUP BY sku, warehouse
), level AS (
    SELECT sku, warehouse, coalesce(s.on_hand, 0) AS on_hand, coalesce(s.value_minor, 0) AS value,
           coalesce(s.reserved, 0) AS reserved, coalesce(moved.units, 0) AS moved_units,
           coalesce(moved.value, 0) AS moved_value, coalesce(promised.units, 0) AS promised
    FROM stock_levels s
    FULL JOIN moved USING (sku, warehouse) FULL JOIN promised USING (sku, warehouse)
), line AS (
    SELECT l.order_no, l.line_id, l.allocated, l.shipped + coalesce(sum(r.quantity), 0) AS kept
    FROM order_lines l
    LEFT JOIN reservations r ON r.order_no = l.order_no AND r.line_id = l.line_id AND r.state = 'active'
    GROUP BY l.order_no, l.line_id
)
SELECT 'on_hand' AS figure, sku AS first, warehouse AS second, on_hand AS recorded, moved_units AS expected
FROM level WHERE on_hand <> moved_units
UNION ALL SELECT 'value_minor', sku, warehouse, value, moved_value FROM level WHERE value <> moved_value
UNION ALL SELECT 'reserved', sku, warehouse, reserved, promised FROM level WHERE reserved <> promised
UNION ALL SELECT 'allocated', order_no, line_id, allocated, kept FROM line WHERE allocated <> kept
ORDER BY 1, 2, 3
""")


async def differences(session: AsyncSession) -> list[Difference]:
    """Where levels disagree with movements or promises, or order lines with promises. Sound books have none."""
    rows = (await session.execute(_DIFFERENCES)).all()
    return [Difference(row.figure, (row.first, row.second), int(row.recorded), int(row.expected)) for row in rows]
