"""The queries that the runbook gives to operators find what they say, on a real server."""

import re
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from temporalio import workflow
from temporalio.client import Client
from temporalio.common import SearchAttributePair, TypedSearchAttributes
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from cli.local_stack.temporal import LocalTemporal, TemporalPorts, free_port
from tests.fakes.patience import eventually
from workflows import search_attributes as known

RUNBOOK = Path(__file__).parents[2] / "docs/runbooks/web-ui.md"
QUERIES = dict(re.findall(r"^\| (.+?) \| `(.+)` \|$", RUNBOOK.read_text(), re.MULTILINE))


@workflow.defn(name="OrderWorkflow")
class Stuck:
    """An order that the code that runs cannot take on."""

    @workflow.run
    async def run(self) -> None:
        raise RuntimeError("no way on")


@pytest.fixture
async def client(open_dir: Path) -> AsyncIterator[Client]:
    server = LocalTemporal(TemporalPorts(free_port()), known.SEARCH_ATTRIBUTES, open_dir / "temporal-queries.log")
    server.start()
    yield await server.client()
    server.stop()


async def _start(client: Client, name: str, queue: str = "nobody", **values: Any) -> None:
    pairs: list[SearchAttributePair[Any]] = [
        SearchAttributePair(getattr(known, key.upper()), value) for key, value in values.items()
    ]
    attributes = TypedSearchAttributes(pairs)
    await client.start_workflow("OrderWorkflow", id=f"order/{name}", task_queue=queue, search_attributes=attributes)


async def test_each_query_finds_what_it_says(client: Client) -> None:
    past, later = datetime(2026, 11, 22, 9, tzinfo=UTC), datetime(2026, 11, 22, 11, tzinfo=UTC)
    await _start(client, "held", hold=["out_of_stock"], deadline=later)
    await _start(client, "overdue", deadline=past, waiting_for="shipment.delivered")
    await _start(client, "unpaid", waiting_for="payment.full", deadline=later, order_no="SO-1")
    await _start(client, "asked", waiting_for="approval.gm", flow_key="normal", flow_version=1)
    await _start(client, "customer", customer_id="C-7")
    await _start(client, "large", channel="web", amount_minor=1_000_001)
    await _start(client, "small", channel="web", amount_minor=1_000_000, flow_key="normal", flow_version=2)
    await _start(client, "ended")
    await client.get_workflow_handle("order/ended").terminate()
    await _start(client, "stuck", queue="stuck")
    expected = {
        "held": {"held"},
        "held for a reason": {"held"},
        "overdue: what they wait for was due": {"overdue"},
        "wait for their money": {"unpaid"},
        "wait for an approval": {"asked"},
        "stuck: their workflow task fails": {"stuck"},
        "ended as they should not": {"ended"},
        "of a customer": {"customer"},
        "of a channel, above an amount": {"large"},
        "of a flow's version": {"asked"},
        "everything about one order": {"unpaid"},
    }
    assert expected.keys() == QUERIES.keys()

    async def found() -> dict[str, set[str]]:
        return {
            what: {one.id.removeprefix("order/") async for one in client.list_workflows(query)}
            for what, query in QUERIES.items()
        }

    async with Worker(client, task_queue="stuck", workflows=[Stuck], workflow_runner=UnsandboxedWorkflowRunner()):
        await eventually(found, lambda seen: seen == expected)
