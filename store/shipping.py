"""Fulfilment orders, shipments and what carriers reported about them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import text
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from domain.allocation import Allocation
from domain.shipping import EMPTY, ENDED, FAILED, VOIDABLE, ParcelStatus
from models.order import OrderLine
from models.shipping import CarrierScan, FulfilmentOrder, Shipment, ShipmentLine
from runtime.database import APART
from store import whole


@dataclass(frozen=True, slots=True)
class Parcel:
    """A shipment with the units that lie in it."""

    shipment: Shipment
    lines: tuple[ShipmentLine, ...]

    @property
    def is_empty(self) -> bool:
        """Whether the order's units do not lie in it any more."""
        return self.shipment.status in EMPTY


async def parcels(session: AsyncSession, order_no: str) -> list[Parcel]:
    """The order's shipments with their lines, first one first, voided ones included."""
    shipments = await whole.rows(session, Shipment, order_no)
    shipments.sort(key=lambda shipment: (len(shipment.shipment_no), shipment.shipment_no))
    lines = await whole.rows(session, ShipmentLine, order_no)
    packed: dict[str, list[ShipmentLine]] = {}
    for line in sorted(lines, key=lambda line: line.line_id):
        packed.setdefault(line.shipment_no, []).append(line)
    return [Parcel(shipment, tuple(packed.get(shipment.shipment_no, ()))) for shipment in shipments]


async def find(session: AsyncSession, shipment_no: str) -> Shipment | None:
    """The shipment, if there is one of this number."""
    return await session.get(Shipment, shipment_no)


async def parcel(session: AsyncSession, shipment: Shipment) -> Parcel:
    """The shipment with its lines."""
    known = await parcels(session, shipment.order_no)
    return next(one for one in known if one.shipment.shipment_no == shipment.shipment_no)


async def pack(session: AsyncSession, order_no: str, promised: Sequence[Allocation]) -> set[str]:
    """Afterwards every warehouse with promised units has one parcel for them that is not on its way; returns new ones.

    Numbers count up by warehouse code; a parcel that was voided is followed by one with the next number.
    """
    known = await parcels(session, order_no)
    open_at = {one.shipment.warehouse for one in known if one.shipment.status in VOIDABLE}
    missing = sorted({unit.warehouse for unit in promised} - open_at)
    fulfilments = await _fulfilments(session, order_no, missing) if missing else {}
    packed = set()
    for at, warehouse in enumerate(missing, start=len(known) + 1):
        shipment_no = f"{order_no}-S{at}"
        shipment = Shipment(
            shipment_no=shipment_no,
            fulfilment_no=fulfilments[warehouse].fulfilment_no,
            order_no=order_no,
            warehouse=warehouse,
        )
        units = (
            ShipmentLine(
                shipment_no=shipment_no, line_id=unit.line_id, order_no=order_no, sku=unit.sku, quantity=unit.quantity
            )
            for unit in promised
            if unit.warehouse == warehouse
        )
        await whole.write(session, shipment, *units)
        packed.add(shipment_no)
    return packed


async def _fulfilments(session: AsyncSession, order_no: str, warehouses: Sequence[str]) -> dict[str, FulfilmentOrder]:
    known = await whole.rows(session, FulfilmentOrder, order_no)
    by_warehouse = {fulfilment.warehouse: fulfilment for fulfilment in known}
    for warehouse in warehouses:
        fulfilment = by_warehouse.get(warehouse)
        if fulfilment is None:
            number = f"{order_no}-F{len(by_warehouse) + 1}"
            fulfilment = FulfilmentOrder(fulfilment_no=number, order_no=order_no, warehouse=warehouse)
            await whole.write(session, fulfilment)
            by_warehouse[warehouse] = fulfilment
        fulfilment.state = "open"
    return by_warehouse


async def refusals(session: AsyncSession, order_no: str) -> dict[str, int]:
    """How often a carrier has refused each shipment; shipments never refused are left out."""
    rows = await session.execute(
        text("""
        SELECT data->>'shipment_no' AS shipment_no, count(*) AS times FROM order_events
        WHERE order_no = :order_no AND kind = 'shipment.refused' GROUP BY 1
        """),
        {"order_no": order_no},
    )
    return {row.shipment_no: row.times for row in rows}


async def move(session: AsyncSession, shipment: Shipment, status: ParcelStatus, at: datetime) -> None:
    """Afterwards the shipment has this status since `at`, and its fulfilment order the state that follows from it."""
    shipment.status = status.value
    if status in ENDED:
        shipment.closed_at = at
    if status is ParcelStatus.BOOKED:
        return
    if status is ParcelStatus.DELIVERED:
        shipment.delivered_at = at
    fulfilment = await session.get(FulfilmentOrder, shipment.fulfilment_no)
    if fulfilment is not None:
        fulfilment.state = "cancelled" if status in EMPTY else "shipped"


def told_of(shipment: Shipment) -> dict[str, str | None]:
    """What events tell of a shipment."""
    return {
        "shipment_no": shipment.shipment_no,
        "warehouse": shipment.warehouse,
        "carrier": shipment.carrier,
        "tracking_no": shipment.tracking_no,
    }


_ADD_SCAN = text("""
INSERT INTO carrier_scans (shipment_no, scan_id, inbox_id, status, occurred_at, recorded_at)
VALUES (:shipment_no, :scan_id, :inbox_id, :status, :occurred_at, :recorded_at)
ON CONFLICT DO NOTHING RETURNING scan_id
""")


async def add_scan(session: AsyncSession, scan: CarrierScan) -> bool:
    """Afterwards the scan is on record; False when it was before."""
    asked = await session.execute(_ADD_SCAN, scan.model_dump(), execution_options=APART)
    return asked.scalar_one_or_none() is not None


async def scans(session: AsyncSession, shipment_no: str) -> Sequence[CarrierScan]:
    """What the carrier reported about the parcel, in the order in which it says that it happened."""
    query = select(CarrierScan).where(CarrierScan.shipment_no == shipment_no)
    return (await session.exec(query.order_by(col(CarrierScan.occurred_at), col(CarrierScan.scan_id)))).all()


async def all_came_back(session: AsyncSession, order_no: str) -> bool:
    """Whether the order has sent parcels and the carrier has brought every one of them back."""
    living = [one.shipment.status for one in await parcels(session, order_no) if not one.is_empty]
    return bool(living) and set(living) == {ParcelStatus.RETURNED.value}


async def failed(session: AsyncSession, order_no: str) -> list[Parcel]:
    """The order's parcels that were lost or came back, and were not given up."""
    return [one for one in await parcels(session, order_no) if one.shipment.status in FAILED]


async def none_will_arrive(session: AsyncSession, order_no: str) -> bool:
    """Whether every parcel of the order was lost, came back, or can still be kept from leaving."""
    statuses = {ParcelStatus(one.shipment.status) for one in await parcels(session, order_no)}
    return statuses <= FAILED | VOIDABLE | EMPTY


async def count_delivered(session: AsyncSession, order_no: str, shipment_no: str) -> None:
    """Afterwards the order's lines count the parcel's units as delivered. To be called once for a parcel."""
    lines = {line.line_id: line for line in await whole.rows(session, OrderLine, order_no)}
    for unit in await whole.rows(session, ShipmentLine, order_no):
        if unit.shipment_no == shipment_no:
            lines[unit.line_id].delivered += unit.quantity
