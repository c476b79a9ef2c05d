"""/v1/warehouses: where stock lies, and in which order it is asked for."""

from typing import Annotated

from fastapi import APIRouter, Query, Request
from sqlmodel.ext.asyncio.session import AsyncSession
from starlette.responses import StreamingResponse

from api import csv_body
from api.dependencies import SessionDep, requires
from api.fields import Key
from api.masters import ImportReport, Master, answered, exported, imported, listed, shown
from api.paging import ExchangeDep, Keyset, Page
from api.warehouses.schemas import WarehouseBody, WarehouseFilters, WarehouseLine, WarehouseQuery, WarehouseView
from domain.access import Permission
from models.masters import Warehouse
from store import masters
from store.masters import Put

router = APIRouter(tags=["warehouses"])
WAREHOUSES = Master(Warehouse, WarehouseView.of, Keyset("warehouses", (str,)), lambda row: (row.code,))
_readers = [requires(Permission.WAREHOUSES_READ)]
_writers = [requires(Permission.WAREHOUSES_WRITE)]


@router.get("/v1/warehouses", summary="List warehouses", dependencies=_readers)
async def list_warehouses(
    query: Annotated[WarehouseQuery, Query()], session: SessionDep, exchange: ExchangeDep
) -> Page[WarehouseView]:
    return await listed(WAREHOUSES, session, query, exchange, query.conditions())


@router.get("/v1/warehouses.csv", summary="Export warehouses", dependencies=_readers, response_class=StreamingResponse)
async def export_warehouses(query: Annotated[WarehouseFilters, Query()], request: Request) -> StreamingResponse:
    return await exported(WAREHOUSES, request, WarehouseLine, query.conditions())


@router.get("/v1/warehouses/{code}", summary="One warehouse", dependencies=_readers)
async def get_warehouse(code: Key, session: SessionDep) -> WarehouseView:
    return await shown(WAREHOUSES, session, code)


@router.put(
    "/v1/warehouses/{code}", summary="Put a warehouse", dependencies=_writers, responses={201: {"model": WarehouseView}}
)
async def put_warehouse(code: Key, body: WarehouseBody, session: SessionDep, exchange: ExchangeDep) -> WarehouseView:
    done = await masters.put(session, body.to_row(code))
    return await answered(WAREHOUSES, session, done, exchange, code)


@router.post(
    "/v1/warehouses:import", summary="Import warehouses", dependencies=_writers, openapi_extra=csv_body.REQUEST_BODY
)
async def import_warehouses(request: Request, session: SessionDep) -> ImportReport:
    return await imported(request, session, WarehouseLine, _put_line)


async def _put_line(session: AsyncSession, line: WarehouseLine) -> Put:
    return await masters.put(session, line.to_row(line.code))
