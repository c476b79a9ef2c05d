"""What goes to the driver past the engine: statements sent so often that the way there costs more than they.

They are part of the session's transaction all the same.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any, Final

import psycopg
from psycopg.rows import dict_row
from psycopg.types.json import Json
from sqlalchemy import Table, TextClause, insert
from sqlalchemy.dialects.postgresql import psycopg as postgresql
from sqlalchemy.exc import DBAPIError
from sqlmodel.ext.asyncio.session import AsyncSession

from runtime.connection import ImpatientConnection
from runtime.database import LATER
from runtime.tracing import statement_traced

_DIALECT: Final = postgresql.dialect()  # type: ignore[no-untyped-call]
_DRIVER: Final = "driver"
_NAMED: Final = re.compile(r"%\((\w+)\)s")


async def later(session: AsyncSession, statement: TextClause, params: Mapping[str, Any]) -> None:
    """Afterwards the statement goes out with the next one that is waited for, or the commit; nobody hears its answer.

    It must have nothing to do with rows that the session may have changed: they do not go out before it.
    """
    driver = await _keeping(session)
    if driver is None:
        await session.execute(statement, params, execution_options=LATER)
        return
    asked = _text_of(statement)
    with statement_traced(asked):
        driver.keep_back(asked, params)


async def gathered(session: AsyncSession, statement: TextClause, rows: Sequence[Any]) -> None:
    """The same for a statement whose parameter `rows` is a list, as JSON: those that wait together go out as one."""
    driver = await _keeping(session)
    if driver is None:
        await session.execute(statement, {"rows": rows}, execution_options=LATER)
        return
    asked = _text_of(statement)
    with statement_traced(asked):
        driver.gather(asked, Json(rows))


async def add_later(session: AsyncSession, table: Table, row: Mapping[str, Any]) -> None:
    """The same for a new row with all of its columns."""
    driver = await _keeping(session)
    if driver is None:
        await session.execute(insert(table), row, execution_options=LATER)
        return
    asked, written = _insertion(table)
    with statement_traced(asked):
        driver.keep_back(asked, {name: row[name] if write is None else write(row[name]) for name, write in written})


async def ask_together(
    session: AsyncSession, questions: Sequence[str], asked: Mapping[str, Any], *, last: bool = False
) -> list[list[dict[str, Any]]]:
    """The rows that each question finds, one after the other, on connections of a pool in one round trip.

    Parameters are written `%(name)s`. They see what the session's rows have become. `last`: nothing is asked or changed
    behind them by this transaction, so its commit goes out with them; it is to be committed all the same.
    """
    await session.flush()
    driver = await _driver(session)
    numbered = [_numbered(question) for question in questions]
    told = [(text, [asked[name] for name in names]) for text, names in numbered]
    # The first says what it is about: the others come with it.
    with statement_traced(questions[0]):
        try:
            if isinstance(driver, ImpatientConnection):
                return await driver.ask_together(told, last=last and not driver.autocommit)
            return [await _asked_alone(driver, text, params) for text, params in told]
        except psycopg.Error as failed:
            # As the engine would take it and tell it.
            if driver.closed:
                await (await session.connection()).invalidate(failed)
            known = DBAPIError.instance(
                questions[0], None, failed, psycopg.Error, hide_parameters=True, dialect=_DIALECT
            )
            raise known from failed


async def _asked_alone(driver: Any, question: str, params: Sequence[Any]) -> list[dict[str, Any]]:
    """For commands, whose connections are psycopg's own."""
    async with psycopg.AsyncRawCursor(driver, row_factory=dict_row) as cursor:
        await cursor.execute(question, params)
        return await cursor.fetchall()


async def _keeping(session: AsyncSession) -> ImpatientConnection | None:
    """The session's connection, if it keeps statements back."""
    driver = await _driver(session)
    return driver if isinstance(driver, ImpatientConnection) and not driver.autocommit else None


async def _driver(session: AsyncSession) -> Any:
    transaction, driver = session.info.get(_DRIVER, (None, None))
    if transaction is None or transaction is not session.sync_session.get_transaction():
        driver = (await (await session.connection()).get_raw_connection()).driver_connection
        session.info[_DRIVER] = (session.sync_session.get_transaction(), driver)
    return driver


@cache
def _text_of(statement: TextClause) -> str:
    return str(statement.compile(dialect=_DIALECT))


@cache
def _insertion(table: Table) -> tuple[str, Sequence[tuple[str, Callable[[Any], Any] | None]]]:
    """The statement, and how each column's value is told to the driver."""
    names = [column.name for column in table.columns]
    asked = str(insert(table).compile(dialect=_DIALECT, column_keys=names))
    told = [column.type.dialect_impl(_DIALECT).bind_processor(_DIALECT) for column in table.columns]
    return asked, list(zip(names, told, strict=True))


@cache
def _numbered(question: str) -> tuple[str, Sequence[str]]:
    """The question with its parameters as the server knows them, and their names."""
    # As it is, psycopg would take a long one apart each time that it is asked.
    names = list(dict.fromkeys(_NAMED.findall(question)))
    return _NAMED.sub(lambda found: f"${names.index(found[1]) + 1}", question).replace("%%", "%"), names
