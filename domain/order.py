"""What an order's states mean: the moves of its lifecycle and the statuses computed from counters and money."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from domain.errors import DomainError


class Lifecycle(StrEnum):
    """Set by the workflow only; everything else about an order's state is computed."""

    RECEIVED = "received"
    IN_REVIEW = "in_review"
    ACCEPTED = "accepted"
    FULFILLING = "fulfilling"
    COMPLETED = "completed"
    REJECTED = "rejected"
    CANCELLED = "cancelled"
    EXPIRED = "expired"


_ENDS = frozenset({Lifecycle.COMPLETED, Lifecycle.REJECTED, Lifecycle.CANCELLED, Lifecycle.EXPIRED})
_BROKEN_OFF = _ENDS - {Lifecycle.COMPLETED}

MOVES: dict[Lifecycle, frozenset[Lifecycle]] = {
    Lifecycle.RECEIVED: frozenset({Lifecycle.IN_REVIEW, Lifecycle.ACCEPTED}) | _BROKEN_OFF,
    Lifecycle.IN_REVIEW: frozenset({Lifecycle.ACCEPTED}) | _BROKEN_OFF,
    Lifecycle.ACCEPTED: frozenset({Lifecycle.FULFILLING}) | _BROKEN_OFF,
    Lifecycle.FULFILLING: frozenset({Lifecycle.COMPLETED, Lifecycle.CANCELLED}),
    Lifecycle.COMPLETED: frozenset(),
    Lifecycle.REJECTED: frozenset(),
    Lifecycle.CANCELLED: frozenset(),
    # Paid in full after all, while every unit is still there.
    Lifecycle.EXPIRED: frozenset({Lifecycle.ACCEPTED}),
}


class LifecycleMoveRefused(DomainError):
    """The order's lifecycle has no such move."""

    code = "lifecycle_move_refused"


class OrderNotCancellable(DomainError):
    """Goods have left, or the order has ended: what comes back now comes back as a return."""

    code = "order_not_cancellable"


def moved(current: str, to: Lifecycle) -> Lifecycle:
    """The state after the move; staying where it is is no move and allowed. Raises LifecycleMoveRefused."""
    state = Lifecycle(current)
    if state is not to and to not in MOVES[state]:
        raise LifecycleMoveRefused(f"an order that is {state} cannot become {to}")
    return to


GIVEN_AWAY = frozenset({"sample", "gift"})
"""Types of order whose goods may be given away; they are an expense then, with the VAT on it."""


def is_given_away(order_type: str, payment_terms: str) -> bool:
    """Whether nobody pays for the order, whatever its prices: a sample or a gift for which no payment is agreed."""
    return order_type in GIVEN_AWAY and payment_terms == "none"


def has_ended(lifecycle: str) -> bool:
    """Whether nothing but follow-ups can happen to the order any more."""
    return Lifecycle(lifecycle) in _ENDS


class PaymentStatus(StrEnum):
    UNPAID = "unpaid"
    PARTIAL = "partial"
    PAID = "paid"
    OVERPAID = "overpaid"
    PARTIALLY_REFUNDED = "partially_refunded"
    REFUNDED = "refunded"
    FORFEITED = "forfeited"


class FulfilmentStatus(StrEnum):
    UNALLOCATED = "unallocated"
    ALLOCATED = "allocated"
    SHIPPING = "shipping"
    PARTIALLY_SHIPPED = "partially_shipped"
    SHIPPED = "shipped"
    PARTIALLY_DELIVERED = "partially_delivered"
    DELIVERED = "delivered"
    FAILED = "failed"
    CANCELLED = "cancelled"


class Share(StrEnum):
    """How much of a whole has been done."""

    NONE = "none"
    PARTIAL = "partial"
    FULL = "full"


@dataclass(frozen=True, slots=True)
class Figures:
    """Sums over an order's lines (units) and its money (minor units of its currency)."""

    total_minor: int
    paid_minor: int
    refunded_minor: int
    written_off_minor: int
    ordered: int
    cancelled: int
    allocated: int
    shipped: int
    delivered: int
    returned: int
    invoiced: int
    recognised: int
    booked_shipments: int = 0
    failed_shipments: int = 0
    # What granted refunds took off the total, and units that arrived and whose price went back.
    reduced_minor: int = 0
    refunded: int = 0
    forfeited_minor: int = 0


@dataclass(frozen=True, slots=True)
class Axes:
    """The computed statuses of an order, one word each."""

    payment: str
    fulfilment: str
    returned: str
    invoice: str
    revenue: str
    recon: str


def axes_of(figures: Figures) -> Axes:
    """Every computed status. Equal figures give equal words; no status is stored anywhere."""
    wanted = figures.ordered - figures.cancelled
    return Axes(
        payment=_payment(figures),
        fulfilment=_fulfilment(figures, wanted),
        returned=_share(figures.returned, figures.delivered).value,
        invoice=_share(figures.invoiced, wanted - figures.refunded).value,
        revenue=_share(figures.recognised, wanted).value,
        # Bank statements are matched by a later step; until a line is matched nothing is reconciled.
        recon=Share.NONE.value,
    )


def _payment(figures: Figures) -> str:
    covered = figures.paid_minor - figures.refunded_minor + figures.written_off_minor
    if figures.forfeited_minor and figures.refunded_minor + figures.forfeited_minor >= figures.paid_minor:
        return PaymentStatus.FORFEITED
    if figures.refunded_minor and figures.refunded_minor >= figures.paid_minor:
        return PaymentStatus.REFUNDED
    if figures.refunded_minor and covered < figures.total_minor:
        return PaymentStatus.PARTIALLY_REFUNDED
    # What went back of a surplus leaves the order paid.
    due = figures.total_minor - figures.reduced_minor
    if covered == due:
        return PaymentStatus.PAID
    if covered > due:
        return PaymentStatus.OVERPAID
    return PaymentStatus.PARTIAL if figures.paid_minor else PaymentStatus.UNPAID


def _fulfilment(figures: Figures, wanted: int) -> str:
    if wanted == 0:
        return FulfilmentStatus.CANCELLED
    if figures.failed_shipments:
        return FulfilmentStatus.FAILED
    if figures.delivered:
        return FulfilmentStatus.DELIVERED if figures.delivered >= wanted else FulfilmentStatus.PARTIALLY_DELIVERED
    if figures.shipped:
        return FulfilmentStatus.SHIPPED if figures.shipped >= wanted else FulfilmentStatus.PARTIALLY_SHIPPED
    if figures.booked_shipments:
        return FulfilmentStatus.SHIPPING
    return FulfilmentStatus.ALLOCATED if figures.allocated >= wanted else FulfilmentStatus.UNALLOCATED


def _share(done: int, whole: int) -> Share:
    if done <= 0:
        return Share.NONE
    return Share.FULL if done >= whole else Share.PARTIAL


@dataclass(frozen=True, slots=True)
class Standing:
    """How an order stands, as steps report it to the workflow: ids and words, never personal data."""

    lifecycle: str = Lifecycle.RECEIVED
    payment: str = PaymentStatus.UNPAID
    payment_terms: str = "prepaid"
    fulfilment: str = FulfilmentStatus.UNALLOCATED
    invoice: str = Share.NONE
    revenue: str = Share.NONE
    blocking_holds: tuple[str, ...] = ()
    # Open as well, while the order goes on.
    quiet_holds: tuple[str, ...] = ()
    # Money of the customer that we have and that is not ours for good.
    money_in: bool = False
    deposit_paid: bool = False
    revenue_due: bool = False
    cancelling: bool = False
    open_approvals: tuple[str, ...] = ()
    # Money that the order has no use for and that is not back yet.
    surplus_due: bool = False
    # When the first of the open holds goes up to the next role, unless it is settled by then.
    escalates_at: datetime | None = None
    # What has come of the things outside that the order's kind waits for: `customs.cleared`, `group.complete`.
    came: tuple[str, ...] = ()
    # Grows with every change of the order, so that of two standings the later one is known.
    version: int = 0

    @property
    def handed_over(self) -> bool:
        """Whether any unit has left for the carrier: from here on only a return brings goods back."""
        return self.fulfilment in _HANDED_OVER


_HANDED_OVER = frozenset(
    {
        FulfilmentStatus.PARTIALLY_SHIPPED,
        FulfilmentStatus.SHIPPED,
        FulfilmentStatus.PARTIALLY_DELIVERED,
        FulfilmentStatus.DELIVERED,
        FulfilmentStatus.FAILED,
    }
)
# Money of an order that goes on goes back only as far as more came in than is due.
_PAID = frozenset({PaymentStatus.PAID, PaymentStatus.OVERPAID, PaymentStatus.PARTIALLY_REFUNDED})
_TERMS_PAID_BEFORE_SHIPMENT = frozenset({"prepaid", "deposit_balance"})


def has_happened(event: str, standing: Standing) -> bool:
    """Whether what a wait node waits for is true of the order now; an unknown event never is."""
    match event:
        case "payment.full" | "payment.balance":
            return standing.payment in _PAID or standing.payment_terms not in _TERMS_PAID_BEFORE_SHIPMENT
        case "payment.deposit":
            return standing.deposit_paid or standing.payment in _PAID
        case "shipment.handed_over":
            return standing.handed_over
        case "shipment.delivered":
            return standing.fulfilment == FulfilmentStatus.DELIVERED
        case _:
            return event in standing.came
