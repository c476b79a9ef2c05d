"""An order with all that hangs on it, read in one go when it is locked.

Nobody else changes the rows of an order that is locked. So whoever has locked it looks up in the session what it wants
to know of them; whoever has not asks the database.
"""

import json
from collections.abc import Callable, Iterable, Sequence
from datetime import date, datetime
from decimal import Decimal
from functools import cache, partial
from typing import Any, ClassVar, Final, TypeVar

from psycopg.types.numeric import Int8
from sqlalchemy import Date, DateTime, Numeric, Table, Text, cast, inspect
from sqlalchemy import select as sqlalchemy_select
from sqlalchemy.dialects.postgresql import ARRAY, psycopg
from sqlalchemy.orm import make_transient_to_detached
from sqlalchemy.orm.attributes import set_committed_value
from sqlmodel import SQLModel, select
from sqlmodel.ext.asyncio.session import AsyncSession

from models.approval import Approval
from models.inbox import InboxMessage
from models.invoice import Invoice, InvoiceLine
from models.masters import Customer, LegalEntity, PaymentMethod, Product
from models.order import Order, OrderHold, OrderLine
from models.payment import Payment, Refund
from models.refunding import GrantedRefund
from models.shipping import FulfilmentOrder, Shipment, ShipmentLine
from runtime.direct import add_later, ask_together
from runtime.sessions import WRITTEN

PARTS: Final[tuple[type[SQLModel], ...]] = (
    OrderLine,
    OrderHold,
    Approval,
    FulfilmentOrder,
    Shipment,
    ShipmentLine,
    Payment,
    Refund,
    GrantedRefund,
    Invoice,
    InvoiceLine,
)
_ASKED: Final[tuple[tuple[type[SQLModel], str], ...]] = (
    *((part, "order_no = %(order_no)s") for part in PARTS),
    (InboxMessage, "inbox_id = %(inbox_id)s"),
    # What the masters say of who sells, who buys, and what.
    (LegalEntity, "entity_id = (SELECT o.entity_id FROM orders o WHERE o.order_no = %(order_no)s)"),
    (Customer, "customer_id = (SELECT o.customer_id FROM orders o WHERE o.order_no = %(order_no)s)"),
    (PaymentMethod, "method = (SELECT o.payment_method FROM orders o WHERE o.order_no = %(order_no)s)"),
    (Product, "sku IN (SELECT l.sku FROM order_lines l WHERE l.order_no = %(order_no)s)"),
)
_READERS: Final[dict[type, Callable[[Any], Any]]] = {
    DateTime: datetime.fromisoformat,
    Date: date.fromisoformat,
    Numeric: Decimal,
}
UNITS: Final = ("cancelled", "allocated", "shipped", "delivered", "returned", "invoiced", "recognised", "refunded")
"""What the lines of an order count."""
WHOLE: Final = "whole orders"
_ANSWERS: Final = "answers"

T = TypeVar("T", bound=SQLModel)


class Question:
    """Something about one order that is asked along with its lock, `%(order_no)s`, because a step will want to know.

    Answers are rows as JSON has them: a day is its text.
    """

    every: ClassVar[list["Question"]] = []

    def __init__(self, sql: str, *, lasting: bool = False) -> None:
        """`lasting`: nobody who asks changes the answer, so it may be used again."""
        self.sql = sql
        self._lasting = lasting
        self.every.append(self)

    async def answer(self, session: AsyncSession, order_no: str) -> list[dict[str, Any]]:
        """The rows: those that came with the lock, once; whoever asks again asks the database."""
        known = self.known(session, order_no)
        if known is not None:
            return known
        (row,) = (await ask_together(session, [_in_one([self.sql])], {"order_no": order_no}))[0]
        return _read(row)[0]

    def known(self, session: AsyncSession, order_no: str) -> list[dict[str, Any]] | None:
        """The rows that came with the lock; None: they did not, or may have changed since."""
        answers = session.info.get(_ANSWERS, {})
        known: list[dict[str, Any]] | None = answers.get((order_no, self)) if has(session, order_no) else None
        if known is not None and not self._lasting:
            del answers[order_no, self]
        return known

    def forget(self, session: AsyncSession) -> None:
        """To be called by whoever changes the answer."""
        answers = session.info.get(_ANSWERS, {})
        for key in [key for key in answers if key[1] is self]:
            del answers[key]


async def lock(session: AsyncSession, order_no: str, inbox_id: int = 0) -> Order | None:
    """The order's row, locked until the transaction ends, and all of its rows in the session; None: there is none.

    So is the message of this number.
    """
    if has(session, order_no):
        return await session.get(Order, order_no)
    # Two statements: only what is asked behind the lock is sure to see what was committed by whoever had it before.
    locking, everything = _statements(len(Question.every))
    # A number of one size, whatever it is: the server prepares the question once for each.
    asked = {"order_no": order_no, "inbox_id": Int8(inbox_id)}
    locked, (row,) = await ask_together(session, [locking, everything], asked)
    if not locked:
        return None
    answers = _read(row)
    found: list[SQLModel] = [_known(session, Order, locked[0])]
    for (kind, _), rows in zip(_ASKED, answers, strict=False):
        found += [_known(session, kind, _typed(kind, row)) for row in rows]
    kept = session.info.setdefault(_ANSWERS, {})
    for question, rows in zip(Question.every, answers[len(_ASKED) :], strict=True):
        kept[order_no, question] = rows
    # The session itself keeps only those that were changed.
    session.info.setdefault(WHOLE, {})[order_no] = (session.sync_session.get_transaction(), found)
    return await session.get(Order, order_no)


@cache
def _statements(questions: int) -> tuple[str, str]:
    of_tables = [f"{_columns(kind, exact=True)} WHERE {where}" for kind, where in _ASKED]
    of_questions = [question.sql for question in Question.every[:questions]]
    return f"{_columns(Order)} WHERE order_no = %(order_no)s FOR UPDATE", _in_one(of_tables + of_questions)


def _in_one(statements: Sequence[str]) -> str:
    # All of it is our own text.
    rows = ", ".join(f"(SELECT json_agg(t) FROM ({statement}) t)" for statement in statements)  # noqa: S608
    return f"SELECT CAST(json_build_array({rows}) AS text) AS found"


def _read(row: dict[str, Any]) -> list[list[dict[str, Any]]]:
    return [rows or [] for rows in json.loads(row["found"])]


def _typed(kind: type[SQLModel], row: dict[str, Any]) -> dict[str, Any]:
    """The row as the driver would have read it, and not as JSON has it."""
    for name, read in _readers(kind):
        if row[name] is not None:
            row[name] = read(row[name])
    return row


@cache
def _readers(kind: type[SQLModel]) -> Sequence[tuple[str, Callable[[Any], Any]]]:
    found: list[tuple[str, Callable[[Any], Any]]] = []
    for column in inspect(kind).local_table.columns:
        is_list = isinstance(column.type, ARRAY)
        read = _READERS.get(type(column.type.item_type if is_list else column.type))
        if read is not None:
            found.append((column.name, partial(_each, read) if is_list else read))
    return found


def _each(read: Callable[[Any], Any], texts: list[Any]) -> list[Any]:
    return [read(text) for text in texts]


def made(session: AsyncSession, order_no: str) -> None:
    """To be called by the transaction that makes the order: all of its rows are in the session."""
    session.info.setdefault(WHOLE, {})[order_no] = (session.sync_session.get_transaction(), [])


async def write(session: AsyncSession, *written: SQLModel) -> None:
    """Afterwards these new rows are on their way to their tables, in this order, and the session has them.

    Nothing has to be flushed before rows that point to them, and a row costs a fraction of what a flush takes for it.
    """
    for row in written:
        table: Table = inspect(type(row)).local_table
        await add_later(session, table, {column.name: getattr(row, column.name) for column in table.columns})
        make_transient_to_detached(row)
        session.add(row)
    # The session itself keeps only those that are changed.
    session.info.setdefault(WRITTEN, []).extend(written)


def has(session: AsyncSession, order_no: str) -> bool:
    """Whether this transaction has locked the order."""
    transaction, _ = session.info.get(WHOLE, {}).get(order_no, (None, ()))
    return transaction is not None and transaction is session.sync_session.get_transaction()


async def rows(session: AsyncSession, kind: type[T], order_no: str) -> list[T]:
    """The order's rows of this kind, this transaction's own included, in no order."""
    if has(session, order_no):
        return [one for one in session.sync_session if isinstance(one, kind) and one.order_no == order_no]  # type: ignore[attr-defined]
    return list((await session.exec(select(kind).where(kind.order_no == order_no))).all())  # type: ignore[attr-defined]


async def buyer(session: AsyncSession, order: Order) -> Customer | None:
    """What our masters say of who has placed the order; None: they do not know him."""
    if order.customer_id is None or not has(session, order.order_no):
        return await session.get(Customer, order.customer_id) if order.customer_id else None
    known = (one for one in session.sync_session if isinstance(one, Customer))
    return next((one for one in known if one.customer_id == order.customer_id), None)


def units_of(lines: Iterable[OrderLine]) -> dict[str, int]:
    """What an order's lines have counted, all together."""
    known = list(lines)
    return {name: sum(getattr(line, name) for line in known) for name in UNITS}


async def settle_lines(session: AsyncSession) -> None:
    """To be called before a statement of ours counts units: afterwards the table has lines as the session has them."""
    if any(isinstance(one, OrderLine) for one in (*session.new, *session.dirty)):
        await session.flush()


def count(session: AsyncSession, order_no: str, line_id: str, **units: int) -> None:
    """Afterwards the session knows by how much a statement of ours has raised these counters of the order's line.

    Its lines must have been settled before.
    """
    line = session.sync_session.identity_map.get(inspect(OrderLine).identity_key_from_primary_key((order_no, line_id)))
    if line is not None:
        for name, more in units.items():
            set_committed_value(line, name, getattr(line, name) + more)


def _known(session: AsyncSession, kind: type[T], row: dict[str, Any]) -> T:
    mapper = inspect(kind)
    key = mapper.identity_key_from_primary_key([row[column.name] for column in mapper.primary_key])
    known: T | None = session.sync_session.identity_map.get(key)
    if known is None:
        known = mapper.class_manager.new_instance()
        known.__dict__.update(row)
        make_transient_to_detached(known)
        session.add(known)
    elif known not in session.dirty:
        for name, value in row.items():
            set_committed_value(known, name, value)
    return known


@cache
def _columns(kind: type[SQLModel], *, exact: bool = False) -> str:
    """`exact`: fractions as text, which JSON would round."""
    table: Table = inspect(kind).local_table
    columns = [
        cast(column, Text).label(column.name) if exact and type(column.type) is Numeric else column
        for column in table.columns
    ]
    return str(sqlalchemy_select(*columns).compile(dialect=psycopg.dialect()))  # type: ignore[no-untyped-call]
