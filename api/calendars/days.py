"""/v1/calendars/{calendar_id}/days: the single days on which a calendar is otherwise."""

from datetime import date
from typing import Annotated

from fastapi import APIRouter, Path, Query, Request
from sqlmodel.ext.asyncio.session import AsyncSession
from starlette.responses import StreamingResponse

from api import csv_body
from api.calendars.routes import InPath, Reader, Writer
from api.calendars.schemas import DayBody, DayFilters, DayLine, DayQuery, DayView, ReachableDay
from api.dependencies import SessionDep
from api.masters import ImportReport, Master, answered, exported, imported, listed
from api.paging import ExchangeDep, Keyset, Page
from models.calendar import Calendar, CalendarDay
from store import calendars, masters
from store.masters import Put

router = APIRouter(tags=["calendars"])
DAYS = Master(CalendarDay, DayView.of, Keyset("days", (str, date)), lambda row: (row.calendar_id, row.day))
DayInPath = Annotated[ReachableDay, Path()]


@router.get("/v1/calendars/{calendar_id}/days", summary="List days that are otherwise")
async def list_calendar_days(
    calendar_id: InPath,
    query: Annotated[DayQuery, Query()],
    _caller: Reader,
    session: SessionDep,
    exchange: ExchangeDep,
) -> Page[DayView]:
    await masters.get(session, Calendar, calendar_id)
    return await listed(DAYS, session, query, exchange, query.of_calendar(calendar_id))


@router.get(
    "/v1/calendars/{calendar_id}/days.csv", summary="Export days that are otherwise", response_class=StreamingResponse
)
async def export_calendar_days(
    calendar_id: InPath,
    query: Annotated[DayFilters, Query()],
    _caller: Reader,
    session: SessionDep,
    request: Request,
) -> StreamingResponse:
    await masters.get(session, Calendar, calendar_id)
    return await exported(DAYS, request, DayLine, query.of_calendar(calendar_id))


@router.put(
    "/v1/calendars/{calendar_id}/days/{day}",
    summary="Put a day that is otherwise",
    responses={201: {"model": DayView}},
)
async def put_calendar_day(
    calendar_id: InPath, day: DayInPath, body: DayBody, caller: Writer, session: SessionDep, exchange: ExchangeDep
) -> DayView:
    """Counts before the calendar's week and before public holidays. No hours: the day is off."""
    done = await calendars.put_day(session, body.to_row(calendar_id, day), caller.actor)
    return await answered(DAYS, session, done, exchange, calendar_id, day)


@router.delete("/v1/calendars/{calendar_id}/days/{day}", summary="Remove a day that is otherwise", status_code=204)
async def remove_calendar_day(calendar_id: InPath, day: DayInPath, caller: Writer, session: SessionDep) -> None:
    """The day is then as the week and public holidays say."""
    await calendars.remove_day(session, calendar_id, day, caller.actor)
    await session.commit()


@router.post(
    "/v1/calendars/{calendar_id}/days:import",
    summary="Import days that are otherwise",
    openapi_extra=csv_body.REQUEST_BODY,
)
async def import_calendar_days(
    calendar_id: InPath, caller: Writer, request: Request, session: SessionDep
) -> ImportReport:
    await masters.get(session, Calendar, calendar_id)

    async def put_line(session: AsyncSession, line: DayLine) -> Put:
        return await calendars.put_day(session, line.to_row(calendar_id, line.day), caller.actor)

    return await imported(request, session, DayLine, put_line)
