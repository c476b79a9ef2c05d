"""When a span of time is over: by the wall clock, or counted in the working hours of a calendar."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from functools import lru_cache
from types import MappingProxyType
from typing import Final
from zoneinfo import ZoneInfo

import chinese_calendar  # type: ignore[import-untyped]

from domain.errors import DomainError
from domain.working_hours import Hours, Span

LONGEST: Final = timedelta(days=3660)
"""No span of working time lasts longer than this, however few hours a calendar has."""

_A_MINUTE: Final = timedelta(minutes=1)
_OFF: Final[Hours] = ()


class NoWorkingTime(DomainError):
    """No day of the calendar's week has any hours, so nothing would ever be over."""

    code = "no_working_time"


class Holidays(StrEnum):
    """Whose public holidays a calendar keeps; `cn`: those the State Council announces, made-up weekends included."""

    NONE = "none"
    CN = "cn"


class Cause(StrEnum):
    """Why a day has the hours that it has; `guessed`: by its weekday, because its year is not announced yet."""

    WEEK = "week"
    HOLIDAY = "holiday"
    MADE_UP = "made_up"
    SPECIAL = "special"
    GUESSED = "guessed"


@dataclass(frozen=True, slots=True)
class Day:
    """A day as it comes out."""

    day: date
    hours: Hours
    cause: Cause


@dataclass(frozen=True, slots=True)
class WorkingCalendar:
    """Working hours in one time zone: of each weekday from Monday on, of public holidays, and of single days that are
    otherwise (`special`). Whoever changes it counts `revision` up. Raises NoWorkingTime.
    """

    time_zone: ZoneInfo
    week: tuple[Hours, ...]
    holidays: Holidays = Holidays.NONE
    special: Mapping[date, Hours] = field(default_factory=lambda: MappingProxyType({}))
    revision: int = 1

    def __post_init__(self) -> None:
        if len(self.week) != 7:
            raise ValueError("a week has seven days")
        if not any(self.week):
            raise NoWorkingTime("No day of the week has any hours")

    def on(self, day: date) -> Day:
        """The hours of this day. What is said of the day itself counts first, then holidays, then the week.

        A weekend that is made up for has its own hours, or where it has none those of the week's first working day.
        """
        if day in self.special:
            return Day(day, self.special[day], Cause.SPECIAL)
        cause, own = _ANNOUNCED[self.holidays](day), self.week[day.weekday()]
        if cause is Cause.HOLIDAY:
            return Day(day, _OFF, cause)
        if cause is Cause.MADE_UP:
            return Day(day, own or next(hours for hours in self.week if hours), cause)
        return Day(day, own, cause)

    def coming(self, first: date, days: int) -> list[Day]:
        """So many days from this one on."""
        return [self.on(first + timedelta(days=ahead)) for ahead in range(days)]


Calendars = Mapping[str, WorkingCalendar]
"""Calendars by their id."""


@dataclass(frozen=True, slots=True)
class Due:
    """A moment, and the years whose holidays had to be guessed to find it."""

    at: datetime
    guessed_years: tuple[int, ...] = ()


def due_after(calendar: WorkingCalendar | None, start: datetime, span: timedelta) -> Due:
    """When `span` is over for those who begin at `start`: of working time, or of any time without a calendar.

    The answer is in UTC and lies within working hours; a span that ends with the day ends then, not the next morning.
    What would take longer than `LONGEST` is over then.
    """
    start = start.astimezone(UTC)
    if calendar is None:
        return Due(start + span)
    left, guessed = span, set[int]()
    for one in _days_from(calendar, start):
        if one.cause is Cause.GUESSED:
            guessed.add(one.day.year)
        for begin, end in _worked(calendar.time_zone, one):
            since = max(begin, start)
            if since < end and left <= end - since:
                return Due(since + left, tuple(sorted(guessed)))
            left -= max(end - since, timedelta(0))
    return Due(start + LONGEST, tuple(sorted(guessed)))


def _days_from(calendar: WorkingCalendar, start: datetime) -> Iterator[Day]:
    first = start.astimezone(calendar.time_zone).date()
    return (calendar.on(first + timedelta(days=ahead)) for ahead in range(LONGEST.days))


def _worked(zone: ZoneInfo, day: Day) -> Iterator[tuple[datetime, datetime]]:
    """The day's spans in UTC: so that they have their true length where the clock is put forward or back."""
    for span in day.hours:
        yield _at(zone, day.day, span.opens), _at(zone, day.day, span.closes)


def _at(zone: ZoneInfo, day: date, minute: int) -> datetime:
    """The moment at which the clock there first shows this minute; where it skips it, the first one that it shows."""
    local = datetime.combine(day, time.min) + minute * _A_MINUTE
    while True:
        moment = local.replace(tzinfo=zone).astimezone(UTC)
        if moment.astimezone(zone).replace(tzinfo=None) == local:
            return moment
        local += _A_MINUTE


def _by_week(_day: date) -> Cause:
    return Cause.WEEK


@lru_cache(maxsize=4096)
def _in_china(day: date) -> Cause:
    """What the State Council's yearly notice says of the day."""
    try:
        off, occasion = chinese_calendar.get_holiday_detail(day)
    except NotImplementedError:
        return Cause.GUESSED
    if occasion is None:
        return Cause.WEEK
    return Cause.HOLIDAY if off else Cause.MADE_UP


_ANNOUNCED: Final[Mapping[Holidays, Callable[[date], Cause]]] = {
    Holidays.NONE: _by_week,
    Holidays.CN: _in_china,
}

_OFFICE: Final[Hours] = (Span(9 * 60, 18 * 60),)
BUILT_IN: Final[Calendars] = {
    "cn-default": WorkingCalendar(ZoneInfo("Asia/Shanghai"), (*[_OFFICE] * 5, _OFF, _OFF), Holidays.CN)
}
"""What every company begins with. The holidays of a further year come with an update of their library."""
