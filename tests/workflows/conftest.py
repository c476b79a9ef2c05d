"""One order on a server whose clock skips, with a shop that remembers what was asked of it."""

import asyncio
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace

import pytest
from temporalio.client import WorkflowHandle, WorkflowUpdateFailedError
from temporalio.exceptions import ApplicationError
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import Worker

from domain.flow.definition import FlowDefinition, FlowSnapshot
from domain.flow.vocabulary import FactValue
from flows import builtin_flows
from tests.factories.flows import order_facts
from tests.fakes.desk import Word
from tests.fakes.shop import Payment, Scan, Shop
from workers.local_first import LocalFirst
from workflows.follow_up import FollowUpWorkflow
from workflows.order.contract import (
    CARRIER_QUEUE,
    EINVOICE_QUEUE,
    ORDERS_QUEUE,
    PAYMENTS_QUEUE,
    SIGNALS,
    CancelRequest,
    CancelResult,
    ChangeRequest,
    FactSignal,
    FactText,
    OrderInput,
    OrderResult,
    ResolveRequest,
    order_workflow_id,
)
from workflows.order.workflow import OrderWorkflow


@dataclass
class Running:
    """An order under way: its shop, its handle, and the ways to act on it."""

    environment: WorkflowEnvironment
    shop: Shop
    handle: WorkflowHandle[OrderWorkflow, OrderResult]

    async def tell(self, inbox_id: int, fact: Payment | Scan | Word | None) -> None:
        """The fact is committed and signalled."""
        self.shop.inbox[inbox_id] = fact
        kinds = {Payment: "payment.settled", Scan: "parcel.scanned", Word: "approval.decided"}
        kind = kinds.get(type(fact), "stock.replenished")
        await self.handle.signal(SIGNALS[kind], FactSignal(inbox_id))

    async def forge(self, signal: str, inbox_id: int) -> None:
        await self.handle.signal(signal, FactSignal(inbox_id))

    async def cancel(self) -> CancelResult:
        result: CancelResult = await self.handle.execute_update(
            "cancel", CancelRequest("c-1", "service", 11), result_type=CancelResult
        )
        return result

    async def resolve(self, choice: str, target: str = "") -> None:
        await self.handle.execute_update("resolve_exception", ResolveRequest("r-1", "ops", choice, 12, target))

    async def change(self, request_id: str = "change/1") -> None:
        await self.handle.execute_update("change_order", ChangeRequest(request_id, 13, 1), id=request_id)

    async def until(self, call: str, times: int = 1) -> None:
        """Waits until the shop has been asked this so often; time stands still meanwhile."""
        async with asyncio.timeout(20):
            while self.shop.calls.count(call) < times:
                await self.handle.query(OrderWorkflow.state)


Start = Callable[..., Awaitable[Running]]
TimeSkipping = Callable[[], Awaitable[WorkflowEnvironment]]


@pytest.fixture
async def start(time_skipping: TimeSkipping) -> AsyncIterator[Start]:
    """Starts an order of a flow (the built-in normal one) in a shop."""
    async with AsyncExitStack() as workers:

        async def begin(
            shop: Shop, flow: FlowDefinition | None = None, *, begun: bool = False, **facts: FactValue
        ) -> Running:
            environment = await time_skipping()
            shop.desk.clock = environment.get_current_time
            for queue in (ORDERS_QUEUE, CARRIER_QUEUE, EINVOICE_QUEUE, PAYMENTS_QUEUE):
                worker = Worker(
                    environment.client,
                    task_queue=queue,
                    workflows=[OrderWorkflow, FollowUpWorkflow] if queue == ORDERS_QUEUE else [],
                    activities=shop.activities(),
                    # Every workflow task replays from the start: whatever is not deterministic shows.
                    max_cached_workflows=0,
                    workflow_runner=LocalFirst(),
                )
                await workers.enter_async_context(worker)
            order_no = f"SO{uuid.uuid4().hex[:12].upper()}"
            order = replace(an_order(order_no, flow, **facts), begun=begun)
            handle = await environment.client.start_workflow(
                OrderWorkflow.run, order, id=order_workflow_id(order_no), task_queue=ORDERS_QUEUE
            )
            return Running(environment, shop, handle)

        yield begin


def an_order(order_no: str, flow: FlowDefinition | None = None, **facts: FactValue) -> OrderInput:
    """The input of an order of this flow (the built-in normal one)."""
    return OrderInput(order_no, FlowSnapshot.of(flow or normal()), _spelled(order_facts(**facts)))


def code_of(refused: pytest.ExceptionInfo[WorkflowUpdateFailedError]) -> str | None:
    """The stable code under which an update was refused."""
    cause = refused.value.cause
    return cause.type if isinstance(cause, ApplicationError) else None


def _spelled(facts: Mapping[str, FactValue]) -> dict[str, FactText]:
    return {name: value for name, value in facts.items() if isinstance(value, bool | int | str | list)}


def normal() -> FlowDefinition:
    return builtin("normal")


def builtin(key: str) -> FlowDefinition:
    """The built-in flow of this key."""
    return next(flow for flow in builtin_flows() if flow.key == key)
