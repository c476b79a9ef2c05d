"""Refunds case by case: what a part of a line carries, what may not go back, how much of it is money."""

from dataclasses import replace

import pytest

from domain.errors import DomainError
from domain.money import InvalidAmount
from domain.posting.position import SalePosition, SaleTotals
from domain.posting.roles import Role
from domain.pricing import QuantityExceeded
from domain.refunding import (
    REFUND_REASONS,
    LineRefund,
    MoneyBack,
    NothingLeftToShip,
    OpenLine,
    ReasonNotAllowed,
    RefundAbovePaid,
    RefundKind,
    UnitsPacked,
    UnknownLine,
    money_back,
    reason_for,
    refund_goodwill,
    refund_shipping,
    refund_units,
)

# Three at 113.00 and a shipping fee of 10.00; a platform bears 30.00.
LINE = OpenLine("1", 0, 3, 0, gross_minor=34_900, tax_minor=4_015, platform_minor=3_000, shipping_minor=1_000)
PLAIN = OpenLine("1", 0, 2, 0, gross_minor=22_600, tax_minor=2_600)


def test_units_carry_their_share_of_every_component() -> None:
    taken = refund_units(LINE, 1)
    assert taken == LineRefund("1", RefundKind.UNITS, 0, 1, 11_633, 1_338, 1_000, 333)
    assert (taken.net_minor, taken.payable_minor, taken.quantity) == (10_295, 10_633, 1)


def test_the_last_refund_of_a_line_takes_the_remainder() -> None:
    left, paid_back = LINE, 0
    for _unit in range(3):
        taken = refund_units(left, 1)
        left, paid_back = left.after(taken), paid_back + taken.payable_minor
    assert (paid_back, left) == (31_900, OpenLine("1", 0, 0, 0, 0, 0))


def test_units_after_goodwill_carry_what_is_left_of_their_price() -> None:
    (off,) = refund_goodwill([PLAIN], 1_130)
    assert (off.gross_minor, off.tax_minor, off.net_minor) == (1_130, 130, 1_000)
    left = PLAIN.after(off)
    first = refund_units(left, 1)
    last = refund_units(left.after(first), 1)
    assert (first.payable_minor, last.payable_minor) == (10_735, 10_735)


def test_units_that_were_not_sent_go_first() -> None:
    line = replace(PLAIN, unshipped=1, delivered=1)
    taken = refund_units(line, 2)
    assert (taken.unshipped, taken.delivered) == (1, 1)
    returned = refund_units(line, 1, delivered_only=True)
    assert (returned.unshipped, returned.delivered) == (0, 1)


def test_units_under_way_wait_until_they_have_arrived() -> None:
    with pytest.raises(UnitsPacked):
        refund_units(replace(PLAIN, delivered=1, under_way=1), 2)


@pytest.mark.parametrize(("quantity", "delivered_only"), [(0, False), (-1, False), (3, False), (3, True), (2, True)])
def test_more_units_than_are_left_are_refused(quantity: int, delivered_only: bool) -> None:
    line = replace(PLAIN, unshipped=1, delivered=1)
    with pytest.raises(QuantityExceeded):
        refund_units(line, quantity, delivered_only=delivered_only)


def test_shipping_goes_back_as_the_lines_bear_it_and_never_twice() -> None:
    other = OpenLine("2", 0, 1, 0, gross_minor=1_500, tax_minor=173, shipping_minor=500)
    taken = refund_shipping([LINE, other])
    assert [(one.line_id, one.gross_minor, one.shipping_minor) for one in taken] == [
        ("1", 1_000, 1_000),
        ("2", 500, 500),
    ]
    left = [line.after(one) for line, one in zip([LINE, other], taken, strict=True)]
    with pytest.raises(InvalidAmount):
        refund_shipping(left)
    with pytest.raises(RefundAbovePaid):
        refund_shipping(left, 1)


def test_goodwill_is_spread_by_what_is_left_and_never_more_than_that() -> None:
    lines = [LINE, PLAIN]
    taken = refund_goodwill(lines, 54_500)
    assert [one.payable_minor for one in taken] == [31_900, 22_600]
    assert refund_goodwill(lines, 10)[0].platform_minor == 0
    with pytest.raises(RefundAbovePaid):
        refund_goodwill(lines, 54_501)
    with pytest.raises(InvalidAmount):
        refund_goodwill(lines, 0)


def position(total: int, settled: int = 0, tolerance: int = 1) -> SalePosition:
    return SalePosition(SaleTotals(total, 0), tolerance_minor=tolerance, settled_minor=settled)


@pytest.mark.parametrize(
    ("before", "total_after", "held", "due", "paid_out"),
    [
        (position(10_000, 10_000), 6_000, 10_000, 4_000, 4_000),
        (position(10_000, 10_000), 0, 10_000, 10_000, 10_000),
        # Nothing was paid: what is owed is owed less, and no money moves.
        (position(10_000, 0), 6_000, 0, 0, 0),
        (position(10_000, 7_000), 6_000, 7_000, 1_000, 1_000),
        # A cent that was written off, short or over, is nobody's until the whole sale goes back.
        (position(10_000, 9_999), 5_000, 9_999, 5_000, 5_000),
        (position(5_000, 4_999), 0, 4_999, 4_999, 4_999),
        (position(10_000, 10_001), 0, 10_001, 10_001, 10_001),
        # Part of the money went back as compensation before.
        (position(10_000, 10_000), 0, 9_500, 10_000, 9_500),
    ],
)
def test_money_goes_back_for_what_was_paid_too_much(
    before: SalePosition, total_after: int, held: int, due: int, paid_out: int
) -> None:
    after = replace(before, totals=SaleTotals(total_after, 0))
    assert money_back(before, after, held) == MoneyBack(due, paid_out)


def test_each_reason_fits_its_kinds_and_names_who_bears_it() -> None:
    assert reason_for("damaged", RefundKind.GOODWILL).role is Role.REVENUE
    assert reason_for("compensation", RefundKind.GOODWILL).role is Role.COMPENSATION
    borne_elsewhere = {code for code, reason in REFUND_REASONS.items() if reason.role is not Role.REVENUE}
    assert all(REFUND_REASONS[code].kinds == {RefundKind.GOODWILL} for code in borne_elsewhere)
    for code, kind in [("compensation", RefundKind.UNITS), ("nonsense", RefundKind.GOODWILL)]:
        with pytest.raises(ReasonNotAllowed):
            reason_for(code, kind)


@pytest.mark.parametrize("error", [NothingLeftToShip, ReasonNotAllowed, RefundAbovePaid, UnitsPacked, UnknownLine])
def test_each_refusal_has_a_code(error: type[DomainError]) -> None:
    assert error.code.islower()
