"""The order's story: one append-only row per change, and with it what other systems must hear."""

import json
import os
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import text
from sqlmodel.ext.asyncio.session import AsyncSession

from domain.chain import canonical, genesis, moment_text, sealed
from models.columns import now
from models.order import Order
from runtime.database import LATER

OUTBOX_CHANNEL = "orderflow_outbox"


@dataclass(frozen=True, slots=True)
class Event:
    """What happened. `data` goes out to subscribers: ids, words and amounts, never personal data.

    How the order stood before and after is found out when the event is recorded; `before` and `after` add what the
    order's own columns do not show.
    """

    kind: str
    data: dict[str, Any] = field(default_factory=dict)
    actor: str = "orderflow"
    source: str = "workflow"
    node: str | None = None
    message_id: str | None = None
    reason: str | None = None
    on_behalf_of: str | None = None
    before: dict[str, Any] = field(default_factory=dict)
    after: dict[str, Any] = field(default_factory=dict)


# One round trip: the event with its place in the chain, a message for each destination that listens, and a wake-up for
# their relays. What is hashed is what `domain.chain.link` computes again from the row.
_RECORD = text("""
WITH told AS (
    SELECT CAST(:order_no AS text) AS order_no, CAST(:seq AS integer) AS seq, CAST(:kind AS text) AS kind,
           CAST(:actor AS text) AS actor, CAST(:on_behalf_of AS text) AS on_behalf_of, CAST(:source AS text) AS source,
           CAST(:message_id AS text) AS message_id, CAST(:node AS text) AS node, CAST(:data AS jsonb) AS data,
           CAST(:reason AS text) AS reason, CAST(:reason_salt AS bytea) AS reason_salt,
           CAST(:reason_seal AS bytea) AS reason_seal, CAST(:at AS text) AS at, CAST(:genesis AS bytea) AS genesis
), standing AS MATERIALIZED (
    SELECT o.flow_key, o.flow_version, o.source AS intake, jsonb_strip_nulls(jsonb_build_object(
        'lifecycle', o.lifecycle, 'waiting_for', o.waiting_for,
        'cancelling', nullif(o.cancel_requested_at IS NOT NULL, false),
        'total_minor', o.total_minor, 'paid_minor', nullif(o.paid_minor, 0),
        'refunded_minor', nullif(o.refunded_minor, 0), 'written_off_minor', nullif(o.written_off_minor, 0),
        'reduced_minor', nullif(o.reduced_minor, 0), 'refunded', nullif(l.refunded, 0),
        'cancelled', nullif(l.cancelled, 0), 'allocated', nullif(l.allocated, 0), 'shipped', nullif(l.shipped, 0),
        'delivered', nullif(l.delivered, 0), 'returned', nullif(l.returned, 0), 'invoiced', nullif(l.invoiced, 0),
        'recognised', nullif(l.recognised, 0))) AS words
    FROM orders o CROSS JOIN LATERAL (
        SELECT sum(cancelled) AS cancelled, sum(allocated) AS allocated, sum(shipped) AS shipped,
               sum(delivered) AS delivered, sum(returned) AS returned, sum(invoiced) AS invoiced,
               sum(recognised) AS recognised, sum(refunded) AS refunded
        FROM order_lines WHERE order_no = :order_no) l
    WHERE o.order_no = :order_no
), change AS MATERIALIZED (
    SELECT told.*, flow_key, flow_version, intake, words || CAST(:after AS jsonb) AS after,
           coalesce((SELECT jsonb_object_agg(word, prior.after->word)
                     FROM unnest(CAST(:words AS text[])) AS word
                     WHERE prior.after->word IS DISTINCT FROM words->word), '{}') || CAST(:before AS jsonb) AS before,
           CASE seq WHEN 1 THEN genesis ELSE coalesce(prior.hash, '') END AS prev_hash
    FROM told CROSS JOIN standing
    LEFT JOIN (SELECT hash, after FROM order_events WHERE order_no = :order_no AND seq = :seq - 1) prior ON true
), event AS (
    INSERT INTO order_events (order_no, seq, kind, actor, on_behalf_of, source, intake, message_id, node, flow_key,
                              flow_version, before, after, data, reason, reason_salt, reason_seal, at, prev_hash, hash)
    SELECT order_no, seq, kind, actor, on_behalf_of, source, intake, message_id, node, flow_key, flow_version,
           before, after, data, reason, reason_salt, reason_seal, CAST(at AS timestamptz), prev_hash,
           sha256(convert_to(CAST(jsonb_build_object(
               'order_no', order_no, 'seq', seq, 'kind', kind, 'actor', actor, 'on_behalf_of', on_behalf_of,
               'source', source, 'intake', intake, 'message_id', message_id, 'node', node, 'flow_key', flow_key,
               'flow_version', flow_version, 'before', before, 'after', after, 'data', data,
               'reason_seal', encode(reason_seal, 'hex'), 'at', at, 'prev_hash', encode(prev_hash, 'hex')
           ) AS text), 'UTF8'))
    FROM change
), message AS (
    INSERT INTO outbox_messages (destination, message_id, order_no, event_type, body, occurred_at, state, attempts)
    SELECT d.name, :outbox_id, :order_no, :kind, :body, CAST(:at AS timestamptz), 'pending', 0
    FROM destinations d
    WHERE d.enabled AND (cardinality(d.event_types) = 0
        OR EXISTS (SELECT 1 FROM unnest(d.event_types) AS prefix WHERE starts_with(CAST(:kind AS text), prefix)))
    RETURNING destination
)
SELECT pg_notify(:channel, destination) FROM message
""")
# What `after` says of the order; the statement above fills in exactly these.
_WORDS = [
    "lifecycle", "waiting_for", "cancelling", "total_minor", "paid_minor", "refunded_minor", "written_off_minor",
    "reduced_minor", "cancelled", "allocated", "shipped", "delivered", "returned", "refunded", "invoiced", "recognised",
]  # fmt: skip


async def record(session: AsyncSession, order: Order, event: Event) -> int:
    """Afterwards the event is the order's latest and queued for every destination that listens; returns its number.

    The order's row must be locked by this transaction: the numbers of its events have no gaps, and each is chained to
    the one before.
    """
    order.last_event_seq += 1
    seq, at = order.last_event_seq, now()
    await session.flush()
    salt = os.urandom(16) if event.reason is not None else None
    await session.execute(
        _RECORD,
        {
            "order_no": order.order_no,
            "seq": seq,
            "kind": event.kind,
            "actor": event.actor,
            "on_behalf_of": event.on_behalf_of,
            "source": event.source,
            "node": event.node,
            "message_id": event.message_id,
            "reason": event.reason,
            "reason_salt": salt,
            "reason_seal": sealed(event.reason, salt) if event.reason is not None and salt is not None else None,
            "data": canonical(event.data),
            "before": canonical(event.before),
            "after": canonical(event.after),
            "words": _WORDS,
            "at": moment_text(at),
            "genesis": genesis(order.order_no),
            "outbox_id": f"{order.order_no}/{seq}",
            "body": _body(order, seq, at.isoformat().replace("+00:00", "Z"), event),
            "channel": OUTBOX_CHANNEL,
        },
        execution_options=LATER,
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


async def has_kind(session: AsyncSession, order_no: str, kind: str, *, after: int = 0) -> bool:
    """Whether the order's story has an event of this kind after the event of this number."""
    query = text("SELECT 1 FROM order_events WHERE order_no = :order_no AND kind = :kind AND seq > :after LIMIT 1")
    asked = {"order_no": order_no, "kind": kind, "after": after}
    return (await session.execute(query, asked)).first() is not None


async def record_forged(session: AsyncSession, order: Order, inbox_id: int) -> None:
    """Afterwards the order's story tells of a signal that named no message of this order, and that it had no effect."""
    message_id = f"forged/{inbox_id}"
    if not await has_message(session, order.order_no, message_id):
        told = Event("signal.ignored", {"inbox_id": inbox_id}, source="temporal", message_id=message_id)
        await record(session, order, told)
