"""What goes to the driver past the engine is part of the session's transaction, and fails as the engine's would."""

from datetime import UTC, datetime

import pytest
from sqlalchemy import JSON, bindparam, text
from sqlalchemy.exc import DataError, OperationalError
from sqlalchemy.ext.asyncio import AsyncEngine

from models.masters import PaymentMethod
from runtime.database import Sessions, create_sessions, create_unpooled_engine
from runtime.direct import add_later, ask_together, gathered, later
from tests.conftest import Database

_ALL = "SELECT method, category FROM payment_methods WHERE method LIKE '%%note' ORDER BY method"
_RENAMED = text("UPDATE payment_methods SET category = :category WHERE method LIKE '%note'")
_ADDED = text("""
INSERT INTO payment_methods (method, category, updated_at)
SELECT r.method, r.category, now() FROM json_to_recordset(:rows) AS r(method text, category text)
""").bindparams(bindparam("rows", type_=JSON))
_ROW = {"method": "a note", "category": "bank", "updated_at": datetime(2026, 11, 22, tzinfo=UTC)}
TABLE = PaymentMethod.metadata.tables["payment_methods"]


async def _write(sessions: Sessions) -> list[dict[str, str]]:
    async with sessions() as session, session.begin():
        await add_later(session, TABLE, _ROW)
        await gathered(session, _ADDED, [{"method": "b note", "category": "bank"}])
        await later(session, _RENAMED, {"category": "cash"})
        await gathered(session, _ADDED, [{"method": "c note", "category": "bank"}])
        return (await ask_together(session, [_ALL], {}))[0]


@pytest.fixture(params=["pooled", "unpooled"])
def engine(request: pytest.FixtureRequest, database: Database) -> AsyncEngine:
    """Of the API and the worker; of commands, whose connections keep nothing back."""
    return database.engine if request.param == "pooled" else create_unpooled_engine(database.url)


async def test_what_is_sent_is_seen_by_what_is_asked_and_committed_with_the_session(engine: AsyncEngine) -> None:
    found = await _write(create_sessions(engine))
    assert [row["method"] for row in found] == ["a note", "b note", "c note"]
    async with create_sessions(engine)() as session:
        assert await ask_together(session, [_ALL, "SELECT CAST(%(one)s AS text) AS one"], {"one": "1"}) == [
            found,
            [{"one": "1"}],
        ]


async def test_what_is_sent_is_gone_with_a_rollback(database: Database) -> None:
    async with database.sessions() as session:
        await add_later(session, TABLE, _ROW)
        await session.rollback()
        await session.commit()
        assert await ask_together(session, [_ALL], {}) == [[]]


async def test_failures_are_those_of_the_engine(database: Database) -> None:
    async with database.sessions() as session:
        with pytest.raises(DataError):
            await ask_together(session, ["SELECT 1 / CAST(%(zero)s AS integer)"], {"zero": "0"})
    async with database.sessions() as session:
        with pytest.raises(OperationalError):
            await ask_together(session, ["SELECT pg_terminate_backend(pg_backend_pid())"], {})
    async with database.sessions() as session:
        assert await ask_together(session, ["SELECT 1 AS one"], {}) == [[{"one": 1}]]
