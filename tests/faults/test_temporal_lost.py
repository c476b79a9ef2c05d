"""Temporal's database is gone for good: everything that is needed to go on lies in PostgreSQL."""

import asyncio
import shutil
import time
from pathlib import Path

import pytest
from temporalio.client import Client

from tests.factories.sales import PRICE, a_sale
from tests.fakes.caller import Caller
from tests.fakes.figures import tell
from tests.fakes.live_stack import recover
from tests.fakes.patience import eventually
from tests.fakes.running_stack import RunningStack
from tests.faults import audit
from tests.faults.conftest import Start

EACH = 5
OPEN_ORDERS_KIND = "WorkflowType = 'OrderWorkflow' AND ExecutionStatus = 'Running'"


async def test_all_open_orders_go_on_after_recovery(
    start: Start, data_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    stack = start()
    caller = Caller(stack)
    unpaid, booked, held, travelling = await _in_every_state(caller)
    [done] = await _place(caller, "SKU-DONE", 1)
    await caller.pay(done, 2 * PRICE)
    await caller.deliver(done)
    await caller.http.aclose()

    await asyncio.to_thread(stack.end)
    shutil.rmtree(data_dir / "temporal")
    stack = await asyncio.to_thread(start)
    assert await _running(stack) == 0

    began = time.monotonic()
    recovered = await asyncio.to_thread(recover, data_dir)
    assert recovered["orders"] == 4 * EACH
    caller = Caller(stack)
    await _until_running(stack, 4 * EACH)
    took = time.monotonic() - began

    for order_no in unpaid:
        await caller.pay(order_no, 2 * PRICE)
    for order_no in held:
        await caller.pay(order_no, 2 * PRICE)
    await caller.receive("SKU-HELD", 2 * EACH)
    for order_no in travelling:
        await caller.scan(f"{order_no}-S1", "delivered")
    for order_no in [*unpaid, *held, *booked]:
        await caller.deliver(order_no)
    for order_no in travelling:
        await caller.until(order_no, lifecycle="completed")
    await caller.http.aclose()

    await audit.check_finished(stack.facts["database_url"])
    assert len(audit.kept_by(data_dir / "simulators" / "carrier.sqlite", "carrier.bookings")) == 4 * EACH + 1
    # Only orders that were open have a workflow again.
    assert audit.rows(stack.facts["database_url"], "SELECT count(*) FROM orders") == [(4 * EACH + 1,)]
    assert await _known(stack, done) is False
    tell(capsys, f"{4 * EACH} open orders had their workflows again {took:.1f} s after `orderflow recover`")


async def _in_every_state(caller: Caller) -> tuple[list[str], list[str], list[str], list[str]]:
    """Orders that wait for money, that are booked, that are held for stock, and that are on their way."""
    await caller.receive("SKU-1", 8 * EACH)
    await caller.receive("SKU-HELD", 1)
    await caller.receive("SKU-DONE", 2)
    unpaid, booked, travelling = [await _place(caller, "SKU-1", EACH) for _ in range(3)]
    held = await _place(caller, "SKU-HELD", EACH)
    for order_no in [*booked, *travelling]:
        await caller.pay(order_no, 2 * PRICE)
    for order_no in [*booked, *travelling]:
        await caller.booked(order_no)
    for order_no in travelling:
        await caller.scan(f"{order_no}-S1", "picked_up")
    for order_no in travelling:
        await caller.until(order_no, fulfilment="shipped")
    for order_no in unpaid:
        await caller.until(order_no, waiting_for="payment.full")
    for order_no in held:
        await caller.until(order_no, held=["out_of_stock"])
    return unpaid, booked, held, travelling


async def _place(caller: Caller, sku: str, count: int) -> list[str]:
    return [await caller.place(a_sale(sku)) for _ in range(count)]


async def _running(stack: RunningStack) -> int:
    client = await Client.connect(stack.facts["temporal_address"])
    return (await client.count_workflows(OPEN_ORDERS_KIND)).count


async def _until_running(stack: RunningStack, count: int) -> None:
    await eventually(lambda: _running(stack), lambda found: found == count, 60)


async def _known(stack: RunningStack, order_no: str) -> bool:
    client = await Client.connect(stack.facts["temporal_address"])
    return (await client.count_workflows(f"WorkflowId = 'order/{order_no}'")).count > 0
