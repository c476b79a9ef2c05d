"""Figures are counted from indexes: no table that grows with every order is read as a whole."""

import pytest
from sqlalchemy import text

from store.figures import FIGURES, Figure, count
from store.overdue import ALARMS
from tests.conftest import Database

# Masters, and tables of which an index holds only what is open.
_SMALL = {"destinations", "number_series", "consistency_runs", "discrepancies", "approvals"}
_QUERIES = [(figure.name, figure.query) for figure in FIGURES] + [(alarm.kind, alarm.query) for alarm in ALARMS]


@pytest.mark.parametrize(("name", "query"), _QUERIES, ids=[name for name, _ in _QUERIES])
async def test_no_large_table_is_read_as_a_whole(database: Database, name: str, query: object) -> None:
    async with database.sessions() as session:
        await session.execute(text("SET LOCAL enable_seqscan = off"))
        rows = (await session.execute(text(f"EXPLAIN {query}"))).scalars().all()
    read = {line.split(" on ")[1].split()[0] for line in rows if "Seq Scan on" in line}
    assert read - _SMALL == set(), "\n".join(rows)


async def test_a_count_that_takes_too_long_is_given_up(database: Database) -> None:
    async with database.sessions() as session:
        await count(session)
        assert (await session.execute(text("SHOW statement_timeout"))).scalar_one() == "5s"


def test_every_figure_has_a_name_of_its_own() -> None:
    names: list[Figure] = list(FIGURES)
    assert len({one.name for one in names}) == len(names)
