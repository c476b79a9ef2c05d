"""How what is sent together goes over the line: seen by somebody who sits between us and the server."""

import asyncio
import contextlib
import itertools
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from sqlalchemy import make_url, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

import runtime.connection
from runtime.connection import ImpatientConnection
from runtime.database import LATER, create_engine
from tests.conftest import Database

_SOCKET = ".s.PGSQL.5432"
_MANY, _LONG = 30, 500_000


class Listener:
    """A way to the server that notes who speaks; `turns` is how often we have spoken after the server."""

    def __init__(self, server: str) -> None:
        self._server = server
        self._said: list[str] = []

    @property
    def turns(self) -> int:
        return sum(who == "we" for who, _ in itertools.groupby(self._said))

    def forget(self) -> None:
        self._said.clear()

    async def meet(self, ours: asyncio.StreamReader, to_us: asyncio.StreamWriter) -> None:
        theirs, to_them = await asyncio.open_unix_connection(self._server)
        await asyncio.gather(self._pass_on("we", ours, to_them), self._pass_on("server", theirs, to_us))

    async def _pass_on(self, who: str, heard: asyncio.StreamReader, onward: asyncio.StreamWriter) -> None:
        with contextlib.closing(onward), contextlib.suppress(ConnectionError):
            while words := await heard.read(65_536):
                self._said.append(who)
                onward.write(words)
                await onward.drain()


@pytest.fixture
async def listener(database: Database, open_dir: Path) -> AsyncIterator[Listener]:
    where = make_url(database.url).query["host"]
    listener = Listener(f"{where}/{_SOCKET}")
    async with await asyncio.start_unix_server(listener.meet, open_dir / _SOCKET):
        yield listener


@pytest.fixture
async def engine(database: Database, open_dir: Path, listener: Listener) -> AsyncIterator[AsyncEngine]:
    """Connections that the listener sits in between; the first is open already, and counts notes in a table."""
    assert listener
    engine = create_engine(make_url(database.url).update_query_dict({"host": str(open_dir)}))
    async with engine.begin() as connection:
        await connection.execute(text("CREATE TABLE notes (note_id integer PRIMARY KEY, words text)"))
    yield engine
    await engine.dispose()


async def _note(connection: AsyncConnection, number: int, words: str = "") -> None:
    adding = text("INSERT INTO notes VALUES (:number, :words)")
    await connection.execute(adding, {"number": number, "words": words}, execution_options=LATER)


async def _prepared(connection: AsyncConnection) -> int:
    return int((await connection.execute(text("SELECT count(*) FROM pg_prepared_statements"))).scalar_one())


async def test_a_transaction_speaks_once_for_each_question_and_once_to_commit(
    engine: AsyncEngine, listener: Listener
) -> None:
    async with engine.begin() as connection:
        listener.forget()
        for number in range(10):
            await _note(connection, number)
        assert listener.turns == 0
        assert (await connection.execute(text("SELECT count(*) FROM notes"))).scalar_one() == 10
        assert listener.turns == 1
        await _note(connection, 10)
    assert listener.turns == 2
    async with engine.begin() as connection:
        listener.forget()
        await _note(connection, 11)
        raw = (await connection.get_raw_connection()).driver_connection
        assert isinstance(raw, ImpatientConnection)
        assert await raw.ask_together([("SELECT count(*) FROM notes", [])], last=True) == [[{"count": 12}]]
    assert listener.turns == 1


async def test_more_than_the_line_holds_goes_both_ways_at_once(engine: AsyncEngine) -> None:
    async with engine.connect() as connection:
        raw = (await connection.get_raw_connection()).driver_connection
        assert isinstance(raw, ImpatientConnection)
        answers = await raw.ask_together([("SELECT CAST($1 AS text) AS words", ["w" * _LONG])] * _MANY)
    assert [len(row["words"]) for (row,) in answers] == [_LONG] * _MANY


async def test_what_was_sent_behind_a_refused_change_can_be_sent_again(engine: AsyncEngine) -> None:
    looking = text("SELECT words FROM notes WHERE note_id = :number")
    async with engine.connect() as connection:
        await connection.execute(looking, {"number": 1})
        await connection.rollback()
        # The server hears that it is to be prepared, and skips it.
        await _note(connection, 1)
        await _note(connection, 1)
        with pytest.raises(DBAPIError, match="duplicate key"):
            await connection.execute(looking, {"number": 1})
        await connection.rollback()
        assert (await connection.execute(looking, {"number": 1})).first() is None
        assert (await connection.execute(looking, {"number": 1})).first() is None


async def test_what_the_server_has_prepared_outlives_a_rollback(engine: AsyncEngine) -> None:
    async with engine.connect() as connection:
        for _ in range(3):
            before = await _prepared(connection)
            await connection.rollback()
        assert before > 0
        assert await _prepared(connection) == before


async def test_whoever_is_called_off_leaves_a_connection_that_works_or_none(engine: AsyncEngine) -> None:
    async def slow() -> None:
        async with engine.begin() as connection:
            await _note(connection, 1)
            await connection.execute(text("SELECT pg_sleep(30)"))

    asking = asyncio.create_task(slow())
    async with engine.connect() as connection:
        sleeps = text("SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%pg_sleep(30)' AND state = 'active'")
        while not (await connection.execute(sleeps)).scalar_one():
            await connection.rollback()
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    async with engine.begin() as connection:
        assert (await connection.execute(text("SELECT count(*) FROM notes"))).scalar_one() == 0


async def test_a_server_that_waits_for_a_lock_is_not_taken_for_one_that_is_away(
    engine: AsyncEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runtime.connection, "_BEGIN_TIMEOUT_S", 0.3)
    async with engine.begin() as connection:
        await _note(connection, 1)

    async def lock(then: str) -> None:
        async with engine.begin() as connection:
            await connection.execute(text("UPDATE notes SET words = :then"), {"then": then}, execution_options=LATER)
            await connection.execute(text("SELECT pg_sleep(0.9)"))

    await asyncio.gather(lock("one"), lock("other"))
    async with engine.connect() as connection:
        assert (await connection.execute(text("SELECT words FROM notes"))).scalar_one() in {"one", "other"}
