"""What stands on a shipping note."""

from typing import Any

from sqlmodel.ext.asyncio.session import AsyncSession

from api.shipping.note import NoteContent, NoteLine
from models.order import Order
from models.shipping import Shipment
from store import orders, products, shipping

_REGION = ("region", "city")


async def content_of(session: AsyncSession, shipment: Shipment, order: Order) -> NoteContent:
    """The note of this parcel: what lies in it, by the names of our catalogue, and where the order says it goes."""
    parcel = await shipping.parcel(session, shipment)
    names = await products.names(session, [line.sku for line in parcel.lines])
    gifts = {line.line_id for line in await orders.lines(session, order.order_no) if line.gift_of}
    to = order.ship_to
    return NoteContent(
        shipment_no=shipment.shipment_no,
        order_no=order.order_no,
        warehouse=shipment.warehouse,
        recipient_name=_text(to, "name") or _text(order.contact, "name"),
        recipient_phone=_text(to, "phone") or _text(order.contact, "phone"),
        address=_address(to),
        lines=tuple(
            NoteLine(line.sku, names.get(line.sku, line.sku), line.quantity, line.line_id in gifts)
            for line in parcel.lines
        ),
        tracking_no=shipment.tracking_no or "",
    )


def _address(to: dict[str, Any]) -> tuple[str, ...]:
    lines = (
        " ".join(filter(None, (_text(to, name) for name in _REGION))),
        _text(to, "street"),
        " ".join(filter(None, (_text(to, "postal_code"), _text(to, "country")))),
    )
    return tuple(line for line in lines if line)


def _text(part: dict[str, Any], name: str) -> str:
    return str(part.get(name) or "")
