"""An order with all that hangs on it, read in one go when it is locked.

Nobody else changes the rows of an order that is locked. So whoever has locked it looks up in the session what it wants
to know of them; whoever has not asks the database.
"""

from functools import cache
from typing import Any, Final, TypeVar

from sqlalchemy import Table, inspect
from sqlalchemy.dialects.postgresql import psycopg
from sqlalchemy.orm import make_transient_to_detached
from sqlalchemy.orm.attributes import set_committed_value
from sqlmodel import SQLModel, select
from sqlmodel.ext.asyncio.session import AsyncSession

from models.approval import Approval
from models.invoice import Invoice, InvoiceLine
from models.masters import Customer, LegalEntity, Product
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
    (Product, "sku IN (SELECT l.sku FROM order_lines l WHERE l.order_no = %(order_no)s)"),
)
_WHOLE: Final = "whole orders"

T = TypeVar("T", bound=SQLModel)


async def lock(session: AsyncSession, order_no: str) -> Order | None:
    """The order's row, locked until the transaction ends, and all of its rows in the session; None: there is none."""
    if has(session, order_no):
        return await session.get(Order, order_no)
    asked: list[tuple[type[SQLModel], str]] = [(Order, "order_no = %(order_no)s FOR UPDATE")]
    asked += [(part, "order_no = %(order_no)s") for part in _PARTS]
    asked += _MASTERS
    # One statement each: only what is asked behind the lock is sure to see what was committed by whoever had it before.
    answers = await ask_together(
        session, [f"{_columns(kind)} WHERE {where}" for kind, where in asked], {"order_no": order_no}
    )
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
