"""Whether anything stands still without anybody who would notice, and whether stories are whole."""

from sqlmodel.ext.asyncio.session import AsyncSession

from store.checks.finding import Finding, ask, question

_UNRECOGNISED = question("""
SELECT s.shipment_no AS key, s.order_no, 'delivered at ' || CAST(s.delivered_at AS text) AS lhs, 'no revenue' AS rhs
FROM shipments s JOIN orders o ON o.order_no = s.order_no
WHERE (CAST(:only AS text) IS NULL OR s.order_no = :only)
  AND s.status = 'delivered' AND s.delivered_at < now() - interval '1 hour'
  AND NOT EXISTS (SELECT 1 FROM order_events e WHERE e.order_no = s.order_no AND e.kind = 'revenue.recognised'
                  AND e.message_id = 'revenue/' || s.shipment_no)
""")


async def nothing_delivered_is_without_revenue(session: AsyncSession, only: str | None) -> list[Finding]:
    """The revenue of a parcel is recognised within an hour of its delivery."""
    return await ask(session, _UNRECOGNISED, only)


_RECOGNISED = question("""
SELECT l.order_no || '/' || l.line_id AS key, l.order_no, 'recognised ' || l.recognised AS lhs,
       'delivered with revenue ' || coalesce(p.units, 0) AS rhs
FROM order_lines l LEFT JOIN (
    SELECT pl.order_no, pl.line_id, sum(pl.quantity) AS units
    FROM order_events e JOIN shipment_lines pl ON e.message_id = 'revenue/' || pl.shipment_no
    WHERE e.kind = 'revenue.recognised' AND e.order_no = pl.order_no
      AND (CAST(:only AS text) IS NULL OR e.order_no = :only)
    GROUP BY pl.order_no, pl.line_id) p ON p.order_no = l.order_no AND p.line_id = l.line_id
WHERE (CAST(:only AS text) IS NULL OR l.order_no = :only)
  AND NOT (coalesce(p.units, 0) - l.returned <= l.recognised AND l.recognised <= coalesce(p.units, 0))
  AND NOT EXISTS (SELECT 1 FROM order_events e WHERE e.order_no = l.order_no AND e.kind = 'revenue.reversed')
""")


async def recognised_units_were_delivered(session: AsyncSession, only: str | None) -> list[Finding]:
    """Units count as recognised if their parcel's revenue was told, less at most those that came back."""
    return await ask(session, _RECOGNISED, only)


_TRAVELLING = question("""
SELECT s.shipment_no AS key, s.order_no, 'with the carrier since ' || CAST(s.handed_over_at AS text) AS lhs,
       'neither delivered nor held' AS rhs
FROM shipments s
WHERE (CAST(:only AS text) IS NULL OR s.order_no = :only)
  AND s.status IN ('handed_over', 'in_transit') AND s.handed_over_at < now() - interval '30 days'
  AND NOT EXISTS (SELECT 1 FROM order_holds h WHERE h.order_no = s.order_no AND h.resolved_at IS NULL)
""")


async def nothing_shipped_is_forgotten(session: AsyncSession, only: str | None) -> list[Finding]:
    """Goods that left bring revenue within 30 days, or their order is held."""
    return await ask(session, _TRAVELLING, only)


_HOLDS = question("""
SELECT h.hold_id AS key, h.order_no, 'held for ' || h.reason_code AS lhs,
       'owner ' || coalesce(nullif(h.owner_role, ''), 'nobody') || ', due ' || coalesce(CAST(h.due_at AS text), 'never')
           || CASE WHEN o.closed_at IS NULL THEN '' ELSE ', the order has ended' END AS rhs
FROM order_holds h JOIN orders o ON o.order_no = h.order_no
WHERE (CAST(:only AS text) IS NULL OR h.order_no = :only) AND h.resolved_at IS NULL
  AND (h.owner_role = '' OR h.due_at IS NULL
       OR (o.closed_at < now() - interval '1 hour' AND h.blocking AND o.lifecycle = 'completed'))
""")


async def holds_have_an_owner_and_a_deadline(session: AsyncSession, only: str | None) -> list[Finding]:
    """Every open hold belongs to a role and is due at some time; none blocks an order that is completed."""
    return await ask(session, _HOLDS, only)


_WAITING = question("""
SELECT o.order_no AS key, o.order_no, 'waits for ' || coalesce(o.waiting_for, 'nothing') AS lhs,
       'deadline ' || coalesce(CAST(o.deadline_at AS text), 'none') || ', last event ' || CAST(e.at AS text) AS rhs
FROM orders o
JOIN order_events e ON e.order_no = o.order_no AND e.seq = o.last_event_seq
WHERE (CAST(:only AS text) IS NULL OR o.order_no = :only) AND o.closed_at IS NULL
  AND NOT EXISTS (SELECT 1 FROM order_holds h WHERE h.order_no = o.order_no AND h.resolved_at IS NULL)
  AND ((o.waiting_for IS NOT NULL AND (o.deadline_at IS NULL OR o.deadline_at < now() - interval '1 hour'))
       OR (o.waiting_for IS NULL AND e.at < now() - interval '1 hour'))
""")


async def nothing_waits_without_a_deadline(session: AsyncSession, only: str | None) -> list[Finding]:
    """An open order moves on within the hour, or waits for something named until a deadline, or is held."""
    return await ask(session, _WAITING, only)


_INBOX = question("""
SELECT 'inbox ' || m.inbox_id AS key, m.order_no, m.kind || ' received at ' || CAST(m.received_at AS text) AS lhs,
       CASE WHEN m.handed_over_at IS NULL THEN 'not handed over' ELSE 'not applied' END AS rhs
FROM inbox_messages m JOIN orders o ON o.order_no = m.order_no
WHERE (CAST(:only AS text) IS NULL OR m.order_no = :only)
  AND ((m.handed_over_at IS NULL AND m.received_at < now() - interval '15 minutes')
       OR (m.applied_at IS NULL AND m.handed_over_at < now() - interval '1 day'
           AND m.kind IN ('payment.settled', 'parcel.scanned', 'stock.replenished')
           AND NOT EXISTS (SELECT 1 FROM order_holds h WHERE h.order_no = m.order_no AND h.resolved_at IS NULL)))
""")


async def what_came_in_is_heard(session: AsyncSession, only: str | None) -> list[Finding]:
    """A message of a known order is handed over within 15 minutes, a fact applied within a day or held."""
    return await ask(session, _INBOX, only)


_OUTBOX = question("""
SELECT m.destination || '/' || m.message_id AS key, o.order_no AS order_no,
       m.state || ' since ' || CAST(m.occurred_at AS text) AS lhs, 'due and nobody tries' AS rhs
FROM outbox_messages m JOIN destinations d ON d.name = m.destination AND d.enabled
LEFT JOIN orders o ON o.order_no = m.order_no
WHERE (CAST(:only AS text) IS NULL OR m.order_no = :only) AND m.state = 'pending'
  AND coalesce(m.next_attempt_at, m.occurred_at) < now() - interval '15 minutes'
  AND NOT EXISTS (SELECT 1 FROM outbox_messages f WHERE f.destination = m.destination AND f.order_no = m.order_no
                  AND f.state = 'pending' AND f.outbox_id < m.outbox_id)
""")


async def what_others_must_hear_is_under_way(session: AsyncSession, only: str | None) -> list[Finding]:
    """A message that is due for an enabled destination is tried within 15 minutes."""
    return await ask(session, _OUTBOX, only)


_STORIES = question("""
SELECT order_no AS key, order_no, 'order: ' || coalesce(o.last_event_seq, 0) || ' events' AS lhs,
       'story: ' || coalesce(e.events, 0) || ' events up to number ' || coalesce(e.last, 0)
           || CASE WHEN e.torn THEN ', torn' ELSE '' END AS rhs
FROM (SELECT order_no, last_event_seq FROM orders WHERE CAST(:only AS text) IS NULL OR order_no = :only) o
FULL JOIN (
    SELECT order_no, count(*) AS events, max(seq) AS last,
           bool_or(seq > 1 AND prev_hash IS DISTINCT FROM before) AS torn
    FROM (SELECT order_no, seq, prev_hash, lag(hash) OVER (PARTITION BY order_no ORDER BY seq) AS before
          FROM order_events WHERE CAST(:only AS text) IS NULL OR order_no = :only) chained
    GROUP BY order_no) e USING (order_no)
WHERE (coalesce(o.last_event_seq, 0), coalesce(o.last_event_seq, 0)) <> (coalesce(e.events, 0), coalesce(e.last, 0))
   OR e.torn
""")


async def stories_are_unbroken(session: AsyncSession, only: str | None) -> list[Finding]:
    """An order has as many events as it counts, numbered without gaps, each chained to the one before."""
    return await ask(session, _STORIES, only)
