"""Which orders exist for a caller. Everything that hangs on an order exists for whoever sees the order."""

from typing import Any

from sqlalchemy import ColumnElement, exists
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from domain.access import Principal
from models.order import Order
from models.stock import Reservation
from store.orders import OrderNotFound


def orders_in_sight(caller: Principal) -> list[ColumnElement[bool]]:
    """Conditions on `Order`: the channels of the caller's key, and orders its warehouses have had work with."""
    conditions: list[ColumnElement[bool]] = []
    if caller.channels is not None:
        conditions.append(col(Order.channel).in_(caller.channels))
    if caller.warehouses is not None:
        conditions.append(
            exists().where(
                col(Reservation.order_no) == col(Order.order_no), col(Reservation.warehouse).in_(caller.warehouses)
            )
        )
    return conditions


def of_orders_in_sight(caller: Principal, order_no: Any) -> list[ColumnElement[bool]]:
    """The same for a table that names its order in the column `order_no`; no condition where the caller sees all."""
    conditions = orders_in_sight(caller)
    if not conditions:
        return []
    return [exists().where(col(Order.order_no) == order_no, *conditions)]


async def is_in_sight(session: AsyncSession, order_no: str, caller: Principal) -> bool:
    """Whether the order exists for the caller."""
    query = select(Order.order_no).where(col(Order.order_no) == order_no, *orders_in_sight(caller))
    return (await session.exec(query)).one_or_none() is not None


async def order_in_sight(session: AsyncSession, order_no: str, caller: Principal) -> Order:
    """The order. Raises OrderNotFound also for one that exists for others only."""
    query = select(Order).where(col(Order.order_no) == order_no, *orders_in_sight(caller))
    order = (await session.exec(query)).one_or_none()
    if order is None:
        raise OrderNotFound(order_no=order_no)
    return order
