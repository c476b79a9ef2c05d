"""A second look at what a transaction believes of the orders that it has locked, before it commits.

Not any earlier: that would send out rows which a step leaves to the commit.
"""

from typing import Any

from sqlalchemy import inspect
from sqlalchemy.ext.asyncio import async_session
from sqlalchemy.util import await_only
from sqlmodel import Session, SQLModel, select
from sqlmodel.ext.asyncio.session import AsyncSession

from models.order import Order
from store import orders, whole


def agrees(session: Session) -> None:
    """For `before_commit`. Fails where what is remembered of a locked order is not what the tables say."""
    known = async_session(session)
    assert isinstance(known, AsyncSession)
    for order_no in [order_no for order_no in session.info.get(whole.WHOLE, {}) if whole.has(known, order_no)]:
        await_only(_agrees(known, order_no))


async def _agrees(session: AsyncSession, order_no: str) -> None:
    believed = await orders.standing(session, order_no)
    await session.flush()
    remembered = session.info.pop(whole.WHOLE)
    try:
        assert believed == await orders.standing(session, order_no)
    finally:
        session.info[whole.WHOLE] = remembered
    kinds: tuple[type[SQLModel], ...] = (Order, *whole.PARTS)
    for kind in kinds:
        assert await _in_tables(session, kind, order_no) == _in_memory(session, kind, order_no), kind


async def _in_tables(session: AsyncSession, kind: type[SQLModel], order_no: str) -> list[dict[str, Any]]:
    table = inspect(kind).local_table
    found = await session.execute(select(table).where(table.c.order_no == order_no))
    return sorted((dict(row) for row in found.mappings()), key=str)


def _in_memory(session: AsyncSession, kind: type[SQLModel], order_no: str) -> list[dict[str, Any]]:
    columns = [column.name for column in inspect(kind).local_table.columns]
    known = [one for one in session.sync_session if isinstance(one, kind) and getattr(one, "order_no", "") == order_no]
    return sorted(({name: getattr(one, name) for name in columns} for one in known), key=str)
