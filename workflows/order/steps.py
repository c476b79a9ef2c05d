"""Which activity performs each step that a flow may name, and on whose queue."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from activities.approvals import ApprovalActivities
    from activities.invoices import InvoiceActivities
    from activities.lane import LaneActivities
    from activities.orders import OrderActivities
    from activities.payments import PaymentActivities
    from activities.revenue import RevenueActivities
    from activities.shipping import ShippingActivities
    from activities.stock import StockActivities
    from activities.terms import TermsActivities
    from activities.trade import TradeActivities

from workflows.order.contract import CARRIER_QUEUE, EINVOICE_QUEUE, PAYMENTS_QUEUE


@dataclass(frozen=True)
class Party:
    """An outside party: the queue on which it is called, and the hold when it stays away."""

    task_queue: str
    away: str
    # What it does not do is owed to the customer, and has to be seen sooner.
    owes_money: bool = False


@dataclass(frozen=True)
class Call:
    """The activity of a step; without a party it writes our own database only."""

    method: Callable[..., Any]
    party: Party | None = None


CARRIER: Final = Party(CARRIER_QUEUE, "carrier_unavailable")
EINVOICE: Final = Party(EINVOICE_QUEUE, "invoice_unavailable")
PAYMENT_PROVIDER: Final = Party(PAYMENTS_QUEUE, "refund_failed", owes_money=True)

STEPS: Final[dict[str, Call]] = {
    "order.check": Call(OrderActivities.check_order),
    "stock.reserve": Call(StockActivities.reserve_stock),
    "stock.release": Call(StockActivities.release_stock),
    "credit.check": Call(TermsActivities.check_credit),
    "customs.check": Call(TradeActivities.check_customs),
    "group.join": Call(TradeActivities.join_group),
    "payment.forfeit": Call(TermsActivities.forfeit_deposit),
    "shipping.take_back": Call(ShippingActivities.take_back_parcels),
    "shipping.create": Call(ShippingActivities.book_shipments, CARRIER),
    "shipping.cancel": Call(ShippingActivities.cancel_shipments, CARRIER),
    "payment.refund": Call(PaymentActivities.refund_payments, PAYMENT_PROVIDER),
    "revenue.recognise": Call(RevenueActivities.recognise_revenue),
    "revenue.reverse": Call(RevenueActivities.reverse_revenue),
    "invoice.issue": Call(InvoiceActivities.issue_invoice, EINVOICE),
    "invoice.credit": Call(InvoiceActivities.credit_invoices, EINVOICE),
}

# What applies a fact, by the kind under which the inbox keeps it.
FACTS: Final[dict[str, Callable[..., Any]]] = {
    "payment.settled": PaymentActivities.apply_payment,
    "parcel.scanned": ShippingActivities.apply_scan,
    "stock.replenished": OrderActivities.acknowledge,
    "order.adjusted": OrderActivities.acknowledge,
    "approval.decided": ApprovalActivities.apply_decision,
    "hold.decided": LaneActivities.settle_hold,
    "customs.reported": TradeActivities.apply_arrival,
    "group.completed": TradeActivities.apply_arrival,
}
