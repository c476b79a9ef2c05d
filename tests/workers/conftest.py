"""Orders and facts that are committed and that nobody has handed over, on a real database and a real Temporal."""

import contextlib
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import text
from temporalio.client import Client, WorkflowHandle
from temporalio.service import RPCError

from api.inbox.door import report_scan
from api.inbox.hand_over import ORDER_PLACED, HandOver
from api.orders.intake import FlowsInForce, Intake, Sender, Submission
from api.orders.schemas import PlaceOrder
from flows import builtin_flows
from integrations.carrier.port import CarrierEvent
from models.inbox import InboxMessage
from models.order import Order
from runtime.database import Sessions
from runtime.settings import Settings
from store import flows, inbox
from store.defaults import ensure_defaults
from store.inbox import Incoming, Pending
from tests.conftest import Database, Temporal
from tests.factories.requests import a_payment
from tests.factories.sales import a_sale
from tests.fakes.patience import eventually
from workers.main import build_workers
from workers.wiring import wire
from workflows.order.contract import order_workflow_id


@dataclass
class Books:
    """What is committed. `pending` are the messages that Temporal has not got, oldest first."""

    sessions: Sessions

    async def place(self, sku: str = "SKU-1", quantity: int = 1, **changes: Any) -> Pending:
        """An order, committed by a process that died before it handed anything over."""
        body = PlaceOrder.model_validate(a_sale(sku, quantity, **changes))
        intake = Intake(self.sessions, None, FlowsInForce(), Settings().keyring)
        placed = await intake.place(Submission(body, body.model_dump_json()), Sender("tests", "api", True))
        return Pending(placed.inbox_id, placed.order_no, ORDER_PLACED, body.external_id or "")

    async def pay(self, order_no: str, payment_id: str = "P-1", amount_minor: int = 11_300) -> Pending:
        """A payment, committed and not handed over."""
        said = a_payment(payment_id, amount_minor=amount_minor)
        message_id = f"payment/{order_no}/{payment_id}"
        message = Incoming("api", message_id, "payment.settled", order_no, json.dumps(said), said, "tests")
        async with self.sessions() as session, session.begin():
            receipt = await inbox.add(session, message)
        return Pending(receipt.inbox_id, order_no, message.kind, message_id)

    async def let_lease_run_out(self) -> None:
        """Afterwards nobody counts as being about to hand over what is pending."""
        await self.run("UPDATE inbox_messages SET next_hand_over_at = now() WHERE handed_over_at IS NULL")

    async def run(self, statement: str, **values: Any) -> None:
        async with self.sessions() as session, session.begin():
            await session.execute(text(statement), values)

    async def ask(self, query: str, **values: Any) -> Any:
        """The first column of every row."""
        async with self.sessions() as session:
            return list((await session.execute(text(query), values)).scalars())

    async def order(self, order_no: str) -> Order:
        async with self.sessions() as session:
            return await session.get_one(Order, order_no)

    async def handed_over(self, message: Pending) -> bool:
        async with self.sessions() as session:
            return (await session.get_one(InboxMessage, message.inbox_id)).handed_over_at is not None


async def signals(client: Client, workflow_id: str) -> list[int]:
    """The inbox ids of the facts that the workflow was signalled, in the order in which it got them."""
    history = await client.get_workflow_handle(workflow_id).fetch_history()
    payloads = [
        event.workflow_execution_signaled_event_attributes.input.payloads
        for event in history.events
        if event.HasField("workflow_execution_signaled_event_attributes")
    ]
    told = [await client.data_converter.decode(list(one)) for one in payloads]
    return [values[0]["inbox_id"] for values in told]


async def is_running(handle: WorkflowHandle[Any, Any]) -> bool:
    status = (await handle.describe()).status
    return status is not None and status.name == "RUNNING"


@pytest.fixture
async def books(database: Database) -> Books:
    async with database.sessions() as session, session.begin():
        await ensure_defaults(session)
        await flows.publish(session, builtin_flows())
    return Books(database.sessions)


@pytest.fixture
async def client(temporal: Temporal) -> AsyncIterator[Client]:
    """Nothing runs before the test and nothing after it: workers must not find orders of other tests' databases."""
    await _end_all(temporal.client)
    yield temporal.client
    await _end_all(temporal.client)


async def _end_all(client: Client) -> None:
    """Nothing runs any more. What was started a moment ago is listed a moment later, so one look is not enough."""

    async def end_those_listed() -> int:
        count = 0
        async for left in client.list_workflows("ExecutionStatus = 'Running'"):
            count += 1
            with contextlib.suppress(RPCError):
                await client.get_workflow_handle(left.id).terminate()
        return count

    for _ in range(2):
        await eventually(end_those_listed, lambda count: count == 0)


@pytest.fixture
def hand_over(books: Books, client: Client) -> HandOver:
    return HandOver(books.sessions, client)


@pytest.fixture
async def at_work(database: Database, books: Books, client: Client, hand_over: HandOver) -> AsyncIterator[None]:
    """Workers for the length of the test. Promises of stock end after a second."""
    settings = Settings(webhook_allow_private=True, reservation_ttl=timedelta(seconds=1))

    async def report(event: CarrierEvent) -> None:
        await report_scan(database.sessions, hand_over, event)

    able = wire(settings, database.engine, database.sessions, report)
    async with AsyncExitStack() as running:
        for worker in build_workers(client, able):
            await running.enter_async_context(worker)
        yield


def order_handle(client: Client, order_no: str) -> WorkflowHandle[Any, Any]:
    return client.get_workflow_handle(order_workflow_id(order_no))
