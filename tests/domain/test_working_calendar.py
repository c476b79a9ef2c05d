"""When a span of working time is over: weeks, holidays, days that are otherwise, and clocks that are put forward."""

from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from domain.working_calendar import (
    BUILT_IN,
    LONGEST,
    Cause,
    Holidays,
    NoWorkingTime,
    WorkingCalendar,
    due_after,
)
from domain.working_hours import Hours, Span, read_hours

SHANGHAI = ZoneInfo("Asia/Shanghai")
BERLIN = ZoneInfo("Europe/Berlin")
CN = BUILT_IN["cn-default"]
MINUTES_OF_A_DAY = 9 * 60
OFFICE = read_hours(["09:00-12:00", "13:00-18:00"])
A_MINUTE = timedelta(minutes=1)


def at(text: str, zone: ZoneInfo = SHANGHAI) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=zone)


def weekdays(hours: Hours, zone: ZoneInfo = SHANGHAI, special: Mapping[date, Hours] | None = None) -> WorkingCalendar:
    return WorkingCalendar(zone, (hours,) * 5 + ((),) * 2, Holidays.NONE, special or {})


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


def test_span_into_a_year_that_is_not_announced_names_that_year_alone() -> None:
    known = date.fromisoformat("2026-12-31")
    assert (CN.on(known).cause, CN.on(known + timedelta(days=1)).cause) == (Cause.WEEK, Cause.GUESSED)
    found = due_after(CN, at("2026-12-31T17:50"), timedelta(minutes=30))
    assert (found.at, found.guessed_years) == (at("2027-01-01T09:20"), (2027,))


@pytest.mark.parametrize(
    ("start", "minutes", "due"),
    [
        ("2026-11-23T11:50", 20, "2026-11-23T13:10"),
        ("2026-11-23T11:50", 10, "2026-11-23T12:00"),
        ("2026-11-23T12:30", 1, "2026-11-23T13:01"),
        ("2026-11-23T08:00", 8 * 60, "2026-11-23T18:00"),
        ("2026-11-23T08:00", 8 * 60 + 1, "2026-11-24T09:01"),
    ],
)
def test_hours_at_noon_do_not_count(start: str, minutes: int, due: str) -> None:
    assert due_after(weekdays(OFFICE), at(start), timedelta(minutes=minutes)).at == at(due)


def test_what_is_said_of_a_day_counts_before_holiday_and_week() -> None:
    national, saturday, monday = date(2026, 10, 1), date(2026, 11, 28), date(2026, 11, 30)
    morning = read_hours(["10:00-12:00"])
    calendar = WorkingCalendar(
        SHANGHAI, CN.week, Holidays.CN, {national: OFFICE, saturday: morning, monday: ()}, revision=2
    )
    found = [calendar.on(day) for day in (national, saturday, monday, date(2026, 10, 2))]
    assert [one.hours for one in found] == [OFFICE, morning, (), ()]
    assert [one.cause for one in found] == [Cause.SPECIAL] * 3 + [Cause.HOLIDAY]
    assert due_after(calendar, at("2026-11-27T17:50"), timedelta(minutes=20)).at == at("2026-11-28T10:10")
    assert due_after(calendar, at("2026-11-28T11:50"), timedelta(minutes=20)).at == at("2026-12-01T09:10")


def test_weekend_that_is_made_up_for_has_its_own_hours_or_those_of_a_working_day() -> None:
    made_up, plain = date(2026, 2, 28), date(2026, 11, 28)
    assert (CN.on(made_up).cause, CN.on(made_up).hours) == (Cause.MADE_UP, CN.week[0])
    shop = WorkingCalendar(SHANGHAI, (OFFICE,) * 5 + (read_hours(["10:00-16:00"]),) * 2, Holidays.CN)
    assert [shop.on(day).hours for day in (made_up, plain)] == [read_hours(["10:00-16:00"])] * 2
    late = WorkingCalendar(SHANGHAI, ((),) + (OFFICE,) * 4 + ((),) * 2, Holidays.CN)
    assert late.on(made_up).hours == OFFICE


def test_public_holidays_close_a_shop_that_opens_every_day() -> None:
    shop = WorkingCalendar(SHANGHAI, (OFFICE,) * 7, Holidays.CN)
    days = shop.coming(date(2026, 9, 30), 9)
    assert [bool(one.hours) for one in days] == [True] + [False] * 7 + [True]
    assert {one.cause for one in days[1:8]} == {Cause.HOLIDAY}


def test_calendar_without_any_hours_is_none() -> None:
    with pytest.raises(NoWorkingTime):
        WorkingCalendar(SHANGHAI, ((),) * 7, special={date(2026, 1, 1): OFFICE})


def test_nothing_lasts_longer_than_the_longest_span() -> None:
    rare = WorkingCalendar(SHANGHAI, (read_hours(["09:00-09:01"]),) + ((),) * 6)
    start = at("2026-11-23T10:00")
    assert due_after(rare, start, timedelta(days=365)).at == start + LONGEST


@pytest.mark.parametrize(
    ("begin", "minutes", "end"),
    [
        # 02:00 becomes 03:00: the night has five hours, and 02:30 is when the clock shows 03:00.
        ("2026-03-29T00:00", 5 * 60, "2026-03-29T06:00"),
        # 03:00 becomes 02:00: it has seven.
        ("2026-10-25T00:00", 7 * 60, "2026-10-25T06:00"),
        ("2026-06-01T00:00", 6 * 60, "2026-06-01T06:00"),
    ],
)
def test_night_on_which_the_clock_is_put_forward_or_back_has_its_true_length(
    begin: str, minutes: int, end: str
) -> None:
    night = WorkingCalendar(BERLIN, (read_hours(["00:00-06:00"]),) * 7)
    assert due_after(night, at(begin, BERLIN), timedelta(minutes=minutes)).at == at(end, BERLIN)
    after = due_after(night, at(begin, BERLIN), timedelta(minutes=minutes) + A_MINUTE).at
    assert after == at(end, BERLIN) + timedelta(hours=18) + A_MINUTE


def test_hours_that_a_clock_skips_are_nobodys() -> None:
    split = WorkingCalendar(BERLIN, (read_hours(["01:00-02:30", "02:45-04:00"]),) * 7)
    start = at("2026-03-29T00:00", BERLIN)
    assert due_after(split, start, timedelta(hours=1)).at == at("2026-03-29T03:00", BERLIN)
    assert due_after(split, start, timedelta(hours=2)).at == at("2026-03-29T04:00", BERLIN)
    # A day that a whole country has left out.
    apia = ZoneInfo("Pacific/Apia")
    week = WorkingCalendar(apia, (OFFICE,) * 7)
    assert due_after(week, at("2011-12-29T17:59", apia), timedelta(minutes=2)).at == at("2011-12-31T09:01", apia)


ZONES = st.sampled_from(["Asia/Shanghai", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Pacific/Apia"])
MOMENTS = st.integers(0, 2 * 365 * 24 * 60).map(lambda m: datetime(2026, 1, 1, tzinfo=UTC) + timedelta(minutes=m))
SPANS = st.integers(1, 5_000).map(lambda minutes: timedelta(minutes=minutes))


@st.composite
def some_hours(draw: st.DrawFn) -> Hours:
    edges = sorted(draw(st.sets(st.integers(0, 1440), max_size=6)))
    return tuple(Span(*pair) for pair in zip(edges[::2], edges[1::2], strict=False))


@st.composite
def calendars(draw: st.DrawFn) -> WorkingCalendar:
    week = draw(st.lists(some_hours(), min_size=7, max_size=7).filter(any))
    days = st.dates(date(2026, 1, 1), date(2027, 12, 31))
    special = draw(st.dictionaries(days, some_hours(), max_size=30))
    zone, holidays = ZoneInfo(draw(ZONES)), draw(st.sampled_from(Holidays))
    return WorkingCalendar(zone, tuple(week), holidays, special)


def _is_worked(calendar: WorkingCalendar, moment: datetime) -> bool:
    """Whether the local clock shows a minute of work, asked of the minute itself."""
    local = moment.astimezone(calendar.time_zone)
    minute = local.hour * 60 + local.minute
    return any(span.opens <= minute < span.closes for span in calendar.on(local.date()).hours)


# Around each change of a clock, and around New Year and the days that China makes up for.
EDGES = st.sampled_from(
    ["2026-03-08", "2026-03-28", "2026-04-04", "2026-10-03", "2026-10-24", "2026-10-31", "2026-12-31", "2026-02-14"]
)


@settings(suppress_health_check=[HealthCheck.filter_too_much])
@given(calendars(), EDGES, st.integers(0, 2 * 1440), st.integers(1, 900))
def test_span_is_as_many_minutes_as_the_clock_shows_of_work(
    calendar: WorkingCalendar, day: str, ahead: int, minutes: int
) -> None:
    start = datetime.fromisoformat(day).replace(tzinfo=UTC) + ahead * A_MINUTE
    due = due_after(calendar, start, minutes * A_MINUTE).at
    passed = int((due - start) / A_MINUTE)
    assume(passed < 6 * 1440 and not _is_ambiguous(calendar, start, passed))
    worked = [_is_worked(calendar, start + at * A_MINUTE) for at in range(passed)]
    assert (sum(worked), worked[-1]) == (minutes, True)


def _is_ambiguous(calendar: WorkingCalendar, start: datetime, window: int) -> bool:
    """Whether hours begin or end at a minute that a clock shows twice on one of the days: the first one is meant."""
    first, last = ((start + at * A_MINUTE).astimezone(calendar.time_zone).date() for at in (-1440, window + 1440))
    for day in calendar.coming(first, (last - first).days + 1):
        for edge in (edge for span in day.hours for edge in (span.opens, span.closes)):
            local = datetime.combine(day.day, datetime.min.time()) + edge * A_MINUTE
            twice = [local.replace(tzinfo=calendar.time_zone, fold=fold).utcoffset() for fold in (0, 1)]
            if twice[0] != twice[1]:
                return True
    return False


@given(calendars(), MOMENTS, SPANS, SPANS)
def test_two_spans_are_their_sum(calendar: WorkingCalendar, start: datetime, one: timedelta, two: timedelta) -> None:
    due = due_after(calendar, start, one).at
    assert due >= start + one
    both = due_after(calendar, start, one + two).at
    assert due_after(calendar, due, two).at == both or both == start + LONGEST


@given(MOMENTS, SPANS)
def test_end_lies_in_working_hours(start: datetime, span: timedelta) -> None:
    local = due_after(CN, start, span).at.astimezone(SHANGHAI)
    hours = CN.on(local.date()).hours
    assert any(one.opens < local.hour * 60 + local.minute <= one.closes for one in hours)


@given(calendars(), MOMENTS, SPANS, st.dates(date(2026, 1, 1), date(2027, 12, 31)))
def test_a_day_off_more_never_makes_anything_end_sooner(
    calendar: WorkingCalendar, start: datetime, span: timedelta, day: date
) -> None:
    less = WorkingCalendar(calendar.time_zone, calendar.week, calendar.holidays, {**calendar.special, day: ()})
    assert due_after(less, start, span).at >= due_after(calendar, start, span).at
