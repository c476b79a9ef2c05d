"""/v1/calendars: when people of the company work, and when so much of their working time is over."""

from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Response
from sqlmodel.ext.asyncio.session import AsyncSession

from api.calendars.schemas import (
    CalendarBody,
    CalendarChangeView,
    CalendarView,
    DueQuery,
    DueView,
    Outlook,
    OutlookDay,
    OutlookQuery,
)
from api.dependencies import SessionDep, SnapshotDep, requires
from api.etags import IfMatch, IfNoneMatch, etag, expected_revision
from api.masters import Master, answered, listed
from api.paging import ExchangeDep, Keyset, ListQuery, Page, page_of
from api.problem import Refused
from domain.access import Permission, Principal
from domain.flow.approval_node import CalendarId
from domain.working_calendar import WorkingCalendar, due_after
from models.calendar import Calendar
from models.columns import now
from store import calendars, masters
from store.calendars import CalendarChanged

router = APIRouter(tags=["calendars"])
CALENDARS = Master(Calendar, CalendarView.of, Keyset("calendars", (str,)), lambda row: (row.calendar_id,))
Reader = Annotated[Principal, requires(Permission.CALENDARS_READ)]
Writer = Annotated[Principal, requires(Permission.CALENDARS_WRITE)]
InPath = Annotated[CalendarId, Path()]
_NEWEST = Keyset("calendars/history", (int,))


@router.get("/v1/calendars", summary="List working calendars")
async def list_calendars(
    query: Annotated[ListQuery, Query()], _caller: Reader, session: SessionDep, exchange: ExchangeDep
) -> Page[CalendarView]:
    return await listed(CALENDARS, session, query, exchange)


@router.get("/v1/calendars/{calendar_id}", summary="One working calendar")
async def get_calendar(calendar_id: InPath, _caller: Reader, session: SessionDep, response: Response) -> CalendarView:
    return _tagged(CalendarView.of(await masters.get(session, Calendar, calendar_id)), response)


@router.put("/v1/calendars/{calendar_id}", summary="Put a working calendar", responses={201: {"model": CalendarView}})
async def put_calendar(
    calendar_id: InPath,
    body: CalendarBody,
    caller: Writer,
    session: SessionDep,
    exchange: ExchangeDep,
    if_match: IfMatch = None,
    if_none_match: IfNoneMatch = None,
) -> CalendarView:
    """Whoever is asked from now on has their time by it; who is asked already keeps the moments they were given.

    412: somebody has changed it meanwhile; `facts` say who and when.
    """
    expected = expected_revision(if_match, if_none_match)
    try:
        done = await calendars.put(session, body.to_row(calendar_id), expected, caller.actor)
    except CalendarChanged as changed:
        raise changed_meanwhile(changed.theirs) from None
    return _tagged(await answered(CALENDARS, session, done, exchange, calendar_id), exchange.response)


@router.delete("/v1/calendars/{calendar_id}", summary="Remove a working calendar", status_code=204)
async def remove_calendar(calendar_id: InPath, caller: Writer, session: SessionDep, if_match: IfMatch = None) -> None:
    """409: flows that orders may take, or that orders on their way have, name it; `facts.flows` says which."""
    try:
        await calendars.remove(session, calendar_id, expected_revision(if_match) or 0, caller.actor)
    except CalendarChanged as changed:
        raise changed_meanwhile(changed.theirs) from None
    await session.commit()


@router.get("/v1/calendars/{calendar_id}/outlook", summary="The coming days of a working calendar")
async def get_calendar_outlook(
    calendar_id: InPath, query: Annotated[OutlookQuery, Query()], _caller: Reader, session: SnapshotDep
) -> Outlook:
    calendar = await _counted(session, calendar_id)
    first = query.since or datetime.now(calendar.time_zone).date()
    return Outlook(data=[OutlookDay.of(day) for day in calendar.coming(first, query.days)])


@router.get("/v1/calendars/{calendar_id}/due", summary="When so much working time is over")
async def get_calendar_due(
    calendar_id: InPath, query: Annotated[DueQuery, Query()], _caller: Reader, session: SnapshotDep
) -> DueView:
    since = query.since or now()
    due = due_after(await _counted(session, calendar_id), since, query.span)
    return DueView(since=since, due_at=due.at, guessed_years=due.guessed_years)


@router.get("/v1/calendars/{calendar_id}/history", summary="Who did what to a working calendar")
async def get_calendar_history(
    calendar_id: InPath,
    query: Annotated[ListQuery, Query()],
    _caller: Reader,
    session: SessionDep,
    exchange: ExchangeDep,
) -> Page[CalendarChangeView]:
    """Also of one that was removed."""
    after = _NEWEST.decode(query.cursor)
    rows = await calendars.changes(session, calendar_id, after[0] if after else None, query.limit + 1)
    return page_of(rows, query, exchange, (_NEWEST, lambda row: (row.change_id or 0,)), CalendarChangeView.of)


def changed_meanwhile(theirs: Calendar | None) -> Refused:
    """What a change is refused with that was made of an earlier revision."""
    if theirs is None:
        return Refused(412, "calendar_changed", "There is no such calendar.")
    facts: dict[str, Any] = {"revision": theirs.revision, "updated_by": theirs.updated_by}
    facts["updated_at"] = theirs.updated_at.isoformat()
    detail = "Somebody has changed the calendar meanwhile."
    return Refused(412, "calendar_changed", detail, facts=facts, headers={"ETag": etag(theirs.revision)})


async def _counted(session: AsyncSession, calendar_id: str) -> WorkingCalendar:
    await masters.get(session, Calendar, calendar_id)
    return (await calendars.named(session, (calendar_id,)))[calendar_id]


def _tagged(view: CalendarView, response: Response) -> CalendarView:
    response.headers["ETag"] = etag(view.revision)
    return view
