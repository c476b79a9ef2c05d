"""The worker process: workflows, activities, the sweeper and, on a local stack, the carrier that moves by itself."""

import asyncio
import signal
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from datetime import timedelta
from importlib.metadata import version
from typing import Any

import structlog
from temporalio.client import Client
from temporalio.common import VersioningBehavior, WorkerDeploymentVersion
from temporalio.runtime import Runtime
from temporalio.service import RPCError
from temporalio.worker import UnsandboxedWorkflowRunner, Worker, WorkerDeploymentConfig

from api.inbox.door import report_scan
from api.inbox.hand_over import HandOver
from integrations.anchors.folder import AnchorFolder
from integrations.carrier.port import CarrierEvent
from runtime.database import create_engine, create_sessions
from runtime.sealing import sealing
from runtime.settings import Settings, UnusableSettings
from runtime.settling import settle
from runtime.temporal import connect, ensure_search_attributes, telling_runtime
from runtime.tracing import flush_traces, interceptors, start_tracing, trace_statements
from runtime.version import identity, release
from workers.alarms import Alarms
from workers.anchoring import Anchoring
from workers.checks import ensure_schedules, further_checks
from workers.local_first import LocalFirst
from workers.log_context import LogContext
from workers.signs_of_life import SignsOfLife
from workers.stray_signals import StraySignals
from workers.sweeper import Sweeper
from workers.watch import Watch
from workers.wiring import Capabilities, wire
from workflows.check import CheckWorkflow
from workflows.follow_up import FollowUpWorkflow
from workflows.order.contract import CARRIER_QUEUE, EINVOICE_QUEUE, ORDERS_QUEUE, PAYMENTS_QUEUE
from workflows.order.workflow import OrderWorkflow
from workflows.refunding import RefundWorkflow
from workflows.relay import RELAY_QUEUE, RelayWorkflow
from workflows.returns.workflow import ReturnWorkflow
from workflows.search_attributes import SEARCH_ATTRIBUTES

WORKFLOWS: tuple[type, ...] = (
    OrderWorkflow,
    FollowUpWorkflow,
    RefundWorkflow,
    ReturnWorkflow,
    RelayWorkflow,
    CheckWorkflow,
)
GRACEFUL_SHUTDOWN = timedelta(seconds=10)
WORKFLOW_TASKS = 16
DATABASE_STEPS = 10
PARTY_CALLS = 20
CACHED_WORKFLOWS = 400
# A worker that was killed is not asked for longer than this before another one rebuilds its orders.
STICKY_TIMEOUT = timedelta(seconds=3)
# The SDK keeps heartbeats back for up to four fifths of their time-out, which leaves a busy worker little for the next.
LONGEST_SILENCE = timedelta(seconds=1)
# Left to itself, the SDK reads all code there is to make up a name for it, at every start.
BUILD_ID = f"orderflow-{version('orderflow')}"
_RETRY_CONNECT_S = 1.0
# Steps take turns on the connections; only a caller who waits for an answer needs to hear early that there is none.
_POOL_PATIENCE_S = 20.0

_log = structlog.get_logger(__name__)


async def run(settings: Settings) -> None:
    """Works until SIGTERM or SIGINT; then finishes what it has begun and returns."""
    stop = asyncio.Event()
    for name in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(name, stop.set)
    start_tracing(settings, "orderflow-worker")
    client = await _connected(settings, stop)
    if client is None:
        return
    async with AsyncExitStack() as running:
        running.callback(flush_traces)
        engine = create_engine(
            _database_url(settings), pool_size=settings.database_pool_size, patience_s=_POOL_PATIENCE_S
        )
        running.push_async_callback(engine.dispose)
        trace_statements(settings, engine)
        sessions = create_sessions(engine)
        hand_over = HandOver(sessions, client, settings.time_scale)
        await hand_over.start()
        running.push_async_callback(hand_over.stop)

        async def report(event: CarrierEvent) -> None:
            await report_scan(sessions, hand_over, event)

        able = wire(settings, engine, sessions, report, further_checks(settings, sessions, client))
        for worker in build_workers(client, able, deployment=deployment_of(settings)):
            await running.enter_async_context(worker)
        sweeper = Sweeper(sessions, client, hand_over, settings.sweep_interval_s, settings.outbox_retention)
        background = [
            asyncio.create_task(sweeper.run(stop)),
            asyncio.create_task(Watch(sessions, client, settings.watch_interval_s).run(stop)),
            asyncio.create_task(Alarms(sessions, settings.alarm_interval_s).run(stop)),
        ]
        if settings.anchor_dir is not None:
            anchoring = Anchoring(sessions, AnchorFolder(settings.anchor_dir), settings.anchor_interval_s)
            background.append(asyncio.create_task(anchoring.run(stop)))
        if able.autopilot is not None:
            background.append(asyncio.create_task(able.autopilot.run_autopilot(stop)))
        settle()
        if settings.ready_file is not None:
            settings.ready_file.touch()
        _log.info("worker ready", queues=[ORDERS_QUEUE, CARRIER_QUEUE, EINVOICE_QUEUE, PAYMENTS_QUEUE, RELAY_QUEUE])
        await stop.wait()
        await asyncio.gather(*background)


def queues(able: Capabilities) -> dict[str, Sequence[Callable[..., Any]]]:
    """Which activities each task queue serves. A step of our own database runs with the workflows."""
    return {
        ORDERS_QUEUE: [
            able.orders.check_order,
            able.orders.decide_branch,
            able.orders.open_wait,
            able.orders.open_hold,
            able.orders.resolve_holds,
            able.orders.begin_cancel,
            able.orders.withdraw_cancel,
            able.orders.close_order,
            able.orders.notify,
            able.orders.acknowledge,
            able.advance.advance,
            able.approvals.open_approval,
            able.approvals.remind_approval,
            able.approvals.escalate_approval,
            able.approvals.apply_decision,
            able.changing.change_order,
            able.lane.hold_order,
            able.lane.settle_hold,
            able.lane.escalate_holds,
            able.stock.reserve_stock,
            able.stock.release_stock,
            *_of_terms_and_trade(able),
            able.payments.apply_payment,
            able.refunding.grant_refund,
            able.returning.open_return,
            able.returning.settle_return,
            able.returning.receive_return,
            able.returning.expire_return,
            able.shipping.apply_scan,
            able.shipping.take_back_parcels,
            able.revenue.recognise_revenue,
            able.revenue.reverse_revenue,
            able.checks.run_checks,
        ],
        CARRIER_QUEUE: [able.shipping.book_shipments, able.shipping.cancel_shipments],
        EINVOICE_QUEUE: [able.invoices.issue_invoice, able.invoices.credit_invoices, able.invoices.credit_refunds],
        PAYMENTS_QUEUE: [able.payments.refund_payments, able.payments.refund_surplus, able.payments.pay_refunds],
        RELAY_QUEUE: [able.outbox.relay_outbox],
    }


def _of_terms_and_trade(able: Capabilities) -> Sequence[Callable[..., Any]]:
    return [
        able.terms.check_credit,
        able.terms.forfeit_deposit,
        able.trade.check_customs,
        able.trade.join_group,
        able.trade.apply_arrival,
        able.moving.move_order,
    ]


def deployment_of(settings: Settings) -> WorkerDeploymentConfig | None:
    """Which version of the deployment this process is; None: versions are not told apart.

    Orders live for weeks and follow the current version: its code knows how to go on with older histories, or replay
    would have stopped it before it was released. So old workers may end as soon as new ones are current.
    """
    if settings.worker_deployment is None:
        return None
    version = WorkerDeploymentVersion(settings.worker_deployment, settings.worker_build_id or release())
    return WorkerDeploymentConfig(version, True, VersioningBehavior.AUTO_UPGRADE)


def build_workers(
    client: Client,
    able: Capabilities,
    *,
    max_cached_workflows: int = CACHED_WORKFLOWS,
    deployment: WorkerDeploymentConfig | None = None,
) -> list[Worker]:
    """One worker per task queue, so that a slow party holds up nobody else's work."""
    return [
        Worker(
            client,
            task_queue=queue,
            workflows=WORKFLOWS if queue == ORDERS_QUEUE else (),
            activities=activities,
            max_cached_workflows=max_cached_workflows if queue == ORDERS_QUEUE else 0,
            # Few at once: what waits in the queue costs nothing, what waits in the worker runs into its time-out.
            max_concurrent_workflow_tasks=WORKFLOW_TASKS if queue == ORDERS_QUEUE else None,
            max_concurrent_local_activities=DATABASE_STEPS if queue == ORDERS_QUEUE else None,
            max_concurrent_activities=DATABASE_STEPS if queue == ORDERS_QUEUE else PARTY_CALLS,
            graceful_shutdown_timeout=GRACEFUL_SHUTDOWN,
            # A version of a deployment has its own.
            build_id=None if deployment else BUILD_ID,
            sticky_queue_schedule_to_start_timeout=STICKY_TIMEOUT,
            max_heartbeat_throttle_interval=LONGEST_SILENCE,
            interceptors=[LogContext(), SignsOfLife(), StraySignals()],
            # The sandbox finds what is not deterministic, in tests; it would load the workflow anew for every order.
            workflow_runner=LocalFirst(UnsandboxedWorkflowRunner()),
            deployment_config=deployment,
        )
        for queue, activities in queues(able).items()
    ]


def _database_url(settings: Settings) -> str:
    if settings.database_url is None:
        raise UnusableSettings(["ORDERFLOW_DATABASE_URL is not set"])
    return settings.database_url.get_secret_value()


def own_runtime(settings: Settings) -> Runtime | None:
    """A runtime that tells the SDK's figures, if the settings say where. Raises UnusableSettings when it cannot."""
    if settings.worker_metrics_address is None:
        return None
    try:
        return telling_runtime(settings.worker_metrics_address)
    except ValueError as refused:
        raise UnusableSettings([f"ORDERFLOW_WORKER_METRICS_ADDRESS: {refused}"]) from None


async def _connected(settings: Settings, stop: asyncio.Event) -> Client | None:
    """A client as soon as Temporal answers; None when asked to stop before."""
    runtime = own_runtime(settings)
    while not stop.is_set():
        try:
            client = await connect(
                identity=identity("orderflow-worker"),
                runtime=runtime,
                interceptors=interceptors(settings),
                codec=sealing(settings),
            )
            # An attribute that the namespace lacks would fail every workflow task.
            await ensure_search_attributes(client, SEARCH_ATTRIBUTES)
            await ensure_schedules(client)
        except (RuntimeError, RPCError):
            _log.warning("Temporal is away, trying again")
            await asyncio.sleep(_RETRY_CONNECT_S)
        else:
            return client
    return None
