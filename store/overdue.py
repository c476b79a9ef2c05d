"""What should have happened by now and has not: the things that somebody is told of at once, one by one."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import TextClause, text
from sqlmodel.ext.asyncio.session import AsyncSession

from store.alerts import alert

# Each ends at a limit and starts from an index that holds little else, so that they can be asked every minute.
UNRECOGNISED = """
SELECT s.order_no, s.shipment_no, s.delivered_at AS at
FROM (SELECT DISTINCT order_no FROM (SELECT order_no FROM order_lines
                                     WHERE delivered > recognised AND returned = 0 LIMIT 10000) l) l
JOIN shipments s ON s.order_no = l.order_no AND s.status = 'delivered'
WHERE NOT EXISTS (SELECT FROM order_events e WHERE e.order_no = s.order_no AND e.kind = 'revenue.recognised'
                  AND e.message_id = 'revenue/' || s.shipment_no)
"""
TRAVELLING = """
SELECT order_no, shipment_no, handed_over_at AS at FROM shipments
WHERE status IN ('handed_over', 'in_transit') ORDER BY handed_over_at LIMIT 10000
"""
UNBALANCED = """
SELECT e.order_no, e.entry_id FROM (SELECT entry_id, order_no FROM journal_entries ORDER BY entry_id DESC LIMIT 5000) e
LEFT JOIN journal_lines l ON l.entry_id = e.entry_id
GROUP BY e.entry_id, e.order_no
HAVING count(l.entry_id) < 2
    OR sum(CASE l.side WHEN 'Dr' THEN l.amount_minor ELSE -l.amount_minor END) <> 0
    OR sum(CASE l.side WHEN 'Dr' THEN l.base_minor ELSE -l.base_minor END) <> 0
"""
_AT_ONCE = 100


@dataclass(frozen=True, slots=True)
class Alarm:
    """A kind of alert and the query that finds what it is about.

    Rows: `about` (the order, or whatever alerts keep their order for), `key` (it is told of once), and facts.
    """

    kind: str
    query: TextClause


@dataclass(frozen=True, slots=True)
class Told:
    """Something that is overdue."""

    kind: str
    about: str
    key: str


ALARMS = (
    Alarm(
        "revenue_missing",
        text(f"""
        SELECT order_no AS about, shipment_no AS key, order_no, shipment_no, 'delivered' AS since, at
        FROM ({UNRECOGNISED}) u WHERE at < now() - interval '1 hour'
        UNION ALL
        SELECT order_no, shipment_no || '/travelling', order_no, shipment_no, 'handed_over', at
        FROM ({TRAVELLING}) t WHERE at < now() - interval '30 days'
        """),  # noqa: S608 - all of it is ours
    ),
    Alarm(
        "events_undelivered",
        # Once an hour for a destination: each of its messages would be one too many.
        text("""
        SELECT 'destination/' || d.name AS about, d.name || '/' || to_char(now(), 'YYYY-MM-DD"T"HH24') AS key,
               d.name AS destination, d.enabled, oldest.at, oldest.last_error
        FROM destinations d CROSS JOIN LATERAL (
            SELECT m.occurred_at AS at, m.last_error FROM outbox_messages m
            WHERE m.destination = d.name AND m.state = 'pending' AND m.occurred_at < now() - interval '15 minutes'
            LIMIT 1) oldest
        """),
    ),
    Alarm(
        "approval_overdue",
        text("""
        SELECT order_no AS about, approval_id || '/' || level AS key, order_no, approval_id, node, level,
               deadline_at AS at
        FROM approvals WHERE state = 'open' AND deadline_at < now() - interval '5 minutes'
        """),
    ),
    Alarm(
        "books_unbalanced",
        text(f"""
        SELECT coalesce(order_no, 'books') AS about, CAST(entry_id AS text) AS key, order_no, entry_id
        FROM ({UNBALANCED}) u
        """),  # noqa: S608 - all of it is ours
    ),
)


async def tell(session: AsyncSession) -> list[Told]:
    """Afterwards every destination that listens is told once of each thing that is overdue now; returns those things.

    At most a hundred of a kind: more of them at once are one trouble, and the figures say how large it is.
    """
    told = []
    for alarm in ALARMS:
        for row in (await session.execute(alarm.query)).mappings().fetchmany(_AT_ONCE):
            facts = {name: _plain(value) for name, value in row.items() if name not in ("about", "key")}
            await alert(session, alarm.kind, row["about"], row["key"], facts)
            told.append(Told(alarm.kind, row["about"], row["key"]))
    return told


def _plain(value: Any) -> Any:
    return value.isoformat().replace("+00:00", "Z") if isinstance(value, datetime) else value
