"""A release meets orders that began under the one before: they go on, also when the release is bad and taken back."""

import os
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import timedelta
from pathlib import Path

import pytest
from temporalio import workflow
from temporalio.api.enums.v1 import EventType, WorkflowTaskFailedCause

from domain.flow.nodes import ActionNode
from tests.conftest import Database
from tests.fakes.figures import tell
from tests.fakes.patience import eventually
from tests.faults import waiting_orders
from tests.faults.bench import Bench, bench
from workflows.order.contract import order_workflow_id
from workflows.order.course import Course
from workflows.order.nodes import action

ORDERS = 100 if os.environ.get("ORDERFLOW_FULL_FAULTS") == "1" else 20
BEFORE = action.run


async def gated(course: Course, node: ActionNode) -> str:
    """A release that thinks twice before it reserves, as a release should."""
    if node.action == "stock.reserve" and workflow.patched("think-twice"):
        await workflow.sleep(timedelta(milliseconds=10), summary="think twice")
    return await BEFORE(course, node)


async def ungated(course: Course, node: ActionNode) -> str:
    """The same, without asking whether the order had been there before."""
    if node.action == "stock.reserve":
        await workflow.sleep(timedelta(milliseconds=10), summary="think twice")
    return await BEFORE(course, node)


@pytest.fixture
async def system(database: Database, open_dir: Path) -> AsyncIterator[Bench]:
    folder = open_dir / f"deploy-{uuid.uuid4().hex[:6]}"
    folder.mkdir()
    async with bench(database, folder) as made:
        yield made


async def test_orders_that_wait_survive_a_release_a_bad_one_and_the_way_back(
    system: Bench, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    old = await waiting_orders.waiting(system, ORDERS)
    first, second, unlucky = old[: ORDERS // 2], old[ORDERS // 2 : -1], old[-1]

    async def release(code: Callable[[Course, ActionNode], Awaitable[str]]) -> None:
        await system.deploy(lambda: monkeypatch.setattr(action, "run", code))

    await release(ungated)
    await waiting_orders.pay(system, unlucky)
    await eventually(lambda: _refusals(system, unlucky), lambda count: count > 0)
    assert (await waiting_orders.order(system, unlucky))["payment"] == "unpaid"

    await release(BEFORE)
    await waiting_orders.to_the_end(system, [unlucky])

    await release(gated)
    new = await waiting_orders.waiting(system, 4)
    await waiting_orders.pay_all(system, first)
    await waiting_orders.to_the_end(system, first)

    # And back again: orders that began under the old release go on, those of the new one wait for it.
    await release(BEFORE)
    await waiting_orders.pay_all(system, second)
    await waiting_orders.to_the_end(system, second)
    await release(gated)
    await waiting_orders.pay_all(system, new)
    await waiting_orders.to_the_end(system, new)

    assert [await _refusals(system, order_no) for order_no in [*first, *second]] == [0] * (ORDERS - 1)
    assert {await _thought_twice(system, order_no) for order_no in old} == {False}
    assert {await _thought_twice(system, order_no) for order_no in new} == {True}
    tell(
        capsys,
        f"{ORDERS} orders waited through 5 deployments: all ended; a change without its gate stopped the one order "
        "that it met, which went on once it was taken back",
    )


async def _refusals(system: Bench, order_no: str) -> int:
    """How often a worker could not follow the order's history."""
    history = await system.client.get_workflow_handle(order_workflow_id(order_no)).fetch_history()
    failed = [
        event.workflow_task_failed_event_attributes.cause
        for event in history.events
        if event.event_type == EventType.EVENT_TYPE_WORKFLOW_TASK_FAILED
    ]
    return failed.count(WorkflowTaskFailedCause.WORKFLOW_TASK_FAILED_CAUSE_NON_DETERMINISTIC_ERROR)


async def _thought_twice(system: Bench, order_no: str) -> bool:
    history = await system.client.get_workflow_handle(order_workflow_id(order_no)).fetch_history()
    return any(
        event.event_type == EventType.EVENT_TYPE_MARKER_RECORDED and "core_patch" in str(event)
        for event in history.events
    )
