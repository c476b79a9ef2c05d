"""Open orders whose workflow may be lost: which ones to look at, and giving them their workflow again."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import text
from sqlmodel.ext.asyncio.session import AsyncSession

from store import events, holds, inbox, orders
from store.alerts import alert
from store.events import Event
from store.holds import Reason

RESTARTED = "workflow.restarted"
# Younger hand-overs may not be visible in Temporal yet.
_YOUNG = timedelta(seconds=10)
# An order that has died as often as this within the time is not given a workflow again without a person.
_SHORTLY = timedelta(hours=1)
_PATIENCE = {"MISSING": 3}
_DEFAULT_PATIENCE = 1

_DUE = """
SELECT o.order_no FROM orders o JOIN inbox_messages m ON m.order_no = o.order_no AND m.kind = 'order.placed'
WHERE o.closed_at IS NULL AND m.handed_over_at < now() - CAST(:young AS interval)
  AND NOT EXISTS (SELECT 1 FROM order_holds h WHERE h.order_no = o.order_no AND h.reason_code = 'workflow_lost'
                  AND h.resolved_at IS NULL)
"""
_ALL = text(_DUE)
_SOME = text(f"{_DUE} AND o.order_no = ANY(:order_nos)")
_COUNT = text(f"SELECT count(*) FROM ({_DUE}) AS due")  # noqa: S608 - all of it is ours


async def due(session: AsyncSession, order_nos: Sequence[str] | None = None) -> set[str]:
    """Open orders (of these, or all) that Temporal has had for some seconds and that no person is asked about."""
    asked: dict[str, object] = {"young": _YOUNG}
    if order_nos is None:
        return set((await session.execute(_ALL, asked)).scalars())
    return set((await session.execute(_SOME, asked | {"order_nos": list(order_nos)})).scalars())


async def count_due(session: AsyncSession) -> int:
    """How many open orders should have a workflow that runs."""
    return int((await session.execute(_COUNT, {"young": _YOUNG})).scalar_one())


async def clock(session: AsyncSession) -> datetime:
    """The database's own time, by which hand-overs are stamped."""
    found: datetime = (await session.execute(text("SELECT clock_timestamp()"))).scalar_one()
    return found


_STATE = text("""
SELECT m.handed_over_at,
       (SELECT count(*) FROM order_events e WHERE e.order_no = m.order_no AND e.kind = :restarted
        AND e.at > now() - CAST(:shortly AS interval) AND NOT e.data ? 'workflow_id') AS restarts
FROM inbox_messages m WHERE m.order_no = :order_no AND m.kind = 'order.placed'
""")


@dataclass(frozen=True, slots=True)
class Given:
    """What was done for an order whose workflow is lost: it gets one again, or a person is asked."""

    order_no: str
    status: str
    restarted: bool


async def give_back(session: AsyncSession, order_no: str, status: str, seen_at: datetime) -> Given | None:
    """Afterwards the order's messages are to be handed over again, or it is held because that did not help before.

    `status` is how its workflow had ended, `seen_at` when that was seen. None: the order has ended, or somebody has
    given it a workflow since.
    """
    order = await orders.lock(session, order_no)
    asked = {"order_no": order_no, "restarted": RESTARTED, "shortly": _SHORTLY}
    row = (await session.execute(_STATE, asked)).one()
    if order.closed_at is not None or row.handed_over_at is None or row.handed_over_at >= seen_at:
        return None
    restarted = status != "COMPLETED" and row.restarts < _PATIENCE.get(status, _DEFAULT_PATIENCE)
    if restarted:
        told = {"status": status, "restart": row.restarts + 1}
        await events.record(session, order, Event(RESTARTED, told, source="watch"))
        await inbox.forget_hand_over(session, order_no)
    else:
        reason = Reason("workflow_lost", f"its workflow is {status.lower()} again", {"status": status})
        hold = await holds.open_hold(session, order, reason)
        told = {"order_no": order_no, "status": status, "hold_id": hold.hold_id}
        await alert(session, "workflow_lost", order_no, f"{order_no}/{hold.hold_id}", told)
    return Given(order_no, status, restarted)


async def ended_for_an_hour(session: AsyncSession, order_nos: Sequence[str]) -> dict[str, str]:
    """Which of these orders ended an hour ago or longer and owe nobody money, with how they ended."""
    rows = await session.execute(
        text("""
        SELECT order_no, lifecycle FROM orders
        WHERE order_no = ANY(:order_nos) AND closed_at < now() - interval '1 hour'
          AND (lifecycle = 'completed' OR paid_minor <= refunded_minor)
          AND NOT EXISTS (SELECT 1 FROM inbox_messages m WHERE m.order_no = orders.order_no AND m.applied_at IS NULL
                          AND m.kind <> 'order.placed')
        """),
        {"order_nos": list(order_nos)},
    )
    return {row.order_no: row.lifecycle for row in rows}


async def quiet(session: AsyncSession, most: int, only: str | None = None) -> list[str]:
    """Up to `most` open orders in which nothing has happened for a minute, at random; or the one, if it is so."""
    rows = await session.execute(
        text("""
        SELECT o.order_no FROM orders o
        JOIN order_events e ON e.order_no = o.order_no AND e.seq = o.last_event_seq
        WHERE o.closed_at IS NULL AND e.at < now() - interval '1 minute'
          AND (CAST(:only AS text) IS NULL OR o.order_no = :only)
        ORDER BY random() LIMIT :most
        """),
        {"most": most, "only": only},
    )
    return list(rows.scalars())
