"""What is sent together, and what comes of it: counted by the driver, seen from another connection."""

import pytest
from psycopg.types.json import Json
from sqlalchemy import Column, Integer, MetaData, Table, Text, insert, text, update
from sqlalchemy.exc import DBAPIError, IntegrityError, ProgrammingError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from runtime.connection import ROUND_TRIPS, ImpatientConnection
from runtime.database import LATER
from tests.conftest import Database

NOTES = Table(
    "bench_notes",
    MetaData(),
    Column("note_id", Integer, primary_key=True, autoincrement=False),
    Column("words", Text, nullable=False, unique=True),
)
_NOTING = """
INSERT INTO bench_notes SELECT n.note_id, n.words
FROM json_to_recordset(CAST(%(rows)s AS json)) AS n(note_id integer, words text)
"""


@pytest.fixture
async def engine(database: Database) -> AsyncEngine:
    async with database.engine.begin() as connection:
        await connection.run_sync(NOTES.create)
    return database.engine


def _waits() -> float:
    return float(ROUND_TRIPS._value.get())


async def _words(engine: AsyncEngine) -> list[str]:
    async with engine.connect() as connection:
        return list((await connection.execute(text("SELECT words FROM bench_notes ORDER BY note_id"))).scalars())


async def _driver(connection: AsyncConnection) -> ImpatientConnection:
    driver = (await connection.get_raw_connection()).driver_connection
    assert isinstance(driver, ImpatientConnection)
    return driver


async def _note(connection: AsyncConnection, number: int, words: str) -> None:
    await connection.execute(insert(NOTES).values(note_id=number, words=words))


async def test_changes_wait_for_nobody_and_go_out_with_the_commit(engine: AsyncEngine) -> None:
    await _words(engine)
    before = _waits()
    async with engine.begin() as connection:
        await _note(connection, 1, "one")
        await _note(connection, 2, "two")
        await connection.execute(update(NOTES).where(NOTES.c.note_id == 2).values(words="zwei"))
        assert _waits() == before
    assert _waits() - before == 1
    assert await _words(engine) == ["one", "zwei"]


async def test_a_question_sees_every_change_before_it_and_waits_once(engine: AsyncEngine) -> None:
    await _words(engine)
    before = _waits()
    async with engine.begin() as connection:
        await _note(connection, 1, "one")
        await connection.execute(text("UPDATE bench_notes SET words = 'eins'"), execution_options=LATER)
        assert (await connection.execute(text("SELECT words FROM bench_notes"))).scalars().all() == ["eins"]
        assert _waits() - before == 1
    assert _waits() - before == 2


async def test_the_last_question_brings_the_commit_with_it(engine: AsyncEngine) -> None:
    await _words(engine)
    before = _waits()
    async with engine.begin() as connection:
        await _note(connection, 1, "one")
        asked = await (await _driver(connection)).ask_together([("SELECT words FROM bench_notes", [])], last=True)
        assert asked == [[{"words": "one"}]]
        assert await _words(engine) == ["one"]
        before_commit = _waits()
    assert _waits() == before_commit
    assert before_commit - before == 3  # with the look from outside, which begins, asks, and gives up


async def test_nothing_is_asked_or_changed_behind_the_last_question(engine: AsyncEngine) -> None:
    async with engine.connect() as connection:
        await (await _driver(connection)).ask_together([("SELECT 1", [])], last=True)
        with pytest.raises(ProgrammingError, match="committed"):
            await connection.execute(text("SELECT 1"))
        await connection.rollback()
        await (await _driver(connection)).ask_together([("SELECT 1", [])], last=True)
        with pytest.raises(ProgrammingError, match="committed"):
            await _note(connection, 1, "one")
        await connection.rollback()
        assert (await connection.execute(text("SELECT 1"))).scalar_one() == 1
    assert await _words(engine) == []


async def test_a_change_that_answers_is_waited_for(engine: AsyncEngine) -> None:
    async with engine.begin() as connection:
        asked = insert(NOTES).values(note_id=1, words="one")
        columns = await connection.execute(asked.returning(NOTES.c.words))
        assert columns.scalar_one() == "one"
        words = await connection.execute(update(NOTES).values(words="eins").returning(text("words || '!'")))
        assert words.scalar_one() == "eins!"


async def test_a_change_that_is_refused_takes_the_whole_transaction_with_it(engine: AsyncEngine) -> None:
    async def twice_the_same() -> None:
        async with engine.begin() as connection:
            await _note(connection, 1, "same")
            await _note(connection, 2, "same")

    with pytest.raises(IntegrityError, match="duplicate key"):
        await twice_the_same()
    assert await _words(engine) == []


async def test_a_question_behind_a_refused_change_fails_and_nothing_stays(engine: AsyncEngine) -> None:
    async with engine.connect() as connection:
        await _note(connection, 1, "same")
        await _note(connection, 2, "same")
        with pytest.raises(DBAPIError):
            await connection.execute(text("SELECT 1"))
        await connection.rollback()
        assert (await connection.execute(text("SELECT count(*) FROM bench_notes"))).scalar_one() == 0


async def test_what_was_kept_back_is_forgotten_by_a_rollback(engine: AsyncEngine) -> None:
    async with engine.connect() as connection:
        await _note(connection, 1, "one")
        await connection.rollback()
        await _note(connection, 2, "two")
        await connection.commit()
    assert await _words(engine) == ["two"]


async def test_gathered_rows_go_out_in_one_statement_where_the_last_of_them_was_added(engine: AsyncEngine) -> None:
    async with engine.begin() as connection:
        driver = await _driver(connection)
        for number in (1, 2, 3):
            driver.gather(_NOTING, Json([{"note_id": number, "words": str(number)}]))
            await connection.execute(text("UPDATE bench_notes SET words = note_id || ' seen'"), execution_options=LATER)
        assert len(driver.kept_back) == 4
        # What is asked in between sees those that came before it, and they are not sent again.
        found = await connection.execute(text("SELECT words FROM bench_notes ORDER BY note_id"))
        assert found.scalars().all() == ["1 seen", "2 seen", "3 seen"]
        driver.gather(_NOTING, Json([{"note_id": 4, "words": "4"}]))
    assert await _words(engine) == ["1 seen", "2 seen", "3 seen", "4"]


async def test_values_that_no_socket_takes_at_once_are_sent_whole(engine: AsyncEngine) -> None:
    large = "x" * 6_000_000
    async with engine.begin() as connection:
        await _note(connection, 1, "one")
        asked = await connection.execute(text("SELECT length(CAST(:words AS text))"), {"words": large})
        assert asked.scalar_one() == len(large)
        await connection.execute(update(NOTES).where(NOTES.c.words != large).values(words="two"))
    assert await _words(engine) == ["two"]
