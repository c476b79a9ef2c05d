"""The order's story: one append-only row per change, and with it what other systems must hear."""

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from sqlalchemy import JSON, bindparam, text
from sqlmodel.ext.asyncio.session import AsyncSession

from domain.chain import canonical, genesis, link, sealed, told_of
from models.columns import now
from models.order import Order, OrderLine
from runtime.direct import gathered, later
from store import whole
from store.whole import Question

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


# Words and moments as text, octets in hexadecimal digits.
_INSERT = text("""
INSERT INTO order_events (order_no, seq, kind, actor, on_behalf_of, source, intake, message_id, node, flow_key,
                          flow_version, before, after, data, reason, reason_salt, reason_seal, at, prev_hash, hash)
SELECT e.order_no, e.seq, e.kind, e.actor, e.on_behalf_of, e.source, e.intake, e.message_id, e.node, e.flow_key,
       e.flow_version, CAST(e.before AS jsonb), CAST(e.after AS jsonb), CAST(e.data AS jsonb), e.reason,
       decode(e.reason_salt, 'hex'), decode(e.reason_seal, 'hex'), e.at, decode(e.prev_hash, 'hex'),
       decode(e.hash, 'hex')
FROM json_to_recordset(:rows) AS e(
    order_no text, seq integer, kind text, actor text, on_behalf_of text, source text, intake text, message_id text,
    node text, flow_key text, flow_version integer, before text, after text, data text, reason text, reason_salt text,
    reason_seal text, at timestamptz, prev_hash text, hash text)
ORDER BY e.order_no, e.seq
""").bindparams(bindparam("rows", type_=JSON))
_SEND = text("""
WITH message AS (
    INSERT INTO outbox_messages (destination, message_id, order_no, event_type, body, occurred_at, state, attempts)
    SELECT d.name, :outbox_id, :order_no, CAST(:kind AS text), :body, CAST(:at AS timestamptz), 'pending', 0
    FROM destinations d
    WHERE d.enabled AND (cardinality(d.event_types) = 0
        OR EXISTS (SELECT 1 FROM unnest(d.event_types) AS prefix WHERE starts_with(CAST(:kind AS text), prefix)))
    RETURNING destination
)
SELECT pg_notify(:channel, destination) FROM message
""")
_LISTENERS = Question("SELECT event_types FROM destinations WHERE enabled", lasting=True)
_LAST = Question("""
SELECT encode(hash, 'hex') AS hash, after FROM order_events WHERE order_no = %(order_no)s ORDER BY seq DESC LIMIT 1
""")
_RECORDED = "events recorded"
FIRST: Final = 1
_OF_ORDER = ("total_minor",)
_UNLESS_ZERO = ("paid_minor", "refunded_minor", "written_off_minor", "reduced_minor")
_WORDS = ("lifecycle", "waiting_for", "cancelling", *_OF_ORDER, *_UNLESS_ZERO, *whole.UNITS)


async def record(session: AsyncSession, order: Order, event: Event) -> int:
    """Afterwards the event is the order's latest and queued for every destination that listens; returns its number.

    The order's row must be locked by this transaction, or made by it: the numbers of its events have no gaps, and each
    is chained to the one before.
    """
    prev_hash, was = await _last(session, order)
    order.last_event_seq += 1
    await _record(session, order, event, prev_hash, was)
    return order.last_event_seq


async def record_first(session: AsyncSession, order: Order, event: Event) -> None:
    """The same for the first event of an order, whose row was made with `FIRST` as the number of its latest event."""
    await _record(session, order, event, genesis(order.order_no), {})


async def _record(session: AsyncSession, order: Order, event: Event, prev_hash: bytes, was: dict[str, Any]) -> None:
    words, at = await _words(session, order), now()
    after = words | event.after
    salt = os.urandom(16) if event.reason is not None else None
    row = {
        "order_no": order.order_no,
        "seq": order.last_event_seq,
        "kind": event.kind,
        "actor": event.actor,
        "on_behalf_of": event.on_behalf_of,
        "source": event.source,
        "intake": order.source,
        "message_id": event.message_id,
        "node": event.node,
        "flow_key": order.flow_key,
        "flow_version": order.flow_version,
        "before": canonical(
            {name: was.get(name) for name in _WORDS if was.get(name) != words.get(name)} | event.before
        ),
        "after": canonical(after),
        "data": canonical(event.data),
        "reason": event.reason,
        "reason_salt": salt,
        "reason_seal": sealed(event.reason, salt) if event.reason is not None and salt is not None else None,
        "at": at,
        "prev_hash": prev_hash,
    }
    row["hash"] = link(told_of(row))
    session.info.setdefault(_RECORDED, {})[order.order_no] = (order.last_event_seq, row["hash"], after)
    await gathered(session, _INSERT, [_in_json(row)])
    await _send(session, order, at, event)


def _in_json(row: dict[str, Any]) -> dict[str, Any]:
    octets = {name: each.hex() for name, each in row.items() if isinstance(each, bytes)}
    return row | octets | {"at": row["at"].isoformat()}


async def _last(session: AsyncSession, order: Order) -> tuple[bytes, dict[str, Any]]:
    """The hash of the order's latest event, and how the order stood then."""
    if order.last_event_seq == 0:
        return genesis(order.order_no), {}
    seq, prev_hash, after = session.info.get(_RECORDED, {}).get(order.order_no, (0, b"", {}))
    if seq == order.last_event_seq:
        return prev_hash, after
    row = (await _LAST.answer(session, order.order_no))[0]
    return bytes.fromhex(row["hash"]), row["after"]


async def _words(session: AsyncSession, order: Order) -> dict[str, Any]:
    """How the order stands: zeros and nothings are left out."""
    lines = await whole.rows(session, OrderLine, order.order_no)
    words: dict[str, Any] = {
        "lifecycle": str(order.lifecycle),
        "waiting_for": order.waiting_for,
        "cancelling": True if order.cancel_requested_at is not None else None,
        **{name: getattr(order, name) for name in _OF_ORDER},
        **{name: getattr(order, name) or None for name in _UNLESS_ZERO},
        **{name: units or None for name, units in whole.units_of(lines).items()},
    }
    return {name: word for name, word in words.items() if word is not None}


async def _send(session: AsyncSession, order: Order, at: datetime, event: Event) -> None:
    """Afterwards every destination that listens has a message, and its relay a wake-up."""
    listeners = _LISTENERS.known(session, order.order_no)
    if listeners is not None and not any(_hears(one["event_types"], event.kind) for one in listeners):
        return
    asked = {
        "order_no": order.order_no,
        "kind": event.kind,
        "at": at,
        "outbox_id": f"{order.order_no}/{order.last_event_seq}",
        "body": _body(order, order.last_event_seq, at.isoformat().replace("+00:00", "Z"), event),
        "channel": OUTBOX_CHANNEL,
    }
    await later(session, _SEND, asked)


def _hears(prefixes: Sequence[str], kind: str) -> bool:
    return not prefixes or kind.startswith(tuple(prefixes))


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
