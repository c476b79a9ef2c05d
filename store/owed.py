"""What goes on beside orders or after their end, and whose workflow may be lost: refunds, returns, late money."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import text
from sqlmodel.ext.asyncio.session import AsyncSession

from store import events, holds, inbox, orders
from store.alerts import alert
from store.events import Event
from store.holds import Reason
from store.lost import RESTARTED, Given

# Younger hand-overs may not be visible in Temporal yet.
_YOUNG = timedelta(seconds=10)
# What has been told again as often as this within the time, and does not end, is for a person.
_SHORTLY = timedelta(hours=1)
_PATIENCE = 3
# Messages so far back were looked at before: they are looked at again by the daily check alone.
_RECENT = 20_000


@dataclass(frozen=True, slots=True)
class Owed:
    """Something that is not done about an order, and the workflows of which one has to be at it."""

    order_no: str
    workflow_ids: tuple[str, ...]


_OWED = """
WITH owed AS (
    SELECT t.order_no, ARRAY['return/' || t.return_no] AS workflow_ids FROM returns t WHERE t.closed_at IS NULL
    UNION SELECT r.order_no, ARRAY[m.message_id] FROM refunds r
    JOIN inbox_messages m ON m.order_no = r.order_no AND m.kind = 'refund.requested'
                         AND m.message_id = 'refund/' || r.order_no || '/' || substr(r.cause, 7)
    WHERE r.state <> 'succeeded' AND r.credited_to IS NULL AND starts_with(r.cause, 'grant/')
    UNION SELECT r.order_no, ARRAY['order/' || r.order_no, 'followup/' || r.order_no] FROM refunds r
    JOIN orders o ON o.order_no = r.order_no AND o.closed_at IS NOT NULL
    WHERE r.state <> 'succeeded' AND r.credited_to IS NULL AND NOT starts_with(r.cause, 'grant/')
    UNION SELECT m.order_no, CASE WHEN m.kind IN ('refund.requested', 'return.requested') THEN ARRAY[m.message_id]
                            ELSE ARRAY['order/' || m.order_no, 'followup/' || m.order_no] END
    FROM inbox_messages m JOIN orders o ON o.order_no = m.order_no
    WHERE m.inbox_id > :since AND (
        (m.kind IN ('refund.requested', 'return.requested') AND m.applied_at IS NULL)
        OR (o.closed_at IS NOT NULL AND m.kind IN ('payment.settled', 'parcel.scanned', 'hold.decided')
            AND m.applied_at IS NULL)
        OR (o.closed_at IS NOT NULL AND m.kind = 'payment.settled' AND o.lifecycle <> 'completed'
            AND o.paid_minor > o.refunded_minor + o.forfeited_minor))
)
SELECT order_no, workflow_ids FROM owed
WHERE (CAST(:only AS text) IS NULL OR order_no = :only)
  AND NOT EXISTS (SELECT 1 FROM inbox_messages m WHERE m.order_no = owed.order_no
                  AND (m.handed_over_at IS NULL OR m.handed_over_at > now() - CAST(:young AS interval)))
  AND NOT EXISTS (SELECT 1 FROM order_holds h WHERE h.order_no = owed.order_no AND h.reason_code = 'workflow_lost'
                  AND h.resolved_at IS NULL)
ORDER BY order_no
"""
_LATEST = text("SELECT coalesce(max(inbox_id), 0) FROM inbox_messages")
_SEEN = text("""
SELECT (SELECT max(handed_over_at) FROM inbox_messages WHERE order_no = :order_no) AS handed_over_at,
       (SELECT count(*) FROM order_events e WHERE e.order_no = :order_no AND e.kind = :restarted
        AND e.at > now() - CAST(:shortly AS interval) AND e.data ? 'workflow_id') AS restarts
""")


async def due(session: AsyncSession, only: str | None = None, *, thorough: bool = False) -> Sequence[Owed]:
    """What is not done, of this order or of all, that Temporal has had for some seconds and no person is asked about.

    Unless `thorough`, of messages that came for ended orders only the latest are looked at.
    """
    since = 0 if thorough or only else int((await session.execute(_LATEST)).scalar_one()) - _RECENT
    rows = await session.execute(text(_OWED), {"only": only, "young": _YOUNG, "since": since})
    return [Owed(row.order_no, tuple(row.workflow_ids)) for row in rows]


async def tell_again(session: AsyncSession, owed: Owed, status: str, seen_at: datetime) -> Given | None:
    """Afterwards what was told of the order is to be handed over again, or a person is asked: that did not help before.

    `status` is how its workflow had ended, `seen_at` when that was seen. None: it is done, or was told again since.
    """
    order = await orders.lock(session, owed.order_no)
    if owed not in await due(session, owed.order_no):
        return None
    asked = {"order_no": owed.order_no, "restarted": RESTARTED, "shortly": _SHORTLY}
    row = (await session.execute(_SEEN, asked)).one()
    if row.handed_over_at >= seen_at:
        return None
    if row.restarts < _PATIENCE:
        told = {"status": status, "restart": row.restarts + 1, "workflow_id": owed.workflow_ids[-1]}
        await events.record(session, order, Event(RESTARTED, told, source="watch"))
        await inbox.forget_hand_over(session, owed.order_no)
        return Given(owed.order_no, status, restarted=True)
    facts = {"status": status, "workflow_id": owed.workflow_ids[-1]}
    reason = Reason("workflow_lost", f"a workflow beside it is {status.lower()} again", facts, blocking=False)
    hold = await holds.open_hold(session, order, reason)
    known = {"order_no": owed.order_no, "status": status, "hold_id": hold.hold_id}
    await alert(session, "workflow_lost", owed.order_no, f"{owed.order_no}/{hold.hold_id}", known)
    return Given(owed.order_no, status, restarted=False)
