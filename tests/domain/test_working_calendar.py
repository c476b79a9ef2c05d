"""Spans counted by the wall clock and in working hours."""

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.working_calendar import CALENDARS, WorkingCalendar, due_after

SHANGHAI = ZoneInfo("Asia/Shanghai")
CN = CALENDARS["cn-default"]
MINUTES_OF_A_DAY = 9 * 60


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=SHANGHAI)


@pytest.mark.parametrize(
    ("start", "minutes", "due"),
    [
        ("2026-11-23T10:00", 30, "2026-11-23T10:30"),
        ("2026-11-23T17:45", 15, "2026-11-23T18:00"),
        ("2026-11-23T17:45", 30, "2026-11-24T09:15"),
        ("2026-11-23T03:00", 30, "2026-11-23T09:30"),
        ("2026-11-23T22:00", 30, "2026-11-24T09:30"),
        ("2026-11-27T17:50", 30, "2026-11-30T09:20"),
        ("2026-09-30T17:50", 30, "2026-10-08T09:20"),
        ("2026-10-09T17:50", 30, "2026-10-10T09:20"),
        ("2026-02-27T17:50", 30, "2026-02-28T09:20"),
        ("2026-11-23T09:00", 2 * MINUTES_OF_A_DAY, "2026-11-24T18:00"),
    ],
)
def test_only_working_minutes_count(start: str, minutes: int, due: str) -> None:
    found = due_after(CN, at(start), timedelta(minutes=minutes))
    assert (found.at, found.guessed_years) == (at(due), ())


def test_without_a_calendar_every_minute_counts() -> None:
    assert due_after(None, at("2026-10-01T23:50"), timedelta(minutes=30)).at == at("2026-10-02T00:20")


def test_year_without_data_counts_weekdays_and_says_so() -> None:
    found = due_after(CN, at("2099-10-01T17:50"), timedelta(minutes=30))
    assert (found.at, found.guessed_years) == (at("2099-10-02T09:20"), (2099,))


def test_span_over_new_year_names_only_the_guessed_year() -> None:
    known = WorkingCalendar(SHANGHAI, time(9), time(18), lambda day: day.weekday() < 5 if day.year == 2026 else None)
    found = due_after(known, at("2026-12-31T17:50"), timedelta(minutes=30))
    assert (found.at, found.guessed_years) == (at("2027-01-01T09:20"), (2027,))


def test_day_on_which_the_clock_is_put_back_has_its_true_length() -> None:
    berlin = ZoneInfo("Europe/Berlin")
    night = WorkingCalendar(berlin, time(0), time(6), lambda day: day == date(2026, 10, 25))
    begin = datetime(2026, 10, 25, 0, 0, tzinfo=berlin)
    assert due_after(night, begin, timedelta(hours=7)).at == datetime(2026, 10, 25, 6, 0, tzinfo=berlin)


MOMENTS = st.integers(0, 2 * 365 * 24 * 60).map(lambda m: datetime(2026, 1, 1, tzinfo=UTC) + timedelta(minutes=m))
SPANS = st.integers(1, 5_000).map(lambda minutes: timedelta(minutes=minutes))


@given(MOMENTS, SPANS, SPANS)
def test_end_lies_in_working_hours_and_two_spans_are_their_sum(start: datetime, one: timedelta, two: timedelta) -> None:
    due = due_after(CN, start, one).at
    local = due.astimezone(SHANGHAI)
    assert CN.works_on(local.date())
    assert time(9) < local.time() <= time(18)
    assert due >= start + one
    assert due_after(CN, due, two).at == due_after(CN, start, one + two).at
