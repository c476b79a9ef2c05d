"""Which messages a relay may claim, and how long it may rest."""

from datetime import timedelta

import pytest
from sqlalchemy import text

from models.columns import now
from models.outbox import Destination
from store import events, orders, outbox
from store.events import Event
from store.outbox import Attempt
from tests.conftest import Database
from tests.factories.orders import place

NAME = "shop"


@pytest.fixture
async def told(database: Database) -> Database:
    """Two events of each of two orders, told to one destination."""
    async with database.sessions() as session, session.begin():
        session.add(Destination(name=NAME, url="http://127.0.0.1:1/", secret="whsec_"))
    for order_no in ("SO-1", "SO-2"):
        await place(database.sessions, order_no)
        async with database.sessions() as session, session.begin():
            order = await orders.lock(session, order_no)
            for kind in ("order.received", "order.accepted"):
                await events.record(session, order, Event(kind))
    return database


async def _claimed(database: Database) -> list[str]:
    async with database.sessions() as session, session.begin():
        return [message.message_id for message in await outbox.claim(session, NAME, 10)]


async def _rest(database: Database) -> float | None:
    async with database.sessions() as session:
        return await outbox.seconds_until_due(session, NAME)


async def _settle(database: Database, message_id: str, state: str, pause_s: float = 0) -> None:
    async with database.sessions() as session, session.begin():
        found = await session.execute(
            text("SELECT outbox_id FROM outbox_messages WHERE message_id = :id"), {"id": message_id}
        )
        due = now() + timedelta(seconds=pause_s)
        await outbox.settle(session, [Attempt(found.scalar_one(), state, next_attempt_at=due)])


async def test_first_message_of_each_order_is_claimed_and_no_other(told: Database) -> None:
    assert await _claimed(told) == ["SO-1/1", "SO-2/1"]
    assert await _claimed(told) == []
    await _settle(told, "SO-1/1", "delivered")
    assert await _claimed(told) == ["SO-1/2"]


async def test_relay_may_rest_until_the_first_of_an_order_is_due(told: Database) -> None:
    assert await _rest(told) == 0.0
    await _claimed(told)
    for message_id in ("SO-1/1", "SO-2/1"):
        await _settle(told, message_id, "pending", pause_s=300 if message_id == "SO-1/1" else 100)
    # What lies behind them has no time of its own yet, and is no reason to look again at once.
    rest = await _rest(told)
    assert rest is not None
    assert 90 < rest <= 100


async def test_message_that_was_given_up_makes_way(told: Database) -> None:
    await _claimed(told)
    await _settle(told, "SO-1/1", "refused")
    await _settle(told, "SO-2/1", "pending", pause_s=100)
    assert await _rest(told) == 0.0
    assert await _claimed(told) == ["SO-1/2"]


async def test_nothing_pending_is_no_time(told: Database) -> None:
    for _ in range(2):
        for message_id in await _claimed(told):
            await _settle(told, message_id, "delivered")
    assert await _rest(told) is None
