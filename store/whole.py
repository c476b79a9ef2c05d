"""An order with all that hangs on it, read in one go when it is locked.

Nobody else changes the rows of an order that is locked. So whoever has locked it looks up in the session what it wants
to know of them; whoever has not asks the database.
"""

from collections.abc import Sequence
from functools import cache
from typing import Any, ClassVar, Final, TypeVar

from sqlalchemy import Table, inspect
from sqlalchemy.dialects.postgresql import psycopg
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
from runtime.database import ask_together

_PARTS: Final[tuple[type[SQLModel], ...]] = (
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
# What the masters say of who sells, who buys, and what.
_MASTERS: Final[tuple[tuple[type[SQLModel], str], ...]] = (
    (LegalEntity, "entity_id = (SELECT o.entity_id FROM orders o WHERE o.order_no = %(order_no)s)"),
    (Customer, "customer_id = (SELECT o.customer_id FROM orders o WHERE o.order_no = %(order_no)s)"),
    (PaymentMethod, "method = (SELECT o.payment_method FROM orders o WHERE o.order_no = %(order_no)s)"),
    (Product, "sku IN (SELECT l.sku FROM order_lines l WHERE l.order_no = %(order_no)s)"),
)
_WHOLE: Final = "whole orders"
_ANSWERS: Final = "answers"

T = TypeVar("T", bound=SQLModel)


class Question:
    """Something about one order that is asked along with its lock, `%(order_no)s`, because a step will want to know."""

    _all: ClassVar[list["Question"]] = []

    def __init__(self, sql: str, *, lasting: bool = False) -> None:
        """`lasting`: nobody who asks changes the answer, so it may be used again."""
        self._sql = sql
        self._lasting = lasting
        self._all.append(self)

    async def answer(self, session: AsyncSession, order_no: str) -> list[dict[str, Any]]:
        """The rows: those that came with the lock, once; whoever asks again asks the database."""
        answers = session.info.get(_ANSWERS, {})
        known: list[dict[str, Any]] | None = answers.get((order_no, self))
        if known is not None and has(session, order_no):
            if not self._lasting:
                del answers[order_no, self]
            return known
        return (await ask_together(session, [self._sql], {"order_no": order_no}))[0]

    def forget(self, session: AsyncSession) -> None:
        """To be called by whoever changes the answer."""
        answers = session.info.get(_ANSWERS, {})
        for key in [key for key in answers if key[1] is self]:
            del answers[key]

    @classmethod
    async def ask_all(
        cls, session: AsyncSession, before: Sequence[str], asked: dict[str, Any]
    ) -> list[list[dict[str, Any]]]:
        """The answers to what is asked `before`; those to all questions are kept in the session."""
        answers = await ask_together(session, [*before, *(one._sql for one in cls._all)], asked)
        kept = session.info.setdefault(_ANSWERS, {})
        kept.update(
            {(asked["order_no"], one): rows for one, rows in zip(cls._all, answers[len(before) :], strict=True)}
        )
        return answers[: len(before)]


async def lock(session: AsyncSession, order_no: str, inbox_id: int = 0) -> Order | None:
    """The order's row, locked until the transaction ends, and all of its rows in the session; None: there is none.

    So is the message of this number.
    """
    if has(session, order_no):
        return await session.get(Order, order_no)
    asked: list[tuple[type[SQLModel], str]] = [(Order, "order_no = %(order_no)s FOR UPDATE")]
    asked += [(part, "order_no = %(order_no)s") for part in _PARTS]
    asked += _MASTERS
    if inbox_id:
        asked.append((InboxMessage, "inbox_id = %(inbox_id)s"))
    # One statement each: only what is asked behind the lock is sure to see what was committed by whoever had it before.
    statements = [f"{_columns(kind)} WHERE {where}" for kind, where in asked]
    answers = await Question.ask_all(session, statements, {"order_no": order_no, "inbox_id": inbox_id})
    kinds = [kind for kind, _ in asked]
    found = [_known(session, kind, row) for kind, rows in zip(kinds, answers, strict=True) for row in rows]
    if not answers[0]:
        return None
    # The session itself keeps only those that were changed.
    session.info.setdefault(_WHOLE, {})[order_no] = (session.sync_session.get_transaction(), found)
    return await session.get(Order, order_no)


def has(session: AsyncSession, order_no: str) -> bool:
    """Whether this transaction has locked the order."""
    transaction, _ = session.info.get(_WHOLE, {}).get(order_no, (None, ()))
    return transaction is not None and transaction is session.sync_session.get_transaction()


async def rows(session: AsyncSession, kind: type[T], order_no: str) -> list[T]:
    """The order's rows of this kind, this transaction's own included, in no order."""
    if has(session, order_no):
        return [one for one in session.sync_session if isinstance(one, kind) and one.order_no == order_no]  # type: ignore[attr-defined]
    return list((await session.exec(select(kind).where(kind.order_no == order_no))).all())  # type: ignore[attr-defined]


def count(session: AsyncSession, order_no: str, line_id: str, **units: int) -> None:
    """Afterwards the session knows by how much a statement of ours has raised these counters of the order's line."""
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
def _columns(kind: type[SQLModel]) -> str:
    table: Table = inspect(kind).local_table
    return str(table.select().compile(dialect=psycopg.dialect()))  # type: ignore[no-untyped-call]
