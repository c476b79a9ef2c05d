"""When a span of time is over: by the wall clock, or counted in the working hours of a calendar."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Final
from zoneinfo import ZoneInfo

import chinese_calendar  # type: ignore[import-untyped]

_WEEKEND: Final = (5, 6)


@dataclass(frozen=True, slots=True)
class WorkingCalendar:
    """Working hours in one time zone. `announced` tells a day of work from a day off, and is None for a year whose
    holidays are not announced: of that one, Monday to Friday count as worked.
    """

    time_zone: ZoneInfo
    opens: time
    closes: time
    announced: Callable[[date], bool | None]

    def works_on(self, day: date) -> bool:
        """Whether people work on this day."""
        known = self.announced(day)
        return day.weekday() not in _WEEKEND if known is None else known


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
        if calendar.announced(day) is None:
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


def _in_china(day: date) -> bool | None:
    """Whether the State Council's yearly notice makes it a day of work, weekends that are made up for included."""
    try:
        return bool(chinese_calendar.is_workday(day))
    except NotImplementedError:
        return None


CALENDARS: Final[Mapping[str, WorkingCalendar]] = {
    "cn-default": WorkingCalendar(ZoneInfo("Asia/Shanghai"), time(9), time(18), _in_china)
}
"""Every calendar that an approval may name. The holidays of a further year come with an update of their library."""
