"""A destination that was named over HTTP hears everything that happens to an order: signed, once each, in order."""

import contextlib
import json
import uuid
from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest

from integrations.notifier.simulated import Answer, Received, RecordingReceiver
from integrations.webhook_signature import verify_webhook
from tests.factories.sales import PRICE, a_sale
from tests.fakes.caller import Caller, View
from tests.fakes.http_server import serving
from tests.fakes.patience import eventually
from tests.fakes.webhook_receiver import receiver_app


@dataclass
class Listener:
    """An endpoint that others run, and the secret it was given."""

    name: str
    receiver: RecordingReceiver
    secret: str

    def heard(self, order_no: str) -> list[View]:
        """What was told of the order and taken, in order of arrival; each is signed with our secret."""
        for attempt in self.receiver.received:
            verify_webhook(attempt.headers, attempt.body, self.secret)
        bodies = [json.loads(attempt.body) for attempt in self.receiver.received]
        return [body for body in bodies if body["data"]["order_no"] == order_no]

    async def until_told(self, order_no: str, kind: str, times: int = 1) -> list[View]:
        async def look() -> list[View]:
            return self.heard(order_no)

        return await eventually(look, lambda told: [body["type"] for body in told].count(kind) == times, within_s=60)


@pytest.fixture
async def listener(caller: Caller) -> AsyncIterator[Listener]:
    """It listens for the length of the test, to everything but reviews."""
    async with _listening(caller, RecordingReceiver()) as listener:
        yield listener


@contextlib.asynccontextmanager
async def _listening(caller: Caller, receiver: RecordingReceiver, *event_types: str) -> AsyncIterator[Listener]:
    name = f"shop-{uuid.uuid4().hex[:8]}"
    async with serving(receiver_app(receiver)) as url:
        wanted = {"url": f"{url}/hooks", "event_types": list(event_types)}
        put = await caller.ask("PUT", f"/v1/webhooks/{name}", json=wanted)
        assert put.status_code == 201, put.text
        yield Listener(name, receiver, put.json()["secret"])
        assert (await caller.ask("DELETE", f"/v1/webhooks/{name}")).status_code == 204


async def test_every_event_of_an_order_arrives_signed_and_in_order(
    caller: Caller, listener: Listener, sku: str
) -> None:
    await caller.receive(sku, 2)
    order_no = await caller.place(a_sale(sku))
    await caller.until(order_no, waiting_for="payment.full")
    await caller.pay(order_no, 2 * PRICE)
    await caller.deliver(order_no)
    told = await listener.until_told(order_no, "order.completed")
    assert [body["type"] for body in told] == await caller.kinds(order_no)
    assert [body["data"]["seq"] for body in told] == list(range(1, len(told) + 1))
    assert told[0]["data"]["external_id"].startswith("T-")
    ids = [attempt.message_id for attempt in listener.receiver.received]
    assert len(set(ids)) == len(ids)
    assert "王小明" not in "".join(attempt.body.decode() for attempt in listener.receiver.received)


async def test_endpoint_that_fails_for_a_while_misses_nothing(caller: Caller, sku: str) -> None:
    def refuse_first(attempt: Received) -> Answer:
        return Answer(503 if attempt.attempt == 1 else 204)

    await caller.receive(sku, 2)
    async with _listening(caller, RecordingReceiver(refuse_first), "order.") as listener:
        order_no = await caller.place(a_sale(sku))
        await caller.until(order_no, waiting_for="payment.full")
        await caller.cancel(order_no)
        told = await listener.until_told(order_no, "order.cancelled", times=2)
        # Each was told twice, the second time under the same id, before the next one's turn.
        ids = [attempt.message_id for attempt in listener.receiver.received]
        assert ids[::2] == ids[1::2]
        kinds = [body["type"] for body in told]
        assert kinds[::2] == [kind for kind in await caller.kinds(order_no) if kind.startswith("order.")]


async def test_endpoint_that_is_gone_is_told_no_more(caller: Caller, sku: str) -> None:
    async with _listening(caller, RecordingReceiver(lambda _: Answer(410))) as listener:
        await caller.place(a_sale(sku))
        destination = await eventually(
            lambda: caller.read(f"/v1/webhooks/{listener.name}"), lambda seen: not seen["enabled"], within_s=60
        )
        assert destination["disabled_reason"] == "the endpoint answered 410 Gone"


async def test_delivery_can_be_sent_again(caller: Caller, listener: Listener, sku: str) -> None:
    order_no = await caller.place(a_sale(sku))
    await listener.until_told(order_no, "order.held")
    deliveries = (await caller.read(f"/v1/webhooks/{listener.name}/deliveries"))["data"]
    one = next(row for row in deliveries if row["event_type"] == "order.held")
    again = await caller.ask("POST", f"/v1/webhooks/{listener.name}/deliveries/{one['outbox_id']}/replay")
    assert again.status_code == 202

    async def times() -> int:
        return [attempt.message_id for attempt in listener.receiver.received].count(one["message_id"])

    await eventually(times, lambda count: count == 2, within_s=60)
