"""The order's story: one append-only row per change, and with it what other systems must hear."""

import json
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import text
from sqlmodel.ext.asyncio.session import AsyncSession

from models.columns import now
from models.order import Order

OUTBOX_CHANNEL = "orderflow_outbox"


@dataclass(frozen=True, slots=True)
class Event:
    """What happened. `data` goes out to subscribers: ids, words and amounts, never personal data."""

    kind: str
    data: dict[str, Any] = field(default_factory=dict)
    actor: str = "orderflow"
    source: str = "workflow"
    node: str | None = None
    message_id: str | None = None
    reason: str | None = None


# One round trip: the event, a message for each destination that listens, and a wake-up for their relays.
_RECORD = text("""
WITH event AS (
    INSERT INTO order_events (order_no, seq, kind, actor, source, node, message_id, reason, data, at)
    VALUES (:order_no, :seq, :kind, :actor, :source, :node, :message_id, :reason, CAST(:data AS jsonb), :at)
), message AS (
    INSERT INTO outbox_messages (destination, message_id, order_no, event_type, body, occurred_at, state, attempts)
    SELECT d.name, :outbox_id, :order_no, :kind, :body, :at, 'pending', 0
    FROM destinations d
    WHERE d.enabled AND (cardinality(d.event_types) = 0
        OR EXISTS (SELECT 1 FROM unnest(d.event_types) AS prefix WHERE starts_with(CAST(:kind AS text), prefix)))
    RETURNING destination
)
SELECT pg_notify(:channel, destination) FROM message
""")


async def record(session: AsyncSession, order: Order, event: Event) -> int:
    """Afterwards the event is the order's latest and queued for every destination that listens; returns its number.

    The order's row must be locked by this transaction: the numbers of its events have no gaps.
    """
    order.last_event_seq += 1
    seq, at = order.last_event_seq, now()
    await session.flush()
    await session.execute(
        _RECORD,
        {
            "order_no": order.order_no,
            "seq": seq,
            "kind": event.kind,
            "actor": event.actor,
            "source": event.source,
            "node": event.node,
            "message_id": event.message_id,
            "reason": event.reason,
            "data": json.dumps(event.data, ensure_ascii=False),
            "at": at,
            "outbox_id": f"{order.order_no}/{seq}",
            "body": _body(order, seq, at.isoformat().replace("+00:00", "Z"), event),
            "channel": OUTBOX_CHANNEL,
        },
    )
    return seq


def _body(order: Order, seq: int, at: str, event: Event) -> str:
    told = {
        "order_no": order.order_no,
        "channel": order.channel,
        "external_id": order.external_id,
        "seq": seq,
        "lifecycle": order.lifecycle,
        **event.data,
    }
    return json.dumps({"type": event.kind, "timestamp": at, "data": told}, ensure_ascii=False, separators=(",", ":"))


async def has_message(session: AsyncSession, order_no: str, message_id: str) -> bool:
    """Whether an event of the order was recorded under this message id."""
    found = await session.execute(
        text("SELECT 1 FROM order_events WHERE order_no = :order_no AND message_id = :message_id LIMIT 1"),
        {"order_no": order_no, "message_id": message_id},
    )
    return found.first() is not None


async def record_forged(session: AsyncSession, order: Order, inbox_id: int) -> None:
    """Afterwards the order's story tells of a signal that named no message of this order, and that it had no effect."""
    message_id = f"forged/{inbox_id}"
    if not await has_message(session, order.order_no, message_id):
        told = Event("signal.ignored", {"inbox_id": inbox_id}, source="temporal", message_id=message_id)
        await record(session, order, told)
