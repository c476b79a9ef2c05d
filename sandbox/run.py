"""One flow tried with a script: the real workflow, on a server of its own whose clock skips."""

import asyncio
import contextlib
import sysconfig
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

from temporalio import activity
from temporalio.client import WorkflowFailureError, WorkflowHandle, WorkflowUpdateFailedError
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.service import RPCError, RPCStatusCode
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import Worker

from domain.flow.acting import staff_for
from domain.flow.definition import FlowDefinition, FlowSnapshot
from domain.flow.script import PLAIN_ORDER, Script, ScriptedEvent
from domain.flow.vocabulary import MOMENTS
from domain.working_calendar import BUILT_IN, Calendars
from runtime.temporal import ensure_search_attributes
from sandbox.desk import Around, Desk
from sandbox.market import Market, is_payment, pause_until
from sandbox.messenger import DELIVER, Errand, MessengerWorkflow
from sandbox.story import Story
from workflows.order.contract import (
    CARRIER_QUEUE,
    EINVOICE_QUEUE,
    ORDERS_QUEUE,
    PAYMENTS_QUEUE,
    SIGNALS,
    FactSignal,
    OrderInput,
    OrderResult,
    ResolveRequest,
    order_workflow_id,
)
from workflows.order.workflow import OrderWorkflow
from workflows.search_attributes import SEARCH_ATTRIBUTES

Fact = bool | int | str | list[str]
_LIMIT_S: Final = 30.0
_LOOK_AGAIN_S: Final = 0.05
_SIGNAL_OF: Final = {
    "shipment.handed_over": "parcel.scanned",
    "shipment.delivered": "parcel.scanned",
    "customs.cleared": "customs.reported",
    "group.complete": "group.completed",
}


@dataclass(frozen=True, slots=True)
class Tried:
    """What one script has shown: how the order ended (or `held`), the nodes it came to, and what went wrong."""

    name: str
    result: str
    path: tuple[str, ...]
    unmet: tuple[str, ...]
    error: str | None = None
    expected: bool = False

    @property
    def passed(self) -> bool:
        """Whether it ended as the script expects; where that expects nothing, whether it came to an end at all."""
        return self.error is None and not self.unmet and (self.expected or self.result != "held")


async def try_all(flow: FlowDefinition, scripts: Sequence[Script], calendars: Calendars = BUILT_IN) -> list[Tried]:
    """What each script shows, one after the other; the flow has no call in it. Nothing of it is left behind."""
    return [await _try(flow, script, calendars) for script in scripts]


async def _try(flow: FlowDefinition, script: Script, calendars: Calendars) -> Tried:
    try:
        async with asyncio.timeout(_LIMIT_S):
            result, path = await _Run(flow, script, calendars).play()
    except TimeoutError:
        return Tried(script.name, "endless", (), (), f"it had not ended after {_LIMIT_S:.0f} seconds of work")
    except (RPCError, RuntimeError, WorkflowFailureError) as failed:
        return Tried(script.name, "broken", (), (), type(failed).__name__)
    return Tried(script.name, result, path, tuple(script.unmet(result, path)), expected=script.expect is not None)


class _Run:
    def __init__(self, flow: FlowDefinition, script: Script, calendars: Calendars) -> None:
        self._flow, self._script, self._calendars = flow, script, calendars
        self._errands: list[ScriptedEvent] = []
        self._environment: WorkflowEnvironment
        self._began: datetime
        self._handle: WorkflowHandle[OrderWorkflow, OrderResult]
        self._market: Market

    async def play(self) -> tuple[str, tuple[str, ...]]:
        """How the order ended, and the nodes that it came to."""
        async with contextlib.AsyncExitStack() as parts:
            self._environment = await parts.enter_async_context(await _server())
            self._began = await self._environment.get_current_time()
            story = Story(self._script, self._began)
            facts = _from_now_on({**PLAIN_ORDER, **self._script.facts}, self._began)
            around = Around(staff_for(self._flow, self._script), self._calendars)
            desk = Desk(around, story, self._send, self._environment.get_current_time)
            self._market = Market(facts, story, self._send, desk)
            for queue in (ORDERS_QUEUE, CARRIER_QUEUE, EINVOICE_QUEUE, PAYMENTS_QUEUE):
                await parts.enter_async_context(self._worker(queue))
            return await self._order(facts)

    def _worker(self, queue: str) -> Worker:
        return Worker(
            self._environment.client,
            task_queue=queue,
            workflows=[OrderWorkflow, MessengerWorkflow] if queue == ORDERS_QUEUE else [],
            activities=[*self._market.activities(), self._deliver],
        )

    async def _order(self, facts: dict[str, Fact]) -> tuple[str, tuple[str, ...]]:
        order_no = f"SANDBOX{uuid.uuid4().hex[:12].upper()}"
        order = OrderInput(order_no, FlowSnapshot.of(self._flow), facts)
        self._handle = await self._environment.client.start_workflow(
            OrderWorkflow.run, order, id=order_workflow_id(order_no), task_queue=ORDERS_QUEUE
        )
        ending = asyncio.create_task(self._handle.result())
        try:
            while not ending.done() and not self._market.stuck:
                await asyncio.wait([ending], timeout=_LOOK_AGAIN_S)
            path = tuple(await self._handle.query(OrderWorkflow.visited))
            if self._market.stuck:
                return "held", path
            done: OrderResult = await ending
            return done.result, path
        finally:
            ending.cancel()

    async def _send(self, event: ScriptedEvent) -> None:
        """Afterwards the scripted thing is on its way, and arrives when its time has come."""
        since = await self._environment.get_current_time() - self._began
        errand = Errand(len(self._errands), pause_until(event, since))
        self._errands.append(event)
        await self._environment.client.start_workflow(
            MessengerWorkflow.run, errand, id=f"messenger/{errand.number}", task_queue=ORDERS_QUEUE
        )

    @activity.defn(name=DELIVER)
    async def _deliver(self, number: int) -> None:
        event = self._errands[number]
        if event.event == "resolved":
            choice = event.choice.value if event.choice else "retry"
            asked = ResolveRequest(f"scripted/{number}", "somebody", choice, number, event.target or "")
            try:
                await self._handle.execute_update("resolve_exception", asked, id=asked.request_id)
            except WorkflowUpdateFailedError:
                # The lane does not offer it, and the script has nobody else.
                self._market.stuck = True
            return
        inbox_id = self._market.arrive(event)
        try:
            await self._handle.signal(SIGNALS[_kind(event.event)], FactSignal(inbox_id, f"scripted/{number}"))
        except RPCError as refused:
            # It came for an order that had ended by then.
            if refused.status is not RPCStatusCode.NOT_FOUND:
                raise


def _kind(event: str) -> str:
    if is_payment(event):
        return "payment.settled"
    known = _SIGNAL_OF.get(event, event)
    return known if known in SIGNALS else "approval.decided"


async def _server() -> WorkflowEnvironment:
    binary = Path(sysconfig.get_path("scripts")) / "temporal-test-server"
    environment = await WorkflowEnvironment.start_time_skipping(
        data_converter=pydantic_data_converter, test_server_existing_path=str(binary)
    )
    await ensure_search_attributes(environment.client, SEARCH_ATTRIBUTES)
    return environment


def _from_now_on(facts: Mapping[str, Fact], began: datetime) -> dict[str, Fact]:
    """The same facts of an order that is placed now: every moment is as far away as it was."""
    shift = began - datetime.fromisoformat(str(facts["order.placed_at"]))
    moved = {
        name: (datetime.fromisoformat(str(facts[name])) + shift).isoformat()
        for name in MOMENTS
        if isinstance(facts.get(name), str)
    }
    return {**facts, **moved}
