"""Parcels that have left and arrived, for tests of what follows from it."""

from collections.abc import Mapping
from datetime import UTC, datetime

from domain.posting.entry import some
from domain.posting.stock import goods_handed_over
from models.order import Order, OrderLine
from models.shipping import FulfilmentOrder, Shipment, ShipmentLine
from runtime.database import Sessions
from store import journal
from store.journal import PostingContext

DELIVERED_AT = datetime(2026, 11, 25, 9, 0, tzinfo=UTC)
UNIT_COST = 6_000


async def hand_over(sessions: Sessions, units: Mapping[str, int], shipment_no: str, order_no: str = "SO-1") -> None:
    """A parcel with these units of the lines is with the carrier, its cost (60.00 a unit) in transit."""
    async with sessions() as session, session.begin():
        order = await session.get_one(Order, order_no)
        fulfilment = FulfilmentOrder(fulfilment_no=f"{shipment_no}-F", order_no=order_no, warehouse=shipment_no)
        session.add(fulfilment)
        await session.flush()
        session.add(
            Shipment(
                shipment_no=shipment_no,
                fulfilment_no=fulfilment.fulfilment_no,
                order_no=order_no,
                warehouse="main",
                status="handed_over",
            )
        )
        await session.flush()
        for line_id, quantity in units.items():
            line = await session.get_one(OrderLine, (order_no, line_id))
            line.allocated += quantity
            line.shipped += quantity
            cost = quantity * UNIT_COST
            session.add(
                ShipmentLine(
                    shipment_no=shipment_no,
                    line_id=line_id,
                    order_no=order_no,
                    sku=line.sku,
                    quantity=quantity,
                    cost_minor=cost,
                )
            )
        entry = some(goods_handed_over(UNIT_COST * sum(units.values())))
        await journal.post(
            session, PostingContext.of_cost(order, DELIVERED_AT), entry, f"handed_over/{order_no}/{shipment_no}"
        )


async def deliver(
    sessions: Sessions,
    units: Mapping[str, int],
    shipment_no: str = "S-1",
    order_no: str = "SO-1",
    at: datetime = DELIVERED_AT,
) -> None:
    """A parcel with these units of the lines has been handed over and has arrived."""
    await hand_over(sessions, units, shipment_no, order_no)
    async with sessions() as session, session.begin():
        shipment = await session.get_one(Shipment, shipment_no)
        shipment.status, shipment.delivered_at = "delivered", at
        for line_id, quantity in units.items():
            line = await session.get_one(OrderLine, (order_no, line_id))
            line.delivered += quantity
