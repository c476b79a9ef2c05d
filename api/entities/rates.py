"""/v1/entities/{entity_id}/rates: what a foreign currency is worth in an entity's books, and from when on."""

from datetime import date
from typing import Annotated

from fastapi import APIRouter, Query, Request
from sqlmodel.ext.asyncio.session import AsyncSession
from starlette.responses import StreamingResponse

from api import csv_body
from api.dependencies import SessionDep, requires
from api.entities.schemas import RateBody, RateLine, RateQuery, RateView
from api.fields import Currency, Key
from api.masters import ImportReport, Master, answered, exported, imported, listed
from api.paging import ExchangeDep, Keyset, Page
from domain.access import Permission
from models.masters import FxRate, LegalEntity
from store import entities, masters
from store.masters import Put

router = APIRouter(tags=["entities"])
RATES = Master(
    FxRate,
    RateView.of,
    Keyset("rates", (str, str, date)),
    lambda row: (row.entity_id, row.currency, row.valid_from),
)
_readers = [requires(Permission.ENTITIES_READ)]
_writers = [requires(Permission.ENTITIES_WRITE)]


@router.get("/v1/entities/{entity_id}/rates", summary="List exchange rates", dependencies=_readers)
async def list_rates(
    entity_id: Key, query: Annotated[RateQuery, Query()], session: SessionDep, exchange: ExchangeDep
) -> Page[RateView]:
    await masters.get(session, LegalEntity, entity_id)
    return await listed(RATES, session, query, exchange, query.of_entity(entity_id))


@router.get(
    "/v1/entities/{entity_id}/rates.csv",
    summary="Export exchange rates",
    dependencies=_readers,
    response_class=StreamingResponse,
)
async def export_rates(entity_id: Key, session: SessionDep, request: Request) -> StreamingResponse:
    await masters.get(session, LegalEntity, entity_id)
    return await exported(RATES, request, RateLine, RateQuery().of_entity(entity_id))


@router.put(
    "/v1/entities/{entity_id}/rates/{currency}",
    summary="Put the exchange rate from a date on",
    dependencies=_writers,
    responses={201: {"model": RateView}},
)
async def put_rate(
    entity_id: Key, currency: Currency, body: RateBody, session: SessionDep, exchange: ExchangeDep
) -> RateView:
    done = await entities.put_rate(session, body.to_row(entity_id, currency))
    return await answered(RATES, session, done, exchange, entity_id, currency, body.valid_from)


@router.post(
    "/v1/entities/{entity_id}/rates:import",
    summary="Import exchange rates",
    dependencies=_writers,
    openapi_extra=csv_body.REQUEST_BODY,
)
async def import_rates(entity_id: Key, request: Request, session: SessionDep) -> ImportReport:
    await masters.get(session, LegalEntity, entity_id)

    async def put_line(session: AsyncSession, line: RateLine) -> Put:
        return await entities.put_rate(session, line.to_row(entity_id, line.currency))

    return await imported(request, session, RateLine, put_line)
