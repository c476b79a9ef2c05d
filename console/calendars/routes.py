"""Working calendars: which there are, one with its week, single days and the days that come, and changing them."""

from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import Annotated, Any, Final
from zoneinfo import available_timezones

from fastapi import APIRouter, Query, Response
from pydantic import TypeAdapter

from api.calendars import days, routes
from api.calendars.schemas import (
    WEEKDAYS,
    CalendarBody,
    CalendarChangeView,
    CalendarView,
    DayBody,
    DayView,
    OutlookDay,
)
from api.etags import etag
from api.paging import Exchange
from console.calendars.typing import calendar_in, day_in, hours_in
from console.desk import Desk, DeskDep, Typed
from console.guard import HOME, Visitor, allowed
from console.pages import REFUSALS
from domain.access import Permission
from domain.flow.approval_node import CalendarId
from domain.working_calendar import Holidays, due_after
from models.calendar import Calendar
from models.columns import now
from store import calendars, masters

router = APIRouter()
Reader = Annotated[Visitor, allowed(Permission.CALENDARS_READ)]
Writer = Annotated[Visitor, allowed(Permission.CALENDARS_WRITE)]
CALENDARS: Final = f"{HOME}calendars"
UNITS: Final = {"minutes": timedelta(minutes=1), "hours": timedelta(hours=1), "days": timedelta(days=1)}
Amount = Annotated[int, Query(ge=1, le=9999)]
Unit = Annotated[str, Query(pattern="^(minutes|hours|days)$")]
_ID: Final = TypeAdapter[str](CalendarId)
_ZONES: Final = sorted(zone for zone in available_timezones() if "/" in zone and not zone.startswith("Etc/"))
_COMING: Final = 30
_CHANGES: Final = 20


@router.get("/calendars")
async def list_calendars(desk: DeskDep, visitor: Reader) -> Response:
    return await _list(desk, visitor)


@router.post("/calendars")
async def new_calendar(desk: DeskDep, visitor: Writer) -> Response:
    """A calendar with the week, zone and holidays of another one, to be changed then."""
    typed = await desk.typed()
    try:
        like = CalendarView.of(await masters.get(desk.session, Calendar, typed.text("like") or ""))
        same = like.model_dump(include={"time_zone", "week", "holidays"}, mode="json")
        title = {"zh": typed.text("title_zh") or "", "en": typed.text("title_en") or ""}
        body = CalendarBody.model_validate({"title": title, **same})
        calendar_id = _ID.validate_python(typed.text("calendar_id") or "")
        exchange = Exchange(desk.request, Response())
        await routes.put_calendar(calendar_id, body, visitor.caller, desk.session, exchange, if_none_match="*")
    except REFUSALS as refused:
        return await _list(desk, visitor, refused, typed)
    return desk.page.go(f"{CALENDARS}/{calendar_id}", "Created: now say when people work.")


@router.get("/calendars/{calendar_id}")
async def show_calendar(
    desk: DeskDep, visitor: Reader, calendar_id: CalendarId, amount: Amount = 2, unit: Unit = "hours"
) -> Response:
    """With when so much working time from now on would be over."""
    return await _one(desk, visitor, calendar_id, asked=(amount, unit))


@router.post("/calendars/{calendar_id}")
async def change_calendar(desk: DeskDep, visitor: Writer, calendar_id: CalendarId) -> Response:
    """Whoever is asked from now on has their time by it; who is asked already keeps theirs."""
    typed = await desk.typed()

    async def change() -> None:
        read = etag(int(typed.whole("revision") or 0))
        exchange = Exchange(desk.request, Response())
        body = calendar_in(typed)
        await routes.put_calendar(calendar_id, body, visitor.caller, desk.session, exchange, if_match=read)

    said = "Saved. Whoever is asked from now on has their time by it."
    return await _done(desk, visitor, calendar_id, change, said)


@router.post("/calendars/{calendar_id}/days")
async def put_day(desk: DeskDep, visitor: Writer, calendar_id: CalendarId) -> Response:
    """A single day that is otherwise; without hours it is off."""
    typed = await desk.typed()

    async def change() -> None:
        day = day_in(typed)
        body = DayBody.model_validate({"hours": hours_in(typed.text("hours")), "note": typed.text("note")})
        exchange = Exchange(desk.request, Response())
        await days.put_calendar_day(calendar_id, day, body, visitor.caller, desk.session, exchange)

    return await _done(desk, visitor, calendar_id, change, "The day is noted.")


@router.post("/calendars/{calendar_id}/days/remove")
async def remove_day(desk: DeskDep, visitor: Writer, calendar_id: CalendarId) -> Response:
    typed = await desk.typed()

    async def change() -> None:
        await days.remove_calendar_day(calendar_id, day_in(typed), visitor.caller, desk.session)

    return await _done(desk, visitor, calendar_id, change, "The day is as week and holidays say.")


@router.post("/calendars/{calendar_id}/remove")
async def remove_calendar(desk: DeskDep, visitor: Writer, calendar_id: CalendarId) -> Response:
    """Refused as long as flows name it."""
    typed = await desk.typed()
    try:
        read = etag(int(typed.whole("revision") or 0))
        await routes.remove_calendar(calendar_id, visitor.caller, desk.session, if_match=read)
    except REFUSALS as refused:
        return await _one(desk, visitor, calendar_id, refused)
    return desk.page.go(CALENDARS, "{name} is removed.", name=calendar_id)


async def _done(
    desk: Desk, visitor: Visitor, calendar_id: str, change: Callable[[], Awaitable[None]], said: str
) -> Response:
    """Back to the calendar, which says what was done; or the page as it was filled in, with why that cannot be."""
    try:
        await change()
    except REFUSALS as refused:
        return await _one(desk, visitor, calendar_id, refused)
    return desk.page.go(f"{CALENDARS}/{calendar_id}", said)


async def _list(desk: Desk, visitor: Visitor, refused: Exception | None = None, typed: Typed | None = None) -> Response:
    status, trouble = (200, "") if refused is None else desk.page.refusal(refused)
    async with desk.request.app.state.sessions() as session:
        rows = [CalendarView.of(row) for row in await calendars.listed(session)]
    fields = typed.fields if typed else {}
    return desk.page.show("calendars/list.html", visitor, status, calendars=rows, typed=fields, trouble=trouble)


async def _one(
    desk: Desk,
    visitor: Visitor,
    calendar_id: str,
    refused: Exception | None = None,
    asked: tuple[int, str] = (2, "hours"),
) -> Response:
    status, trouble = (200, "") if refused is None else desk.page.refusal(refused)
    typed = await desk.typed() if refused is not None else Typed({})
    # Whatever has become of the session of a command.
    async with desk.request.app.state.sessions() as session:
        row = await masters.get(session, Calendar, calendar_id)
        special = await calendars.days_of(session, calendar_id)
        naming = await calendars.flows_naming(session, calendar_id)
        changes = await calendars.changes(session, calendar_id, None, _CHANGES)
    calendar = calendars.counted(row, special)
    due = due_after(calendar, now(), asked[0] * UNITS[asked[1]])
    today = datetime.now(calendar.time_zone).date()
    content: dict[str, Any] = {
        "calendar": CalendarView.of(row),
        "weekdays": WEEKDAYS,
        "days": [DayView.of(day) for day in special],
        "coming": [OutlookDay.of(day) for day in calendar.coming(today, _COMING)],
        "due": due,
        "due_there": due.at.astimezone(calendar.time_zone).strftime("%Y-%m-%d %H:%M"),
        "amount": asked[0],
        "unit": asked[1],
        "units": list(UNITS),
        "zones": _ZONES,
        "holidays": list(Holidays),
        "naming": naming,
        "history": [CalendarChangeView.of(change) for change in changes],
        "typed": typed.fields,
    }
    return desk.page.show("calendars/one.html", visitor, status, trouble=trouble, **content)
