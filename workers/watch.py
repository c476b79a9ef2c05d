"""Orders whose workflow was terminated, failed or is missing, and what goes on beside them or after their end: found
within a minute, and given their workflow again."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import structlog
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlmodel.ext.asyncio.session import AsyncSession
from temporalio.client import Client, WorkflowExecutionStatus
from temporalio.service import RPCError, RPCStatusCode

from runtime.database import Sessions
from runtime.temporal import RPC_TIMEOUT
from store import lost, orders, owed
from store.checks.finding import Check, Finding
from workflows.order.contract import order_of_workflow_id, order_workflow_id
from workflows.order.workflow import OrderWorkflow

_RUNNING = "WorkflowType = 'OrderWorkflow' AND ExecutionStatus = 'Running'"
_ENDED_BADLY = "WorkflowType = 'OrderWorkflow' AND ExecutionStatus IN ('Terminated', 'Failed', 'TimedOut', 'Canceled')"
_ERRANDS = "WorkflowType IN ('RefundWorkflow', 'ReturnWorkflow', 'FollowUpWorkflow') AND ExecutionStatus = 'Running'"
# Longer than visibility may lag behind, and than a worker may be away: what was looked at before is seen to at once.
_LOOK_BACK = timedelta(minutes=15)
# As many orders are compared one by one at every look; of more only the numbers are, and those that ended badly.
_FEW = 5_000
_PAGE = 1_000
_AT_ONCE = 16
_MOST = 500
_SAMPLE = 20
_MISSING = "MISSING"

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Lost:
    """An open order without a workflow that runs, how that had ended, and when it was seen by the database's clock."""

    order_no: str
    status: str
    seen_at: datetime


@dataclass(frozen=True, slots=True)
class Neglected:
    """Something that is owed to an order while no workflow is at it, how that had ended, and when it was seen."""

    owed: owed.Owed
    status: str
    seen_at: datetime


class OrdersAtWork:
    """What Temporal says of the workflows of our orders: of all by its list, and one by one only of those amiss."""

    def __init__(self, sessions: Sessions, client: Client) -> None:
        self._sessions = sessions
        self._client = client

    async def lost(self, only: str | None = None, *, thorough: bool = False) -> list[Lost]:
        """Open orders whose workflow does not run.

        Unless `thorough`, those among many that are missing without a trace show only once fewer run than should.
        """
        async with self._sessions() as session:
            seen_at = await lost.clock(session)
            suspects = await self._suspects(session, only, thorough=thorough)
        gate = asyncio.Semaphore(_AT_ONCE)

        async def confirmed(order_no: str) -> Lost | None:
            async with gate:
                status = await self._status(order_no)
            return None if status == WorkflowExecutionStatus.RUNNING.name else Lost(order_no, status, seen_at)

        found = await asyncio.gather(*(confirmed(order_no) for order_no in suspects[:_MOST]))
        return [one for one in found if one is not None]

    async def _suspects(self, session: AsyncSession, only: str | None, *, thorough: bool) -> list[str]:
        if only is not None:
            return sorted(await lost.due(session, [only]))
        should_run = await lost.count_due(session)
        if thorough or should_run <= _FEW or (await self._client.count_workflows(_RUNNING)).count < should_run:
            running = {order_no async for order_no in self._listed(_RUNNING)}
            return sorted(await lost.due(session) - running)
        since = (datetime.now(UTC) - _LOOK_BACK).isoformat().replace("+00:00", "Z")
        ended = [order_no async for order_no in self._listed(f"{_ENDED_BADLY} AND CloseTime > '{since}'")]
        return sorted(await lost.due(session, ended))

    async def neglected(self, only: str | None = None, *, thorough: bool = False) -> list[Neglected]:
        """What is owed to orders, ended ones above all, while no workflow is at it."""
        async with self._sessions() as session:
            seen_at = await lost.clock(session)
            due = await owed.due(session, only, thorough=thorough)
        if not due:
            return []
        running = {execution.id async for execution in self._client.list_workflows(_ERRANDS, page_size=_PAGE)}
        suspects = [one for one in due if running.isdisjoint(one.workflow_ids)]
        gate = asyncio.Semaphore(_AT_ONCE)

        async def confirmed(one: owed.Owed) -> Neglected | None:
            async with gate:
                statuses = [await self._status_of(workflow_id) for workflow_id in one.workflow_ids]
            is_cared_for = WorkflowExecutionStatus.RUNNING.name in statuses
            return None if is_cared_for else Neglected(one, statuses[-1], seen_at)

        found = await asyncio.gather(*(confirmed(one) for one in suspects[:_MOST]))
        return [one for one in found if one is not None]

    async def _listed(self, query: str) -> AsyncIterator[str]:
        async for execution in self._client.list_workflows(query, page_size=_PAGE):
            yield order_of_workflow_id(execution.id)

    async def _status(self, order_no: str) -> str:
        return await self._status_of(order_workflow_id(order_no))

    async def _status_of(self, workflow_id: str) -> str:
        try:
            described = await self._client.get_workflow_handle(workflow_id).describe(rpc_timeout=RPC_TIMEOUT)
        except RPCError as refused:
            if refused.status is RPCStatusCode.NOT_FOUND:
                return _MISSING
            raise
        return described.status.name if described.status else _MISSING

    def checks(self) -> Sequence[Check]:
        """The checks that need Temporal."""
        return (Check(self.open_orders_have_a_workflow), Check(self.workflows_know_how_their_orders_stand))

    async def open_orders_have_a_workflow(self, _session: AsyncSession, only: str | None) -> list[Finding]:
        """An open order has a workflow that runs, and one that has ended for an hour has none; refunds, returns and
        late money that are not done have one.
        """
        found = [
            Finding(one.order_no, "order open", f"workflow {one.status.lower()}", one.order_no)
            for one in await self.lost(only, thorough=True)
        ]
        found += [
            Finding(one.owed.workflow_ids[-1], "something owed", f"workflow {one.status.lower()}", one.owed.order_no)
            for one in await self.neglected(only, thorough=True)
        ]
        running = [only] if only else [order_no async for order_no in self._listed(_RUNNING)]
        async with self._sessions() as session:
            ended = await lost.ended_for_an_hour(session, running)
        for order_no, lifecycle in ended.items():
            if await self._status(order_no) == WorkflowExecutionStatus.RUNNING.name:
                found.append(Finding(order_no, f"order {lifecycle}", "workflow running", order_no))
        return found

    async def workflows_know_how_their_orders_stand(self, _session: AsyncSession, only: str | None) -> list[Finding]:
        """What the workflow of an open order thinks of it is what the database says; asked of one, or of a sample."""
        async with self._sessions() as session:
            quiet = await lost.quiet(session, _SAMPLE, only)
        found = []
        for order_no in quiet:
            handle = self._client.get_workflow_handle_for(OrderWorkflow.run, order_workflow_id(order_no))
            try:
                thought = await handle.query(OrderWorkflow.state, rpc_timeout=RPC_TIMEOUT)
            except RPCError:
                continue  # nobody there to answer; whether it runs at all is another check
            async with self._sessions() as session:
                is_quiet = bool(await lost.quiet(session, 1, order_no))
                known = await orders.standing(session, order_no)
            ours = (known.lifecycle, known.payment, known.fulfilment, known.invoice, known.revenue)
            theirs = (thought.lifecycle, thought.payment, thought.fulfilment, thought.invoice, thought.revenue)
            if is_quiet and thought.version <= known.version and ours != theirs:
                found.append(Finding(order_no, f"database {'/'.join(ours)}", f"workflow {'/'.join(theirs)}", order_no))
        return found


class Watch:
    """Looks every `every_s` seconds. Any number of them may run: under an order's lock only the first one acts."""

    def __init__(self, sessions: Sessions, client: Client, every_s: float) -> None:
        self._sessions = sessions
        self._at_work = OrdersAtWork(sessions, client)
        self._every_s = every_s

    async def run(self, stop: asyncio.Event) -> None:
        """Watches until `stop` is set; a look that fails is told and comes again."""
        while not stop.is_set():
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), self._every_s)
                return
            try:
                await self.look()
            except (SQLAlchemyError, PoolTimeout, RPCError, RuntimeError, OSError) as failed:
                _log.warning("watch", error=type(failed).__name__)

    async def look(self) -> list[lost.Given]:
        """Afterwards every order whose workflow is lost, its own or one beside it, is about to get it again, or is
        held; returns those orders.
        """
        done: list[lost.Given] = []
        for one in await self._at_work.lost():
            async with self._sessions() as session, session.begin():
                given = await lost.give_back(session, one.order_no, one.status, one.seen_at)
            done += _told(given)
        for neglected in await self._at_work.neglected():
            async with self._sessions() as session, session.begin():
                given = await owed.tell_again(session, neglected.owed, neglected.status, neglected.seen_at)
            done += _told(given)
        return done


def _told(given: lost.Given | None) -> list[lost.Given]:
    if given is None:
        return []
    what = "given again" if given.restarted else "lost again, a person is asked"
    _log.error("workflow lost", order_no=given.order_no, status=given.status, what=what)
    return [given]
