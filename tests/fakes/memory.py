"""A second look at what a step believes of the order that it has locked."""

from typing import Any

from sqlalchemy import inspect
from sqlmodel import SQLModel, select
from sqlmodel.ext.asyncio.session import AsyncSession

from domain.order import Standing
from models.order import Order
from store import orders, whole

standing = orders.standing


async def standing_that_agrees(session: AsyncSession, order_no: str) -> Standing:
    """As `orders.standing`. Fails where what is remembered of a locked order is not what the tables say."""
    believed = await standing(session, order_no)
    if whole.has(session, order_no):
        await session.flush()
        remembered = session.info.pop(whole.WHOLE)
        try:
            assert believed == await standing(session, order_no)
        finally:
            session.info[whole.WHOLE] = remembered
        kinds: tuple[type[SQLModel], ...] = (Order, *whole.PARTS)
        for kind in kinds:
            assert await _in_tables(session, kind, order_no) == _in_memory(session, kind, order_no), kind
    return believed


async def _in_tables(session: AsyncSession, kind: type[SQLModel], order_no: str) -> list[dict[str, Any]]:
    table = inspect(kind).local_table
    found = await session.execute(select(table).where(table.c.order_no == order_no))
    return sorted((dict(row) for row in found.mappings()), key=str)


def _in_memory(session: AsyncSession, kind: type[SQLModel], order_no: str) -> list[dict[str, Any]]:
    columns = [column.name for column in inspect(kind).local_table.columns]
    known = [one for one in session.sync_session if isinstance(one, kind) and getattr(one, "order_no", "") == order_no]
    return sorted(({name: getattr(one, name) for name in columns} for one in known), key=str)
