"""What a person types about a calendar, in the shape of the API, which checks it."""

import re
from datetime import date
from typing import Final

from api.calendars.schemas import WEEKDAYS, CalendarBody, ReachableDay
from api.fields import Body
from console.desk import Typed

_BETWEEN: Final = re.compile(r"[,;，；、]")


class _DayField(Body):
    """So that a refusal names the field."""

    day: ReachableDay


def hours_in(typed: str | None) -> tuple[str, ...]:
    """The spans of a line like `09:00-12:00, 13:00-18:00`; none where nothing was typed."""
    parts = (part.strip() for part in _BETWEEN.split(typed or ""))
    return tuple(part for part in parts if part)


def day_in(typed: Typed) -> date:
    """The day. Raises ValidationError."""
    return _DayField.model_validate({"day": typed.text("day") or ""}).day


def calendar_in(typed: Typed) -> CalendarBody:
    """The whole calendar. Raises ValidationError."""
    return CalendarBody.model_validate(
        {
            "title": {"zh": typed.text("title_zh") or "", "en": typed.text("title_en") or ""},
            "time_zone": typed.text("time_zone") or "",
            "holidays": typed.text("holidays") or "",
            "week": {day: hours_in(typed.text(day)) for day in WEEKDAYS},
        }
    )
