"""What the sweeper sees to besides messages: promises that ran out, orders whose goods are there, relays."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

import pytest
from temporalio.client import Client

from api.inbox.hand_over import HandOver
from models.outbox import Destination
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
