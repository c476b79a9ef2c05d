"""The relay: brings undelivered messages to one destination, for as long as it is enabled."""

import asyncio
import random
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import structlog
from psycopg import OperationalError as ConnectionLost
from sqlalchemy.exc import InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncEngine
from temporalio import activity

from integrations.notifier.port import DeliveryOutcome, DeliveryResult, Notifier, OutboundMessage
from models.columns import now
from models.outbox import Destination
from runtime.database import Sessions
from store import outbox
from store.events import OUTBOX_CHANNEL
from store.outbox import Attempt, Claimed

_AT_ONCE = 32
# Short, so that a worker that shuts down is not kept waiting; being woken does not depend on it.
_LONGEST_REST_S = 1.0
# Seconds before each further try, then given up: about three days in all.
_PAUSES_S = (1, 5, 30, 300, 1800, 7200, 18000, 36000, 50400, 72000, 86400)
# Any other failure is ours: it ends this try of the activity and shows in the Web UI.
_AWAY = (OperationalError, InterfaceError, PoolTimeout, ConnectionLost, OSError)

_log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class RelayInput:
    """The destination to serve, and for how long before the workflow begins a new activity."""

    destination: str
    seconds: float = 3000.0


@dataclass(frozen=True)
class RelayResult:
    """Whether the destination still wants to be served."""

    enabled: bool
    delivered: int


class OutboxActivities:
    """Delivery of what was queued with the changes it tells of."""

    def __init__(self, engine: AsyncEngine, sessions: Sessions, notifier: Notifier) -> None:
        self._engine = engine
        self._sessions = sessions
        self._notifier = notifier

    @activity.defn
    async def relay_outbox(self, relay: RelayInput) -> RelayResult:
        """Effect: messages of the destination are delivered as they come, those of one order in their order.
        Key: the message's state; receivers drop repeats by `webhook-id`.
        Fails: never by a destination that fails; a database that is away is waited for.
        """
        until, delivered = time.monotonic() + relay.seconds, 0
        while time.monotonic() < until and not activity.is_worker_shutdown():
            activity.heartbeat(delivered)
            try:
                async with self._woken_by_notify() as wait:
                    found = await self._deliver_due(relay.destination)
                    if found is None:
                        return RelayResult(False, delivered)
                    delivered += found
                    if not found:
                        await wait(await self._rest_s(relay.destination))
            except _AWAY as away:
                _log.warning("relay waits for the database", error=type(away).__name__)
                await asyncio.sleep(1)
        return RelayResult(True, delivered)

    async def _deliver_due(self, name: str) -> int | None:
        """How many messages were tried; None when the destination wants none."""
        async with self._sessions() as session, session.begin():
            destination = await outbox.destination(session, name)
            claimed = await outbox.claim(session, name, _AT_ONCE) if destination else []
        if destination is None:
            return None
        results = await asyncio.gather(*(self._deliver(destination, message) for message in claimed))
        attempts = [_attempt(message, result) for message, result in zip(claimed, results, strict=True)]
        await self._settle(name, attempts, results)
        return len(claimed)

    async def _deliver(self, destination: Destination, message: Claimed) -> DeliveryResult:
        outbound = OutboundMessage(
            message_id=message.message_id,
            destination=destination.name,
            url=destination.url,
            secret=destination.secret,
            event_type=message.event_type,
            occurred_at=message.occurred_at,
            body=message.body.encode(),
        )
        return await self._notifier.deliver(outbound)

    async def _settle(self, name: str, attempts: Sequence[Attempt], results: Sequence[DeliveryResult]) -> None:
        if not attempts:
            return
        async with self._sessions() as session, session.begin():
            await outbox.settle(session, attempts)
            if any(result.outcome is DeliveryOutcome.GONE for result in results):
                await outbox.disable(session, name, "the endpoint answered 410 Gone")

    async def _rest_s(self, name: str) -> float:
        async with self._sessions() as session:
            due = await outbox.seconds_until_due(session, name)
        return _LONGEST_REST_S if due is None else min(max(due, 0.05), _LONGEST_REST_S)

    @asynccontextmanager
    async def _woken_by_notify(self) -> AsyncIterator[Any]:
        """Listens before looking, so that a message committed after the look still ends the pause."""
        async with self._engine.connect() as connection:
            listening = await connection.execution_options(isolation_level="AUTOCOMMIT")
            raw: Any = (await listening.get_raw_connection()).driver_connection
            await raw.execute(f"LISTEN {OUTBOX_CHANNEL}")

            async def wait(seconds: float) -> None:
                async for _ in raw.notifies(timeout=seconds, stop_after=1):
                    break

            try:
                yield wait
            finally:
                await raw.execute(f"UNLISTEN {OUTBOX_CHANNEL}")


def _attempt(message: Claimed, result: DeliveryResult) -> Attempt:
    if result.outcome is DeliveryOutcome.DELIVERED:
        return Attempt(message.outbox_id, "delivered")
    if result.outcome is DeliveryOutcome.REFUSED or message.attempts > len(_PAUSES_S):
        return Attempt(message.outbox_id, "refused", result.reason)
    pause = _PAUSES_S[message.attempts - 1] * random.uniform(1.0, 1.1)  # noqa: S311 - spreads retries, no secret
    asked = result.retry_after_seconds or 0.0
    due = now() + timedelta(seconds=max(pause, asked))
    return Attempt(message.outbox_id, "pending", result.reason, due)
