"""The inbox: what came in, verbatim and once; what Temporal still has to get; what became of it."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

from sqlalchemy import text
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from domain.errors import DomainError
from domain.fingerprint import fingerprint
from models.columns import now
from models.inbox import LARGEST_ID, InboxMessage
from runtime.direct import ask_together, later

# Long enough for a hand-over that is under way in another process to end first.
_LEASE = timedelta(seconds=15)
STRAY_AFTER = timedelta(hours=24)
"""A message that has waited so long for its order is for people to look into."""
WAKE_UPS = ("stock.replenished", "order.adjusted")
"""Messages that say nothing but that the order should look again."""
# What people ask of a running order with an update. A message of another kind is not theirs to use up.
_ASKED = ("cancel.requested", "hold.settled", "flow.requested")


class MessageDiffers(DomainError):
    """The same message id (or idempotency key) came before with another content."""

    code = "idempotency_key_reused"


@dataclass(frozen=True, slots=True)
class Incoming:
    """A message as it came: `body` verbatim, `meaning` the validated content that two equal requests share."""

    source: str
    message_id: str
    kind: str
    order_no: str | None
    body: str
    meaning: Any
    actor: str
    idempotency_key: str | None = None

    @property
    def fingerprint(self) -> str:
        return fingerprint(self.meaning)


@dataclass(frozen=True, slots=True)
class Receipt:
    """Where the message lies, and whether it had come before."""

    inbox_id: int
    order_no: str | None
    repeated: bool


async def add(session: AsyncSession, message: Incoming, *, leased: bool = True) -> Receipt:
    """Afterwards the message is in the inbox once, whoever sends it how often. Raises MessageDiffers.

    Not `leased`: whoever commits it will not hand it over, and the sweeper need not wait for that.
    """
    return await add_new(session, message, leased=leased) or await first_of(session, message)


ADD: Final = """
INSERT INTO inbox_messages (source, message_id, kind, order_no, idempotency_key, fingerprint, body, actor, received_at,
                            next_hand_over_at, hand_over_attempts)
VALUES (%(source)s, %(message_id)s, %(kind)s, %(order_no)s, %(idempotency_key)s, %(fingerprint)s, %(body)s, %(actor)s,
        %(received_at)s, %(next_hand_over_at)s, 0)
ON CONFLICT DO NOTHING RETURNING inbox_id
"""
"""Finds the message's number; nothing where there was one of its id or key before."""


def to_add(message: Incoming, *, leased: bool) -> dict[str, Any]:
    """What `ADD` asks for."""
    return {
        "source": message.source,
        "message_id": message.message_id,
        "kind": message.kind,
        "order_no": message.order_no,
        "idempotency_key": message.idempotency_key,
        "fingerprint": message.fingerprint,
        "body": message.body,
        "actor": message.actor,
        "received_at": now(),
        # The process that commits a message hands it over at once; the sweeper takes what is left after the lease.
        "next_hand_over_at": now() + _LEASE if leased else None,
    }


async def add_new(session: AsyncSession, message: Incoming, *, leased: bool, last: bool = False) -> Receipt | None:
    """Afterwards the message is in the inbox; None: there was one of its id or key before.

    `last`: nothing else is asked or changed by this transaction, so its commit goes out with this.
    """
    (found,) = await ask_together(session, [ADD], to_add(message, leased=leased), last=last)
    return Receipt(found[0]["inbox_id"], message.order_no, repeated=False) if found else None


async def first_of(session: AsyncSession, message: Incoming) -> Receipt:
    """The message that came first under this id or key. Raises MessageDiffers where it says something else."""
    same_id = (InboxMessage.message_id == message.message_id) & (InboxMessage.source == message.source)
    if message.idempotency_key is not None:
        same_key = (InboxMessage.source == message.source) & (InboxMessage.idempotency_key == message.idempotency_key)
        same_id = same_id | same_key
    found = (await session.exec(select(InboxMessage).where(same_id))).all()
    first = found[0]
    if len(found) > 1 or first.fingerprint != message.fingerprint or first.order_no != message.order_no:
        raise MessageDiffers(message_id=message.message_id)
    return Receipt(_id(first), first.order_no, repeated=True)


async def tell_adjusted(session: AsyncSession, order_no: str, change_id: str) -> None:
    """Afterwards the inbox tells the running order, once per change, that it is another one than it knew."""
    meaning = {"change_id": change_id}
    message_id = f"adjusted/{order_no}/{change_id}"
    await add(
        session,
        Incoming("orderflow", message_id, "order.adjusted", order_no, json.dumps(meaning), meaning, "orderflow"),
        leased=False,
    )


async def find(session: AsyncSession, source: str, message_id: str) -> InboxMessage | None:
    """The message that this source sent under this id, if it has come."""
    same = (InboxMessage.source == source) & (InboxMessage.message_id == message_id)
    return (await session.exec(select(InboxMessage).where(same))).one_or_none()


async def body_of(session: AsyncSession, inbox_id: int) -> str:
    """The message's body, as it is kept."""
    return (await session.get_one(InboxMessage, inbox_id)).body


async def of_order(session: AsyncSession, inbox_id: int, order_no: str) -> InboxMessage | None:
    """The order's message, or None: then whoever named it did not come through our door."""
    if not 0 < inbox_id <= LARGEST_ID:
        return None
    message = await session.get(InboxMessage, inbox_id)
    return message if message is not None and message.order_no == order_no else None


async def reason_in(session: AsyncSession, inbox_id: int, order_no: str) -> str | None:
    """The words with which a person asked for something, as `reason_code: reason`; None when nobody gave any.

    The message counts as heard afterwards.
    """
    said = await said_in(session, inbox_id, order_no)
    return ": ".join(str(said[part]) for part in ("reason_code", "reason") if said.get(part)) or None


async def said_in(session: AsyncSession, inbox_id: int, order_no: str) -> dict[str, Any]:
    """What a person asked for, word by word; nothing when nobody did. The message counts as heard afterwards."""
    message = await of_order(session, inbox_id, order_no) if inbox_id else None
    if message is None or message.kind not in _ASKED:
        return {}
    mark_applied(message, "heard")
    said: dict[str, Any] = json.loads(message.body)
    return said


def mark_applied(message: InboxMessage, outcome: str) -> None:
    """Afterwards the row says what became of the message; the first outcome stays."""
    if message.applied_at is None:
        message.applied_at, message.outcome = now(), outcome


async def set_aside(session: AsyncSession, inbox_id: int, outcome: str) -> None:
    """Afterwards nobody waits for the message to be handed over or applied; `outcome` says why."""
    await session.execute(
        text("""
        UPDATE inbox_messages SET handed_over_at = now(), applied_at = now(), outcome = :outcome
        WHERE inbox_id = :inbox_id AND applied_at IS NULL
        """),
        {"inbox_id": inbox_id, "outcome": outcome},
    )


async def errands_of(session: AsyncSession, order_no: str) -> Sequence[str]:
    """The workflows that began beside the order, running or ended: each is called as the message that began it."""
    query = select(InboxMessage.message_id).where(
        InboxMessage.order_no == order_no, col(InboxMessage.kind).in_(("refund.requested", "return.requested"))
    )
    return (await session.exec(query.order_by(col(InboxMessage.inbox_id)))).all()


# Looked through are some thousand of the oldest, so that one order with many does not keep the others waiting.
_CLAIM = text("""
UPDATE inbox_messages SET next_hand_over_at = now() + :lease, hand_over_attempts = hand_over_attempts + 1
WHERE inbox_id IN (
    SELECT m.inbox_id FROM inbox_messages m JOIN (
        SELECT inbox_id, row_number() OVER (PARTITION BY order_no ORDER BY inbox_id) AS place FROM (
            SELECT inbox_id, order_no FROM inbox_messages w
            WHERE handed_over_at IS NULL AND (next_hand_over_at IS NULL OR next_hand_over_at <= now())
              AND order_no IS NOT NULL AND EXISTS (SELECT 1 FROM orders o WHERE o.order_no = w.order_no)
            ORDER BY inbox_id LIMIT 20000) oldest) lined USING (inbox_id)
    WHERE lined.place <= :of_one AND m.handed_over_at IS NULL
      AND (m.next_hand_over_at IS NULL OR m.next_hand_over_at <= now())
    ORDER BY m.inbox_id LIMIT :most FOR UPDATE OF m SKIP LOCKED)
RETURNING inbox_id, order_no, kind, message_id, hand_over_attempts
""")
# Temporal gives up what a workflow does in one task once a hundred messages have come in meanwhile.
OF_ONE_ORDER: Final = 40
"""So many messages of an order are handed over in one go."""


@dataclass(frozen=True, slots=True)
class Start:
    """What the workflow of an order begins with, as whoever has just placed the order knows."""

    flow_key: str
    flow_version: int
    facts: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Pending:
    """A message that Temporal has to get; `start`: of an order that has been placed a moment ago."""

    inbox_id: int
    order_no: str
    kind: str
    message_id: str
    start: Start | None = None


async def claim_pending(session: AsyncSession, most: int) -> list[Pending]:
    """Up to `most` messages that nobody is handing over, oldest first, leased to the caller for some seconds.

    There are no more than `OF_ONE_ORDER` of any order among them: the next claim finds the rest.
    Messages for orders that are not there yet stay and are found once the order is.
    """
    rows = (await session.execute(_CLAIM, {"lease": _LEASE, "most": most, "of_one": OF_ONE_ORDER})).all()
    found = [Pending(row.inbox_id, row.order_no, row.kind, row.message_id) for row in rows]
    return sorted(found, key=lambda pending: pending.inbox_id)


_HANDED_OVER = text("""
UPDATE inbox_messages SET handed_over_at = now() WHERE inbox_id = ANY(:ids) AND handed_over_at IS NULL
""")


async def mark_handed_over(session: AsyncSession, inbox_ids: Sequence[int]) -> None:
    """Afterwards these messages are Temporal's to keep."""
    await later(session, _HANDED_OVER, {"ids": list(inbox_ids)})


async def forget_hand_over(session: AsyncSession, only: str | None = None) -> list[tuple[str, int]]:
    """Afterwards every message of every open order, and every refund under way, is to be handed over again; of ended
    orders what was not applied yet, and the payments of those that still owe money back.

    `only`: of this order. Returns (order number, inbox id).

    For the day Temporal has lost its database, or a workflow. Harmless otherwise: no effect happens twice.
    """
    result = await session.execute(
        text("""
        UPDATE inbox_messages m SET handed_over_at = NULL, next_hand_over_at = NULL, hand_over_attempts = 0
        FROM orders o
        WHERE o.order_no = m.order_no AND m.handed_over_at IS NOT NULL
          AND (CAST(:only AS text) IS NULL OR m.order_no = :only)
          AND ((o.closed_at IS NULL AND m.kind IN ('order.placed', 'payment.settled', 'parcel.scanned',
                                                   'stock.replenished', 'order.adjusted', 'approval.decided',
                                                   'hold.decided'))
               -- What came in for an ended order was told to a follow-up, which is lost as well.
               OR (m.kind IN ('payment.settled', 'parcel.scanned', 'hold.decided') AND m.applied_at IS NULL)
               OR (m.kind = 'payment.settled' AND EXISTS (
                   SELECT 1 FROM refunds r
                   WHERE r.order_no = m.order_no AND r.state <> 'succeeded' AND r.credited_to IS NULL))
               -- Money that came for an order that was broken off, and is not on its way back yet.
               OR (m.kind = 'payment.settled' AND o.closed_at IS NOT NULL AND o.lifecycle <> 'completed'
                   AND o.paid_minor > o.refunded_minor + o.forfeited_minor)
               -- Refunds have a life of their own; of those that began lately nobody knows how far they had come.
               OR ((starts_with(m.kind, 'return.') OR m.kind = 'approval.decided') AND m.applied_at IS NULL)
               OR (starts_with(m.kind, 'return.') AND EXISTS (
                   SELECT 1 FROM returns t WHERE t.order_no = m.order_no
                   AND starts_with(m.message_id, 'return/' || t.return_no)
                   AND (t.closed_at IS NULL OR t.closed_at > now() - interval '30 days')))
               OR (m.kind = 'refund.requested' AND (m.applied_at IS NULL OR m.received_at > now() - interval '30 days'
                   OR EXISTS (SELECT 1 FROM refunds r WHERE r.order_no = m.order_no AND r.state <> 'succeeded'))))
        RETURNING m.order_no, m.inbox_id
        """),
        {"only": only},
    )
    return [(row.order_no, row.inbox_id) for row in result]


async def waiting_for_order(session: AsyncSession, older_than: timedelta) -> list[InboxMessage]:
    """Messages whose order has not come for longer than `older_than`: somebody should ask the channel."""
    query = (
        select(InboxMessage)
        .where(
            col(InboxMessage.handed_over_at).is_(None),
            col(InboxMessage.received_at) < now() - older_than,
            ~select(text("1"))
            .select_from(text("orders"))
            .where(text("orders.order_no = inbox_messages.order_no"))
            .exists(),
        )
        .order_by(col(InboxMessage.inbox_id))
    )
    return list((await session.exec(query)).all())


def _id(message: InboxMessage) -> int:
    if message.inbox_id is None:
        raise ValueError("an inbox message has its number once it is stored")
    return message.inbox_id
