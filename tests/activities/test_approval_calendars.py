"""The clock of running approvals: what a moment was counted on is on record, and a change counts from the next turn."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import text

from models.calendar import Calendar, CalendarDay
from models.columns import now
from store import calendars
from tests.conftest import Database
from tests.fakes.approval_desk import Desk

ALL_DAY = ["00:00-24:00"]
HOURS: dict[str, Any] = {"calendar": {"kind": "working_hours", "id": "night-watch"}}


@pytest.fixture
async def desk(database: Database) -> Desk:
    desk = await Desk(database).prepare()
    watch = Calendar(
        calendar_id="night-watch",
        title_zh="值班",
        title_en="Watch",
        time_zone="Etc/UTC",
        week=[ALL_DAY] * 7,
        holidays="none",
    )
    async with desk.sessions() as session, session.begin():
        await calendars.put(session, watch, None, "olga")
    return desk


async def close_for_days(desk: Desk, days: int) -> datetime:
    """Afterwards nobody works today, nor on so many days after it; returns when work begins again."""
    today = now().date()
    async with desk.sessions() as session, session.begin():
        for ahead in range(days + 1):
            day = CalendarDay(calendar_id="night-watch", day=today + timedelta(days=ahead), hours=[])
            await calendars.put_day(session, day, "olga")
    begins = today + timedelta(days=days + 1)
    return datetime(begins.year, begins.month, begins.day, tzinfo=UTC)


async def moments(desk: Desk) -> tuple[datetime, list[datetime]]:
    async with desk.sessions() as session:
        row = (await session.execute(text("SELECT deadline_at, remind_at FROM approvals"))).one()
    return row.deadline_at, row.remind_at


async def told(desk: Desk, kind: str) -> dict[str, Any]:
    """What the order's story says of it."""
    async with desk.sessions() as session:
        query = text("SELECT data FROM order_events WHERE kind = :kind ORDER BY seq DESC LIMIT 1")
        found: dict[str, Any] = (await session.execute(query, {"kind": f"approval.{kind}"})).scalar_one()
    return {name: found[name] for name in ("calendar", "calendar_revision", "deadline") if name in found}


async def test_what_a_moment_was_counted_on_is_on_record(desk: Desk) -> None:
    opened = await desk.open(**HOURS)
    assert timedelta(minutes=29) < opened.deadline - now() < timedelta(minutes=31)
    assert await told(desk, "opened") == {
        "calendar": "night-watch",
        "calendar_revision": 1,
        "deadline": opened.deadline.isoformat(),
    }


async def test_clock_that_never_rests_names_no_calendar(desk: Desk) -> None:
    opened = await desk.open()
    assert await told(desk, "opened") == {"deadline": opened.deadline.isoformat()}


async def test_turn_that_is_opened_keeps_its_moments_and_the_next_level_has_the_new_hours(desk: Desk) -> None:
    opened = await desk.open(**HOURS)
    before = await moments(desk)
    begins = await close_for_days(desk, 2)
    again, reminded = await desk.open(**HOURS), await desk.remind()
    assert (again.deadline, reminded.deadline) == (opened.deadline, opened.deadline)
    assert await moments(desk) == before
    escalated = await desk.escalate()
    assert (escalated.level, escalated.deadline) == (1, begins + timedelta(minutes=30))
    assert (await told(desk, "escalated"))["calendar_revision"] == 4
    await desk.run("DELETE FROM calendar_days")
    assert (await desk.escalate(0)).deadline == escalated.deadline


async def test_next_in_turn_has_the_new_hours(desk: Desk) -> None:
    await desk.open(mode="sequence", assignees=[{"user": "gina"}, {"user": "vera"}], **HOURS)
    begins = await close_for_days(desk, 1)
    assert await desk.say("gina", "approve") == "effective"
    deadline, reminders = await moments(desk)
    assert deadline == begins + timedelta(minutes=30)
    assert [begins + timedelta(minutes=minutes) for minutes in (15, 25)] == reminders
    assert (await told(desk, "next"))["calendar_revision"] == 3


async def test_without_its_calendar_every_minute_counts_and_nothing_is_approved(desk: Desk) -> None:
    await close_for_days(desk, 5)
    await desk.run("DELETE FROM calendar_days")
    await desk.run("DELETE FROM calendars WHERE calendar_id = 'night-watch'")
    opened = await desk.open(**HOURS)
    assert timedelta(minutes=29) < opened.deadline - now() < timedelta(minutes=31)
    assert "calendar" not in await told(desk, "opened")
    assert (opened.state, opened.outcome) == ("open", "open")
