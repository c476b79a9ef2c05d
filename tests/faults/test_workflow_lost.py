"""Somebody ends the workflow of an order behind our back, while everything runs."""

import asyncio
import time

import pytest
from temporalio.client import Client, WorkflowExecutionStatus

from tests.factories.sales import PRICE, a_sale
from tests.fakes.caller import Caller
from tests.fakes.figures import tell
from tests.fakes.patience import eventually
from tests.fakes.running_stack import RunningStack
from tests.faults import audit
from tests.faults.conftest import Start

FOUND_WITHIN_S = 60.0


async def test_terminated_order_runs_again_within_a_minute_and_comes_to_its_end(
    start: Start, capsys: pytest.CaptureFixture[str]
) -> None:
    stack = start()
    caller = Caller(stack)
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
    await caller.http.aclose()
    await audit.check_finished(stack.facts["database_url"])
    tell(capsys, f"terminated orders ran again after {' and '.join(f'{one:.1f} s' for one in took)}")


async def _terminated_until_found(stack: RunningStack, order_no: str) -> float:
    client = await Client.connect(stack.facts["temporal_address"])
    handle = client.get_workflow_handle(f"order/{order_no}")
    await handle.terminate("somebody slipped")
    began = time.monotonic()

    async def look() -> WorkflowExecutionStatus | None:
        return (await handle.describe()).status

    await eventually(look, lambda status: status is WorkflowExecutionStatus.RUNNING, FOUND_WITHIN_S)
    return time.monotonic() - began
