"""The relay of a destination: everything that was recorded arrives, in order per order, whatever fails on the way."""

import contextlib
import json
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import timedelta

import pytest
from sqlalchemy import text
from standardwebhooks.webhooks import Webhook
from temporalio.worker import Worker

from activities.outbox import OutboxActivities
from integrations.http_client import build_client
from integrations.notifier.address_guard import AddressGuard
from integrations.notifier.over_http import HttpNotifier
from integrations.notifier.simulated import Answer, Received, RecordingReceiver
from integrations.webhook_signature import new_secret
from models.outbox import Destination
from store import events, orders
from store.events import Event
from tests.conftest import Database, Temporal
from tests.factories.orders import place
from tests.fakes.http_server import serving
from tests.fakes.patience import eventually
from tests.fakes.webhook_receiver import receiver_app
from workflows.relay import RELAY_QUEUE, RelayFor, RelayWorkflow, relay_workflow_id


@dataclass
class Told:
    """A shop whose events one destination hears of."""

    database: Database
    temporal: Temporal
    receiver: RecordingReceiver
    name: str
    secret: str

    async def happen(self, order_no: str, *kinds: str) -> None:
        """Events of the order are recorded, one after the other, in one transaction."""
        async with self.database.sessions() as session, session.begin():
            order = await orders.lock(session, order_no)
            for kind in kinds:
                await events.record(session, order, Event(kind))

    async def pending(self) -> int:
        return await self.count("state = 'pending'")

    async def count(self, condition: str) -> int:
        async with self.database.sessions() as session:
            found = await session.execute(text(f"SELECT count(*) FROM outbox_messages WHERE {condition}"))
            return int(found.scalar_one())

    async def hurry(self) -> None:
        """Whatever is due later is due now."""
        async with self.database.sessions() as session, session.begin():
            await session.execute(text("UPDATE outbox_messages SET next_attempt_at = NULL WHERE state = 'pending'"))

    def heard(self, order_no: str) -> list[str]:
        """Kinds of the order's events as they were accepted, in order of arrival."""
        told = [json.loads(one.body) for one in self.receiver.received if self.receiver.script(one).status_code == 204]
        return [one["type"] for one in told if one["data"]["order_no"] == order_no]

    @contextlib.asynccontextmanager
    async def relaying(self) -> AsyncIterator[None]:
        """A worker serves the destination; afterwards it has shut down, in the middle of things or not."""
        notifier = HttpNotifier(build_client(), AddressGuard(allow_private=True))
        relay = OutboxActivities(self.database.engine, self.database.sessions, notifier)
        async with Worker(
            self.temporal.client,
            task_queue=RELAY_QUEUE,
            workflows=[RelayWorkflow],
            activities=[relay.relay_outbox],
            graceful_shutdown_timeout=timedelta(seconds=10),
        ):
            yield

    async def begin(self) -> None:
        """The destination's relay runs, as soon as there is a worker."""
        await self.temporal.client.start_workflow(
            RelayWorkflow.run, RelayFor(self.name), id=relay_workflow_id(self.name), task_queue=RELAY_QUEUE
        )


@pytest.fixture
async def told(database: Database, temporal: Temporal, request: pytest.FixtureRequest) -> AsyncIterator[Told]:
    receiver = RecordingReceiver()
    name, secret = f"shop-{time.time_ns()}", new_secret()
    async with serving(receiver_app(receiver)) as url:
        async with database.sessions() as session, session.begin():
            session.add(Destination(name=name, url=f"{url}/hooks", secret=secret))
        for order_no in ("SO-1", "SO-2"):
            await place(database.sessions, order_no)
        yield Told(database, temporal, receiver, name, secret)
        with contextlib.suppress(Exception):
            await temporal.client.get_workflow_handle(relay_workflow_id(name)).terminate()


async def test_every_event_arrives_signed_and_in_the_order_of_its_order(told: Told) -> None:
    await told.begin()
    async with told.relaying():
        for kind in ("order.accepted", "stock.reserved", "payment.received"):
            await told.happen("SO-1", kind)
            await told.happen("SO-2", kind)
        await eventually(told.pending, lambda count: count == 0)
    for order_no in ("SO-1", "SO-2"):
        assert told.heard(order_no) == ["order.accepted", "stock.reserved", "payment.received"]
    for one in told.receiver.received:
        Webhook(told.secret).verify(one.body, one.headers)


async def test_failing_message_holds_up_its_own_order_and_no_other(told: Told) -> None:
    def script(attempt: Received) -> Answer:
        stuck = json.loads(attempt.body)["data"] | {"type": json.loads(attempt.body)["type"]}
        failing = stuck["order_no"] == "SO-1" and stuck["type"] == "order.accepted" and not healed
        return Answer(500 if failing else 204)

    healed: list[bool] = []
    told.receiver.script = script
    await told.happen("SO-1", "order.accepted", "stock.reserved")
    await told.happen("SO-2", "order.accepted", "stock.reserved")
    await told.begin()
    async with told.relaying():
        await eventually(told.pending, lambda count: count == 2)
        assert told.heard("SO-1") == []
        assert told.heard("SO-2") == ["order.accepted", "stock.reserved"]
        healed.append(True)
        await told.hurry()
        await eventually(told.pending, lambda count: count == 0)
    accepted = [one for one in told.receiver.received if one.message_id == "SO-1/1"]
    assert len(accepted) >= 2
    assert told.receiver.received[-1].message_id == "SO-1/2"


async def test_gone_endpoint_is_left_alone_and_its_messages_are_kept(told: Told) -> None:
    told.receiver.script = lambda _: Answer(410)
    await told.happen("SO-1", "order.accepted", "stock.reserved")
    await told.begin()
    async with told.relaying():
        handle = told.temporal.client.get_workflow_handle(relay_workflow_id(told.name))
        assert await handle.result() == "disabled"
    assert len(told.receiver.received) == 1
    assert await told.pending() == 2


async def test_worker_that_ends_in_the_middle_loses_nothing(told: Told) -> None:
    for number in range(20):
        await told.happen(f"SO-{number % 2 + 1}", f"step.{number}")
    await told.begin()
    async with told.relaying():
        await eventually(lambda: told.count("state = 'delivered'"), lambda count: count > 0)
    await told.happen("SO-1", "step.last")
    async with told.relaying():
        await eventually(told.pending, lambda count: count == 0)
    assert told.heard("SO-1") == [*(f"step.{number}" for number in range(0, 20, 2)), "step.last"]
    assert told.heard("SO-2") == [f"step.{number}" for number in range(1, 20, 2)]


async def test_message_that_was_committed_late_is_delivered_all_the_same(told: Told) -> None:
    await told.begin()
    async with told.relaying(), told.database.sessions() as late, late.begin():
        order = await orders.lock(late, "SO-1")
        await events.record(late, order, Event("order.accepted"))
        # Recorded before, committed after what follows.
        await told.happen("SO-2", "order.accepted")
        await eventually(lambda: told.count("state = 'delivered'"), lambda count: count == 1)
        await late.commit()
        await eventually(lambda: told.count("state = 'delivered'"), lambda count: count == 2)
    assert told.heard("SO-1") == ["order.accepted"]


async def test_new_message_wakes_the_relay_instead_of_waiting_for_its_next_look(
    told: Told, monkeypatch: pytest.MonkeyPatch
) -> None:
    # So long that without being woken it would not be heard within anybody's patience.
    monkeypatch.setattr("activities.outbox._LONGEST_REST_S", 3600.0)
    await told.happen("SO-1", "order.accepted")
    await told.begin()
    async with told.relaying():
        await eventually(told.pending, lambda count: count == 0)
        await told.happen("SO-2", "order.accepted")
        await eventually(told.pending, lambda count: count == 0)
        # Ends the pause, so that the worker can shut down.
        monkeypatch.undo()
        await told.happen("SO-2", "stock.reserved")
        await eventually(told.pending, lambda count: count == 0)
    assert told.heard("SO-2") == ["order.accepted", "stock.reserved"]
