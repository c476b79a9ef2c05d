"""Messages that destinations have not got yet: claiming them in order per order, and what became of each try."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import text
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from models.outbox import Destination

# Longer than an attempt may take: only a process that died leaves a claim to run out.
_LEASE = timedelta(seconds=45)

_CLAIM = text("""
UPDATE outbox_messages SET next_attempt_at = now() + :lease, attempts = attempts + 1
WHERE outbox_id IN (
    SELECT outbox_id FROM outbox_messages m
    WHERE m.destination = :destination AND m.state = 'pending'
      AND (m.next_attempt_at IS NULL OR m.next_attempt_at <= now())
      AND NOT EXISTS (SELECT 1 FROM outbox_messages earlier
                      WHERE earlier.destination = m.destination AND earlier.order_no = m.order_no
                        AND earlier.state = 'pending' AND earlier.outbox_id < m.outbox_id)
    ORDER BY m.outbox_id LIMIT :most FOR UPDATE SKIP LOCKED)
RETURNING outbox_id, message_id, event_type, body, occurred_at, attempts
""")


_FORGET = text("""
WITH gone AS (
    DELETE FROM outbox_messages WHERE outbox_id IN (
        SELECT outbox_id FROM outbox_messages
        WHERE state = 'delivered' AND event_type NOT LIKE 'alert.%' AND delivered_at < now() - :kept
        ORDER BY delivered_at LIMIT :most FOR UPDATE SKIP LOCKED)
    RETURNING 1
)
SELECT count(*) FROM gone
""")


@dataclass(frozen=True, slots=True)
class Claimed:
    """A message to deliver now, and how often that was begun, this time included."""

    outbox_id: int
    message_id: str
    event_type: str
    body: str
    occurred_at: datetime
    attempts: int


@dataclass(frozen=True, slots=True)
class Attempt:
    """How one attempt ended. Neither delivered nor refused: to be tried again at `next_attempt_at`."""

    outbox_id: int
    state: str
    error: str | None = None
    next_attempt_at: datetime | None = None


async def destination(session: AsyncSession, name: str) -> Destination | None:
    """The destination, if it is there and enabled."""
    found = await session.get(Destination, name)
    return found if found is not None and found.enabled else None


async def enabled_destinations(session: AsyncSession) -> Sequence[str]:
    """Names of the destinations that want to be told."""
    query = select(Destination.name).where(col(Destination.enabled)).order_by(col(Destination.name))
    return (await session.exec(query)).all()


async def claim(session: AsyncSession, name: str, most: int) -> list[Claimed]:
    """Up to `most` messages for the destination that are due, at most one per order, leased to the caller.

    Chosen by state, so a message that was committed late is found; an order's next one only after the one before it.
    """
    rows = (await session.execute(_CLAIM, {"lease": _LEASE, "destination": name, "most": most})).all()
    return sorted((Claimed(*row) for row in rows), key=lambda message: message.outbox_id)


async def settle(session: AsyncSession, attempts: Sequence[Attempt]) -> None:
    """Afterwards each message is delivered, given up, or due again."""
    await session.execute(
        text("""
        UPDATE outbox_messages
        SET state = CAST(:state AS text), last_error = :error, next_attempt_at = :next_attempt_at,
            delivered_at = CASE WHEN CAST(:state AS text) = 'delivered' THEN now() END
        WHERE outbox_id = :outbox_id AND state = 'pending'
        """),
        [
            {
                "outbox_id": attempt.outbox_id,
                "state": attempt.state,
                "error": attempt.error,
                "next_attempt_at": attempt.next_attempt_at,
            }
            for attempt in attempts
        ],
    )


async def disable(session: AsyncSession, name: str, reason: str) -> None:
    """Afterwards the destination is told nothing more until somebody enables it again; what is pending stays."""
    found = await session.get(Destination, name, with_for_update=True)
    if found is not None:
        found.enabled, found.disabled_reason = False, reason


async def seconds_until_due(session: AsyncSession, name: str) -> float | None:
    """How long until the next message may be claimed; None when none is pending.

    Only the first of each order counts: those behind one that failed are not due before it has been delivered.
    """
    found = await session.execute(
        text("""
        SELECT extract(epoch FROM min(coalesce(next_attempt_at, now())) - now())
        FROM (SELECT DISTINCT ON (order_no) next_attempt_at FROM outbox_messages
              WHERE destination = :destination AND state = 'pending' ORDER BY order_no, outbox_id) AS first
        """),
        {"destination": name},
    )
    left = found.scalar_one_or_none()
    return None if left is None else max(float(left), 0.0)


async def forget_delivered(session: AsyncSession, kept: timedelta, most: int) -> int:
    """Afterwards up to `most` messages that were delivered longer ago than `kept` are gone; returns how many.

    What is pending or refused stays, and so do alerts. The change that a message told of is in the order's events.
    """
    gone: int = (await session.execute(_FORGET, {"kept": kept, "most": most})).scalar_one()
    return gone
