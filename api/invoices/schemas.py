"""Invoices and credit notes as programs read them."""

from datetime import date
from typing import Any, Literal, Self

from pydantic import BaseModel

from api.fields import Key, Moment, TaxRate
from api.paging import ListQuery
from api.shown import contact
from domain.access import Principal
from store.invoices import InvoiceFilter, InvoiceWithLines


class InvoiceLineView(BaseModel):
    """The share of an order line that stands on the invoice."""

    line_no: int
    order_no: str
    line_id: str
    sku: str
    quantity: int
    tax_rate: TaxRate
    net_minor: int
    tax_minor: int
    gross_minor: int


class InvoiceView(BaseModel):
    """An invoice (`blue`) or a credit note (`red`, its amounts taken back); it has a number once it is issued."""

    invoice_key: str
    invoice_no: str | None
    kind: str
    original_key: str | None
    state: str
    entity_id: str
    order_no: str
    voucher_no: str
    currency: str
    net_minor: int
    tax_minor: int
    gross_minor: int
    buyer: dict[str, Any] | None
    provider_number: str | None
    problems: list[str] | None
    issue_date: date | None
    submitted_at: Moment
    issued_at: Moment | None
    lines: list[InvoiceLineView]
    links: dict[str, str]

    @classmethod
    def of(cls, one: InvoiceWithLines, caller: Principal) -> Self:
        row = one.invoice
        links = {"self": f"/v1/invoices/{row.invoice_key}", "order": f"/v1/orders/{row.order_no}"}
        shown = {"buyer": contact(caller, row.buyer), "lines": [line.model_dump() for line in one.lines]}
        return cls.model_validate(row.model_dump() | shown | {"links": links})


class InvoiceQuery(ListQuery):
    """Filters of the list."""

    order_no: Key | None = None
    kind: Literal["blue", "red"] | None = None
    state: Literal["submitted", "issued", "rejected"] | None = None

    def wanted(self) -> InvoiceFilter:
        return InvoiceFilter(**self.model_dump(exclude={"limit", "cursor"}))
