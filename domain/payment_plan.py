"""What a customer has agreed to pay, in which parts and when, and what of it has been paid."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

DEPOSIT_BALANCE = "deposit_balance"


class Kind(StrEnum):
    """Which part of the plan a payment is for."""

    FULL = "full"
    DEPOSIT = "deposit"
    BALANCE = "balance"


class InstallmentState(StrEnum):
    """`pending`: not due yet; `void`: the order was broken off; `forfeited`: a deposit that the customer lost."""

    PENDING = "pending"
    OPEN = "open"
    PARTIAL = "partial"
    PAID = "paid"
    OVERDUE = "overdue"
    FORFEITED = "forfeited"
    VOID = "void"


@dataclass(frozen=True, slots=True)
class Window:
    """From when and until when an installment is due; None: from the first moment on, or without an end."""

    opens_at: datetime | None = None
    closes_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Money:
    """What has come of an order's money so far. `broken_off`: the order has ended without a sale."""

    paid_minor: int = 0
    written_off_minor: int = 0
    forfeited_minor: int = 0
    broken_off: bool = False


@dataclass(frozen=True, slots=True)
class Installment:
    """One part of a plan and how it stands."""

    seq: int
    kind: Kind
    amount_minor: int
    paid_minor: int
    due: Window
    state: InstallmentState


@dataclass(frozen=True, slots=True)
class PaymentPlan:
    """The parts that an order's total is paid in: a deposit and the balance, or the whole at once."""

    total_minor: int
    deposit_minor: int | None = None

    @classmethod
    def of(cls, terms: str, total_minor: int, deposit_minor: int | None) -> "PaymentPlan":
        """The plan that these terms agree on; two parts only where there is something to pay beside the deposit."""
        in_parts = terms == DEPOSIT_BALANCE and deposit_minor is not None and deposit_minor < total_minor
        return cls(total_minor, deposit_minor if in_parts else None)

    @property
    def parts(self) -> tuple[tuple[Kind, int], ...]:
        """Kind and amount of each part in the order in which they are due; an order that costs nothing has none."""
        if self.total_minor == 0:
            return ()
        if self.deposit_minor is None:
            return ((Kind.FULL, self.total_minor),)
        return ((Kind.DEPOSIT, self.deposit_minor), (Kind.BALANCE, self.total_minor - self.deposit_minor))

    def deposit_is_paid(self, paid_minor: int) -> bool:
        """Whether all of the deposit has come; without one, whether any money has."""
        return paid_minor > 0 and paid_minor >= (self.deposit_minor or 0)

    def next_kind(self, paid_minor: int, amount_minor: int) -> Kind:
        """What a payment is for that does not say it: all at once, or what the plan expects next."""
        if self.deposit_minor is None or (paid_minor == 0 and amount_minor >= self.total_minor):
            return Kind.FULL
        return Kind.BALANCE if self.deposit_is_paid(paid_minor) else Kind.DEPOSIT

    def awaits_balance(self, paid_minor: int) -> bool:
        """Whether the deposit is complete: what is missing now has until the balance's window closes."""
        return self.deposit_minor is not None and self.deposit_is_paid(paid_minor)

    def is_lost_by_cancelling(self, paid_minor: int, *, refundable: bool, held: bool) -> bool:
        """Whether a customer who calls the order off loses the deposit.

        Only a complete deposit binds. Nor is it lost where the terms say that it is refundable, or where the order
        stands still for something that holds it: then it is not for the customer that nothing comes of it.
        """
        return self.awaits_balance(paid_minor) and not refundable and not held

    def installments(self, money: Money, due: dict[Kind, Window], at: datetime) -> tuple[Installment, ...]:
        """Every part as it stands at this moment; money fills them one after the other, in whatever pieces it came."""
        left = money.paid_minor + money.written_off_minor
        found = []
        for seq, (kind, amount_minor) in enumerate(self.parts, start=1):
            paid_minor = max(0, min(left, amount_minor))
            left -= paid_minor
            window = due.get(kind, Window())
            state = _state(kind, amount_minor - paid_minor, paid_minor, window, money, at)
            found.append(Installment(seq, kind, amount_minor, paid_minor, window, state))
        return tuple(found)


def _state(kind: Kind, open_minor: int, paid_minor: int, due: Window, money: Money, at: datetime) -> InstallmentState:
    if money.broken_off:
        lost = kind is Kind.DEPOSIT and money.forfeited_minor > 0
        return InstallmentState.FORFEITED if lost else InstallmentState.VOID
    if open_minor == 0:
        return InstallmentState.PAID
    if due.closes_at is not None and due.closes_at <= at:
        return InstallmentState.OVERDUE
    if paid_minor:
        return InstallmentState.PARTIAL
    return InstallmentState.PENDING if due.opens_at is not None and due.opens_at > at else InstallmentState.OPEN
