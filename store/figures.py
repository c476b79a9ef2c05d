"""Figures for monitoring: each is one query that reads an index and stops at a limit, however much there is."""

# ruff: noqa: S608 - every query is made of constants

from collections.abc import Collection
from dataclasses import dataclass

from sqlalchemy import TextClause, text
from sqlmodel.ext.asyncio.session import AsyncSession

from store.overdue import TRAVELLING, UNBALANCED, UNRECOGNISED

PREFIX = "orderflow_"
# What is counted is counted up to here; a figure that stands at it says "so many or more".
MOST = 100_000
_PATIENCE_S = 5


@dataclass(frozen=True, slots=True)
class Figure:
    """A name, what it means, and the query whose rows are values of the labels and, last, the number."""

    name: str
    meaning: str
    labels: tuple[str, ...]
    query: TextClause


@dataclass(frozen=True, slots=True)
class Counted:
    """A figure and its rows as of now."""

    figure: Figure
    rows: list[tuple[tuple[str, ...], float]]


def _figure(name: str, meaning: str, labels: tuple[str, ...], sql: str) -> Figure:
    return Figure(f"{PREFIX}{name}", meaning, labels, text(sql))


def _messages(state: str) -> str:
    """How many messages of each destination are in this state, as far as that is counted."""
    return f"""
    SELECT d.name, (SELECT count(*) FROM (SELECT FROM outbox_messages m
                    WHERE m.destination = d.name AND m.state = '{state}' LIMIT {MOST}) counted)
    FROM destinations d
    """


FIGURES = (
    _figure(
        "orders_open",
        "Open orders; late: what they wait for was due five minutes ago, and nobody holds them",
        ("lifecycle", "late"),
        f"""
        SELECT o.lifecycle, CASE WHEN o.late AND h.order_no IS NULL THEN 'yes' ELSE 'no' END, count(*)
        FROM (SELECT order_no, lifecycle, coalesce(deadline_at < now() - interval '5 minutes', false) AS late
              FROM orders WHERE closed_at IS NULL LIMIT {MOST}) o
        LEFT JOIN LATERAL (SELECT order_no FROM order_holds h
                           WHERE h.order_no = o.order_no AND h.resolved_at IS NULL LIMIT 1) h ON o.late
        GROUP BY 1, 2
        """,
    ),
    _figure(
        "orders_newest",
        "The 10,000 orders that came last, by lifecycle",
        ("lifecycle",),
        """
        SELECT lifecycle, count(*)
        FROM (SELECT lifecycle FROM orders ORDER BY received_at DESC, order_no DESC LIMIT 10000) o GROUP BY 1
        """,
    ),
    _figure(
        "orders_placed_total",
        "Orders ever placed",
        (),
        "SELECT coalesce(sum(next_number - 1), 0) FROM number_series WHERE starts_with(series, 'voucher/')",
    ),
    _figure(
        "approvals_open",
        "Open approvals by the time for which they have been open, and whether they have gone up a level",
        ("age", "escalated"),
        f"""
        SELECT CASE WHEN opened_at > now() - interval '1 hour' THEN 'under 1h'
                    WHEN opened_at > now() - interval '4 hours' THEN '1h to 4h'
                    WHEN opened_at > now() - interval '1 day' THEN '4h to 1d' ELSE 'over 1d' END,
               CASE WHEN level > 0 THEN 'yes' ELSE 'no' END, count(*)
        FROM (SELECT opened_at, level FROM approvals WHERE state = 'open' LIMIT {MOST}) a GROUP BY 1, 2
        """,
    ),
    _figure(
        "approvals_overdue_seconds",
        "For how long the time of the most overdue approval has been over; 0: none is overdue",
        (),
        """
        SELECT coalesce(greatest(extract(epoch FROM now() - min(deadline_at)), 0), 0)
        FROM approvals WHERE state = 'open'
        """,
    ),
    _figure(
        "holds_open",
        "Open holds by reason; overdue: past their deadline",
        ("reason", "overdue"),
        f"""
        SELECT reason_code, CASE WHEN due_at < now() THEN 'yes' ELSE 'no' END, count(*)
        FROM (SELECT reason_code, due_at FROM order_holds WHERE resolved_at IS NULL LIMIT {MOST}) h GROUP BY 1, 2
        """,
    ),
    _figure(
        "outbox_pending",
        "Messages that are still to be delivered",
        ("destination",),
        _messages("pending"),
    ),
    _figure(
        "outbox_oldest_seconds",
        "Age of the oldest message that is still to be delivered; 0: none is",
        ("destination",),
        f"""
        SELECT d.name, coalesce((SELECT extract(epoch FROM now() - min(occurred_at))
                                 FROM (SELECT occurred_at FROM outbox_messages m
                                       WHERE m.destination = d.name AND m.state = 'pending' LIMIT {MOST}) pending), 0)
        FROM destinations d
        """,
    ),
    _figure(
        "outbox_refused",
        "Messages that were given up",
        ("destination",),
        _messages("refused"),
    ),
    _figure(
        "destination_enabled",
        "1: the destination is told of changes; 0: it was switched off, by a person or by its own answer",
        ("destination",),
        "SELECT name, CAST(enabled AS integer) FROM destinations",
    ),
    _figure(
        "inbox_waiting",
        "Messages that Temporal has not got yet",
        (),
        f"SELECT count(*) FROM (SELECT FROM inbox_messages WHERE handed_over_at IS NULL LIMIT {MOST}) m",
    ),
    _figure(
        "inbox_oldest_seconds",
        "For how long the oldest message of a known order has waited for Temporal; 0: none waits",
        (),
        """
        SELECT coalesce(extract(epoch FROM now() - (
            SELECT received_at FROM inbox_messages m
            WHERE handed_over_at IS NULL AND EXISTS (SELECT FROM orders o WHERE o.order_no = m.order_no)
            ORDER BY inbox_id LIMIT 1)), 0)
        """,
    ),
    _figure(
        "inbox_strays",
        "Messages whose order has not come for a day",
        (),
        f"""
        SELECT count(*) FROM (SELECT FROM inbox_messages m
            WHERE handed_over_at IS NULL AND received_at < now() - interval '1 day'
              AND NOT EXISTS (SELECT FROM orders o WHERE o.order_no = m.order_no) LIMIT {MOST}) m
        """,
    ),
    _figure(
        "parcels_delivered_unrecognised",
        "Parcels that arrived and whose revenue is not in the books, by the time since they arrived",
        ("age",),
        f"""
        SELECT CASE WHEN at > now() - interval '5 minutes' THEN 'under 5m'
                    WHEN at > now() - interval '1 hour' THEN '5m to 1h' ELSE 'over 1h' END, count(*)
        FROM ({UNRECOGNISED}) u GROUP BY 1
        """,
    ),
    _figure(
        "parcels_travelling",
        "Parcels with the carrier, the 10,000 oldest ones, by the time since they left",
        ("age",),
        f"""
        SELECT CASE WHEN at > now() - interval '7 days' THEN 'under 7d'
                    WHEN at > now() - interval '30 days' THEN '7d to 30d' ELSE 'over 30d' END, count(*)
        FROM ({TRAVELLING}) t GROUP BY 1
        """,
    ),
    _figure(
        "books_unbalanced",
        "Entries in which debit and credit differ, among the last 5,000",
        (),
        f"SELECT count(*) FROM ({UNBALANCED}) u",
    ),
    _figure(
        "discrepancies_open",
        "What checks have found and nobody has explained",
        ("check", "severity"),
        "SELECT check_name, severity, count(*) FROM discrepancies WHERE state = 'open' GROUP BY 1, 2",
    ),
    _figure(
        "checks_age_seconds",
        "Time since the last run of all checks ended; absent: there was none",
        (),
        """
        SELECT extract(epoch FROM now() - finished_at) FROM consistency_runs
        WHERE order_no IS NULL AND finished_at IS NOT NULL ORDER BY started_at DESC LIMIT 1
        """,
    ),
)


async def count(session: AsyncSession, names: Collection[str] = ()) -> list[Counted]:
    """Every figure as of now, or those of `names`; a query that takes longer than five seconds is an error."""
    await session.execute(text(f"SET LOCAL statement_timeout = '{_PATIENCE_S}s'"))
    counted = []
    for figure in FIGURES:
        if not names or figure.name.removeprefix(PREFIX) in names:
            rows = (await session.execute(figure.query)).all()
            counted.append(Counted(figure, [(tuple(map(str, row[:-1])), float(row[-1])) for row in rows]))
    return counted
