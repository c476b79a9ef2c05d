"""/v1/payment_methods: which kind of payment a method is."""

from typing import Annotated

from fastapi import APIRouter, Query, Request
from sqlmodel.ext.asyncio.session import AsyncSession
from starlette.responses import StreamingResponse

from api import csv_body
from api.dependencies import SessionDep, requires
from api.fields import Word
from api.masters import ImportReport, Master, answered, exported, imported, listed, shown
from api.paging import ExchangeDep, Filters, Keyset, ListQuery, Page
from api.payment_methods.schemas import PaymentMethodBody, PaymentMethodLine, PaymentMethodView
from domain.access import Permission
from models.masters import PaymentMethod
from store import masters
from store.masters import Put

router = APIRouter(tags=["payment methods"])
PAYMENT_METHODS = Master(
    PaymentMethod, PaymentMethodView.of, Keyset("payment_methods", (str,)), lambda row: (row.method,)
)
_readers = [requires(Permission.ENTITIES_READ)]
_writers = [requires(Permission.ENTITIES_WRITE)]


@router.get("/v1/payment_methods", summary="List payment methods", dependencies=_readers)
async def list_payment_methods(
    query: Annotated[ListQuery, Query()], session: SessionDep, exchange: ExchangeDep
) -> Page[PaymentMethodView]:
    return await listed(PAYMENT_METHODS, session, query, exchange, query.conditions())


@router.get(
    "/v1/payment_methods.csv", summary="Export payment methods", dependencies=_readers, response_class=StreamingResponse
)
async def export_payment_methods(query: Annotated[Filters, Query()], request: Request) -> StreamingResponse:
    return await exported(PAYMENT_METHODS, request, PaymentMethodLine, query.conditions())


@router.get("/v1/payment_methods/{method}", summary="One payment method", dependencies=_readers)
async def get_payment_method(method: Word, session: SessionDep) -> PaymentMethodView:
    return await shown(PAYMENT_METHODS, session, method)


@router.put(
    "/v1/payment_methods/{method}",
    summary="Put a payment method",
    dependencies=_writers,
    responses={201: {"model": PaymentMethodView}},
)
async def put_payment_method(
    method: Word, body: PaymentMethodBody, session: SessionDep, exchange: ExchangeDep
) -> PaymentMethodView:
    done = await masters.put(session, body.to_row(method))
    return await answered(PAYMENT_METHODS, session, done, exchange, method)


@router.post(
    "/v1/payment_methods:import",
    summary="Import payment methods",
    dependencies=_writers,
    openapi_extra=csv_body.REQUEST_BODY,
)
async def import_payment_methods(request: Request, session: SessionDep) -> ImportReport:
    return await imported(request, session, PaymentMethodLine, _put_line)


async def _put_line(session: AsyncSession, line: PaymentMethodLine) -> Put:
    return await masters.put(session, line.to_row(line.method))
