"""What is asked of the carrier for each parcel: the key, and the consignment behind it.

Addresses are read here, inside the activity, and go to the carrier alone.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from sqlmodel.ext.asyncio.session import AsyncSession

from domain.money import split
from domain.shipping import ParcelStatus
from integrations.carrier.port import Address, Consignment, ConsignmentLine
from models.order import Order, OrderLine
from store import products, refunding, shipping
from store.shipping import Parcel

_CASH_ON_DELIVERY = "cash_on_delivery"


@dataclass(frozen=True)
class LabelRequest:
    """A label to ask for. `asked_before`: it may exist already, though nobody heard of it."""

    shipment_no: str
    key: str
    asked_before: bool
    consignment: Consignment


def label_key(shipment_no: str, refusals: Mapping[str, int]) -> str:
    """The carrier's key of the parcel: a carrier remembers a refusal, so the try after it has a key of its own."""
    times = refusals.get(shipment_no, 0)
    return f"{shipment_no}/{times}" if times else shipment_no


async def labels_to_ask(
    session: AsyncSession, order: Order, lines: Sequence[OrderLine], new: Collection[str]
) -> list[LabelRequest]:
    """One request for each parcel without a label; parcels that are not `new` may have been asked for before."""
    living = [one for one in await shipping.parcels(session, order.order_no) if not one.is_empty]
    waiting = [one for one in living if one.shipment.status == ParcelStatus.CREATED]
    if not waiting:
        return []
    asked_before = any(one.shipment.shipment_no not in new for one in waiting)
    refusals = await shipping.refusals(session, order.order_no) if asked_before else {}
    names = await products.names(session, {line.sku for line in lines})
    due_minor = 0
    if order.payment_terms == _CASH_ON_DELIVERY:
        due_minor = max(await refunding.still_due(session, order) - order.written_off_minor, 0)
    cash = _cash_to_collect(order, lines, living, due_minor)
    return [
        LabelRequest(
            shipment_no=one.shipment.shipment_no,
            key=label_key(one.shipment.shipment_no, refusals),
            asked_before=one.shipment.shipment_no not in new,
            consignment=_consignment(order, one, names, cash[one.shipment.shipment_no]),
        )
        for one in waiting
    ]


def _cash_to_collect(
    order: Order, lines: Sequence[OrderLine], living: Sequence[Parcel], due_minor: int
) -> dict[str, int]:
    """What the courier collects with each parcel; over all parcels exactly what is still to be paid."""
    numbers = [one.shipment.shipment_no for one in living]
    if order.payment_terms != _CASH_ON_DELIVERY:
        return dict.fromkeys(numbers, 0)
    by_id = {line.line_id: line for line in lines}
    worth = [
        sum(by_id[unit.line_id].payable_minor * unit.quantity // by_id[unit.line_id].quantity for unit in one.lines)
        for one in living
    ]
    return dict(zip(numbers, split(due_minor, worth, numbers), strict=True))


def _consignment(order: Order, parcel: Parcel, names: Mapping[str, str], cash_minor: int) -> Consignment:
    lines = (ConsignmentLine(line.sku, line.quantity, names.get(line.sku, "")) for line in parcel.lines)
    return Consignment(
        shipment_no=parcel.shipment.shipment_no,
        order_no=order.order_no,
        warehouse=parcel.shipment.warehouse,
        ship_to=_address(order),
        lines=tuple(lines),
        cod_amount_minor=cash_minor,
        currency=order.currency,
    )


def _address(order: Order) -> Address:
    known = {**order.contact, **order.ship_to}

    def said(name: str) -> str:
        return str(known.get(name) or "")

    return Address(
        name=said("name"),
        country=said("country"),
        region=said("region"),
        city=said("city"),
        street=said("street"),
        postal_code=said("postal_code"),
        phone=said("phone"),
    )
