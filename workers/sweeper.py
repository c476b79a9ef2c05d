"""What makes a lost moment harmless: every few seconds, whatever should have been done and was not is done."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from datetime import timedelta

import structlog
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from temporalio.client import Client
from temporalio.common import WorkflowIDConflictPolicy
from temporalio.exceptions import TemporalError

from api.inbox.hand_over import HandOver
from runtime.database import Sessions
from store import imports, inbox, outbox, stock
from workflows.order.contract import ORDERS_QUEUE
from workflows.relay import RelayFor, RelayWorkflow, relay_workflow_id

_BATCH = 500
# Some 300 a second at most: more than a million orders a day leave behind.
_OLD_BATCHES, _OLD_EVERY_S = 40, 60.0

_log = structlog.get_logger(__name__)


class Sweeper:
    """Hands over what Temporal has not got, wakes orders whose goods have come, keeps a relay per destination.

    Messages that were delivered longer ago than it `keeps` them are removed, and so is the content of files of orders
    that people brought a day ago.

    Any number of them may run: rows are claimed, and everything they do is harmless when done twice.
    """

    def __init__(
        self,
        sessions: Sessions,
        client: Client,
        hand_over: HandOver,
        every_s: float,
        keeps: timedelta = timedelta(days=30),
    ) -> None:
        self._sessions = sessions
        self._client = client
        self._hand_over = hand_over
        self._every_s = every_s
        self._keeps = keeps
        self._forget_at = 0.0
        self._told: set[int | None] = set()
        self._chores: tuple[tuple[str, Callable[[], Awaitable[None]]], ...] = (
            ("hand over", self._hand_over_pending),
            ("release expired", self._release_expired),
            ("wake waiting", self._wake_waiting),
            ("relays", self._keep_relays),
            ("strays", self._tell_of_strays),
            ("old messages", self._forget_delivered),
        )

    async def run(self, stop: asyncio.Event) -> None:
        """Sweeps until `stop` is set; a chore that fails is told and tried again at the next round."""
        while not stop.is_set():
            for name, chore in self._chores:
                try:
                    await chore()
                except (SQLAlchemyError, PoolTimeout, TemporalError, RuntimeError, OSError) as failed:
                    _log.warning("sweep", chore=name, error=type(failed).__name__)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), self._every_s)

    async def _hand_over_pending(self) -> None:
        while True:
            async with self._sessions() as session, session.begin():
                pending = await inbox.claim_pending(session, _BATCH)
            taken = await self._hand_over.deliver_all(pending)
            if pending:
                _log.info("swept", pending=len(pending), handed_over=taken)
            if len(pending) < _BATCH or not taken:
                return

    async def _release_expired(self) -> None:
        async with self._sessions() as session, session.begin():
            await stock.release_expired(session, _BATCH)

    async def _wake_waiting(self) -> None:
        async with self._sessions() as session, session.begin():
            await stock.wake(session, _BATCH)

    async def _keep_relays(self) -> None:
        async with self._sessions() as session:
            names = await outbox.enabled_destinations(session)
        for name in names:
            await self._client.start_workflow(
                RelayWorkflow.run,
                RelayFor(name),
                id=relay_workflow_id(name),
                task_queue=ORDERS_QUEUE,
                id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
                static_summary=f"Relay to {name}",
                rpc_timeout=timedelta(seconds=5),
            )

    async def _tell_of_strays(self) -> None:
        async with self._sessions() as session:
            strays = await inbox.waiting_for_order(session, inbox.STRAY_AFTER)
        # Once each: the figure in `/metrics` says how many there are still.
        for stray in strays:
            if stray.inbox_id not in self._told:
                _log.error("a message waits for an order that has not come", inbox_id=stray.inbox_id, kind=stray.kind)
        self._told = {stray.inbox_id for stray in strays}

    async def _forget_delivered(self) -> None:
        # In small transactions, once a minute: old ones do not hurry.
        if (now := asyncio.get_running_loop().time()) < self._forget_at:
            return
        self._forget_at = now + _OLD_EVERY_S
        async with self._sessions() as session, session.begin():
            await imports.forget(session)
        for _ in range(_OLD_BATCHES):
            async with self._sessions() as session, session.begin():
                gone = await outbox.forget_delivered(session, self._keeps, _BATCH)
            if gone < _BATCH:
                return
