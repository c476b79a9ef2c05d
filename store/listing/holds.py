"""Holds in work lists."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from sqlalchemy import ColumnElement, Date, cast, func, literal, tuple_
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from domain.access import Principal
from models.columns import now
from models.order import Order, OrderHold
from store.listing.sight import of_orders_in_sight, orders_in_sight


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


@dataclass(frozen=True, slots=True)
class OpenHolds:
    """The open holds of one reason; `ages` counts them by how long they have been open, the youngest first."""

    reason_code: str
    open: int
    overdue: int
    escalated: int
    oldest_opened_at: datetime
    ages: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class OpenedHolds:
    """How many holds of a reason were opened on a day (UTC)."""

    day: date
    reason_code: str
    opened: int


_AGES = (timedelta(hours=1), timedelta(hours=4), timedelta(days=1), timedelta(days=3))


async def open_counts(session: AsyncSession, caller: Principal) -> list[OpenHolds]:
    """Open holds by reason, as far as their orders exist for the caller; the most frequent reason first."""
    opened, due, at = col(OrderHold.opened_at), col(OrderHold.due_at), now()
    count = func.count()
    younger = [count.filter(opened > at - age) for age in _AGES]
    query = (
        select(col(OrderHold.reason_code), count, count.filter(due < at), func.min(opened))
        .add_columns(count.filter(col(OrderHold.level) > 0), *younger)
        .where(col(OrderHold.resolved_at).is_(None), *of_orders_in_sight(caller, col(OrderHold.order_no)))
        .group_by(col(OrderHold.reason_code))
        .order_by(count.desc(), col(OrderHold.reason_code))
    )
    return [_open_holds(*row) for row in (await session.execute(query)).all()]


def _open_holds(
    reason_code: str, count: int, overdue: int, oldest: datetime, escalated: int, *younger: int
) -> OpenHolds:
    up_to = (0, *younger, count)
    ages = tuple(later - earlier for earlier, later in itertools.pairwise(up_to))
    return OpenHolds(reason_code, count, overdue, escalated, oldest, ages)


async def opened_counts(session: AsyncSession, caller: Principal, first: date, last: date) -> list[OpenedHolds]:
    """Holds by the day (UTC) on which they were opened and by reason, settled or not, both days included."""
    day = cast(func.timezone("UTC", col(OrderHold.opened_at)), Date)
    query = (
        select(day, col(OrderHold.reason_code), func.count())
        .where(day >= first, day <= last, *of_orders_in_sight(caller, col(OrderHold.order_no)))
        .group_by(day, col(OrderHold.reason_code))
        .order_by(day, col(OrderHold.reason_code))
    )
    return [OpenedHolds(*row) for row in (await session.exec(query)).all()]
