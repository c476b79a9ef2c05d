"""Reading and writing masters: every one of them is a row under a business key, put as a whole."""

from collections.abc import Sequence
from enum import StrEnum
from typing import Any, TypeVar

from sqlalchemy import ColumnElement, inspect, literal, or_, tuple_
from sqlalchemy import text as sql
from sqlalchemy.dialects.postgresql import insert
from sqlmodel import SQLModel, select
from sqlmodel.ext.asyncio.session import AsyncSession

from domain.errors import DomainError

Row = TypeVar("Row", bound=SQLModel)
_WRITTEN_AT = "updated_at"


class MasterNotFound(DomainError):
    """There is no such record, or none that the asker may see."""

    code = "master_not_found"


class Put(StrEnum):
    """What putting a row did."""

    CREATED = "created"
    UPDATED = "updated"
    UNCHANGED = "unchanged"


async def get(session: AsyncSession, table: type[Row], *key: Any) -> Row:
    """The row under this key. Raises MasterNotFound."""
    row = await session.get(table, key)
    if row is None:
        raise MasterNotFound()
    return row


async def page(
    session: AsyncSession,
    table: type[Row],
    after: Sequence[Any] | None,
    limit: int,
    where: Sequence[ColumnElement[bool]] = (),
) -> Sequence[Row]:
    """Up to `limit + 1` rows by key, those behind `after` if given; the one too many says that there are more."""
    key = _key(table)
    query = select(table).where(*where).order_by(*key).limit(limit + 1)
    if after is not None:
        query = query.where(tuple_(*key) > tuple_(*(literal(value) for value in after)))
    return (await session.exec(query)).all()


async def put(session: AsyncSession, row: SQLModel) -> Put:
    """Afterwards the table has this row under its key. A row that says nothing new keeps the time it was written at."""
    table, values = type(row), row.model_dump()
    key = _key(table)
    names = [column.name for column in key]
    statement = insert(table).values(**values)
    new = {name: statement.excluded[name] for name in values if name not in names}
    if not new:
        raise ValueError("a master has more than its key")
    columns = inspect(table).columns
    differs = or_(*(columns[name].is_distinct_from(new[name]) for name in new if name != _WRITTEN_AT))
    statement = statement.on_conflict_do_update(index_elements=names, set_=new, where=differs)
    # A row version that nobody replaced has no xmax: so an insert is told from an update.
    inserted = (await session.execute(statement.returning(sql("xmax = 0")))).scalar_one_or_none()
    if inserted is None:
        return Put.UNCHANGED
    return Put.CREATED if inserted else Put.UPDATED


def _key(table: type[SQLModel]) -> Sequence[Any]:
    return tuple(inspect(table).primary_key)
