"""While everything runs, somebody ends the workflow of an order behind our back, or recovers what was not lost."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from temporalio.client import Client, WorkflowExecutionStatus

from tests.factories.sales import PRICE, a_sale
from tests.fakes.caller import Caller
from tests.fakes.figures import tell
from tests.fakes.live_stack import live_stack, recover
from tests.fakes.patience import eventually
from tests.fakes.running_stack import RunningStack
from tests.faults import audit

FOUND_WITHIN_S = 60.0


@pytest.fixture(scope="module")
def data(open_dir: Path) -> Path:
    return open_dir / "not-lost"


@pytest.fixture(scope="module")
def stack(data: Path) -> Iterator[RunningStack]:
    """A stack for tests that leave nothing undone in it."""
    with live_stack(data) as running:
        yield running


@pytest.fixture(scope="module")
async def caller(stack: RunningStack) -> AsyncIterator[Caller]:
    one = Caller(stack)
    yield one
    await one.http.aclose()


async def test_terminated_order_runs_again_within_a_minute_and_comes_to_its_end(
    stack: RunningStack, caller: Caller, capsys: pytest.CaptureFixture[str]
) -> None:
    await caller.receive("SKU-1", 10)
    unpaid, booked = await caller.place(a_sale("SKU-1")), await caller.place(a_sale("SKU-1"))
    await caller.until(unpaid, waiting_for="payment.full")
    await caller.pay(booked, 2 * PRICE)
    await caller.booked(booked)
    # Past the seconds in which an order is too young to be missed.
    await asyncio.sleep(11)
    took = [await _terminated_until_found(stack, order_no) for order_no in (unpaid, booked)]

    await caller.pay(unpaid, 2 * PRICE)
    for order_no in (unpaid, booked):
        await caller.deliver(order_no)
        kinds = await caller.kinds(order_no)
        once = ("order.accepted", "stock.reserved", "payment.received", "shipment.booked", "revenue.recognised")
        assert [kinds.count(kind) for kind in (*once, "workflow.restarted")] == [1] * 6
    await audit.check_finished(stack.facts["database_url"])
    tell(capsys, f"terminated orders ran again after {' and '.join(f'{one:.1f} s' for one in took)}")


async def test_recovery_of_a_healthy_system_changes_nothing(stack: RunningStack, caller: Caller, data: Path) -> None:
    await caller.receive("SKU-2", 4)
    waiting, booked = [await caller.place(a_sale("SKU-2")) for _ in range(2)]
    await caller.pay(booked, 2 * PRICE)
    await caller.booked(booked)
    await caller.until(waiting, waiting_for="payment.full")
    before = [await caller.kinds(waiting), await caller.kinds(booked)]
    assert await asyncio.to_thread(recover, data) == {"orders": 2, "messages": 3}
    await caller.pay(waiting, 2 * PRICE)
    await caller.deliver(waiting)
    assert [(await caller.kinds(waiting))[:4], await caller.kinds(booked)] == before
    await caller.deliver(booked)
    await audit.check_finished(stack.facts["database_url"])


async def _terminated_until_found(stack: RunningStack, order_no: str) -> float:
    client = await Client.connect(stack.facts["temporal_address"])
    handle = client.get_workflow_handle(f"order/{order_no}")
    await handle.terminate("somebody slipped")
    began = time.monotonic()

    async def look() -> WorkflowExecutionStatus | None:
        return (await handle.describe()).status

    await eventually(look, lambda status: status is WorkflowExecutionStatus.RUNNING, FOUND_WITHIN_S)
    return time.monotonic() - began
