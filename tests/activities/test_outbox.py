"""The relay on a real database: what arrives, in which order, and what becomes of what does not."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from sqlalchemy import text
from temporalio.testing import ActivityEnvironment

from activities.outbox import OutboxActivities, RelayInput, RelayResult
from integrations.notifier.simulated import Answer, Received, RecordingReceiver, SimulatedNotifier
from integrations.webhook_signature import new_secret
from models.outbox import Destination
from store import events, orders
from store.events import Event
from tests.conftest import Database
from tests.factories.orders import place
from tests.fakes.patience import eventually

SECRET = new_secret()


@dataclass
class Told:
    """Orders that have something to tell, a receiver, and its relay."""

    database: Database
    receiver: RecordingReceiver = field(default_factory=RecordingReceiver)

    async def happen(self, order_no: str, kind: str) -> None:
        async with self.database.sessions() as session, session.begin():
            await events.record(session, await orders.lock(session, order_no), Event(kind))

    async def run(self, statement: str) -> list[Any]:
        async with self.database.sessions() as session, session.begin():
            result: Any = await session.execute(text(statement))
            return list(result) if result.returns_rows else []

    async def states(self) -> list[tuple[str, str]]:
        found = await self.run("SELECT message_id, state FROM outbox_messages ORDER BY outbox_id")
        return [(row.message_id, row.state) for row in found]

    async def relay(self, seconds: float) -> RelayResult:
        notifier = SimulatedNotifier(self.receiver)
        activities = OutboxActivities(self.database.engine, self.database.sessions, notifier)
        result: RelayResult = await ActivityEnvironment().run(activities.relay_outbox, RelayInput("shop", seconds))
        return result

    @contextlib.asynccontextmanager
    async def relaying(self) -> AsyncIterator[None]:
        working = asyncio.create_task(self.relay(60))
        yield
        working.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await working

    def arrived(self) -> list[str]:
        return [one.message_id for one in self.receiver.received]


@pytest.fixture
async def told(database: Database) -> Told:
    async with database.sessions() as session, session.begin():
        session.add(Destination(name="shop", url="https://shop.example/hook", secret=SECRET, event_types=["order."]))
    for order_no in ("SO-1", "SO-2"):
        await place(database.sessions, order_no)
    return Told(database)


async def test_what_a_destination_listens_to_arrives_and_nothing_else(told: Told) -> None:
    for kind in ("order.received", "stock.reserved", "order.accepted"):
        await told.happen("SO-1", kind)
    async with told.relaying():
        await eventually(told.states, lambda states: {state for _, state in states} == {"delivered"})
    assert told.arrived() == ["SO-1/1", "SO-1/3"]


async def test_a_message_committed_while_the_relay_rests_arrives_at_once(told: Told) -> None:
    async with told.relaying():
        await told.happen("SO-1", "order.received")
        await eventually(told.states, lambda states: states == [("SO-1/1", "delivered")], within_s=3)


async def test_relaying_twice_delivers_once(told: Told) -> None:
    for order_no in ("SO-1", "SO-2"):
        await told.happen(order_no, "order.received")
        async with told.relaying():
            await eventually(told.states, lambda states: {state for _, state in states} == {"delivered"})
    assert told.arrived() == ["SO-1/1", "SO-2/1"]


async def test_relays_at_once_deliver_each_message_once_and_in_order(told: Told) -> None:
    for _ in range(10):
        for order_no in ("SO-1", "SO-2"):
            await told.happen(order_no, "order.changed")
    async with told.relaying(), told.relaying(), told.relaying():
        await eventually(told.states, lambda states: {state for _, state in states} == {"delivered"})
    for order_no in ("SO-1", "SO-2"):
        own = [one for one in told.arrived() if one.startswith(order_no)]
        assert own == [f"{order_no}/{seq}" for seq in range(1, 11)]


async def test_a_message_that_fails_holds_back_its_own_order_only(told: Told) -> None:
    told.receiver.script = lambda got: Answer(500 if got.message_id.startswith("SO-1") else 204)
    for order_no in ("SO-1", "SO-2"):
        for kind in ("order.received", "order.accepted"):
            await told.happen(order_no, kind)
    async with told.relaying():
        await eventually(told.states, lambda states: [state for _, state in states][2:] == ["delivered", "delivered"])
    assert (await told.states())[:2] == [("SO-1/1", "pending"), ("SO-1/2", "pending")]
    assert set(told.arrived()) == {"SO-1/1", "SO-2/1", "SO-2/2"}


async def test_a_message_that_failed_arrives_under_the_same_id_and_before_the_next(told: Told) -> None:
    told.receiver.script = lambda got: Answer(503 if got.message_id == "SO-1/1" and got.attempt == 1 else 204)
    for kind in ("order.received", "order.accepted"):
        await told.happen("SO-1", kind)
    async with told.relaying():
        await eventually(told.states, lambda states: {state for _, state in states} == {"delivered"})
    assert told.arrived() == ["SO-1/1", "SO-1/1", "SO-1/2"]


async def test_after_the_last_try_a_message_is_refused_and_the_next_one_goes(told: Told) -> None:
    told.receiver.script = lambda got: Answer(500 if got.message_id == "SO-1/1" else 204)
    for kind in ("order.received", "order.accepted"):
        await told.happen("SO-1", kind)
    await told.run("UPDATE outbox_messages SET attempts = 11 WHERE message_id = 'SO-1/1'")
    async with told.relaying():
        await eventually(told.states, lambda states: states == [("SO-1/1", "refused"), ("SO-1/2", "delivered")])


async def test_an_endpoint_that_is_gone_is_switched_off_and_keeps_what_is_pending(told: Told) -> None:
    told.receiver.script = gone
    await told.happen("SO-1", "order.received")
    assert await told.relay(30) == RelayResult(enabled=False, delivered=1)
    assert await told.states() == [("SO-1/1", "pending")]
    ((enabled, reason),) = await told.run("SELECT enabled, disabled_reason FROM destinations")
    assert (enabled, reason) == (False, "the endpoint answered 410 Gone")


async def test_a_claim_of_a_relay_that_died_runs_out(told: Told) -> None:
    await told.happen("SO-1", "order.received")
    await told.run("UPDATE outbox_messages SET attempts = 1, next_attempt_at = now() + interval '45 s'")
    await told.happen("SO-2", "order.received")
    async with told.relaying():
        await eventually(told.states, lambda states: states == [("SO-1/1", "pending"), ("SO-2/1", "delivered")])
        assert told.arrived() == ["SO-2/1"]
        await told.run("UPDATE outbox_messages SET next_attempt_at = now()")
        await eventually(told.states, lambda states: states == [("SO-1/1", "delivered"), ("SO-2/1", "delivered")])


def gone(_: Received) -> Answer:
    return Answer(410)
