"""Counts for monitoring."""

from dataclasses import dataclass

from sqlalchemy import text
from sqlmodel.ext.asyncio.session import AsyncSession

from store import inbox

Counts = list[tuple[str, int]]


@dataclass(frozen=True, slots=True)
class BusinessFigures:
    """How many orders, open holds and undelivered messages there are, and how many messages wait for Temporal.

    `strays`: messages that have waited for their order for more than a day; `overdue`: open holds past their deadline.
    """

    orders: Counts
    holds: Counts
    outbox: Counts
    inbox: int
    strays: int
    overdue: int


async def count(session: AsyncSession) -> BusinessFigures:
    """The figures as of now, from indexes where the tables are large."""
    return BusinessFigures(
        orders=await _counts(session, "SELECT lifecycle, count(*) FROM orders GROUP BY 1 ORDER BY 1"),
        holds=await _counts(
            session, "SELECT reason_code, count(*) FROM order_holds WHERE resolved_at IS NULL GROUP BY 1 ORDER BY 1"
        ),
        outbox=await _counts(
            session, "SELECT destination, count(*) FROM outbox_messages WHERE state = 'pending' GROUP BY 1 ORDER BY 1"
        ),
        inbox=(
            await session.execute(text("SELECT count(*) FROM inbox_messages WHERE handed_over_at IS NULL"))
        ).scalar_one(),
        strays=len(await inbox.waiting_for_order(session, inbox.STRAY_AFTER)),
        overdue=(
            await session.execute(text("SELECT count(*) FROM order_holds WHERE resolved_at IS NULL AND due_at < now()"))
        ).scalar_one(),
    )


async def _counts(session: AsyncSession, query: str) -> Counts:
    return [(row[0], row[1]) for row in (await session.execute(text(query))).all()]
