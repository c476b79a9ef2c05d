"""Orders in lists, and the story of one: its holds, events and decisions."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, exists, literal, or_, tuple_
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from domain.access import Principal
from models.order import Order, OrderDecision, OrderEvent, OrderHold
from store.listing.sight import orders_in_sight


@dataclass(frozen=True, slots=True)
class OrderFilter:
    """Which orders a list shows; None or empty: whatever they are. `hold`: held for this reason now.

    `called`: the order's number, the channel's number of it, or the customer's id.
    """

    lifecycle: Sequence[str] = ()
    channel: str | None = None
    customer_id: str | None = None
    external_id: str | None = None
    type: str | None = None
    hold: str | None = None
    received_after: datetime | None = None
    received_before: datetime | None = None
    called: str | None = None

    def conditions(self) -> list[ColumnElement[bool]]:
        equal = {
            Order.channel: self.channel,
            Order.customer_id: self.customer_id,
            Order.external_id: self.external_id,
            Order.type: self.type,
        }
        conditions = [col(column) == value for column, value in equal.items() if value is not None]
        if self.lifecycle:
            conditions.append(col(Order.lifecycle).in_(self.lifecycle))
        if self.received_after is not None:
            conditions.append(col(Order.received_at) >= self.received_after)
        if self.received_before is not None:
            conditions.append(col(Order.received_at) < self.received_before)
        if self.called is not None:
            named = (col(Order.order_no), col(Order.external_id), col(Order.customer_id))
            conditions.append(or_(*(column == self.called for column in named)))
        if self.hold is not None:
            conditions.append(
                exists().where(
                    col(OrderHold.order_no) == col(Order.order_no),
                    col(OrderHold.reason_code) == self.hold,
                    col(OrderHold.resolved_at).is_(None),
                )
            )
        return conditions


async def page(
    session: AsyncSession,
    caller: Principal,
    wanted: OrderFilter,
    after: tuple[datetime, str] | None,
    *,
    limit: int,
    newest_first: bool = True,
) -> Sequence[Order]:
    """Up to `limit + 1` orders by the time they were received, those behind (`received_at`, `order_no`) if given."""
    key = (col(Order.received_at), col(Order.order_no))
    ordered = [column.desc() if newest_first else column.asc() for column in key]
    query = select(Order).where(*wanted.conditions(), *orders_in_sight(caller)).order_by(*ordered).limit(limit + 1)
    if after is not None:
        last = tuple_(*(literal(value) for value in after))
        query = query.where(tuple_(*key) < last if newest_first else tuple_(*key) > last)
    return (await session.exec(query)).all()


async def open_holds(session: AsyncSession, order_nos: Sequence[str]) -> dict[str, list[OrderHold]]:
    """The open holds of these orders, oldest first; orders without any are left out."""
    query = select(OrderHold).where(col(OrderHold.order_no).in_(order_nos), col(OrderHold.resolved_at).is_(None))
    found: dict[str, list[OrderHold]] = {}
    for hold in await session.exec(query.order_by(col(OrderHold.opened_at), col(OrderHold.hold_id))):
        found.setdefault(hold.order_no, []).append(hold)
    return found


async def events(session: AsyncSession, order_no: str, after: int, limit: int) -> Sequence[OrderEvent]:
    """Up to `limit` events of the order with a number above `after`, in their order."""
    query = select(OrderEvent).where(OrderEvent.order_no == order_no, col(OrderEvent.seq) > after)
    return (await session.exec(query.order_by(col(OrderEvent.seq)).limit(limit))).all()


async def has_closed(session: AsyncSession, order_no: str) -> bool:
    """Whether the order has ended."""
    query = select(Order.closed_at).where(Order.order_no == order_no)
    return (await session.exec(query)).one_or_none() is not None


async def count_events(session: AsyncSession, order_no: str, kind: str) -> int:
    """How many events of this kind the order has."""
    query = select(OrderEvent.seq).where(OrderEvent.order_no == order_no, OrderEvent.kind == kind)
    return len((await session.exec(query)).all())


async def decisions(session: AsyncSession, order_no: str) -> Sequence[OrderDecision]:
    """Why the order took the branches it took, in the order in which it took them."""
    query = select(OrderDecision).where(OrderDecision.order_no == order_no)
    ordered = query.order_by(col(OrderDecision.at), col(OrderDecision.node), col(OrderDecision.visit))
    return (await session.exec(ordered)).all()
