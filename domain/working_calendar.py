"""When a span of time is over: by the wall clock, or counted in the working hours of a calendar."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Final
from zoneinfo import ZoneInfo

_WEEKEND: Final = (5, 6)


@dataclass(frozen=True, slots=True)
class YearOfWork:
    """What differs in one year from Monday to Friday: days off among them, and weekends that are worked."""

    holidays: frozenset[date]
    make_up_days: frozenset[date] = frozenset()


@dataclass(frozen=True, slots=True)
class WorkingCalendar:
    """Working hours in one time zone. A year without data counts Monday to Friday as worked."""

    time_zone: ZoneInfo
    opens: time
    closes: time
    years: Mapping[int, YearOfWork]

    def works_on(self, day: date) -> bool:
        """Whether people work on this day."""
        known = self.years.get(day.year)
        if known is None:
            return day.weekday() not in _WEEKEND
        if day.weekday() in _WEEKEND:
            return day in known.make_up_days
        return day not in known.holidays


@dataclass(frozen=True, slots=True)
class Due:
    """A moment, and the years whose holidays had to be guessed to find it."""

    at: datetime
    guessed_years: tuple[int, ...] = ()


def due_after(calendar: WorkingCalendar | None, start: datetime, span: timedelta) -> Due:
    """When `span` is over for those who begin at `start`: of working time, or of any time without a calendar.

    The answer is in UTC and lies within working hours; a span that ends with the day ends then, not the next morning.
    """
    if calendar is None:
        return Due(start.astimezone(UTC) + span)
    day, left, guessed = start.astimezone(calendar.time_zone).date(), span, set[int]()
    while True:
        if day.year not in calendar.years:
            guessed.add(day.year)
        if calendar.works_on(day):
            begin, end = max(_at(calendar, day, calendar.opens), start), _at(calendar, day, calendar.closes)
            if begin < end and left <= end - begin:
                return Due(begin.astimezone(UTC) + left, tuple(sorted(guessed)))
            left -= max(end - begin, timedelta(0))
        day += timedelta(days=1)


def _at(calendar: WorkingCalendar, day: date, hour: time) -> datetime:
    # In UTC, so that the length of a day on which the clock is put forward or back is its true one.
    return datetime.combine(day, hour, calendar.time_zone).astimezone(UTC)


def _days(year: int, *texts: str) -> frozenset[date]:
    return frozenset(date.fromisoformat(f"{year}-{text}") for text in texts)


CALENDARS: Final[Mapping[str, WorkingCalendar]] = {
    "cn-default": WorkingCalendar(
        ZoneInfo("Asia/Shanghai"),
        time(9),
        time(18),
        {
            2026: YearOfWork(
                _days(
                    2026,
                    *("01-01", "01-02", "02-16", "02-17", "02-18", "02-19", "02-20", "02-23", "04-06", "05-01"),
                    *("05-04", "05-05", "06-19", "09-25", "10-01", "10-02", "10-05", "10-06", "10-07"),
                ),
                _days(2026, "01-04", "02-14", "02-28", "05-09", "09-20", "10-10"),
            )
        },
    )
}
"""Every calendar that an approval may name; a year is added once its holidays are announced."""
