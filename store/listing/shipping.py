"""Shipments in lists and one by one."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, literal, tuple_
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from domain.access import Principal
from domain.errors import DomainError
from models.order import Order
from models.shipping import Shipment, ShipmentLine
from store.listing.sight import orders_in_sight


class ShipmentNotFound(DomainError):
    """No such shipment, or none that the asker may see."""

    code = "shipment_not_found"


@dataclass(frozen=True, slots=True)
class ShipmentFilter:
    """Which shipments a list shows; None: whatever they are."""

    order_no: str | None = None
    warehouse: str | None = None
    status: str | None = None
    tracking_no: str | None = None

    def conditions(self) -> list[ColumnElement[bool]]:
        equal = {
            Shipment.order_no: self.order_no,
            Shipment.warehouse: self.warehouse,
            Shipment.status: self.status,
            Shipment.tracking_no: self.tracking_no,
        }
        return [col(column) == value for column, value in equal.items() if value is not None]


def _in_sight(caller: Principal) -> list[ColumnElement[bool]]:
    conditions = orders_in_sight(caller)
    if caller.warehouses is not None:
        conditions.append(col(Shipment.warehouse).in_(caller.warehouses))
    return conditions


async def page(
    session: AsyncSession, caller: Principal, wanted: ShipmentFilter, after: tuple[datetime, str] | None, limit: int
) -> Sequence[Shipment]:
    """Up to `limit + 1` shipments, newest first, those behind (`created_at`, `shipment_no`) if given."""
    key = (col(Shipment.created_at), col(Shipment.shipment_no))
    query = (
        select(Shipment)
        .join(Order, col(Order.order_no) == col(Shipment.order_no))
        .where(*wanted.conditions(), *_in_sight(caller))
        .order_by(*(column.desc() for column in key))
        .limit(limit + 1)
    )
    if after is not None:
        query = query.where(tuple_(*key) < tuple_(*(literal(value) for value in after)))
    return (await session.exec(query)).all()


async def shipment_in_sight(session: AsyncSession, shipment_no: str, caller: Principal) -> tuple[Shipment, Order]:
    """The shipment and its order. Raises ShipmentNotFound also for one that exists for others only."""
    query = (
        select(Shipment, Order)
        .join(Order, col(Order.order_no) == col(Shipment.order_no))
        .where(col(Shipment.shipment_no) == shipment_no, *_in_sight(caller))
    )
    found = (await session.exec(query)).one_or_none()
    if found is None:
        raise ShipmentNotFound(shipment_no=shipment_no)
    return found


async def contents(session: AsyncSession, shipment_nos: Sequence[str]) -> dict[str, list[ShipmentLine]]:
    """What lies in each shipment, by line id; shipments without lines are left out."""
    query = select(ShipmentLine).where(col(ShipmentLine.shipment_no).in_(shipment_nos))
    packed: dict[str, list[ShipmentLine]] = {}
    for line in await session.exec(query.order_by(col(ShipmentLine.line_id))):
        packed.setdefault(line.shipment_no, []).append(line)
    return packed
