"""/v1/customers: who buys, at which level and on how much credit."""

from typing import Annotated

from fastapi import APIRouter, Query, Request
from sqlmodel.ext.asyncio.session import AsyncSession
from starlette.responses import StreamingResponse

from api import csv_body
from api.customers.schemas import CustomerBody, CustomerFilters, CustomerLine, CustomerQuery, CustomerView
from api.dependencies import SessionDep, requires
from api.fields import Key
from api.masters import ImportReport, Master, answered, exported, imported, listed, shown
from api.paging import ExchangeDep, Keyset, Page
from domain.access import Permission
from models.masters import Customer
from store import masters
from store.masters import Put

router = APIRouter(tags=["customers"])
CUSTOMERS = Master(Customer, CustomerView.of, Keyset("customers", (str,)), lambda row: (row.customer_id,))
_readers = [requires(Permission.CUSTOMERS_READ)]
_writers = [requires(Permission.CUSTOMERS_WRITE)]


@router.get("/v1/customers", summary="List customers", dependencies=_readers)
async def list_customers(
    query: Annotated[CustomerQuery, Query()], session: SessionDep, exchange: ExchangeDep
) -> Page[CustomerView]:
    return await listed(CUSTOMERS, session, query, exchange, query.conditions())


@router.get("/v1/customers.csv", summary="Export customers", dependencies=_readers, response_class=StreamingResponse)
async def export_customers(query: Annotated[CustomerFilters, Query()], request: Request) -> StreamingResponse:
    return await exported(CUSTOMERS, request, CustomerLine, query.conditions())


@router.get("/v1/customers/{customer_id}", summary="One customer", dependencies=_readers)
async def get_customer(customer_id: Key, session: SessionDep) -> CustomerView:
    return await shown(CUSTOMERS, session, customer_id)


@router.put(
    "/v1/customers/{customer_id}",
    summary="Put a customer",
    dependencies=_writers,
    responses={201: {"model": CustomerView}},
)
async def put_customer(
    customer_id: Key, body: CustomerBody, session: SessionDep, exchange: ExchangeDep
) -> CustomerView:
    done = await masters.put(session, body.to_row(customer_id))
    return await answered(CUSTOMERS, session, done, exchange, customer_id)


@router.post(
    "/v1/customers:import", summary="Import customers", dependencies=_writers, openapi_extra=csv_body.REQUEST_BODY
)
async def import_customers(request: Request, session: SessionDep) -> ImportReport:
    return await imported(request, session, CustomerLine, _put_line)


async def _put_line(session: AsyncSession, line: CustomerLine) -> Put:
    return await masters.put(session, line.to_row(line.customer_id))
