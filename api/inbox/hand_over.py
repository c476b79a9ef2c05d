"""From the inbox to Temporal: at once by the process that took the message, later by the sweeper if that failed."""

import asyncio
import contextlib
import contextvars
import itertools
import time
import zlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import structlog
from sqlalchemy.exc import SQLAlchemyError
from sqlmodel.ext.asyncio.session import AsyncSession
from temporalio.client import Client
from temporalio.exceptions import TemporalError

from domain.flow.definition import FlowSnapshot
from domain.flow.scaling import scaled
from runtime.database import Sessions
from store import approvals, facts, flow_library, flows, inbox, orders
from store.inbox import Pending
from workflows.order.contract import FactSignal, OrderInput
from workflows.order.handle import OrderHandle
from workflows.refunding import RefundInput
from workflows.returns.contract import ReturnInput
from workflows.returns.handle import ReturnHandle

ORDER_PLACED = "order.placed"
REFUND_REQUESTED = "refund.requested"
RETURN_REQUESTED = "return.requested"
RETURN_RECEIVED = "return.received"
HOLD_DECIDED = "hold.decided"
_OF_RETURNS = frozenset({RETURN_REQUESTED, RETURN_RECEIVED})
_LANES = 16
_LANE_CAPACITY = 500
_AT_ONCE = 50
_MARKS_EVERY_S = 0.1
# An order that is told of more often than `inbox.OF_ONE_ORDER` times within so long is left to the sweeper's pace.
_LATELY_S = 5.0

_InLine = tuple[Pending, contextvars.Context]

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class OpenOrder:
    """What an order's workflow begins with, and whether the order has ended."""

    input: OrderInput
    ended: bool


# Published versions never change, so whoever starts many orders reads each once.
Snapshots = dict[tuple[str, int], FlowSnapshot]


async def load_input(
    session: AsyncSession, order_no: str, time_scale: float, read: Snapshots | None = None
) -> OpenOrder:
    """The input of the order's workflow, the same whenever it is asked for. Raises OrderNotFound.

    The flow's spans are `time_scale` times as long as published; the hash stays that of the published flow. `read` are
    the flows of this database that were read before.
    """
    order = await orders.get(session, order_no)
    snapshots, key = {} if read is None else read, (order.flow_key, order.flow_version)
    if key not in snapshots:
        flow, fingerprint = await flows.get(session, *key)
        whole = await flow_library.resolved(session, flow)
        snapshots[key] = FlowSnapshot(flow=scaled(whole, time_scale), fingerprint=fingerprint)
    known = await facts.of_order(session, order)
    return OpenOrder(OrderInput(order_no, snapshots[key], known, begun=True), order.closed_at is not None)


class HandOver:
    """Brings committed messages to Temporal, those of one order one after the other. Losing it loses nothing."""

    def __init__(self, sessions: Sessions, client: Client, time_scale: float = 1.0) -> None:
        self._sessions = sessions
        self._client = client
        self._time_scale = time_scale
        self._lanes: list[asyncio.Queue[_InLine]] = []
        self._tasks: list[asyncio.Task[None]] = []
        self._flows: Snapshots = {}
        self._taken: list[int] = []
        self._has_taken = asyncio.Event()
        self._lately: Counter[str] = Counter()
        self._lately_until = 0.0

    async def start(self) -> None:
        """Afterwards messages given to `soon` are on their way."""
        self._lanes = [asyncio.Queue(_LANE_CAPACITY) for _ in range(_LANES)]
        self._tasks = [asyncio.create_task(self._drive(lane)) for lane in self._lanes]
        self._tasks.append(asyncio.create_task(self._mark_taken()))

    async def stop(self) -> None:
        """Afterwards nothing is under way; what was still in line is left to the sweeper."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks.clear()
        with contextlib.suppress(OSError, SQLAlchemyError):
            await self._mark_all()

    def soon(self, pending: Pending) -> None:
        """Afterwards the message is in line, unless that is full or has many of its order: the sweeper will find it."""
        if self._lanes and self._may_go(pending.order_no):
            lane = self._lanes[zlib.crc32(pending.order_no.encode()) % len(self._lanes)]
            with contextlib.suppress(asyncio.QueueFull):
                # With whatever the request is known by, so that logs and traces go on from it.
                lane.put_nowait((pending, contextvars.copy_context()))

    def _may_go(self, order_no: str) -> bool:
        if (now := time.monotonic()) > self._lately_until:
            self._lately.clear()
            self._lately_until = now + _LATELY_S
        self._lately[order_no] += 1
        return self._lately[order_no] <= inbox.OF_ONE_ORDER

    async def deliver_all(self, pending: Sequence[Pending]) -> int:
        """Hands over these messages, order by order in their own order; returns how many Temporal took."""
        by_order: dict[str, list[Pending]] = {}
        for message in sorted(pending, key=lambda one: one.inbox_id):
            by_order.setdefault(message.order_no, []).append(message)
        gate = asyncio.Semaphore(_LANES)

        async def one_order(messages: list[Pending]) -> list[int]:
            async with gate:
                return await self._deliver_in_order([(message, contextvars.copy_context()) for message in messages])

        by_orders = await asyncio.gather(*(one_order(messages) for messages in by_order.values()))
        taken = list(itertools.chain.from_iterable(by_orders))
        await self._mark(taken)
        return len(taken)

    async def _drive(self, lane: asyncio.Queue[_InLine]) -> None:
        while True:
            waiting = [await lane.get()]
            while len(waiting) < _AT_ONCE and not lane.empty():
                waiting.append(lane.get_nowait())
            try:
                taken = await self._deliver_in_order(waiting)
            except Exception as failed:  # noqa: BLE001 - a lane must go on; the sweeper brings what stayed behind
                _log.warning("hand-over failed, left to the sweeper", error=type(failed).__name__)
            else:
                self._taken += taken
                self._has_taken.set()

    async def _deliver_in_order(self, messages: Sequence[_InLine]) -> list[int]:
        taken: list[int] = []
        behind: set[str] = set()
        for message, context in messages:
            if message.order_no in behind:
                continue
            try:
                await asyncio.create_task(self._deliver(message), context=context)
            except (TemporalError, RuntimeError) as away:
                behind.add(message.order_no)
                _log.info("Temporal did not take a message", order_no=message.order_no, error=type(away).__name__)
            else:
                taken.append(message.inbox_id)
        return taken

    async def _mark_taken(self) -> None:
        while True:
            await self._has_taken.wait()
            # Those of all lanes at once: until it is marked, a message may be handed over again, which has no effect.
            await asyncio.sleep(_MARKS_EVERY_S)
            try:
                await self._mark_all()
            except Exception as failed:  # noqa: BLE001 - the sweeper hands over once more what is not marked
                _log.warning("messages were not marked as handed over", error=type(failed).__name__)

    async def _mark_all(self) -> None:
        self._has_taken.clear()
        taken, self._taken = self._taken, []
        await self._mark(taken)

    async def _mark(self, taken: Sequence[int]) -> None:
        if taken:
            async with self._sessions() as session, session.begin():
                await inbox.mark_handed_over(session, taken)

    async def _deliver(self, message: Pending) -> None:
        handle = OrderHandle(self._client, message.order_no)
        if message.kind == ORDER_PLACED:
            order = self._input_of(message) or await self._input(message.order_no)
            if not order.ended:
                await handle.start(order.input)
            return
        if message.kind == REFUND_REQUESTED:
            order = await self._input(message.order_no)
            await handle.refund(RefundInput(order.input, message.inbox_id), message.message_id)
            return
        signal = FactSignal(message.inbox_id, message.message_id)
        asker = await self._asker(message)
        if message.kind in _OF_RETURNS or asker.startswith("return/"):
            # Messages about a return are called `return/<its number>/...`, as its workflow is.
            return_no = (asker or message.message_id).split("/")[1]
            order = await self._input(message.order_no)
            asked = ReturnInput(order.input, return_no, self._time_scale)
            await ReturnHandle(self._client, return_no).tell(asked, message.kind, signal)
            return
        if asker and await handle.tell(message.kind, signal, asker):
            return
        await self._tell_errands(message, handle, signal)
        if await handle.tell(message.kind, signal):
            return
        order = await self._input(message.order_no)
        if not order.ended:
            # Nothing runs although the order is open: Temporal lost it, or somebody terminated it.
            await handle.start(order.input)
            if await handle.tell(message.kind, signal):
                return
        await handle.follow_up(order.input, message.kind, signal)

    async def _tell_errands(self, message: Pending, handle: OrderHandle, signal: FactSignal) -> None:
        """A decision about a hold is for whoever is held by it: refunds and returns of the order hear it besides."""
        if message.kind != HOLD_DECIDED:
            return
        async with self._sessions() as session:
            errands = await inbox.errands_of(session, message.order_no)
        for workflow_id in errands:
            await handle.tell(message.kind, signal, workflow_id)

    async def _asker(self, message: Pending) -> str:
        """A decision goes to the workflow that asked for it, which need not be the order's own; none for others."""
        if message.kind != approvals.DECIDED:
            return ""
        async with self._sessions() as session:
            return await approvals.asking_workflow(session, message.inbox_id) or ""

    def _input_of(self, message: Pending) -> OpenOrder | None:
        """Of an order that has been placed a moment ago, if its flow has been read before."""
        start = message.start
        snapshot = None if start is None else self._flows.get((start.flow_key, start.flow_version))
        if start is None or snapshot is None:
            return None
        return OpenOrder(OrderInput(message.order_no, snapshot, start.facts), ended=False)

    async def _input(self, order_no: str) -> OpenOrder:
        async with self._sessions() as session:
            return await load_input(session, order_no, self._time_scale, self._flows)
