"""/v1/invoices: invoices and credit notes."""

from datetime import datetime
from typing import Annotated, Final

from fastapi import APIRouter, Query
from sqlmodel import col

from api.dependencies import SnapshotDep, requires
from api.fields import Key
from api.invoices.schemas import InvoiceQuery, InvoiceView
from api.paging import ExchangeDep, Keyset, Page, page_of
from domain.access import Permission, Principal
from domain.errors import DomainError
from models.invoice import Invoice
from store import invoices
from store.invoices import InvoiceWithLines
from store.listing.sight import is_in_sight, of_orders_in_sight

router = APIRouter(tags=["invoices"])
_NEWEST: Final = Keyset("invoices", (datetime, str))
Reader = Annotated[Principal, requires(Permission.INVOICES_READ)]


class InvoiceNotFound(DomainError):
    """No such invoice, or none that the asker may see."""

    code = "invoice_not_found"


@router.get("/v1/invoices", summary="List invoices")
async def list_invoices(
    query: Annotated[InvoiceQuery, Query()], caller: Reader, session: SnapshotDep, exchange: ExchangeDep
) -> Page[InvoiceView]:
    in_sight = of_orders_in_sight(caller, col(Invoice.order_no))
    rows = await invoices.page(session, query.wanted(), _NEWEST.decode(query.cursor), query.limit, in_sight)
    return page_of(rows, query, exchange, (_NEWEST, _key), lambda one: InvoiceView.of(one, caller))


@router.get("/v1/invoices/{invoice_key}", summary="One invoice")
async def get_invoice(invoice_key: Key, caller: Reader, session: SnapshotDep) -> InvoiceView:
    found = await invoices.find(session, invoice_key)
    if found is None or not await is_in_sight(session, found.invoice.order_no, caller):
        raise InvoiceNotFound(invoice_key=invoice_key)
    return InvoiceView.of(found, caller)


def _key(one: InvoiceWithLines) -> tuple[datetime, str]:
    return one.invoice.submitted_at, one.invoice.invoice_key
