"""What cancelling an order would do, without doing it."""

from collections.abc import Sequence

from pydantic import BaseModel

from api.orders.seen import Seen
from domain.order import has_ended
from domain.shipping import VOIDABLE
from models.payment import Payment
from store import deposits, invoices, orders, payments, shipping, stock
from store.invoices import InvoiceWithLines


class UnitsReleased(BaseModel):
    """Units that would be on sale again."""

    line_id: str
    sku: str
    warehouse: str
    quantity: int


class MoneyBack(BaseModel):
    """What of a payment would go back."""

    payment_id: str
    method: str
    amount_minor: int
    currency: str


class InvoiceCredited(BaseModel):
    """An invoice that a credit note would take back."""

    invoice_key: str
    invoice_no: str | None
    gross_minor: int
    currency: str


class CancelPreview(BaseModel):
    """What would be released, voided, paid back and credited; nothing of it where the order cannot be cancelled.

    `forfeit_minor`: what we would keep of a deposit by the terms.
    """

    order_no: str
    lifecycle: str
    cancellable: bool
    reason: str | None
    release: list[UnitsReleased]
    void: list[str]
    refund: list[MoneyBack]
    refund_minor: int
    forfeit_minor: int
    currency: str
    credit: list[InvoiceCredited]


async def preview_of(seen: Seen) -> CancelPreview:
    """The order as it is now, undone in thought."""
    session, order = seen.session, seen.order
    reason = await _objection(seen)
    preview = CancelPreview(
        order_no=order.order_no,
        lifecycle=order.lifecycle,
        cancellable=reason is None,
        reason=reason,
        release=[],
        void=[],
        refund=[],
        refund_minor=0,
        forfeit_minor=0,
        currency=order.currency,
        credit=[],
    )
    if reason is not None:
        return preview
    promised = await stock.reservations(session, order.order_no)
    parcels = await shipping.parcels(session, order.order_no)
    left = await payments.left_of(session, order.order_no)
    kept_minor = await _kept(seen, left)
    back = _back(deposits.less_kept(left, kept_minor))
    return preview.model_copy(
        update={
            "release": [
                UnitsReleased(line_id=one.line_id, sku=one.sku, warehouse=one.warehouse, quantity=one.quantity)
                for one in promised
            ],
            "void": [one.shipment.shipment_no for one in parcels if one.shipment.status in VOIDABLE],
            "refund": back,
            "forfeit_minor": kept_minor,
            "refund_minor": sum(one.amount_minor for one in back if one.currency == order.currency),
            "credit": _credited(await invoices.of_order(session, order.order_no)),
        }
    )


async def _objection(seen: Seen) -> str | None:
    if has_ended(seen.order.lifecycle):
        return f"order_{seen.order.lifecycle}"
    standing = await orders.standing(seen.session, seen.order_no)
    return "goods_handed_over" if standing.handed_over else None


async def _kept(seen: Seen, left: Sequence[tuple[Payment, int]]) -> int:
    order = seen.order
    plan = orders.plan(order)
    held = bool((await orders.standing(seen.session, seen.order_no)).blocking_holds)
    if not plan.is_lost_by_cancelling(order.paid_minor, refundable=order.deposit_refundable, held=held):
        return 0
    return min(order.deposit_minor or 0, sum(minor for payment, minor in left if payment.state in deposits.BINDING))


def _back(left: Sequence[tuple[Payment, int]]) -> list[MoneyBack]:
    return [
        MoneyBack(payment_id=one.payment_id, method=one.method, amount_minor=minor, currency=one.currency)
        for one, minor in left
        if one.state in payments.COUNTED
    ]


def _credited(known: Sequence[InvoiceWithLines]) -> list[InvoiceCredited]:
    taken_back = {one.invoice.original_key for one in known if one.invoice.state != "rejected"}
    return [
        InvoiceCredited(
            invoice_key=one.invoice.invoice_key,
            invoice_no=one.invoice.invoice_no,
            gross_minor=one.invoice.gross_minor,
            currency=one.invoice.currency,
        )
        for one in known
        if one.invoice.kind == "blue" and one.invoice.state == "issued" and one.invoice.invoice_key not in taken_back
    ]
