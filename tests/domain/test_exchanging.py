"""What goes out instead of what came back, and what it costs."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.exchanging import GoodsBack, GoodsOut, GoodsWanted, PriceUnknown, credit_by_line, goods_out, priced
from domain.exchanging import total_of as total
from domain.money import AmountTooLarge
from domain.pricing import OrderLineValue

RATE = Decimal("0.13")


def came(units: int, credit: int, *, announced: int | None = None, platform: int = 0, line_id: str = "1") -> GoodsBack:
    value = OrderLineValue(line_id, f"SKU-{line_id}", 9, 11_300, RATE, gift_of="8")
    return GoodsBack(value, units if announced is None else announced, units, credit, platform)


def same(quantity: int, line_id: str = "1") -> GoodsWanted:
    return GoodsWanted(line_id, f"SKU-{line_id}", quantity)


def other(quantity: int, price: int) -> GoodsWanted:
    return GoodsWanted("1", "SKU-9", quantity, price, Decimal("0.06"), "cat")


def shown(out: list[GoodsOut]) -> list[tuple[str, str, int, int]]:
    return [(line.value.line_id, line.value.sku, line.value.quantity, line.price.payable_minor) for line in out]


def test_the_same_goods_cost_what_came_back_for_them() -> None:
    (line,) = goods_out([came(2, 20_001)], [same(2)])
    assert (line.price.payable_minor, line.price.list_minor, line.price.seller_discount_minor) == (20_001, 22_600, 2599)
    assert (line.value.gift_of, line.instead_of) == (None, "1")


def test_what_was_paid_above_the_list_is_shipping() -> None:
    (line,) = goods_out([came(1, 12_300)], [same(1)])
    assert (line.price.list_minor, line.price.shipping_minor, line.price.payable_minor) == (11_300, 1_000, 12_300)


def test_units_beyond_those_that_come_back_are_bought() -> None:
    wanted = [GoodsWanted("1", "SKU-1", 3, 15_000, RATE)]
    assert shown(goods_out([came(2, 20_000)], wanted)) == [("1", "SKU-1", 2, 20_000), ("2", "SKU-1", 1, 15_000)]
    with pytest.raises(PriceUnknown):
        goods_out([came(2, 20_000)], [same(3)])


def test_goods_go_out_in_the_proportion_in_which_units_were_accepted() -> None:
    assert shown(goods_out([came(1, 10_000, announced=3)], [same(2), other(3, 500)])) == [("1", "SKU-9", 1, 500)]
    assert goods_out([came(0, 0, announced=2)], [same(2)]) == []
    assert shown(goods_out([came(1, 10_000, announced=2)], [other(4, 500)])) == [("1", "SKU-9", 2, 1_000)]


def test_each_line_stands_for_itself() -> None:
    back = [came(1, 10_000), came(1, 7_000, line_id="2")]
    assert shown(goods_out(back, [same(1, "2"), same(1, "1")])) == [("1", "SKU-2", 1, 7_000), ("2", "SKU-1", 1, 10_000)]
    assert goods_out(back, [same(1, "7")]) == []


def test_amounts_stay_within_bounds() -> None:
    with pytest.raises(AmountTooLarge):
        goods_out([came(1, 1)], [other(10**6, 10**12)])


@given(
    st.lists(st.integers(1, 5), min_size=1, max_size=4), st.integers(0, 10**6), st.integers(0, 10**4), st.integers(0, 3)
)
def test_an_even_swap_has_no_difference(parts: list[int], credit: int, platform: int, left: int) -> None:
    back = came(sum(parts) + left, credit, platform=platform)
    swapped = goods_out([back], [same(part) for part in [*parts, *([left] if left else [])]])
    assert total(swapped) == credit
    assert priced(swapped).platform_discount_minor == platform
    assert all(min(line.price.seller_discount_minor, line.price.shipping_minor) == 0 for line in swapped)


@given(st.integers(0, 10**6), st.dictionaries(st.sampled_from("abc"), st.integers(0, 10**6), min_size=1))
def test_the_credit_of_all_lines_is_the_money(credit: int, payable: dict[str, int]) -> None:
    assert sum(credit_by_line(credit, payable).values()) == credit
