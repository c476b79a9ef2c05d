"""An order as programs read it. Amounts and contacts are null for callers who must not see them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any, Self

from pydantic import BaseModel, Field

from api.fields import Moment, TaxRate
from api.holds.schemas import HoldView
from api.invoices.schemas import InvoiceView
from api.orders.plan import plan_of
from api.payments.schemas import PaymentView, RefundView
from api.returning.schemas import ReturnView
from api.shipping.schemas import ShipmentView
from api.shown import contact, money
from domain.access import Principal
from domain.money import AmountTooLarge, convert
from domain.order import Axes
from domain.payment_plan import Installment
from models.order import Order, OrderHold, OrderLine
from models.payment import Payment, Refund
from models.returning import Return
from store.invoices import InvoiceWithLines
from store.returning import ReturnWithLines
from store.shipping import Parcel

_AMOUNTS = (
    "list_minor",
    "seller_discount_minor",
    "platform_discount_minor",
    "shipping_minor",
    "net_minor",
    "tax_minor",
)


class OrderPlaced(BaseModel):
    """The order is ours: it was committed, and will go its way whatever happens."""

    order_no: str
    lifecycle: str
    links: dict[str, str]

    @classmethod
    def of(cls, order_no: str) -> Self:
        return cls(order_no=order_no, lifecycle="received", links=links_of(order_no))


class OrderSummary(BaseModel):
    """An order in a list; `holds` are the reasons for which it is held now."""

    order_no: str
    channel: str
    external_id: str
    type: str
    lifecycle: str
    payment: str
    fulfilment: str
    returned: str = Field(serialization_alias="return")
    invoice: str
    revenue: str
    recon: str
    holds: list[str]
    customer_id: str | None
    currency: str
    total_minor: int | None
    voucher_no: str
    waiting_for: str | None
    deadline_at: Moment | None
    placed_at: Moment
    received_at: Moment
    closed_at: Moment | None
    links: dict[str, str]

    @classmethod
    def listed(cls, row: Order, axes: Axes, holds: Sequence[OrderHold], caller: Principal) -> Self:
        reasons = [hold.reason_code for hold in holds]
        shown = {"holds": reasons, "total_minor": money(caller, row.total_minor), "links": links_of(row.order_no)}
        return cls.model_validate(row.model_dump() | _statuses(axes) | shown)


class LineView(BaseModel):
    """One line: its price as apportioned when the order was placed, and how far its units have come."""

    line_id: str
    sku: str
    quantity: int
    category: str | None
    gift_of: str | None
    store: str | None
    sold_as: str
    tax_rate: TaxRate | None
    unit_price_minor: int | None
    list_minor: int | None
    seller_discount_minor: int | None
    platform_discount_minor: int | None
    shipping_minor: int | None
    payable_minor: int | None
    gross_minor: int | None
    net_minor: int | None
    tax_minor: int | None
    cancelled: int
    allocated: int
    shipped: int
    delivered: int
    returned: int
    invoiced: int
    recognised: int
    refunded: int

    @classmethod
    def of(cls, row: OrderLine, caller: Principal) -> Self:
        amounts = ("tax_rate", "unit_price_minor", "payable_minor", "gross_minor", *_AMOUNTS)
        return cls.model_validate(row.model_dump() | {name: money(caller, getattr(row, name)) for name in amounts})


class Totals(BaseModel):
    """What the order comes to, and what of it was paid, paid back, kept of a deposit, or written off to rounding.

    `reduced_minor` is what refunds took off the total.
    """

    list_minor: int
    seller_discount_minor: int
    platform_discount_minor: int
    shipping_minor: int
    total_minor: int
    transaction_minor: int
    net_minor: int
    tax_minor: int
    paid_minor: int
    refunded_minor: int
    written_off_minor: int
    reduced_minor: int
    forfeited_minor: int


class Fx(BaseModel):
    """The functional currency, the rate in force and the total at this rate; null where there is no rate."""

    functional_currency: str
    rate: str | None
    total_minor: int | None

    @classmethod
    def of(cls, row: Order) -> Self:
        total = None if row.fx_rate is None else _in_functional_currency(row, row.fx_rate)
        return cls(functional_currency=row.functional_currency, rate=_plain(row.fx_rate), total_minor=total)


class InstallmentView(BaseModel):
    """A part of the payment plan. `due_to` is the last moment, or null while nothing is agreed."""

    seq: int
    kind: str
    amount_minor: int
    paid_minor: int
    due_from: Moment | None
    due_to: Moment | None
    state: str

    @classmethod
    def of(cls, part: Installment) -> Self:
        amounts = {"amount_minor": part.amount_minor, "paid_minor": part.paid_minor}
        due = {"due_from": part.due.opens_at, "due_to": part.due.closes_at}
        return cls(seq=part.seq, kind=part.kind.value, **amounts, **due, state=part.state.value)


class ReplacesView(BaseModel):
    """Whose goods this order replaces: those that came back of that order by that return."""

    order_no: str
    return_no: str

    @classmethod
    def of(cls, row: Return | None) -> Self | None:
        return None if row is None else cls(order_no=row.order_no, return_no=row.return_no)


class FlowView(BaseModel):
    """The flow that the order follows, pinned when it was placed."""

    key: str
    version: int


class OrderView(BaseModel):
    """One order with all its statuses and everything that hangs on it."""

    order_no: str
    channel: str
    external_id: str
    source: str
    type: str
    lifecycle: str
    payment: str
    fulfilment: str
    returned: str = Field(serialization_alias="return")
    invoice: str
    revenue: str
    recon: str
    holds: list[HoldView]
    lines: list[LineView]
    currency: str
    totals: Totals | None
    fx: Fx | None
    payment_method: str
    payment_terms: str
    payment_plan: list[InstallmentView] | None
    payment_due_on: date | None
    deposit_refundable: bool
    discounts: list[dict[str, Any]] | None
    shipments: list[ShipmentView]
    payments: list[PaymentView] | None
    refunds: list[RefundView] | None
    invoices: list[InvoiceView] | None
    returns: list[ReturnView]
    replaces: ReplacesView | None
    customer_id: str | None
    customer_level: str
    contact: dict[str, Any] | None
    ship_to: dict[str, Any] | None
    salesperson: str | None
    store: str | None
    group_id: str | None
    flow: FlowView
    voucher_no: str
    waiting_for: str | None
    deadline_at: Moment | None
    cancel_requested_at: Moment | None
    cancel_reason: str | None
    placed_at: Moment
    received_at: Moment
    closed_at: Moment | None
    links: dict[str, str]


@dataclass(frozen=True, slots=True)
class OrderParts:
    """An order and all rows that its view shows."""

    order: Order
    axes: Axes
    lines: Sequence[OrderLine]
    holds: Sequence[OrderHold]
    parcels: Sequence[Parcel]
    payments: Sequence[Payment]
    refunds: Sequence[Refund]
    invoices: Sequence[InvoiceWithLines]
    returns: Sequence[ReturnWithLines]
    replaces: Return | None
    time_zone: str


def order_view(parts: OrderParts, caller: Principal, temporal_link: str | None) -> OrderView:
    """The order as this caller sees it, with a link to Temporal's Web UI if one is given."""
    row = parts.order
    links = links_of(row.order_no) | ({"temporal": temporal_link} if temporal_link else {})
    shown = {
        "holds": [HoldView.of(hold, caller) for hold in parts.holds],
        "lines": [LineView.of(line, caller) for line in parts.lines],
        "totals": money(caller, Totals.model_validate(row, from_attributes=True)),
        "fx": money(caller, Fx.of(row)),
        "discounts": money(caller, row.discounts),
        "payment_plan": money(caller, [InstallmentView.of(part) for part in plan_of(row, parts.time_zone)]),
        "shipments": [ShipmentView.of(parcel.shipment, parcel.lines) for parcel in parts.parcels],
        "payments": money(caller, [PaymentView.of(payment) for payment in parts.payments]),
        "refunds": money(caller, [RefundView.of(refund) for refund in parts.refunds]),
        "invoices": money(caller, [InvoiceView.of(invoice, caller) for invoice in parts.invoices]),
        "returns": [ReturnView.of(one, caller) for one in parts.returns],
        "replaces": ReplacesView.of(parts.replaces),
        "contact": contact(caller, row.contact),
        "ship_to": contact(caller, row.ship_to),
        "flow": FlowView(key=row.flow_key, version=row.flow_version),
        "links": links,
    }
    return OrderView.model_validate(row.model_dump() | _statuses(parts.axes) | shown)


def links_of(order_no: str) -> dict[str, str]:
    """Where the order and its story are."""
    own = f"/v1/orders/{order_no}"
    return {"self": own, "timeline": f"{own}/timeline", "decisions": f"{own}/decisions", "events": f"{own}/events"}


def _statuses(axes: Axes) -> dict[str, str]:
    return {
        "payment": axes.payment,
        "fulfilment": axes.fulfilment,
        "returned": axes.returned,
        "invoice": axes.invoice,
        "revenue": axes.revenue,
        "recon": axes.recon,
    }


def _in_functional_currency(row: Order, rate: Decimal) -> int | None:
    try:
        return convert(row.total_minor, row.currency, row.functional_currency, rate)
    except AmountTooLarge:
        return None


def _plain(rate: Decimal | None) -> str | None:
    return None if rate is None else format(rate.normalize(), "f")
