"""What a change does to the lines of an order and to its price: case by case, and for any order."""

from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.changing import AgreedLine, Fate, LineAfter, LineFixed, LinesAsked, change_lines, totals_after
from domain.errors import DomainError
from domain.money import CannotSplit
from domain.posting.entry import Entry, balances_of, some
from domain.posting.position import SalePosition, SaleTotals
from domain.posting.roles import Role
from domain.posting.sale import payment_received, refund_approved, refund_paid, sale_accepted, sale_changed
from domain.pricing import (
    Discount,
    DiscountAbovePrice,
    DuplicateLineId,
    FundedBy,
    InvalidGift,
    OrderLineValue,
    PricedOrder,
    price_order,
)
from domain.refunding import NothingLeftToShip, UnknownLine, money_back
from tests.domain.test_pricing_properties import orders

VAT = Decimal("0.13")


def value(line_id: str, quantity: int = 2, price: int = 11_300, gift_of: str | None = None) -> OrderLineValue:
    return OrderLineValue(line_id, f"SKU-{line_id}", quantity, price, VAT, gift_of=gift_of)


def agreed(*values: OrderLineValue, seller: int = 0, fee: int = 0, fixed: str = "") -> list[AgreedLine]:
    discounts = [Discount("coupon", None, seller, FundedBy.SELLER)]
    priced = price_order(values, discounts, fee)
    return [
        AgreedLine(one, price, one.quantity, fixed=one.line_id in fixed.split())
        for one, price in zip(values, priced.lines, strict=True)
    ]


def totals(lines: list[AgreedLine] | list[LineAfter]) -> SaleTotals:
    return SaleTotals.of(PricedOrder.of([line.price for line in lines]))


def test_discount_and_fee_are_shared_anew_and_stay_what_they_are() -> None:
    after = change_lines(agreed(value("1"), value("2"), seller=4_000, fee=1_000), LinesAsked({"1": 6}))
    assert [(one.wanted, one.fate) for one in after] == [(6, Fate.CHANGED), (2, Fate.KEPT)]
    assert [one.price.seller_discount_minor for one in after] == [3_000, 1_000]
    assert [one.price.shipping_minor for one in after] == [750, 250]
    assert totals(after).total_minor == 8 * 11_300 - 4_000 + 1_000


def test_a_line_that_is_taken_out_costs_nothing_and_the_others_bear_its_shares() -> None:
    after = change_lines(agreed(value("1"), value("2"), seller=4_000, fee=1_000), LinesAsked({"1": 0}))
    assert [(one.wanted, one.fate, one.price.payable_minor) for one in after] == [
        (0, Fate.REMOVED, 0),
        (2, Fate.KEPT, 22_600 - 4_000 + 1_000),
    ]


def test_a_line_that_was_refunded_in_part_keeps_its_price_whatever_comes_in() -> None:
    lines = agreed(value("1"), value("2"), seller=4_000, fee=1_000, fixed="1")
    after = change_lines(lines, LinesAsked({"2": 1}, (value("3", 1, 5_000),)))
    assert after[0].price == lines[0].price
    assert sum(one.price.seller_discount_minor for one in after) == 4_000
    assert [one.fate for one in after] == [Fate.KEPT, Fate.CHANGED, Fate.ADDED]


def test_a_gift_whose_parent_keeps_its_price_stays_free() -> None:
    lines = agreed(value("1"), value("2", 1, 0, gift_of="1"), fixed="1")
    after = change_lines(lines, LinesAsked({"2": 2}))
    assert (after[1].wanted, after[1].price.payable_minor, after[1].value.gift_of) == (2, 0, "1")


@pytest.mark.parametrize(
    ("asked", "refusal"),
    [
        (LinesAsked({"9": 1}), UnknownLine),
        (LinesAsked({"3": 1}), LineFixed),
        (LinesAsked({"3": 0}), LineFixed),
        (LinesAsked(added=(value("1"),)), DuplicateLineId),
        (LinesAsked(added=(value("4"), value("4"))), DuplicateLineId),
        (LinesAsked({"1": 0}), InvalidGift),
        (LinesAsked(added=(value("4", 1, 0, gift_of="9"),)), InvalidGift),
        (LinesAsked(added=(value("4", 1, 100, gift_of="3"),)), InvalidGift),
        (LinesAsked({"1": 0, "2": 0}), CannotSplit),
        (LinesAsked({"1": 0, "2": 0}, (value("4", 1, 100),)), DiscountAbovePrice),
    ],
)
def test_what_cannot_be_is_refused(asked: LinesAsked, refusal: type[DomainError]) -> None:
    lines = agreed(value("1"), value("2", 1, 0, gift_of="1"), value("3"), seller=2_000, fixed="3")
    with pytest.raises(refusal):
        change_lines(lines, asked)


def test_an_order_of_which_nothing_would_be_left_is_cancelled_instead() -> None:
    gone = replace(agreed(value("1"), fixed="1")[0], wanted=0)
    with pytest.raises(NothingLeftToShip):
        change_lines([gone, *agreed(value("2"))], LinesAsked({"2": 0}))


@st.composite
def any_lines(draw: st.DrawFn) -> list[AgreedLine]:
    """The lines of an order of any prices, discounts and fees; some were refunded in part, or altogether."""
    values, discounts, fee = draw(orders())
    found = []
    for one, price in zip(values, price_order(values, discounts, fee).lines, strict=True):
        wanted = draw(st.one_of(st.just(one.quantity), st.integers(0, one.quantity)))
        found.append(AgreedLine(one, price, wanted, fixed=wanted < one.quantity))
    return found


def any_change(data: st.DataObject, lines: list[AgreedLine]) -> LinesAsked:
    free = [line for line in lines if not line.fixed]
    units = {
        line.value.line_id: data.draw(st.integers(0, line.wanted + 3)) for line in free if data.draw(st.booleans())
    }
    ids = {line.value.line_id for line in lines}
    added = data.draw(st.lists(st.builds(value, st.uuids().map(str), st.integers(1, 5), st.integers(0, 50_000))))
    return LinesAsked(units, tuple(one for one in added if one.line_id not in ids))


def as_agreed(after: list[LineAfter], before: list[AgreedLine]) -> list[AgreedLine]:
    """The lines as rows would tell them afterwards: what was taken out is settled."""
    fixed = {line.value.line_id for line in before if line.fixed}
    return [
        AgreedLine(one.value, one.price, one.wanted, one.fate is Fate.REMOVED or one.value.line_id in fixed)
        for one in after
    ]


@given(st.data())
def test_no_share_is_lost_or_negative_and_settled_lines_stay(data: st.DataObject) -> None:
    lines = data.draw(any_lines())
    asked = any_change(data, lines)
    try:
        after = change_lines(lines, asked)
    except DomainError:
        return
    for name in ("seller_discount_minor", "platform_discount_minor", "shipping_minor"):
        assert sum(getattr(one.price, name) for one in after) == sum(getattr(one.price, name) for one in lines)
    for one in after:
        assert min(one.price.payable_minor, one.price.net_minor, one.price.tax_minor, one.wanted) >= 0
        assert one.wanted == asked.units.get(one.value.line_id, one.wanted)
    stays = {line.value.line_id: line for line in lines if line.fixed}
    for one in after:
        if one.value.line_id in stays:
            kept = stays[one.value.line_id]
            assert (one.price, one.wanted, one.fate) == (kept.price, kept.wanted, Fate.KEPT)


@given(st.data())
def test_changing_there_and_back_is_the_price_of_the_first_day(data: st.DataObject) -> None:
    values, discounts, fee = data.draw(orders())
    first = price_order(values, discounts, fee)
    lines = [AgreedLine(one, price, one.quantity) for one, price in zip(values, first.lines, strict=True)]
    units = {one.line_id: data.draw(st.integers(1, one.quantity + 3)) for one in values}
    try:
        there = as_agreed(change_lines(lines, LinesAsked(units)), lines)
    except DomainError:
        return
    back = change_lines(there, LinesAsked({one.line_id: one.quantity for one in values}))
    assert PricedOrder.of([one.price for one in back]) == first


@given(st.data())
def test_any_changes_and_payments_leave_balanced_books_that_a_cancellation_closes(data: st.DataObject) -> None:
    lines = data.draw(any_lines())
    position, held = SalePosition(totals(lines)), 0
    booked: list[Entry] = list(some(sale_accepted(position)))
    for _round in range(data.draw(st.integers(1, 5))):
        pays = data.draw(st.integers(0, position.totals.total_minor + 5))
        if pays:
            booked += some(payment_received(position, position.paid(pays), Role.WALLET))
            position, held = position.paid(pays), held + pays
        try:
            after = change_lines(lines, any_change(data, lines))
            moved = replace(position, totals=totals_after(position.totals, lines, after))
        except DomainError:
            continue
        assert moved.totals == totals(after)
        back = money_back(position, moved, held)
        assert back.absorbed_minor == 0
        moved = moved.refunded(back.due_minor)
        booked += some(sale_changed(position, moved), refund_paid(back.payable_minor, Role.WALLET))
        # What goes back is what the price fell by, less what was still owed; all of it where nothing is left to pay.
        fell = max(position.totals.total_minor - moved.totals.total_minor, 0)
        assert 0 <= back.payable_minor <= (min(held, fell) if moved.totals.total_minor else held)
        lines, position, held = as_agreed(after, lines), moved, held - back.payable_minor
    booked += some(refund_approved(position, position.cancelled()), refund_paid(held, Role.WALLET))
    assert {role: minor for role, minor in balances_of(booked).items() if minor} == {}
