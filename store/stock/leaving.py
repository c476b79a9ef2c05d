"""Goods that leave: the promise is kept, the units and their cost go out of stock in one movement per line."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import text
from sqlmodel.ext.asyncio.session import AsyncSession

from domain.allocation import Allocation
from domain.costing import Holding
from domain.errors import DomainError
from models.columns import now
from runtime.database import APART
from runtime.direct import later
from store import whole
from store.stock import reserving


class StockNotReserved(DomainError):
    """Units were to leave that are not promised to this order line in this warehouse."""

    code = "stock_not_reserved"


@dataclass(frozen=True, slots=True)
class LeavingUnits:
    """Units of an order line that leave a warehouse in a parcel."""

    line_id: str
    warehouse: str
    quantity: int


_LEAVING = text("""
SELECT w.line_id, w.warehouse, w.quantity, r.sku, r.quantity AS promised, -m.value_minor AS cost_minor,
       s.on_hand, s.value_minor
FROM unnest(CAST(:line_ids AS text[]), CAST(:warehouses AS text[]), CAST(:quantities AS int[]))
     AS w (line_id, warehouse, quantity)
LEFT JOIN reservations r
       ON r.order_no = :order_no AND r.line_id = w.line_id AND r.warehouse = w.warehouse AND r.state = 'active'
LEFT JOIN stock_levels s ON s.sku = r.sku AND s.warehouse = r.warehouse
LEFT JOIN stock_movements m ON m.movement_key = 'shipment/' || CAST(:shipment_no AS text) || '/' || w.line_id
""")

# By a statement of its own, before they are read: one that waited for a lock goes on with what it had read before.
_LOCK_LEVELS = text("""
SELECT 1 FROM stock_levels
WHERE (sku, warehouse) IN (
    SELECT sku, warehouse FROM reservations
    WHERE order_no = :order_no AND state = 'active' AND warehouse = ANY(CAST(:warehouses AS text[])))
ORDER BY sku, warehouse FOR UPDATE
""")

_LEAVE = text("""
WITH leaving AS (
    SELECT * FROM unnest(CAST(:line_ids AS text[]), CAST(:skus AS text[]), CAST(:warehouses AS text[]),
                         CAST(:quantities AS int[]), CAST(:costs AS bigint[]))
           AS w (line_id, sku, warehouse, quantity, cost_minor)
), left_stock AS (
    UPDATE stock_levels s
    SET on_hand = s.on_hand - w.quantity, reserved = s.reserved - w.quantity, value_minor = s.value_minor - w.cost_minor
    FROM (SELECT sku, warehouse, sum(quantity) AS quantity, sum(cost_minor) AS cost_minor FROM leaving
          GROUP BY sku, warehouse) w
    WHERE s.sku = w.sku AND s.warehouse = w.warehouse
), kept AS (
    UPDATE reservations r
    SET state = CASE WHEN r.quantity > w.quantity THEN 'active' ELSE 'shipped' END,
        quantity = CASE WHEN r.quantity > w.quantity THEN r.quantity - w.quantity ELSE r.quantity END, updated_at = :at
    FROM leaving w WHERE r.order_no = :order_no AND r.line_id = w.line_id AND r.warehouse = w.warehouse
), counted AS (
    UPDATE order_lines l SET shipped = l.shipped + w.quantity
    FROM (SELECT line_id, sum(quantity) AS quantity FROM leaving GROUP BY line_id) w
    WHERE l.order_no = :order_no AND l.line_id = w.line_id
)
INSERT INTO stock_movements (movement_key, kind, sku, warehouse, quantity, value_minor, document_no, at)
SELECT 'shipment/' || CAST(:shipment_no AS text) || '/' || line_id, 'shipment', sku, warehouse, -quantity, -cost_minor,
       :shipment_no, :at
FROM leaving
""")


async def ship(
    session: AsyncSession, order_no: str, shipment_no: str, leaving: Sequence[LeavingUnits]
) -> dict[str, int]:
    """Afterwards the units have left stock with the shipment; returns their cost per line, functional minor units.

    A shipment has each line once and leaves once: lines that left with it before keep the cost they left at. Raises
    StockNotReserved, with nothing changed, where more is to leave than is promised.
    """
    await whole.settle_lines(session)
    warehouses = {"order_no": order_no, "warehouses": [one.warehouse for one in leaving]}
    await later(session, _LOCK_LEVELS, warehouses)
    rows = (
        await session.execute(
            _LEAVING,
            {
                "order_no": order_no,
                "shipment_no": shipment_no,
                "line_ids": [one.line_id for one in leaving],
                "warehouses": [one.warehouse for one in leaving],
                "quantities": [one.quantity for one in leaving],
            },
            execution_options=APART,
        )
    ).all()
    costs: dict[str, int] = {row.line_id: row.cost_minor for row in rows if row.cost_minor is not None}
    due = [row for row in rows if row.cost_minor is None]
    short = [row.line_id for row in due if row.promised is None or row.promised < row.quantity]
    if short:
        raise StockNotReserved(order_no=order_no, shipment_no=shipment_no, line_ids=short)
    if due:
        units = [Allocation(row.line_id, row.sku, row.warehouse, row.quantity) for row in due]
        holdings = {(row.sku, row.warehouse): Holding(row.on_hand, row.value_minor) for row in due}
        costs |= await _leave(session, order_no, shipment_no, units, holdings)
    return costs


async def _leave(
    session: AsyncSession,
    order_no: str,
    shipment_no: str,
    units: Sequence[Allocation],
    holdings: dict[tuple[str, str], Holding],
) -> dict[str, int]:
    costs: dict[str, int] = {}
    for one in units:
        holding = holdings[one.sku, one.warehouse]
        costs[one.line_id] = holding.cost_of(one.quantity)
        holdings[one.sku, one.warehouse] = holding.sent(one.quantity)
    reserving.forget(session)
    await later(
        session,
        _LEAVE,
        {
            "order_no": order_no,
            "skus": [one.sku for one in units],
            "warehouses": [one.warehouse for one in units],
            "shipment_no": shipment_no,
            "line_ids": [one.line_id for one in units],
            "quantities": [one.quantity for one in units],
            "costs": [costs[one.line_id] for one in units],
            "at": now(),
        },
    )
    for one in units:
        whole.count(session, order_no, one.line_id, shipped=one.quantity)
    return costs
