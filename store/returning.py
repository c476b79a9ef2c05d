"""Returns: what is to come back, what has, and which units of an order still can."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, literal, text, tuple_
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from domain.access import Principal
from domain.errors import DomainError
from domain.exchanging import EXCHANGE
from domain.returning import ReturnPolicy
from models.inbox import InboxMessage
from models.masters import LegalEntity
from models.order import OrderLine
from models.returning import ExchangeLine, Return, ReturnLine, ReturnReceipt
from store import exchanging
from store.listing.sight import of_orders_in_sight


class ReturnNotFound(DomainError):
    """No such return, or none that the asker may see."""

    code = "return_not_found"


@dataclass(frozen=True, slots=True)
class ReturnWithLines:
    """A return with its lines, and with what goes out instead."""

    row: Return
    lines: tuple[ReturnLine, ...]
    instead: tuple[ExchangeLine, ...] = ()


@dataclass(frozen=True, slots=True)
class ReturnFilter:
    """Which returns a list shows; None: whatever they are."""

    order_no: str | None = None
    state: str | None = None

    def conditions(self) -> list[ColumnElement[bool]]:
        equal = {Return.order_no: self.order_no, Return.state: self.state}
        return [col(column) == value for column, value in equal.items() if value is not None]


def worth_of(units: Mapping[str, int], lines: Sequence[OrderLine]) -> int:
    """What these units of the order's lines were sold for."""
    return sum((line.payable_minor * units.get(line.line_id, 0)) // line.quantity for line in lines)


async def find(session: AsyncSession, return_no: str) -> Return | None:
    """The return, if it was opened."""
    return await session.get(Return, return_no)


async def lines_of(session: AsyncSession, return_no: str) -> Sequence[ReturnLine]:
    """The return's lines by line id."""
    query = select(ReturnLine).where(ReturnLine.return_no == return_no)
    return (await session.exec(query.order_by(col(ReturnLine.line_id)))).all()


async def of_order(session: AsyncSession, order_no: str) -> list[ReturnWithLines]:
    """The order's returns, first one first."""
    query = select(Return).where(Return.order_no == order_no)
    rows = (await session.exec(query.order_by(col(Return.requested_at), col(Return.return_no)))).all()
    return await _with_lines(session, rows)


async def wish_in_sight(session: AsyncSession, return_no: str, caller: Principal) -> InboxMessage:
    """The wish to send goods back, as it came; its return may not be opened yet. Raises ReturnNotFound."""
    wish = (InboxMessage.source == "api") & (InboxMessage.message_id == f"return/{return_no}")
    in_sight = of_orders_in_sight(caller, col(InboxMessage.order_no))
    row = (await session.exec(select(InboxMessage).where(wish, *in_sight))).one_or_none()
    if row is None:
        raise ReturnNotFound(return_no=return_no)
    return row


async def in_sight(session: AsyncSession, return_no: str, caller: Principal) -> ReturnWithLines:
    """The return. Raises ReturnNotFound also for one of an order that exists for others only."""
    query = select(Return).where(col(Return.return_no) == return_no, *_in_sight(caller))
    row = (await session.exec(query)).one_or_none()
    if row is None:
        raise ReturnNotFound(return_no=return_no)
    return (await _with_lines(session, [row]))[0]


async def page(
    session: AsyncSession, caller: Principal, wanted: ReturnFilter, after: tuple[datetime, str] | None, limit: int
) -> list[ReturnWithLines]:
    """Up to `limit + 1` returns, newest first, those behind (`requested_at`, `return_no`) if given."""
    key = (col(Return.requested_at), col(Return.return_no))
    query = select(Return).where(*wanted.conditions(), *_in_sight(caller))
    query = query.order_by(*(column.desc() for column in key)).limit(limit + 1)
    if after is not None:
        query = query.where(tuple_(*key) < tuple_(*(literal(value) for value in after)))
    return await _with_lines(session, (await session.exec(query)).all())


def _in_sight(caller: Principal) -> list[ColumnElement[bool]]:
    return of_orders_in_sight(caller, col(Return.order_no))


async def _with_lines(session: AsyncSession, rows: Sequence[Return]) -> list[ReturnWithLines]:
    query = select(ReturnLine).where(col(ReturnLine.return_no).in_([row.return_no for row in rows]))
    lines: dict[str, list[ReturnLine]] = {}
    for line in await session.exec(query.order_by(col(ReturnLine.line_id))):
        lines.setdefault(line.return_no, []).append(line)
    instead = await exchanging.lines_of(session, [row.return_no for row in rows if row.kind == EXCHANGE])
    return [
        ReturnWithLines(row, tuple(lines.get(row.return_no, ())), tuple(instead.get(row.return_no, ()))) for row in rows
    ]


async def receipt(session: AsyncSession, return_no: str, receipt_id: str) -> ReturnReceipt | None:
    """The return's receipt of this id, if it was taken in."""
    return await session.get(ReturnReceipt, (return_no, receipt_id))


_RETURNABLE = text("""
SELECT l.line_id, l.delivered - l.refunded - coalesce(sum(r.quantity - r.received), 0) AS units
FROM order_lines l
LEFT JOIN (SELECT rl.* FROM return_lines rl JOIN returns t ON t.return_no = rl.return_no
           WHERE t.order_no = :order_no AND t.state IN ('requested', 'approved')) r ON r.line_id = l.line_id
WHERE l.order_no = :order_no GROUP BY l.line_id, l.delivered, l.refunded
""")


async def returnable(session: AsyncSession, order_no: str) -> dict[str, int]:
    """Units of each line that arrived, were not refunded, and are not announced in a return that is open."""
    await session.flush()
    return {row.line_id: int(row.units) for row in await session.execute(_RETURNABLE, {"order_no": order_no})}


async def policy_of(session: AsyncSession, entity_id: str) -> ReturnPolicy:
    """What the entity takes back, and how."""
    entity = await session.get_one(LegalEntity, entity_id)
    window, goods = timedelta(days=entity.return_window_days), timedelta(days=entity.return_goods_days)
    return ReturnPolicy(window, entity.return_approved_below_minor, goods)


_ARRIVED = text("""
SELECT l.line_id, max(s.delivered_at) AS delivered_at, sum(l.quantity) AS units, sum(l.cost_minor) AS cost_minor
FROM shipment_lines l JOIN shipments s ON s.shipment_no = l.shipment_no
WHERE l.order_no = :order_no AND s.status = 'delivered' GROUP BY l.line_id
""")


@dataclass(frozen=True, slots=True)
class Arrived:
    """Units of a line that were delivered, what they had cost, and when the last of them came."""

    units: int
    cost_minor: int
    delivered_at: datetime


async def arrived(session: AsyncSession, order_no: str) -> dict[str, Arrived]:
    """What was delivered of each line of the order; lines of which nothing was are left out."""
    rows = await session.execute(_ARRIVED, {"order_no": order_no})
    return {row.line_id: Arrived(int(row.units), int(row.cost_minor), row.delivered_at) for row in rows}
