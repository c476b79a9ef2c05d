"""How the system stands right now: asked of the database and of Temporal at once, each for itself."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlmodel.ext.asyncio.session import AsyncSession
from temporalio.api.workflowservice.v1 import GetSystemInfoRequest
from temporalio.client import Client
from temporalio.service import RPCError

from api.system.schemas import (
    DatabaseView,
    InboxView,
    QueueView,
    RelayView,
    SystemView,
    TemporalView,
    WorkerView,
)
from migrations.upgrade import is_at_head
from runtime.database import Sessions
from runtime.temporal import RPC_TIMEOUT, QueueState, queue_states
from runtime.version import release
from store import figures
from workflows.queues import QUEUES

_RELAYS = ("destination_enabled", "outbox_pending", "outbox_refused", "outbox_oldest_seconds")
_INBOX = ("inbox_waiting", "inbox_oldest_seconds", "inbox_strays")
_CHECKS = "checks_age_seconds"


@dataclass(frozen=True, slots=True)
class _Records:
    """What the database knows."""

    database: DatabaseView
    inbox: InboxView
    relays: list[RelayView]
    checks_age_seconds: float | None


async def overview(engine: AsyncEngine, sessions: Sessions, temporal: Client) -> SystemView:
    """The parts as they are; one that is away is said to be, and what only it knows is null."""
    records, (theirs, states) = await asyncio.gather(_records(engine, sessions), _temporal(temporal))
    away = DatabaseView(status="away", version=None, at_head=None, connections=None)
    return SystemView(
        release=release(),
        database=records.database if records else away,
        temporal=theirs,
        workers=None if states is None else _workers(states),
        queues=None if states is None else [_queue(state) for state in states],
        inbox=records.inbox if records else None,
        relays=records.relays if records else None,
        checks_age_seconds=records.checks_age_seconds if records else None,
    )


async def _records(engine: AsyncEngine, sessions: Sessions) -> _Records | None:
    try:
        at_head = await is_at_head(engine)
        async with sessions() as session:
            return await _read(session, at_head=at_head)
    except (SQLAlchemyError, PoolTimeout, OSError):
        return None


async def _read(session: AsyncSession, *, at_head: bool) -> _Records:
    version = (await session.execute(text("SHOW server_version"))).scalar_one()
    used = text("SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()")
    connections = (await session.execute(used)).scalar_one()
    counted = {
        one.figure.name.removeprefix(figures.PREFIX): dict(one.rows)
        for one in await figures.count(session, (*_RELAYS, *_INBOX, _CHECKS))
    }
    waiting, oldest, strays = (counted[name][()] for name in _INBOX)
    relays = []
    for labels in sorted(counted["destination_enabled"]):
        enabled, pending, refused, oldest_s = (counted[name][labels] for name in _RELAYS)
        (name,) = labels
        relays.append(
            RelayView(
                destination=name,
                enabled=bool(enabled),
                pending=int(pending),
                refused=int(refused),
                oldest_seconds=oldest_s,
            )
        )
    return _Records(
        DatabaseView(status="ok", version=version, at_head=at_head, connections=connections),
        InboxView(waiting=int(waiting), oldest_seconds=oldest, strays=int(strays)),
        relays,
        counted[_CHECKS].get(()),
    )


async def _temporal(client: Client) -> tuple[TemporalView, Sequence[QueueState] | None]:
    try:
        told = await client.workflow_service.get_system_info(GetSystemInfoRequest(), timeout=RPC_TIMEOUT)
        states = await queue_states(client, QUEUES)
    except (RPCError, RuntimeError, OSError):
        return TemporalView(status="away", version=None, namespace=client.namespace), None
    return TemporalView(status="ok", version=told.server_version, namespace=client.namespace), states


def _workers(states: Sequence[QueueState]) -> list[WorkerView]:
    found: dict[str, WorkerView] = {}
    for state in states:
        for worker in state.workers:
            seen = found.get(worker.identity)
            queues = sorted({state.queue, *(seen.queues if seen else ())})
            at = max(worker.seen_at, seen.seen_at) if seen else worker.seen_at
            found[worker.identity] = WorkerView(
                identity=worker.identity, version=worker.version, queues=queues, seen_at=at
            )
    return [found[identity] for identity in sorted(found)]


def _queue(state: QueueState) -> QueueView:
    return QueueView(
        queue=state.queue,
        kind=state.kind,
        workers=len(state.workers),
        backlog=state.backlog,
        backlog_seconds=state.backlog_age_s,
    )
