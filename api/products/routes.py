"""/v1/products: what can be sold, at which price and tax rate."""

from typing import Annotated

from fastapi import APIRouter, Query, Request
from sqlmodel.ext.asyncio.session import AsyncSession
from starlette.responses import StreamingResponse

from api import csv_body
from api.dependencies import SessionDep, requires
from api.fields import Key
from api.masters import ImportReport, Master, answered, exported, imported, listed, shown
from api.paging import ExchangeDep, Keyset, Page
from api.products.schemas import ProductBody, ProductFilters, ProductLine, ProductQuery, ProductView
from domain.access import Permission
from models.masters import Product
from store import masters
from store.masters import Put

router = APIRouter(tags=["products"])
PRODUCTS = Master(Product, ProductView.of, Keyset("products", (str,)), lambda row: (row.sku,))
_readers = [requires(Permission.PRODUCTS_READ)]
_writers = [requires(Permission.PRODUCTS_WRITE)]


@router.get("/v1/products", summary="List products", dependencies=_readers)
async def list_products(
    query: Annotated[ProductQuery, Query()], session: SessionDep, exchange: ExchangeDep
) -> Page[ProductView]:
    return await listed(PRODUCTS, session, query, exchange, query.conditions())


@router.get("/v1/products.csv", summary="Export products", dependencies=_readers, response_class=StreamingResponse)
async def export_products(query: Annotated[ProductFilters, Query()], request: Request) -> StreamingResponse:
    return await exported(PRODUCTS, request, ProductLine, query.conditions())


@router.get("/v1/products/{sku}", summary="One product", dependencies=_readers)
async def get_product(sku: Key, session: SessionDep) -> ProductView:
    return await shown(PRODUCTS, session, sku)


@router.put(
    "/v1/products/{sku}", summary="Put a product", dependencies=_writers, responses={201: {"model": ProductView}}
)
async def put_product(sku: Key, body: ProductBody, session: SessionDep, exchange: ExchangeDep) -> ProductView:
    done = await masters.put(session, body.to_row(sku))
    return await answered(PRODUCTS, session, done, exchange, sku)


@router.post(
    "/v1/products:import", summary="Import products", dependencies=_writers, openapi_extra=csv_body.REQUEST_BODY
)
async def import_products(request: Request, session: SessionDep) -> ImportReport:
    return await imported(request, session, ProductLine, _put_line)


async def _put_line(session: AsyncSession, line: ProductLine) -> Put:
    return await masters.put(session, line.to_row(line.sku))
