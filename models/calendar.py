"""Working calendars: when people of the company work, which single days are otherwise, and who has said so."""

from __future__ import annotations

import datetime as dt
from typing import Any

from sqlalchemy import BigInteger, CheckConstraint, Column, Identity, Index
from sqlmodel import Field, SQLModel

from models.columns import Document, TextList, written_at


class Calendar(SQLModel, table=True):
    """A working calendar; `revision` counts what was changed about it or its days."""

    __tablename__ = "calendars"
    __table_args__ = (
        CheckConstraint("holidays IN ('none', 'cn')", name="calendar_holidays"),
        CheckConstraint("jsonb_array_length(week) = 7", name="calendar_week"),
    )

    calendar_id: str = Field(primary_key=True)
    title_zh: str
    title_en: str
    time_zone: str
    # The hours of each day from Monday on, each day's as a list of texts like 09:00-18:00.
    week: list[list[str]] = Field(sa_type=Document)
    holidays: str
    revision: int = 1
    updated_by: str = "orderflow"
    updated_at: dt.datetime = written_at()


class CalendarDay(SQLModel, table=True):
    """A day that is otherwise than week and holidays say: no hours is a day off."""

    __tablename__ = "calendar_days"

    calendar_id: str = Field(primary_key=True, foreign_key="calendars.calendar_id", ondelete="CASCADE")
    day: dt.date = Field(primary_key=True)
    hours: list[str] = Field(sa_type=TextList)
    note: str | None = None


class CalendarChange(SQLModel, table=True):
    """Who did what to a calendar, with what it was and what it became; append-only, and kept when it is removed."""

    __tablename__ = "calendar_changes"
    __table_args__ = (Index("calendar_changes_of_calendar", "calendar_id", "change_id"),)

    change_id: int | None = Field(
        default=None, sa_column=Column("change_id", BigInteger, Identity(always=True), primary_key=True)
    )
    calendar_id: str
    revision: int
    kind: str
    actor: str
    data: dict[str, Any] = Field(default_factory=dict, sa_type=Document)
    at: dt.datetime = written_at()
