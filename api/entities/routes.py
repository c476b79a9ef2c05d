"""/v1/entities: who sells and keeps books, in which currency and time zone."""

from typing import Annotated

from fastapi import APIRouter, Query, Request
from sqlmodel.ext.asyncio.session import AsyncSession
from starlette.responses import StreamingResponse

from api import csv_body
from api.dependencies import SessionDep, requires
from api.entities.schemas import EntityBody, EntityLine, EntityView
from api.fields import Key
from api.masters import ImportReport, Master, answered, exported, imported, listed, shown
from api.paging import ExchangeDep, Filters, Keyset, ListQuery, Page
from domain.access import Permission
from models.masters import LegalEntity
from store import entities
from store.masters import Put

router = APIRouter(tags=["entities"])
ENTITIES = Master(LegalEntity, EntityView.of, Keyset("entities", (str,)), lambda row: (row.entity_id,))
_readers = [requires(Permission.ENTITIES_READ)]
_writers = [requires(Permission.ENTITIES_WRITE)]


@router.get("/v1/entities", summary="List legal entities", dependencies=_readers)
async def list_entities(
    query: Annotated[ListQuery, Query()], session: SessionDep, exchange: ExchangeDep
) -> Page[EntityView]:
    return await listed(ENTITIES, session, query, exchange, query.conditions())


@router.get(
    "/v1/entities.csv", summary="Export legal entities", dependencies=_readers, response_class=StreamingResponse
)
async def export_entities(query: Annotated[Filters, Query()], request: Request) -> StreamingResponse:
    return await exported(ENTITIES, request, EntityLine, query.conditions())


@router.get("/v1/entities/{entity_id}", summary="One legal entity", dependencies=_readers)
async def get_entity(entity_id: Key, session: SessionDep) -> EntityView:
    return await shown(ENTITIES, session, entity_id)


@router.put(
    "/v1/entities/{entity_id}",
    summary="Put a legal entity",
    dependencies=_writers,
    responses={201: {"model": EntityView}},
)
async def put_entity(entity_id: Key, body: EntityBody, session: SessionDep, exchange: ExchangeDep) -> EntityView:
    done = await entities.put(session, body.to_row(entity_id))
    return await answered(ENTITIES, session, done, exchange, entity_id)


@router.post(
    "/v1/entities:import", summary="Import legal entities", dependencies=_writers, openapi_extra=csv_body.REQUEST_BODY
)
async def import_entities(request: Request, session: SessionDep) -> ImportReport:
    return await imported(request, session, EntityLine, _put_line)


async def _put_line(session: AsyncSession, line: EntityLine) -> Put:
    return await entities.put(session, line.to_row(line.entity_id))
