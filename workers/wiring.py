"""Where ports meet their adapters: plain constructor calls, read from top to bottom."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import SecretStr
from sqlalchemy.ext.asyncio import AsyncEngine

from activities.advance import AdvanceActivities, Party
from activities.approvals import ApprovalActivities
from activities.changing import ChangeActivities
from activities.checks import CheckActivities
from activities.invoices import InvoiceActivities
from activities.lane import LaneActivities
from activities.late_payments import LatePolicy
from activities.moving import MoveActivities
from activities.orders import OrderActivities
from activities.outbox import OutboxActivities
from activities.payments import MoneyPolicy, PaymentActivities
from activities.refunding import RefundActivities
from activities.returning import ReturnActivities
from activities.revenue import RevenueActivities
from activities.shipping import ShippingActivities
from activities.stock import StockActivities
from activities.surplus import SurplusPolicy
from activities.terms import TermsActivities
from activities.trade import TradeActivities
from integrations.carrier.over_http import HttpCarrier
from integrations.carrier.port import Carrier, CarrierEvent
from integrations.carrier.simulated import CarrierBehaviour, SimulatedCarrier
from integrations.einvoice.over_http import HttpEInvoiceProvider
from integrations.einvoice.port import EInvoiceProvider
from integrations.einvoice.simulated import SimulatedEInvoiceProvider
from integrations.http_client import build_client
from integrations.memory import Memory
from integrations.notifier.address_guard import AddressGuard
from integrations.notifier.over_http import HttpNotifier
from integrations.payment.over_http import HttpPaymentProvider
from integrations.payment.port import PaymentProvider
from integrations.payment.simulated import SimulatedPaymentProvider
from runtime.database import Sessions
from runtime.settings import Settings
from store.checks.finding import Check

Report = Callable[[CarrierEvent], Awaitable[None]]


@dataclass(frozen=True)
class Capabilities:
    """Every activity class, ready to be registered, and the simulated carrier if it moves parcels by itself."""

    orders: OrderActivities
    approvals: ApprovalActivities
    stock: StockActivities
    payments: PaymentActivities
    refunding: RefundActivities
    returning: ReturnActivities
    revenue: RevenueActivities
    shipping: ShippingActivities
    invoices: InvoiceActivities
    terms: TermsActivities
    trade: TradeActivities
    moving: MoveActivities
    outbox: OutboxActivities
    checks: CheckActivities
    changing: ChangeActivities
    lane: LaneActivities
    advance: AdvanceActivities
    autopilot: SimulatedCarrier | None


def wire(
    settings: Settings, engine: AsyncEngine, sessions: Sessions, report: Report, checks: Sequence[Check] = ()
) -> Capabilities:
    """Afterwards every port has the adapter that the settings ask for; `checks` are asked besides our own."""
    carrier = _carrier(settings, report)
    orders, stock = OrderActivities(sessions), StockActivities(sessions, settings.reservation_ttl)
    shipping = ShippingActivities(sessions, carrier)
    invoices = InvoiceActivities(sessions, _einvoice_provider(settings))
    revenue, terms = RevenueActivities(sessions), TermsActivities(sessions)
    payments = PaymentActivities(
        sessions, _payment_provider(settings), settings.payment_tolerance_minor, _money_policy(settings)
    )
    notifier = HttpNotifier(build_client(), AddressGuard(allow_private=settings.webhook_allow_private))
    return Capabilities(
        orders=orders,
        approvals=ApprovalActivities(sessions),
        stock=stock,
        payments=payments,
        refunding=RefundActivities(sessions),
        returning=ReturnActivities(sessions, settings.payment_tolerance_minor),
        revenue=revenue,
        shipping=shipping,
        invoices=invoices,
        terms=terms,
        trade=TradeActivities(sessions),
        moving=MoveActivities(sessions),
        outbox=OutboxActivities(engine, sessions, notifier),
        checks=CheckActivities(sessions, checks),
        changing=ChangeActivities(sessions, settings.reservation_ttl, settings.payment_tolerance_minor),
        lane=LaneActivities(sessions),
        advance=AdvanceActivities(
            {
                "order.check": orders.check_order,
                "stock.reserve": stock.reserve_stock,
                "credit.check": terms.check_credit,
                "revenue.recognise": revenue.recognise_revenue,
                "shipping.create": Party(shipping.book_shipments),
                "invoice.issue": Party(invoices.issue_invoice),
            },
            {"payment.settled": payments.apply_payment, "parcel.scanned": shipping.apply_scan},
            orders.open_wait,
            orders.close_order,
        ),
        autopilot=carrier if isinstance(carrier, SimulatedCarrier) and settings.carrier_autopilot else None,
    )


def _carrier(settings: Settings, report: Report) -> Carrier | SimulatedCarrier:
    if settings.carrier == "http":
        return HttpCarrier(settings.carrier_url or "", build_client(), _token(settings.carrier_token))
    delay = settings.carrier_autopilot_delay_s
    behaviour = CarrierBehaviour(pick_up_after_seconds=delay, deliver_after_seconds=2 * delay)
    reporting = report if settings.carrier_autopilot else None
    return SimulatedCarrier(Memory(_remembers(settings, "carrier")), behaviour, reporting)


def _einvoice_provider(settings: Settings) -> EInvoiceProvider:
    if settings.einvoice == "http":
        return HttpEInvoiceProvider(settings.einvoice_url or "", build_client(), _token(settings.einvoice_token))
    return SimulatedEInvoiceProvider(Memory(_remembers(settings, "einvoice")))


def _payment_provider(settings: Settings) -> PaymentProvider:
    if settings.payment_provider == "http":
        token = _token(settings.payment_provider_token)
        return HttpPaymentProvider(settings.payment_provider_url or "", build_client(), token)
    return SimulatedPaymentProvider(Memory(_remembers(settings, "payment")))


def _money_policy(settings: Settings) -> MoneyPolicy:
    return MoneyPolicy(
        SurplusPolicy(settings.surplus_refund),
        LatePolicy(settings.late_payment),
        settings.reservation_ttl,
    )


def _remembers(settings: Settings, party: str) -> Path | None:
    return settings.simulator_dir / f"{party}.sqlite" if settings.simulator_dir else None


def _token(secret: SecretStr | None) -> str:
    return secret.get_secret_value() if secret else ""
