"""Any sale, refunded in any parts and order: it gives back exactly what it came to, and its books close."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from domain.posting.entry import Entry, balances_of
from domain.posting.position import SalePosition, SaleTotals
from domain.posting.progress import LineProgress
from domain.posting.roles import Role
from domain.posting.sale import (
    compensation_absorbed,
    compensation_granted,
    control_passed,
    payment_received,
    refund_approved,
    refund_paid,
)
from domain.pricing import price_order
from domain.refunding import LineRefund, OpenLine, money_back, refund_goodwill, refund_shipping, refund_units
from tests.domain.test_pricing_properties import orders


@st.composite
def sales(draw: st.DrawFn) -> list[OpenLine]:
    """The lines of an order of any prices, discounts and fees, some of their units delivered."""
    lines, discounts, fee = draw(orders())
    return [
        OpenLine(
            line.line_id,
            unshipped=line.quantity - delivered,
            delivered=delivered,
            under_way=0,
            gross_minor=line.transaction_minor,
            tax_minor=line.tax_minor,
            platform_minor=line.platform_discount_minor,
            shipping_minor=line.shipping_minor,
        )
        for line in price_order(lines, discounts, fee).lines
        for delivered in [draw(st.integers(0, line.quantity))]
    ]


def totals(lines: list[OpenLine]) -> SaleTotals:
    return SaleTotals(
        sum(line.payable_minor for line in lines),
        sum(line.tax_minor for line in lines),
        sum(line.platform_minor for line in lines),
    )


def position(lines: list[OpenLine], settled: int) -> SalePosition:
    """The sale as rows of the database would tell it: delivered units have passed."""
    progress = [LineProgress(one.units, one.gross_minor - one.tax_minor, one.tax_minor, one.delivered) for one in lines]
    return SalePosition(
        totals(lines),
        settled_minor=settled,
        passed_net_minor=sum(one.passed_net_minor for one in progress),
        passed_tax_minor=sum(one.passed_tax_minor for one in progress),
        tax_due_minor=sum(one.tax_due_minor for one in progress),
    )


def one_refund(data: st.DataObject, lines: list[OpenLine]) -> list[LineRefund]:
    """Some refund that the lines allow; none, where they allow none of the kind."""
    kind = data.draw(st.sampled_from(["units", "goodwill", "shipping"]))
    room = sum(line.payable_minor for line in lines)
    fee = sum(min(line.shipping_minor, line.payable_minor) for line in lines)
    with_units = [line for line in lines if line.units]
    if kind == "goodwill" and room:
        return refund_goodwill(lines, data.draw(st.integers(1, room)))
    if kind == "shipping" and fee:
        return refund_shipping(lines, data.draw(st.integers(1, fee)))
    if kind == "units" and with_units:
        line = data.draw(st.sampled_from(with_units))
        return [refund_units(line, data.draw(st.integers(1, line.units)))]
    return []


def without(lines: list[OpenLine], taken: list[LineRefund]) -> list[OpenLine]:
    gone = {one.line_id: one for one in taken}
    return [line.after(gone[line.line_id]) if line.line_id in gone else line for line in lines]


@given(st.data())
def test_no_part_is_negative_and_all_parts_sum_to_the_stored_price(data: st.DataObject) -> None:
    lines = data.draw(sales())
    begun, taken = totals(lines), []
    for _round in range(data.draw(st.integers(0, 6))):
        refund = one_refund(data, lines)
        lines = without(lines, refund)
        taken += refund
    for line in lines:
        if line.units:
            taken.append(refund_units(line, line.units))
    for one in taken:
        assert min(one.gross_minor, one.tax_minor, one.platform_minor, one.net_minor, one.payable_minor) >= 0
        assert one.shipping_minor >= 0
    assert sum(one.payable_minor for one in taken) == begun.total_minor
    assert sum(one.tax_minor for one in taken) == begun.tax_minor
    assert sum(one.platform_minor for one in taken) == begun.platform_minor


@given(st.data())
def test_refunds_in_any_parts_never_pay_back_more_than_came_in_and_end_at_zero(data: st.DataObject) -> None:
    lines = data.draw(sales())
    total = totals(lines).total_minor
    paid = data.draw(st.one_of(st.just(total), st.integers(0, 2 * total + 5)))
    compensated = data.draw(st.integers(0, paid))
    entries, now = begin(lines, paid)
    granted = [compensation_granted(compensated), refund_paid(compensated, Role.WALLET)]
    entries += [entry for entry in granted if entry is not None]
    held = paid - compensated
    for _round in range(data.draw(st.integers(0, 5))):
        lines, now, held = refund(entries, lines, one_refund(data, lines), now, held)
    rest = [refund_units(line, line.units) for line in lines if line.units]
    lines, now, held = refund(entries, lines, rest, now, held)
    assert sum(balances_of(entries).values()) == 0
    left = {role: minor for role, minor in balances_of(entries).items() if minor}
    # A sale of nothing has nothing to take back: money that came for it is a surplus, and not this rule's.
    if total:
        assert (left, now.settled_minor, held) == ({}, 0, 0)


def begin(lines: list[OpenLine], paid: int) -> tuple[list[Entry], SalePosition]:
    before = replace(position(lines, 0), passed_net_minor=0, passed_tax_minor=0, tax_due_minor=0)
    after = replace(before, settled_minor=paid)
    booked = [payment_received(before, after, Role.WALLET)]
    passed = position(lines, paid)
    booked.append(refund_approved(after, passed))
    return [entry for entry in booked if entry is not None], passed


def refund(
    entries: list[Entry], lines: list[OpenLine], taken: list[LineRefund], before: SalePosition, held: int
) -> tuple[list[OpenLine], SalePosition, int]:
    left = without(lines, taken)
    after = position(left, before.settled_minor)
    back = money_back(before, after, held)
    assert 0 <= back.payable_minor <= held
    after = replace(after, settled_minor=before.settled_minor - back.due_minor)
    booked = [
        refund_approved(before, after),
        compensation_absorbed(back.absorbed_minor),
        refund_paid(back.payable_minor, Role.WALLET),
    ]
    entries += [entry for entry in booked if entry is not None]
    return left, after, held - back.payable_minor


def test_delivery_is_booked_as_a_change_of_position() -> None:
    """`begin` books what passed as the difference of two positions; that is what `control_passed` posts."""
    lines = [OpenLine("1", 0, 1, 0, gross_minor=11_300, tax_minor=1_300)]
    before = SalePosition(totals(lines), settled_minor=11_300)
    progress = LineProgress(1, 10_000, 1_300)
    passed = balances_of(control_passed(before, progress.passing(1)))
    moved = refund_approved(before, position(lines, 11_300))
    assert moved is not None
    assert balances_of([moved]) == {role: minor for role, minor in passed.items() if minor}
