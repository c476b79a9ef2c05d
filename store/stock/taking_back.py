"""Delivered goods that come back into a warehouse, at the cost at which they had left."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import text
from sqlmodel.ext.asyncio.session import AsyncSession

from models.columns import now


@dataclass(frozen=True, slots=True)
class ReturnedUnits:
    """Units of an order line that can be sold again, and what they had cost, in functional minor units."""

    line_id: str
    sku: str
    quantity: int
    value_minor: int


_OPEN_LEVELS = text("""
INSERT INTO stock_levels (sku, warehouse, on_hand, reserved, value_minor)
SELECT DISTINCT sku, CAST(:warehouse AS text), 0, 0, 0 FROM unnest(CAST(:skus AS text[])) AS sku ORDER BY sku
ON CONFLICT DO NOTHING
""")

_LOCK_LEVELS = text("""
SELECT 1 FROM stock_levels WHERE warehouse = :warehouse AND sku = ANY(:skus) ORDER BY sku FOR UPDATE
""")

_TAKE_BACK = text("""
WITH line AS (
    SELECT * FROM unnest(CAST(:line_ids AS text[]), CAST(:skus AS text[]), CAST(:quantities AS bigint[]),
                         CAST(:values AS bigint[])) AS w (line_id, sku, quantity, value_minor)
), moved AS (
    INSERT INTO stock_movements (movement_key, kind, sku, warehouse, quantity, value_minor, document_no, at)
    SELECT 'return/' || CAST(:document_no AS text) || '/' || line_id, 'return', sku, :warehouse, quantity, value_minor,
           :document_no, :at
    FROM line ON CONFLICT DO NOTHING RETURNING sku, quantity, value_minor
)
UPDATE stock_levels s SET on_hand = s.on_hand + m.quantity, value_minor = s.value_minor + m.value_minor
FROM (SELECT sku, sum(quantity) AS quantity, sum(value_minor) AS value_minor FROM moved GROUP BY sku) m
WHERE s.sku = m.sku AND s.warehouse = :warehouse
""")


async def take_back(session: AsyncSession, document_no: str, warehouse: str, units: Sequence[ReturnedUnits]) -> None:
    """Afterwards the units are on hand in the warehouse, once for the document and line."""
    where = {"warehouse": warehouse, "skus": [one.sku for one in units]}
    await session.execute(_OPEN_LEVELS, where)
    await session.execute(_LOCK_LEVELS, where)
    await session.execute(
        _TAKE_BACK,
        where
        | {
            "document_no": document_no,
            "line_ids": [one.line_id for one in units],
            "quantities": [one.quantity for one in units],
            "values": [one.value_minor for one in units],
            "at": now(),
        },
    )
