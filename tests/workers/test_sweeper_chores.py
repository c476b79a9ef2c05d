"""What the sweeper sees to besides messages: promises that ran out, orders whose goods are there, relays."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from temporalio.client import Client

from api.inbox.hand_over import HandOver
from models.outbox import Destination, OutboxMessage
from tests.factories.stock import level, stocked
from tests.fakes.patience import eventually
from tests.workers.conftest import Books, is_running, order_handle
from workers.sweeper import Sweeper
from workflows.relay import relay_workflow_id


@pytest.fixture
async def sweeping(books: Books, client: Client, hand_over: HandOver) -> AsyncIterator[None]:
    """Two sweepers at once, as with two workers."""
    stop = asyncio.Event()
    sweepers = [Sweeper(books.sessions, client, hand_over, every_s=0.1) for _ in range(2)]
    running = [asyncio.create_task(sweeper.run(stop)) for sweeper in sweepers]
    yield
    stop.set()
    await asyncio.gather(*running)


async def test_fifty_orders_whose_process_died_before_the_hand_over_are_all_started(
    books: Books, client: Client, sweeping: None
) -> None:
    placed = [await books.place() for _ in range(50)]
    await books.let_lease_run_out()
    await eventually(
        lambda: books.ask("SELECT 1 FROM inbox_messages WHERE handed_over_at IS NULL"), lambda left: not left, 30
    )
    for order in placed:
        assert await is_running(order_handle(client, order.order_no))


async def test_promise_that_ran_out_goes_back_on_sale_and_to_who_waits(
    books: Books, client: Client, hand_over: HandOver, at_work: None, sweeping: None
) -> None:
    await stocked(books.sessions, SKU_1=2)
    slow = await books.place("SKU-1", 2)
    await hand_over.deliver_all([slow])
    await eventually(lambda: level(books.sessions), lambda now: now[1] == 2)
    eager = await books.place("SKU-1", 2)
    await hand_over.deliver_all([eager])
    # Promises end after a second here: by then the other one gets the goods, and nobody had to ask for it.
    await eventually(
        lambda: books.ask("SELECT order_no FROM reservations WHERE state = 'active'"),
        lambda now: now == [eager.order_no],
    )
    kinds = await books.ask("SELECT kind FROM order_events WHERE order_no = :no ORDER BY seq", no=slow.order_no)
    assert kinds[-1] == "stock.released"
    assert (await books.order(slow.order_no)).lifecycle == "accepted"


async def test_paid_order_keeps_its_promise(
    books: Books, client: Client, hand_over: HandOver, at_work: None, sweeping: None
) -> None:
    await stocked(books.sessions, SKU_1=2)
    order = await books.place("SKU-1", 2)
    part = await books.pay(order.order_no, amount_minor=10_000)
    await hand_over.deliver_all([order, part])
    await eventually(
        lambda: books.ask("SELECT 1 FROM reservations WHERE expires_at < now()"), lambda overdue: overdue == [1]
    )
    rest = await books.pay(order.order_no, "P-2", 12_600)
    await hand_over.deliver_all([rest])
    await eventually(lambda: books.order(order.order_no), lambda now: now.lifecycle == "fulfilling")
    kinds = await books.ask("SELECT kind FROM order_events WHERE order_no = :no", no=order.order_no)
    assert "stock.released" not in kinds


async def test_each_enabled_destination_has_one_relay(books: Books, client: Client, sweeping: None) -> None:
    names = ("relay-on-1", "relay-on-2", "relay-off")
    async with books.sessions() as session, session.begin():
        session.add_all(
            Destination(name=name, url="http://127.0.0.1:1/", secret="whsec_", enabled=name != "relay-off")
            for name in names
        )

    async def running() -> list[str]:
        return [name for name in names if await _runs(client, name)]

    await eventually(running, lambda found: found == ["relay-on-1", "relay-on-2"])


async def _runs(client: Client, name: str) -> bool:
    with contextlib.suppress(Exception):
        return await is_running(client.get_workflow_handle(relay_workflow_id(name)))
    return False


async def test_messages_delivered_long_ago_are_removed_and_no_others(
    books: Books, client: Client, hand_over: HandOver
) -> None:
    at = datetime.now(UTC)
    told: dict[str, Any] = {"destination": "shop", "order_no": "SO-1", "body": "{}", "occurred_at": at}
    told["event_type"] = "order.shipped"
    old, young = at - timedelta(days=31), at - timedelta(days=29)
    rows = [
        *(told | {"message_id": f"old-{number}", "state": "delivered", "delivered_at": old} for number in range(1_200)),
        told | {"message_id": "young", "state": "delivered", "delivered_at": young},
        told | {"message_id": "refused", "state": "refused"},
        told | {"message_id": "pending", "next_attempt_at": at + timedelta(days=1)},
        # An alert that was told is not told again while what it is about lasts.
        told | {"message_id": "a-1", "event_type": "alert.revenue", "state": "delivered", "delivered_at": old},
    ]
    async with books.sessions() as session, session.begin():
        session.add(Destination(name="shop", url="http://127.0.0.1:1/", secret="whsec_c2hvcA==", enabled=False))
        await session.flush()
        session.add_all(OutboxMessage(**row) for row in rows)
    stop = asyncio.Event()
    sweepers = [Sweeper(books.sessions, client, hand_over, every_s=0.1) for _ in range(2)]
    running = [asyncio.create_task(sweeper.run(stop)) for sweeper in sweepers]
    left = await eventually(
        lambda: books.ask("SELECT message_id FROM outbox_messages ORDER BY 1"), lambda found: len(found) <= 4
    )
    stop.set()
    await asyncio.gather(*running)
    assert left == ["a-1", "pending", "refused", "young"]


async def test_old_messages_are_found_by_an_index_that_holds_nothing_else(books: Books) -> None:
    plan = await books.ask(
        "EXPLAIN SELECT outbox_id FROM outbox_messages WHERE state = 'delivered' AND event_type NOT LIKE 'alert.%' "
        "AND delivered_at < now() - interval '30 days' ORDER BY delivered_at LIMIT 500"
    )
    assert any("outbox_delivered" in str(line) for line in plan), plan
