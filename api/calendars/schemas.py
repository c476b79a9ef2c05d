"""Working calendars as people and programs write and read them."""

from collections.abc import Callable, Sequence
from datetime import date, timedelta
from typing import Annotated, Any, Final, Self, TypeVar

from pydantic import AfterValidator, BaseModel, BeforeValidator, Field, TypeAdapter, ValidationError, model_validator
from pydantic_core import PydanticCustomError
from sqlalchemy import ColumnElement
from sqlmodel import col

from api import csv_body
from api.fields import Body, Day, Moment, Text, TimeZone
from api.flows.schemas import TitleView
from api.paging import Filters, ListQuery
from domain.errors import DomainError
from domain.flow.parts import Duration
from domain.working_calendar import Day as DayAsItComes
from domain.working_calendar import Holidays, NoWorkingTime
from domain.working_hours import MAX_SPANS, Span, read_hours
from models.calendar import Calendar, CalendarChange, CalendarDay
from models.columns import now

WEEKDAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_FIRST_YEAR: Final = 2000
_YEARS_AHEAD: Final = 10
_DURATION: Final = TypeAdapter[timedelta](Duration)
Value = TypeVar("Value")


def _as_problem(check: Callable[[Value], Value]) -> Callable[[Value], Value]:
    """The check of the domain, which says in its words what is wrong with a field."""

    def checked(value: Value) -> Value:
        try:
            return check(value)
        except DomainError as refused:
            raise PydanticCustomError(refused.code, refused.detail) from None

    return checked


def _written(text: str) -> str:
    return str(Span.read(text))


def _in_order(hours: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(str(span) for span in read_hours(hours))


def _in_reach(day: date) -> date:
    last = now().year + _YEARS_AHEAD
    if not _FIRST_YEAR <= day.year <= last:
        raise PydanticCustomError("day_out_of_range", "The day should lie between 2000 and ten years from now")
    return day


def _length(given: object) -> timedelta:
    try:
        return _DURATION.validate_python(given)
    except ValidationError:
        detail = "A length of time is written as in PT2H, and is 400 days at most"
        raise PydanticCustomError("not_a_duration", detail) from None


SpanText = Annotated[str, Field(max_length=20, examples=["09:00-12:00"]), AfterValidator(_as_problem(_written))]
HoursOfDay = Annotated[tuple[SpanText, ...], Field(max_length=MAX_SPANS), AfterValidator(_as_problem(_in_order))]
"""Spans of one day, each as `09:00-12:00`; none is a day off. Work over midnight is two spans on two days."""

ReachableDay = Annotated[Day, AfterValidator(_in_reach)]


class WeekBody(Body):
    """The hours of each weekday. A weekday that is left out is off."""

    mon: HoursOfDay = ()
    tue: HoursOfDay = ()
    wed: HoursOfDay = ()
    thu: HoursOfDay = ()
    fri: HoursOfDay = ()
    sat: HoursOfDay = ()
    sun: HoursOfDay = ()

    @model_validator(mode="after")
    def _is_worked(self) -> Self:
        if not any(self.as_list()):
            raise PydanticCustomError(NoWorkingTime.code, "No day of the week has any hours")
        return self

    def as_list(self) -> list[list[str]]:
        return [list(getattr(self, day)) for day in WEEKDAYS]


class TitleBody(Body):
    zh: Text
    en: Text


class CalendarBody(Body):
    """A calendar without its id. `holidays`: whose public holidays are off, `none` or `cn`."""

    title: TitleBody
    time_zone: TimeZone
    week: WeekBody
    holidays: Holidays = Holidays.NONE

    def to_row(self, calendar_id: str) -> Calendar:
        return Calendar(
            calendar_id=calendar_id,
            title_zh=self.title.zh,
            title_en=self.title.en,
            time_zone=self.time_zone,
            week=self.week.as_list(),
            holidays=self.holidays.value,
        )


class WeekView(BaseModel):
    mon: list[str]
    tue: list[str]
    wed: list[str]
    thu: list[str]
    fri: list[str]
    sat: list[str]
    sun: list[str]


class CalendarView(BaseModel):
    """A calendar as on record. `revision` goes up with every change, its days included; it is the `ETag`."""

    calendar_id: str
    title: TitleView
    time_zone: str
    week: WeekView
    holidays: Holidays
    revision: int
    updated_by: str
    updated_at: Moment

    @classmethod
    def of(cls, row: Calendar) -> Self:
        week = WeekView.model_validate(dict(zip(WEEKDAYS, row.week, strict=True)))
        known = row.model_dump(include={"calendar_id", "time_zone", "holidays", "revision", "updated_by", "updated_at"})
        return cls(title=TitleView(zh=row.title_zh, en=row.title_en), week=week, **known)


class DayBody(Body):
    """How a single day is otherwise: off, with no hours, or worked in these. `note` says why, for people."""

    hours: HoursOfDay
    note: Text | None = None

    def to_row(self, calendar_id: str, day: date) -> CalendarDay:
        return CalendarDay(calendar_id=calendar_id, day=day, hours=list(self.hours), note=self.note)


class DayLine(DayBody):
    """Such a day as a line of CSV; several spans stand apart by `;`, an empty cell is a day off."""

    day: ReachableDay
    hours: Annotated[HoursOfDay, BeforeValidator(csv_body.split_cell)] = ()


class DayView(BaseModel):
    """A single day that is otherwise, as on record."""

    calendar_id: str
    day: date
    hours: list[str]
    note: str | None

    @classmethod
    def of(cls, row: CalendarDay) -> Self:
        return cls.model_validate(row, from_attributes=True)


class DayFilters(Filters):
    """Days from one on, up to and including another one."""

    since: Annotated[Day | None, Field(alias="from")] = None
    until: Annotated[Day | None, Field(alias="to")] = None

    def of_calendar(self, calendar_id: str) -> list[ColumnElement[bool]]:
        conditions = [col(CalendarDay.calendar_id) == calendar_id]
        if self.since is not None:
            conditions.append(col(CalendarDay.day) >= self.since)
        if self.until is not None:
            conditions.append(col(CalendarDay.day) <= self.until)
        return conditions


class DayQuery(DayFilters, ListQuery):
    """A page of the list."""


class OutlookQuery(Body):
    """From which day on, today where the calendar is unless said, and how many days."""

    since: Annotated[ReachableDay | None, Field(alias="from")] = None
    days: Annotated[int, Field(ge=1, le=400)] = 30


class OutlookDay(BaseModel):
    """A day as it comes out. `cause`: `week`, `holiday`, `made_up` (a weekend that is worked), `special` (a single day
    that is otherwise), or `guessed` (by its weekday, because the holidays of its year are not announced)."""

    day: date
    weekday: str
    hours: list[str]
    cause: str

    @classmethod
    def of(cls, found: DayAsItComes) -> Self:
        hours = [str(span) for span in found.hours]
        return cls(day=found.day, weekday=WEEKDAYS[found.day.weekday()], hours=hours, cause=found.cause.value)


class Outlook(BaseModel):
    """The coming days."""

    data: list[OutlookDay]


class DueQuery(Body):
    """How much working time, as `PT2H`, and from when on: now, unless said."""

    span: Annotated[timedelta, BeforeValidator(_length)]
    since: Annotated[Moment | None, Field(alias="from")] = None


class DueView(BaseModel):
    """When it is over. `guessed_years`: those whose holidays are not announced yet, so that weekdays were counted."""

    since: Annotated[Moment, Field(serialization_alias="from")]
    due_at: Moment
    guessed_years: Sequence[int]


class CalendarChangeView(BaseModel):
    """Who did what to a calendar: `created`, `changed`, `day_put`, `day_removed` or `removed`."""

    change_id: str
    revision: int
    kind: str
    actor: str
    data: dict[str, Any]
    at: Moment

    @classmethod
    def of(cls, row: CalendarChange) -> Self:
        return cls.model_validate(row.model_dump() | {"change_id": str(row.change_id)})
