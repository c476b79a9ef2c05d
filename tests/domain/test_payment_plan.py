"""What is due when, what of it is paid, and when a deposit is lost."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.payment_plan import InstallmentState, Kind, Money, PaymentPlan, Window

NOW = datetime(2026, 11, 22, 10, tzinfo=UTC)
PRESALE = PaymentPlan(11_300, 3_390)
WHOLE = PaymentPlan(11_300)
OPEN = Window(NOW - timedelta(days=1), NOW + timedelta(days=1))


def states(plan: PaymentPlan, money: Money, **due: Window) -> list[str]:
    windows = {Kind(kind): window for kind, window in due.items()}
    return [part.state.value for part in plan.installments(money, windows, NOW)]


@pytest.mark.parametrize(
    ("terms", "parts"),
    [
        ("deposit_balance", (("deposit", 3_390), ("balance", 7_910))),
        ("prepaid", (("full", 11_300),)),
        ("on_credit", (("full", 11_300),)),
        ("cash_on_delivery", (("full", 11_300),)),
    ],
)
def test_parts_follow_from_the_terms(terms: str, parts: tuple[tuple[str, int], ...]) -> None:
    assert PaymentPlan.of(terms, 11_300, 3_390).parts == parts


def test_what_costs_nothing_has_no_plan() -> None:
    assert PaymentPlan.of("none", 0, None).parts == ()
    assert PaymentPlan.of("none", 0, None).installments(Money(), {}, NOW) == ()


@pytest.mark.parametrize(
    ("paid", "amount", "kind"),
    [
        (0, 3_390, "deposit"),
        (0, 1_000, "deposit"),
        (1_000, 2_390, "deposit"),
        (0, 11_299, "deposit"),
        (0, 11_300, "full"),
        (3_390, 7_910, "balance"),
        (3_390, 1, "balance"),
        (11_300, 5, "balance"),
    ],
)
def test_a_payment_is_for_what_the_plan_expects_next(paid: int, amount: int, kind: str) -> None:
    assert PRESALE.next_kind(paid, amount) == kind
    assert WHOLE.next_kind(paid, amount) == "full"


@pytest.mark.parametrize(
    ("money", "due", "expected"),
    [
        (Money(), {}, ["open", "open"]),
        (Money(), {"balance": Window(NOW + timedelta(days=3))}, ["open", "pending"]),
        (Money(1_000), {}, ["partial", "open"]),
        (Money(3_390), {"balance": Window(NOW + timedelta(days=3))}, ["paid", "pending"]),
        (Money(3_390), {"balance": OPEN}, ["paid", "open"]),
        (Money(5_000), {"balance": OPEN}, ["paid", "partial"]),
        (Money(11_300), {"balance": OPEN}, ["paid", "paid"]),
        (Money(11_299, written_off_minor=1), {"balance": OPEN}, ["paid", "paid"]),
        (Money(5_000), {"balance": Window(None, NOW)}, ["paid", "overdue"]),
        (Money(3_390, forfeited_minor=3_390, broken_off=True), {}, ["forfeited", "void"]),
        (Money(3_390, broken_off=True), {}, ["void", "void"]),
    ],
)
def test_state_of_each_part(money: Money, due: dict[str, Window], expected: list[str]) -> None:
    assert states(PRESALE, money, **due) == expected


@pytest.mark.parametrize(
    ("paid", "refundable", "held", "lost"),
    [
        (0, False, False, False),
        (3_389, False, False, False),
        (3_390, False, False, True),
        (11_300, False, False, True),
        (3_390, True, False, False),
        (3_390, False, True, False),
    ],
)
def test_a_complete_deposit_is_lost_by_calling_the_order_off(
    paid: int, refundable: bool, held: bool, lost: bool
) -> None:
    assert PRESALE.is_lost_by_cancelling(paid, refundable=refundable, held=held) is lost


def test_who_has_paid_without_a_deposit_loses_nothing() -> None:
    assert not WHOLE.is_lost_by_cancelling(11_300, refundable=False, held=False)


@given(total=st.integers(2, 10**9), share=st.integers(1, 99), paid=st.integers(0, 2 * 10**9), off=st.integers(-1, 1))
def test_money_fills_the_parts_one_after_the_other(total: int, share: int, paid: int, off: int) -> None:
    plan = PaymentPlan(total, max(1, min(total - 1, total * share // 100)))
    first, second = plan.installments(Money(paid, off), {}, NOW)
    assert first.amount_minor + second.amount_minor == total
    assert first.paid_minor + second.paid_minor == max(0, min(paid + off, total))
    assert second.paid_minor == 0 or first.state is InstallmentState.PAID
