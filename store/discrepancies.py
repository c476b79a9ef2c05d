"""What checks have found, from run to run: new, found again, explained, no longer there."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import text
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from domain.errors import DomainError
from models.columns import now
from models.consistency import ConsistencyRun, Discrepancy
from store.alerts import alert
from store.checks.finding import MOST, Check, Finding


class DiscrepancyNotFound(DomainError):
    """No such discrepancy."""

    code = "discrepancy_not_found"


class DiscrepancyNotOpen(DomainError):
    """It is not there any more, so there is nothing to explain."""

    code = "discrepancy_not_open"


@dataclass(frozen=True, slots=True)
class Raised:
    """A discrepancy that came up in this run: new, back, or other than it was."""

    discrepancy_id: int
    check_name: str
    key: str
    order_no: str | None
    lhs: str
    rhs: str
    severity: str
    times: int


async def begin(session: AsyncSession, run_id: str, cause: str, order_no: str | None = None) -> ConsistencyRun:
    """The run of this id, begun now or, if it was begun before, as it is."""
    run = await session.get(ConsistencyRun, run_id)
    if run is None:
        run = ConsistencyRun(run_id=run_id, cause=cause, order_no=order_no)
        session.add(run)
        await session.flush()
    return run


_SEEN = text("""
INSERT INTO discrepancies AS d (check_name, key, order_no, lhs, rhs, severity, state, times, run_id,
                                first_seen_at, last_seen_at)
SELECT CAST(:check_name AS text), f.key, f.order_no, f.lhs, f.rhs, CAST(:severity AS text), 'open', 1,
       CAST(:run_id AS text), CAST(:at AS timestamptz), CAST(:at AS timestamptz)
FROM unnest(CAST(:keys AS text[]), CAST(:order_nos AS text[]), CAST(:lefts AS text[]), CAST(:rights AS text[]))
     AS f (key, order_no, lhs, rhs)
ORDER BY f.key
ON CONFLICT (check_name, key) DO UPDATE SET
    times = d.times + CASE WHEN d.state = 'fixed' OR (d.state = 'explained'
                                AND (d.lhs, d.rhs) IS DISTINCT FROM (excluded.lhs, excluded.rhs)) THEN 1 ELSE 0 END,
    state = CASE WHEN d.state = 'explained' AND (d.lhs, d.rhs) = (excluded.lhs, excluded.rhs)
                 THEN 'explained' ELSE 'open' END,
    order_no = excluded.order_no, lhs = excluded.lhs, rhs = excluded.rhs, severity = excluded.severity,
    run_id = excluded.run_id, last_seen_at = excluded.last_seen_at, fixed_at = NULL
RETURNING d.discrepancy_id, d.check_name, d.key, d.order_no, d.lhs, d.rhs, d.severity, d.times
""")
_GONE = text("""
UPDATE discrepancies SET state = 'fixed', fixed_at = :at
WHERE check_name = :check_name AND state <> 'fixed' AND NOT key = ANY(:keys)
  AND (CAST(:only AS text) IS NULL OR order_no = :only)
""")
_KNOWN = text("SELECT key, times FROM discrepancies WHERE check_name = :check_name AND key = ANY(:keys)")


async def note(session: AsyncSession, run: ConsistencyRun, check: Check, findings: Sequence[Finding]) -> list[Raised]:
    """Afterwards what the check found is on record, what it no longer finds is fixed, what came up is alerted once.

    Returns what came up. A check that found more than it may tell says nothing of what it no longer finds.
    """
    unique = {finding.key: finding for finding in findings}
    keys, at = list(unique), now()
    known = {row.key: row.times for row in await session.execute(_KNOWN, {"check_name": check.name, "keys": keys})}
    rows = await session.execute(
        _SEEN,
        {
            "check_name": check.name,
            "severity": check.severity,
            "run_id": run.run_id,
            "at": at,
            "keys": keys,
            "order_nos": [one.order_no for one in unique.values()],
            "lefts": [one.left for one in unique.values()],
            "rights": [one.right for one in unique.values()],
        },
    )
    raised = [Raised(*row) for row in rows if row.times != known.get(row.key)]
    if len(findings) < MOST:
        gone = {"check_name": check.name, "keys": keys, "at": at, "only": run.order_no}
        await session.execute(_GONE, gone)
    for one in raised:
        await _alert(session, one)
    run.found = {**run.found, check.name: len(unique)}
    session.add(run)
    return raised


async def _alert(session: AsyncSession, one: Raised) -> None:
    told = {
        "discrepancy_id": one.discrepancy_id,
        "check": one.check_name,
        "key": one.key,
        "order_no": one.order_no,
        "left": one.lhs,
        "right": one.rhs,
        "severity": one.severity,
    }
    about = one.order_no or f"check/{one.check_name}"
    await alert(session, "discrepancy", about, f"{one.discrepancy_id}/{one.times}", told)


def finish(run: ConsistencyRun) -> None:
    """Afterwards the run says that all of its checks have been asked."""
    run.finished_at = run.finished_at or now()


async def last_run(session: AsyncSession) -> ConsistencyRun | None:
    """The latest run over all orders that was finished."""
    query = select(ConsistencyRun).where(
        col(ConsistencyRun.order_no).is_(None), col(ConsistencyRun.finished_at).is_not(None)
    )
    return (await session.exec(query.order_by(col(ConsistencyRun.started_at).desc()).limit(1))).one_or_none()


async def count_open(session: AsyncSession) -> dict[str, int]:
    """How many discrepancies of each check are open; checks without any are left out."""
    rows = await session.execute(
        text("SELECT check_name, count(*) AS many FROM discrepancies WHERE state = 'open' GROUP BY check_name")
    )
    return {row.check_name: row.many for row in rows}


@dataclass(frozen=True, slots=True)
class DiscrepancyFilter:
    """Which discrepancies a list shows; None: whatever they are."""

    state: str | None = None
    check_name: str | None = None
    order_no: str | None = None
    severity: str | None = None


async def page(
    session: AsyncSession, wanted: DiscrepancyFilter, after: int | None, limit: int
) -> Sequence[Discrepancy]:
    """Up to `limit` discrepancies, the newest first, those before the number `after` if given."""
    number = col(Discrepancy.discrepancy_id)
    query = select(Discrepancy).order_by(number.desc()).limit(limit)
    for name in ("state", "check_name", "order_no", "severity"):
        value = getattr(wanted, name)
        if value is not None:
            query = query.where(col(getattr(Discrepancy, name)) == value)
    if after is not None:
        query = query.where(number < after)
    return (await session.exec(query)).all()


async def explain(session: AsyncSession, discrepancy_id: int, by: str, reason: str, at: datetime) -> Discrepancy:
    """Afterwards somebody has said why it is so; it stays explained for as long as it is the same.

    Raises DiscrepancyNotFound; DiscrepancyNotOpen for one that was fixed.
    """
    found = await session.get(Discrepancy, discrepancy_id, with_for_update=True)
    if found is None:
        raise DiscrepancyNotFound(discrepancy_id=discrepancy_id)
    if found.state == "fixed":
        raise DiscrepancyNotOpen(discrepancy_id=discrepancy_id)
    found.state, found.explained_by, found.explained_at, found.reason = "explained", by, at, reason
    return found
