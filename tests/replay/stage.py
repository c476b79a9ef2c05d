"""Where a scenario is played: one workflow on a server, in a scripted shop, with a witness of every local call."""

import asyncio
import contextlib
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

from temporalio import activity
from temporalio.api.enums.v1 import EventType
from temporalio.client import Client, WorkflowHandle, WorkflowHistory
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.service import RPCError
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import Worker, WorkflowRunner

from activities.checks import CheckInput, CheckResult
from activities.outbox import RelayInput, RelayResult
from cli.local_stack.temporal import LocalTemporal, TemporalPorts, free_port, temporal_binary
from domain.flow.definition import FlowDefinition, FlowSnapshot
from domain.flow.vocabulary import FactValue
from flows import builtin_flows
from runtime.temporal import ensure_search_attributes
from tests.factories.flows import order_facts
from tests.fakes.patience import eventually
from tests.fakes.shop import Shop
from tests.replay.commands import Witness, commands_of
from workers.local_first import LocalFirst
from workers.main import WORKFLOWS
from workflows.order.contract import (
    CARRIER_QUEUE,
    EINVOICE_QUEUE,
    ORDERS_QUEUE,
    PAYMENTS_QUEUE,
    FactText,
    OrderInput,
    order_workflow_id,
)
from workflows.relay import RELAY_QUEUE
from workflows.search_attributes import SEARCH_ATTRIBUTES

_QUEUES = (ORDERS_QUEUE, CARRIER_QUEUE, EINVOICE_QUEUE, PAYMENTS_QUEUE, RELAY_QUEUE)
_TASK_EVENTS = {
    EventType.EVENT_TYPE_WORKFLOW_TASK_SCHEDULED,
    EventType.EVENT_TYPE_WORKFLOW_TASK_STARTED,
    EventType.EVENT_TYPE_WORKFLOW_TASK_COMPLETED,
}
_ACTIVITY_ENDS = {
    EventType.EVENT_TYPE_ACTIVITY_TASK_COMPLETED: "activity_task_completed_event_attributes",
    EventType.EVENT_TYPE_ACTIVITY_TASK_FAILED: "activity_task_failed_event_attributes",
    EventType.EVENT_TYPE_ACTIVITY_TASK_TIMED_OUT: "activity_task_timed_out_event_attributes",
    EventType.EVENT_TYPE_ACTIVITY_TASK_CANCELED: "activity_task_canceled_event_attributes",
    EventType.EVENT_TYPE_ACTIVITY_TASK_CANCEL_REQUESTED: "activity_task_cancel_requested_event_attributes",
}


class Clock(StrEnum):
    """Whose time a scenario runs on: the machine's, or one that skips to the next timer when asked."""

    REAL = "real"
    SKIPPING = "skipping"


@dataclass
class Post:
    """The relay's activity, which answers as scripted: whether the destination still wants to be served; and checks."""

    enabled: list[bool] = field(default_factory=list)

    @activity.defn
    async def relay_outbox(self, relay: RelayInput) -> RelayResult:
        return RelayResult(self.enabled.pop(0), delivered=1)

    @activity.defn
    async def run_checks(self, asked: CheckInput) -> CheckResult:
        return CheckResult(asked.run_id, {"entries_balance": 1})


def builtin(key: str) -> FlowDefinition:
    """The built-in flow of this key."""
    return next(flow for flow in builtin_flows() if flow.key == key)


def normal_flow() -> FlowDefinition:
    """The built-in flow that most scenarios follow."""
    return builtin("normal")


@dataclass(frozen=True)
class Scenario:
    """One way through a workflow. `name` is `<workflow>/<what happens>`, the place of its history without the ending.

    `acts` is what the outside world does, the first of them starting the workflow. What the shop, the post, the flow
    and the order's facts are like at the beginning is made anew for each play.
    """

    name: str
    acts: "Sequence[Callable[[Play], Awaitable[None]]]"
    shop: Callable[[], Shop] = Shop
    post: Callable[[], Post] = Post
    flow: Callable[[], FlowDefinition] = normal_flow
    facts: Callable[[], Mapping[str, FactValue]] = order_facts
    clock: Clock = Clock.REAL

    @property
    def order_no(self) -> str:
        """The same at every play, so that what is recorded is the same, too."""
        return "SO-" + self.name.partition("/")[2].upper().replace("_", "-")

    def order(self) -> OrderInput:
        """What the order's workflow begins with."""
        facts: dict[str, FactText] = {
            name: value for name, value in self.facts().items() if isinstance(value, bool | int | str | list)
        }
        return OrderInput(self.order_no, FlowSnapshot.of(self.flow()), facts)


@dataclass(frozen=True)
class Performance:
    """What came of a play."""

    history: WorkflowHistory
    commands: Sequence[str]


@dataclass
class Play:
    """A scenario under way; acts use it to reach the workflow and the shop."""

    scenario: Scenario
    environment: WorkflowEnvironment
    shop: Shop
    acts: int = 0
    _begun: WorkflowHandle[Any, Any] | None = None

    @property
    def client(self) -> Client:
        return self.environment.client

    def begin(self, handle: WorkflowHandle[Any, Any]) -> None:
        """Afterwards the play is about this workflow."""
        self._begun = handle

    @property
    def begun(self) -> WorkflowHandle[Any, Any]:
        """What the first act has started, and whatever continues it."""
        assert self._begun is not None
        return self._begun

    @property
    def handle(self) -> WorkflowHandle[Any, Any]:
        """The first run alone: its history is what is recorded."""
        return self.client.get_workflow_handle(self.begun.id, run_id=self.begun.result_run_id)

    def next_number(self) -> int:
        """A number that no act of this play has had, the same at every play."""
        self.acts += 1
        return self.acts

    async def quiet(self) -> None:
        """Waits until only the outside world or a timer can move the workflow.

        Every act does so first; else an act would sometimes come before what the workflow is about to do anyway, and
        two plays of one scenario could differ.
        """
        await eventually(self.handle.fetch_history, _is_quiet)


async def perform(scenario: Scenario, server: Client, runner: WorkflowRunner | None = None) -> Performance:
    """Plays the scenario to its end and returns what the workflow has asked of Temporal on the way.

    `server` has the machine's time and no other worker; a scenario whose clock skips gets a server of its own.
    """
    async with AsyncExitStack() as stack:
        environment = WorkflowEnvironment.from_client(server)
        if scenario.clock is Clock.SKIPPING:
            environment = await stack.enter_async_context(_skipping_server())
        shop, post, witness = scenario.shop(), scenario.post(), Witness()
        if scenario.clock is Clock.SKIPPING:
            shop.desk.clock = environment.get_current_time
        for queue in _QUEUES:
            worker = Worker(
                environment.client,
                task_queue=queue,
                workflows=WORKFLOWS if queue == ORDERS_QUEUE else (),
                activities=[*shop.activities(), post.relay_outbox, post.run_checks],
                workflow_runner=LocalFirst(runner),
                interceptors=[witness],
                max_cached_workflows=10,
                # Local activities of one moment run in the order in which they were asked for.
                max_concurrent_local_activities=1,
                identity="worker",
            )
            await stack.enter_async_context(worker)
        play = Play(scenario, environment, shop)
        try:
            async with asyncio.timeout(60):
                for act in scenario.acts:
                    await act(play)
        except BaseException:
            # What went wrong may be how it ended.
            with contextlib.suppress(RPCError):
                await play.handle.terminate()
            raise
        history = await play.handle.fetch_history()
        # An order that has come back would go on into the next play.
        with contextlib.suppress(RPCError):
            await environment.client.get_workflow_handle(order_workflow_id(scenario.order_no)).terminate()
    return Performance(history, commands_of(history, witness.calls))


@asynccontextmanager
async def real_server() -> AsyncIterator[Client]:
    """A development server of our own: no other test's orders wait in its queues."""
    with tempfile.TemporaryDirectory(prefix="orderflow-replay-") as folder:
        server = LocalTemporal(TemporalPorts(free_port()), SEARCH_ATTRIBUTES, Path(folder) / "temporal.log")
        server.start()
        try:
            yield await server.client()
        finally:
            server.stop()


@asynccontextmanager
async def _skipping_server() -> AsyncIterator[WorkflowEnvironment]:
    environment = await WorkflowEnvironment.start_time_skipping(
        data_converter=pydantic_data_converter,
        test_server_existing_path=str(temporal_binary("temporal-test-server")),
    )
    async with environment:
        await ensure_search_attributes(environment.client, SEARCH_ATTRIBUTES)
        yield environment


def _is_quiet(history: WorkflowHistory) -> bool:
    tasks = [event.event_type for event in history.events if event.event_type in _TASK_EVENTS]
    open_activities = {
        event.event_id for event in history.events if event.event_type == EventType.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED
    }
    for event in history.events:
        if event.event_type in _ACTIVITY_ENDS:
            open_activities.discard(getattr(event, _ACTIVITY_ENDS[event.event_type]).scheduled_event_id)
    return tasks[-1:] == [EventType.EVENT_TYPE_WORKFLOW_TASK_COMPLETED] and not open_activities
