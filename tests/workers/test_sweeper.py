"""What was committed and did not reach Temporal: the sweeper of any worker brings it there, once and in order."""

import asyncio
import json
import uuid
from dataclasses import dataclass

import pytest
from sqlalchemy import text
from temporalio.api.enums.v1 import EventType
from temporalio.client import Client, WorkflowExecutionStatus, WorkflowHandle
from temporalio.service import RPCError

from api.inbox.door import API, PAYMENT_SETTLED
from api.inbox.hand_over import HandOver
from api.orders.intake import FlowsInForce, Intake, Sender, Submission
from api.orders.schemas import PlaceOrder
from domain.order_number import order_number
from flows import builtin_flows
from runtime.settings import Settings
from store import flows, inbox
from store.defaults import ensure_defaults
from store.inbox import Incoming
from tests.conftest import Database, Temporal
from tests.factories.requests import a_payment, an_order
from tests.fakes.patience import eventually
from workers.sweeper import Sweeper
from workflows.order.contract import FactSignal, follow_up_workflow_id, order_workflow_id

STARTED = EventType.EVENT_TYPE_WORKFLOW_EXECUTION_STARTED
SIGNALLED = EventType.EVENT_TYPE_WORKFLOW_EXECUTION_SIGNALED


@dataclass(frozen=True)
class Left:
    """A database in which messages lie that nobody has handed over, and the Temporal that should have them."""

    database: Database
    temporal: Temporal

    async def place(self, external_id: str) -> str:
        """The order is committed; whoever took it died before the hand-over."""
        sent = an_order(external_id)
        intake = Intake(self.database.sessions, None, FlowsInForce(), Settings().keyring)
        sender = Sender("tests", "api", sets_prices=True)
        placed = await intake.place(Submission(PlaceOrder.model_validate(sent), json.dumps(sent)), sender)
        return placed.order_no

    async def pay(self, order_no: str, payment_id: str = "P-1") -> int:
        """A payment of the order is committed and not handed over; returns its inbox id."""
        paid = a_payment(payment_id)
        name = f"payment/{order_no}/{payment_id}"
        message = Incoming(API, name, PAYMENT_SETTLED, order_no, json.dumps(paid), paid, "tests")
        async with self.database.sessions() as session, session.begin():
            return (await inbox.add(session, message)).inbox_id

    async def run(self, statement: str, **values: object) -> None:
        async with self.database.sessions() as session, session.begin():
            await session.execute(text(statement), values)

    async def waiting(self) -> int:
        """How many messages of known orders are not handed over."""
        async with self.database.sessions() as session:
            query = text(
                "SELECT count(*) FROM inbox_messages JOIN orders USING (order_no) WHERE handed_over_at IS NULL"
            )
            return int((await session.execute(query)).scalar_one())

    async def sweep(self, sweepers: int = 1) -> None:
        """Sweepers run, beginning when every lease has run out, until nothing waits any more."""
        await self.run("UPDATE inbox_messages SET next_hand_over_at = NULL WHERE handed_over_at IS NULL")
        stop = asyncio.Event()
        sessions, client = self.database.sessions, self.temporal.client
        running = [
            asyncio.create_task(Sweeper(sessions, client, HandOver(sessions, client), 0.05).run(stop))
            for _ in range(sweepers)
        ]
        await eventually(self.waiting, lambda count: count == 0)
        stop.set()
        await asyncio.gather(*running)

    def workflow(self, workflow_id: str) -> WorkflowHandle[object, object]:
        return self.temporal.client.get_workflow_handle(workflow_id)

    async def events(self, workflow_id: str) -> list[tuple[int, int | None]]:
        """Starts and signals of the workflow's latest run, signals with the inbox row that they name."""
        found: list[tuple[int, int | None]] = []
        async for event in self.workflow(workflow_id).fetch_history_events():
            if event.event_type == STARTED:
                found.append((STARTED, None))
            elif event.event_type == SIGNALLED:
                payloads = event.workflow_execution_signaled_event_attributes.input.payloads
                (signal,) = await self.temporal.client.data_converter.decode(payloads, [FactSignal])
                found.append((SIGNALLED, signal.inbox_id))
        return found


@pytest.fixture
async def left(database: Database, temporal: Temporal, client: Client) -> Left:
    async with database.sessions() as session, session.begin():
        await ensure_defaults(session)
        await flows.publish(session, builtin_flows())
    return Left(database, temporal)


def named() -> str:
    """What the channel calls an order that no other test has."""
    return f"T-{uuid.uuid4()}"


async def test_order_whose_hand_over_never_happened_is_started(left: Left) -> None:
    order_no = await left.place(named())
    with pytest.raises(RPCError, match="not found"):
        await left.workflow(order_workflow_id(order_no)).describe()
    await left.sweep()
    assert await left.events(order_workflow_id(order_no)) == [(STARTED, None)]


async def test_message_that_another_process_is_handing_over_is_left_alone(left: Left) -> None:
    await left.place(named())
    async with left.database.sessions() as session, session.begin():
        assert await inbox.claim_pending(session, 10) == []


async def test_one_order_with_very_many_facts_gets_some_at_a_time_and_keeps_no_other_waiting(left: Left) -> None:
    told = await left.place(named())
    facts = [await left.pay(told, f"P-{number}") for number in range(inbox.OF_ONE_ORDER + 30)]
    other = await left.place(named())
    await left.run("UPDATE inbox_messages SET next_hand_over_at = NULL")
    async with left.database.sessions() as session, session.begin():
        claimed = await inbox.claim_pending(session, inbox.OF_ONE_ORDER + 20)
    assert [one.order_no for one in claimed] == [told] * inbox.OF_ONE_ORDER + [other]
    assert [one.inbox_id for one in claimed[1:-1]] == facts[: inbox.OF_ONE_ORDER - 1]

    await left.sweep()
    events = await left.events(order_workflow_id(told))
    assert events == [(STARTED, None), *((SIGNALLED, fact) for fact in facts)]


async def test_facts_follow_their_order_in_the_order_in_which_they_came(left: Left) -> None:
    order_no = await left.place(named())
    facts = [await left.pay(order_no, f"P-{number}") for number in range(5)]
    await left.sweep()
    assert await left.events(order_workflow_id(order_no)) == [(STARTED, None), *((SIGNALLED, fact) for fact in facts)]


async def test_fact_that_came_before_its_order_waits_for_it(left: Left) -> None:
    external_id = named()
    fact = await left.pay(order_number("web", external_id))
    await left.sweep()
    order_no = await left.place(external_id)
    await left.sweep()
    assert await left.events(order_workflow_id(order_no)) == [(STARTED, None), (SIGNALLED, fact)]


async def test_sweepers_at_once_hand_over_each_message_once(left: Left) -> None:
    numbers = [await left.place(named()) for _ in range(30)]
    facts = {order_no: await left.pay(order_no) for order_no in numbers}
    await left.sweep(sweepers=3)
    for order_no, fact in facts.items():
        assert await left.events(order_workflow_id(order_no)) == [(STARTED, None), (SIGNALLED, fact)]


async def test_fact_for_an_order_whose_workflow_was_terminated_starts_it_again(left: Left) -> None:
    order_no = await left.place(named())
    await left.sweep()
    await left.workflow(order_workflow_id(order_no)).terminate()
    fact = await left.pay(order_no)
    await left.sweep()
    assert await left.events(order_workflow_id(order_no)) == [(STARTED, None), (SIGNALLED, fact)]
    assert (await left.workflow(order_workflow_id(order_no)).describe()).status is WorkflowExecutionStatus.RUNNING


async def test_fact_for_an_order_that_has_ended_starts_a_follow_up(left: Left) -> None:
    order_no = await left.place(named())
    await left.sweep()
    await left.workflow(order_workflow_id(order_no)).terminate()
    await left.run("UPDATE orders SET lifecycle = 'expired', closed_at = now() WHERE order_no = :no", no=order_no)
    fact = await left.pay(order_no)
    await left.sweep()
    assert await left.events(follow_up_workflow_id(order_no)) == [(STARTED, None), (SIGNALLED, fact)]
    ended = await left.workflow(order_workflow_id(order_no)).describe()
    assert ended.status is WorkflowExecutionStatus.TERMINATED


async def test_recovery_gives_open_orders_their_workflow_and_facts_again_and_no_others(left: Left) -> None:
    open_order, ended_order = await left.place(named()), await left.place(named())
    fact = await left.pay(open_order)
    await left.sweep()
    for order_no in (open_order, ended_order):
        await left.workflow(order_workflow_id(order_no)).terminate()
    await left.run("UPDATE orders SET lifecycle = 'cancelled', closed_at = now() WHERE order_no = :no", no=ended_order)
    async with left.database.sessions() as session, session.begin():
        again = await inbox.forget_hand_over(session)
    assert [order_no for order_no, _ in again] == [open_order, open_order]
    await left.sweep()
    assert await left.events(order_workflow_id(open_order)) == [(STARTED, None), (SIGNALLED, fact)]
    assert (await left.workflow(order_workflow_id(open_order)).describe()).status is WorkflowExecutionStatus.RUNNING
    ended = await left.workflow(order_workflow_id(ended_order)).describe()
    assert ended.status is WorkflowExecutionStatus.TERMINATED
