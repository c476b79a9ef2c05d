"""What was delivered and is not in the books yet, and which units invoices name already."""

from sqlmodel.ext.asyncio.session import AsyncSession

from domain.shipping import ParcelStatus
from models.columns import now
from models.shipping import Shipment
from store import invoices, whole
from store.whole import Question

RECOGNISED = "revenue.recognised"


def message_id(shipment_no: str) -> str:
    """The mark on the event that tells of a shipment's revenue; a shipment has one such event."""
    return f"revenue/{shipment_no}"


_TOLD = Question("SELECT message_id FROM order_events WHERE order_no = %(order_no)s AND kind = 'revenue.recognised'")


async def due(session: AsyncSession, order_no: str) -> list[Shipment]:
    """The order's delivered shipments whose revenue nothing tells of yet, the first delivered one first."""
    arrived = [one for one in await whole.rows(session, Shipment, order_no) if one.status == ParcelStatus.DELIVERED]
    told = {row["message_id"] for row in await _TOLD.answer(session, order_no)} if arrived else ()
    due = [shipment for shipment in arrived if message_id(shipment.shipment_no) not in told]
    return sorted(due, key=lambda shipment: (shipment.delivered_at or now(), shipment.shipment_no))


async def invoiced_units(session: AsyncSession, order_no: str) -> dict[str, int]:
    """Units of each line on issued invoices, less those that credit notes took back; lines without any are left out."""
    known = await invoices.in_force(session, order_no)
    return {line_id: said.units for line_id, said in known.items() if said.units}
