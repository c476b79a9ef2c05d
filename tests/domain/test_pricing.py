from dataclasses import replace
from decimal import Decimal

import pytest

from domain.errors import DomainError
from domain.money import MAX_MINOR, AmountTooLarge, InvalidAmount, InvalidRate
from domain.pricing import (
    Discount,
    DiscountAbovePrice,
    DuplicateLineId,
    FundedBy,
    InvalidGift,
    InvalidQuantity,
    NoLines,
    OrderLineValue,
    QuantityExceeded,
    ShippingSharesMismatch,
    TaxTotal,
    price_order,
    share_of_line,
)

VAT = Decimal("0.13")
LINE = OrderLineValue("1", "SKU-1", 1, 11300, VAT)
GIFT = OrderLineValue("g", "SKU-G", 1, 0, VAT, gift_of="1")


def off(minor: int, funded_by: FundedBy = FundedBy.SELLER) -> Discount:
    return Discount("coupon", "C", minor, funded_by)


def test_plain_order_costs_its_lines_and_shipping() -> None:
    order = price_order([replace(LINE, quantity=2)], [], 1000)
    assert order.list_minor == 22600
    assert order.shipping_minor == 1000
    assert order.total_minor == order.transaction_minor == 23600
    assert (order.net_minor, order.tax_minor) == (20885, 2715)


def test_sellers_coupon_reduces_what_the_seller_earns() -> None:
    order = price_order([LINE], [off(2000)], 0)
    assert (order.total_minor, order.transaction_minor) == (9300, 9300)
    assert (order.net_minor, order.tax_minor) == (8230, 1070)


def test_platforms_coupon_reduces_only_what_the_customer_pays() -> None:
    order = price_order([LINE], [off(2000, FundedBy.PLATFORM)], 0)
    assert (order.total_minor, order.transaction_minor) == (9300, 11300)
    assert (order.net_minor, order.tax_minor) == (10000, 1300)


def test_components_are_apportioned_by_list_amount_and_gifts_get_none() -> None:
    lines = [LINE, replace(LINE, line_id="2", unit_price_minor=5650), GIFT]
    order = price_order(lines, [off(1000), off(500, FundedBy.PLATFORM)], 301)
    assert [line.seller_discount_minor for line in order.lines] == [667, 333, 0]
    assert [line.platform_discount_minor for line in order.lines] == [333, 167, 0]
    assert [line.shipping_minor for line in order.lines] == [201, 100, 0]
    assert [line.payable_minor for line in order.lines] == [10501, 5250, 0]
    assert [line.transaction_minor for line in order.lines] == [10834, 5417, 0]


def test_two_discounts_on_one_line_never_take_more_than_it_costs() -> None:
    lines = [replace(LINE, line_id=str(at), unit_price_minor=1) for at in range(3)]
    order = price_order(lines, [off(2), off(1, FundedBy.PLATFORM)], 0)
    assert [line.payable_minor for line in order.lines] == [0, 0, 0]
    assert [line.seller_discount_minor for line in order.lines] == [1, 1, 0]


def test_shipping_shares_that_the_source_states_are_kept() -> None:
    order = price_order([LINE, replace(LINE, line_id="2")], [], 500, {"1": 500, "2": 0})
    assert [line.shipping_minor for line in order.lines] == [500, 0]


@pytest.mark.parametrize("shares", [{"1": 499}, {"2": 500}, {}, {"1": 600, "2": -100}])
def test_shipping_shares_that_do_not_add_up_are_refused(shares: dict[str, int]) -> None:
    with pytest.raises(ShippingSharesMismatch):
        price_order([LINE], [], 500, shares)


def test_shipping_of_an_order_of_free_lines_is_shared_evenly() -> None:
    lines = [replace(LINE, line_id=key, unit_price_minor=0) for key in ("1", "2")]
    assert [line.shipping_minor for line in price_order(lines, [], 5).lines] == [3, 2]


def test_discount_above_the_goods_eats_into_the_shipping_fee() -> None:
    order = price_order([replace(LINE, unit_price_minor=1500)], [off(2000)], 1000)
    assert order.total_minor == 500


def test_discount_of_the_whole_price_leaves_nothing_to_pay() -> None:
    order = price_order([LINE], [off(11300)], 0)
    assert (order.total_minor, order.net_minor, order.tax_minor) == (0, 0, 0)


def test_tax_is_totalled_per_rate_with_equal_rates_together() -> None:
    lines = [
        LINE,
        replace(LINE, line_id="2", unit_price_minor=5300, tax_rate=Decimal("0.06")),
        replace(LINE, line_id="3", tax_rate=Decimal("0.130")),
    ]
    assert price_order(lines, [], 0).tax_by_rate() == (
        TaxTotal(VAT, 20000, 2600),
        TaxTotal(Decimal("0.06"), 5000, 300),
    )


@pytest.mark.parametrize(
    ("lines", "discounts", "shipping", "error"),
    [
        ([], [], 0, NoLines),
        ([LINE, LINE], [], 0, DuplicateLineId),
        ([replace(LINE, quantity=0)], [], 0, InvalidQuantity),
        ([replace(LINE, quantity=-1)], [], 0, InvalidQuantity),
        ([replace(LINE, quantity=True)], [], 0, InvalidQuantity),
        ([replace(LINE, unit_price_minor=-1)], [], 0, InvalidAmount),
        ([replace(LINE, tax_rate=Decimal("NaN"))], [], 0, InvalidRate),
        ([replace(LINE, tax_rate=Decimal("-0.01"))], [], 0, InvalidRate),
        ([replace(LINE, tax_rate=Decimal("1.01"))], [], 0, InvalidRate),
        ([LINE], [off(-1)], 0, InvalidAmount),
        ([LINE], [off(11301)], 0, DiscountAbovePrice),
        ([LINE], [off(11300), off(1, FundedBy.PLATFORM)], 0, DiscountAbovePrice),
        ([LINE], [], -1, InvalidAmount),
        ([replace(LINE, quantity=MAX_MINOR)], [], 0, AmountTooLarge),
        ([replace(LINE, unit_price_minor=MAX_MINOR)], [], 1, AmountTooLarge),
        ([LINE, replace(GIFT, gift_of="9")], [], 0, InvalidGift),
        ([LINE, replace(GIFT, gift_of="g")], [], 0, InvalidGift),
        ([LINE, GIFT, replace(GIFT, line_id="h", gift_of="g")], [], 0, InvalidGift),
        ([LINE, replace(GIFT, unit_price_minor=1)], [], 0, InvalidGift),
    ],
)
def test_order_that_cannot_be_is_refused(
    lines: list[OrderLineValue], discounts: list[Discount], shipping: int, error: type[DomainError]
) -> None:
    with pytest.raises(error) as refused:
        price_order(lines, discounts, shipping)
    assert refused.value.code == error.code != DomainError.code


def test_refusal_names_the_line() -> None:
    with pytest.raises(DuplicateLineId) as refused:
        price_order([LINE, LINE], [], 0)
    assert refused.value.facts == {"line_id": "1"}


def test_units_of_a_line_carry_their_share_and_the_last_takes_the_rest() -> None:
    assert [share_of_line(100, 3, taken, 1) for taken in range(3)] == [33, 34, 33]
    assert [share_of_line(-100, 3, taken, 1) for taken in range(3)] == [-33, -34, -33]
    assert share_of_line(100, 3, 0, 3) == 100
    assert share_of_line(100, 3, 2, 0) == 0


@pytest.mark.parametrize(("quantity", "before", "taking"), [(3, 2, 2), (3, -1, 1), (3, 0, -1), (0, 0, 0)])
def test_more_units_than_there_are_cannot_be_taken(quantity: int, before: int, taking: int) -> None:
    with pytest.raises(QuantityExceeded):
        share_of_line(100, quantity, before, taking)
