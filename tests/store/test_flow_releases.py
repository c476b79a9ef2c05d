"""Which versions of flows are released, read again by who has read them before."""

from collections.abc import Sequence

from domain.flow.releases import Release
from flows import builtin_flows
from models.columns import now
from models.flow import FlowRelease
from store import flows
from tests.conftest import Database


async def _published(database: Database) -> list[Release]:
    async with database.sessions() as session, session.begin():
        await flows.publish(session, builtin_flows())
    return await _read(database)


async def _read(database: Database, known: Sequence[Release] = ()) -> list[Release]:
    async with database.sessions() as session:
        return await flows.releases(session, known)


async def test_version_that_is_known_is_not_read_again(database: Database) -> None:
    first = await _published(database)
    again = await _read(database, first)
    assert again == first
    assert all(new.flow is old.flow for new, old in zip(again, first, strict=True))


async def test_version_that_is_not_known_yet_is_read(database: Database) -> None:
    all_of_them = await _published(database)
    assert await _read(database, all_of_them[1:]) == all_of_them


async def test_release_that_has_ended_is_gone_although_it_was_known(database: Database) -> None:
    first = await _published(database)
    async with database.sessions() as session, session.begin():
        ended = await session.get_one(FlowRelease, first[0].release_id)
        ended.ended_at = now()
    assert await _read(database, first) == first[1:]
