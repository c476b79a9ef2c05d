"""The worker is killed again and again while goods are exchanged, and what lives is recovered all the same."""

import asyncio
import os
import signal
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.factories.sales import PRICE
from tests.fakes.caller import Caller, View
from tests.fakes.live_stack import live_stack, recover
from tests.fakes.patience import eventually
from tests.fakes.running_stack import RunningStack
from tests.journeys.test_exchanges import agrees, sold, together
from tests.journeys.test_returns import receive, until


@pytest.fixture(scope="module")
def data(open_dir: Path) -> Path:
    return open_dir / "exchanged"


@pytest.fixture(scope="module")
def stack(data: Path) -> Iterator[RunningStack]:
    with live_stack(data) as running:
        yield running


async def kill_worker(stack: RunningStack) -> None:
    """The worker is gone, and another one is there."""
    pid = stack.pids()["worker"]
    os.kill(pid, signal.SIGKILL)

    async def other() -> int | None:
        return stack.pids().get("worker")

    await eventually(other, lambda found: found not in (None, pid), 60.0)


async def test_an_exchange_whose_worker_is_killed_loses_and_doubles_nothing(stack: RunningStack, data: Path) -> None:
    caller, sku = Caller(stack), f"SKU-{uuid.uuid4().hex[:10]}"
    order_no = await sold(caller, sku, 2)
    wish = {
        "return_id": "A-1",
        "kind": "exchange",
        "lines": [{"line_id": "1", "quantity": 2, "reason_code": "wrong_item"}],
        "instead": [{"line_id": "1", "sku": sku, "quantity": 2}],
    }
    asked = await caller.ask("POST", f"/v1/orders/{order_no}/returns", "channel", json=wish)
    return_no = asked.json()["return_no"]
    await kill_worker(stack)
    await until(caller, return_no, "approved")
    assert await receive(caller, return_no, resellable=2) == 202
    await kill_worker(stack)
    new_no = (await until(caller, return_no, "closed"))["replacement_no"]
    await kill_worker(stack)
    booked = await caller.booked(new_no)
    told = await caller.kinds(new_no)
    # Its workflow lives: being told everything again changes nothing.
    assert (await asyncio.to_thread(recover, data))["orders"] >= 1
    await kill_worker(stack)
    await caller.deliver(new_no)
    assert (await caller.kinds(new_no))[: len(told)] == told
    done = await caller.until(new_no, lifecycle="completed", invoice="full")
    assert [parcel["shipment_no"] for parcel in done["shipments"]] == [booked["shipments"][0]["shipment_no"]]
    await _settled(caller, data, order_no, done)
    await caller.http.aclose()


async def _settled(caller: Caller, data: Path, order_no: str, done: View) -> None:
    """Goods went out once and came back once, and the money is where it was."""

    def credited(order: View) -> bool:
        return [(one["kind"], one["state"]) for one in order["invoices"]] == [("blue", "issued"), ("red", "issued")]

    order = await eventually(lambda: caller.order(order_no), credited, 60.0)
    assert [(one["state"], one["credited_to"]) for one in order["refunds"]] == [("succeeded", done["order_no"])]
    assert [(one["state"], one["amount_minor"]) for one in done["payments"]] == [("applied", 2 * PRICE)]
    assert await together(caller, order, done) == {
        "cost_of_sales": 12_000,
        "inventory": -12_000,
        "output_vat": -2_600,
        "revenue": -20_000,
        "wallet": 2 * PRICE,
    }
    await agrees(data, order_no, done["order_no"])
