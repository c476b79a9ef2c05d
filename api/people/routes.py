"""/v1/people: who works here, in which roles and under whom."""

from typing import Annotated

from fastapi import APIRouter, Query, Request
from sqlmodel.ext.asyncio.session import AsyncSession
from starlette.responses import StreamingResponse

from api import csv_body
from api.dependencies import SessionDep, requires
from api.fields import Key
from api.masters import ImportReport, Master, answered, exported, imported, listed, shown
from api.paging import ExchangeDep, Keyset, Page
from api.people.schemas import PersonBody, PersonFilters, PersonLine, PersonQuery, PersonView
from domain.access import Permission
from models.access import Person
from store import people
from store.masters import Put

router = APIRouter(tags=["people"])
PEOPLE = Master(Person, PersonView.of, Keyset("people", (str,)), lambda row: (row.person_id,))
_readers = [requires(Permission.PEOPLE_READ)]
_writers = [requires(Permission.PEOPLE_WRITE)]


@router.get("/v1/people", summary="List people", dependencies=_readers)
async def list_people(
    query: Annotated[PersonQuery, Query()], session: SessionDep, exchange: ExchangeDep
) -> Page[PersonView]:
    return await listed(PEOPLE, session, query, exchange, query.conditions())


@router.get("/v1/people.csv", summary="Export people", dependencies=_readers, response_class=StreamingResponse)
async def export_people(query: Annotated[PersonFilters, Query()], request: Request) -> StreamingResponse:
    return await exported(PEOPLE, request, PersonLine, query.conditions())


@router.get("/v1/people/{person_id}", summary="One person", dependencies=_readers)
async def get_person(person_id: Key, session: SessionDep) -> PersonView:
    return await shown(PEOPLE, session, person_id)


@router.put(
    "/v1/people/{person_id}", summary="Put a person", dependencies=_writers, responses={201: {"model": PersonView}}
)
async def put_person(person_id: Key, body: PersonBody, session: SessionDep, exchange: ExchangeDep) -> PersonView:
    done = await people.put(session, body.to_row(person_id))
    view = await answered(PEOPLE, session, done, exchange, person_id)
    # Roles that were taken away must not live on with callers who are known already.
    exchange.request.app.state.principals.forget()
    return view


@router.post("/v1/people:import", summary="Import people", dependencies=_writers, openapi_extra=csv_body.REQUEST_BODY)
async def import_people(request: Request, session: SessionDep) -> ImportReport:
    report = await imported(request, session, PersonLine, _put_line)
    request.app.state.principals.forget()
    return report


async def _put_line(session: AsyncSession, line: PersonLine) -> Put:
    return await people.put(session, line.to_row(line.person_id))
