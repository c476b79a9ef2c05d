"""What was delivered and is not in the books yet, and which units invoices name already."""

from collections.abc import Sequence

from sqlalchemy import text
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from models.shipping import Shipment, ShipmentLine

RECOGNISED = "revenue.recognised"


def message_id(shipment_no: str) -> str:
    """The mark on the event that tells of a shipment's revenue; a shipment has one such event."""
    return f"revenue/{shipment_no}"


_DUE = text("""
SELECT s.shipment_no FROM shipments s
WHERE s.order_no = :order_no AND s.status = 'delivered'
  AND NOT EXISTS (SELECT 1 FROM order_events e
                  WHERE e.order_no = s.order_no AND e.kind = :kind AND e.message_id = 'revenue/' || s.shipment_no)
ORDER BY s.delivered_at, s.shipment_no
""")


async def due(session: AsyncSession, order_no: str) -> list[Shipment]:
    """The order's delivered shipments whose revenue nothing tells of yet, the first delivered one first."""
    await session.flush()
    numbers = (await session.execute(_DUE, {"order_no": order_no, "kind": RECOGNISED})).scalars().all()
    found = await session.exec(select(Shipment).where(col(Shipment.shipment_no).in_(numbers)))
    by_number = {shipment.shipment_no: shipment for shipment in found}
    return [by_number[number] for number in numbers]


async def contents(session: AsyncSession, shipment_nos: Sequence[str]) -> dict[str, list[ShipmentLine]]:
    """What lies in each shipment, by line id."""
    query = select(ShipmentLine).where(col(ShipmentLine.shipment_no).in_(shipment_nos))
    packed: dict[str, list[ShipmentLine]] = {number: [] for number in shipment_nos}
    for line in await session.exec(query.order_by(col(ShipmentLine.shipment_no), col(ShipmentLine.line_id))):
        packed[line.shipment_no].append(line)
    return packed


async def invoiced_units(session: AsyncSession, order_no: str) -> dict[str, int]:
    """Units of each line on issued invoices, less those that credit notes took back; lines without any are left out."""
    rows = await session.execute(
        text("""
        SELECT l.line_id, sum(CASE i.kind WHEN 'red' THEN -l.quantity ELSE l.quantity END) AS units
        FROM invoice_lines l JOIN invoices i ON i.invoice_key = l.invoice_key
        WHERE l.order_no = :order_no AND i.state = 'issued' GROUP BY l.line_id
        """),
        {"order_no": order_no},
    )
    return {row.line_id: int(row.units) for row in rows if row.units}
