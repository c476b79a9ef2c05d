"""Holds in work lists."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, literal, tuple_
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from domain.access import Principal
from models.columns import now
from models.order import Order, OrderHold
from store.listing.sight import orders_in_sight


@dataclass(frozen=True, slots=True)
class HoldFilter:
    """Which open holds a list shows; None: whatever they are. `overdue`: whether their deadline has passed."""

    reason_code: str | None = None
    owner_role: str | None = None
    order_no: str | None = None
    opened_before: datetime | None = None
    overdue: bool | None = None

    def conditions(self) -> list[ColumnElement[bool]]:
        equal = {
            OrderHold.reason_code: self.reason_code,
            OrderHold.owner_role: self.owner_role,
            OrderHold.order_no: self.order_no,
        }
        conditions = [col(column) == value for column, value in equal.items() if value is not None]
        if self.opened_before is not None:
            conditions.append(col(OrderHold.opened_at) < self.opened_before)
        if self.overdue is not None:
            due = col(OrderHold.due_at)
            conditions.append(due < now() if self.overdue else due.is_(None) | (due >= now()))
        return conditions


async def open_page(
    session: AsyncSession, caller: Principal, wanted: HoldFilter, after: tuple[datetime, str] | None, limit: int
) -> Sequence[tuple[OrderHold, Order]]:
    """Up to `limit + 1` open holds with their orders, longest open first, those behind (`opened_at`, `hold_id`)."""
    key = (col(OrderHold.opened_at), col(OrderHold.hold_id))
    query = (
        select(OrderHold, Order)
        .join(Order, col(Order.order_no) == col(OrderHold.order_no))
        .where(col(OrderHold.resolved_at).is_(None), *wanted.conditions(), *orders_in_sight(caller))
        .order_by(*key)
        .limit(limit + 1)
    )
    if after is not None:
        query = query.where(tuple_(*key) > tuple_(*(literal(value) for value in after)))
    return (await session.exec(query)).all()
