import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.costing import Holding
from domain.money import MAX_MINOR, AmountTooLarge


@pytest.mark.parametrize(
    ("on_hand", "value_minor", "quantity", "cost_minor"),
    [
        (3, 100, 1, 33),
        (3, 100, 2, 67),
        (3, 100, 3, 100),
        (2, 1, 1, 1),
        (4, 1, 1, 0),
        (10, 0, 7, 0),
        (0, 0, 5, 0),
        (3, MAX_MINOR, 3, MAX_MINOR),
    ],
)
def test_units_cost_the_average_rounded_half_up(on_hand: int, value_minor: int, quantity: int, cost_minor: int) -> None:
    assert Holding(on_hand, value_minor).cost_of(quantity) == cost_minor


def test_goods_without_a_cost_come_in_at_the_average() -> None:
    assert Holding(3, 100).received(6, None) == Holding(9, 300)
    assert Holding(0, 0).received(6, None) == Holding(6, 0)


def test_a_costed_receipt_moves_the_average() -> None:
    assert Holding(10, 60_000).received(5, 7_500) == Holding(15, 97_500)
    assert Holding(15, 97_500).cost_of(1) == 6_500


def test_more_value_than_a_book_can_hold_is_refused() -> None:
    with pytest.raises(AmountTooLarge):
        Holding(1, MAX_MINOR).received(1, 1)


@given(st.integers(1, 40), st.integers(0, MAX_MINOR), st.data())
def test_whatever_the_parts_that_leave_their_costs_sum_to_the_value(
    on_hand: int, value_minor: int, data: st.DataObject
) -> None:
    holding, costs = Holding(on_hand, value_minor), 0
    while holding.on_hand:
        quantity = data.draw(st.integers(1, holding.on_hand))
        costs += holding.cost_of(quantity)
        holding = holding.sent(quantity)
        assert holding.value_minor >= 0
    assert (costs, holding.value_minor) == (value_minor, 0)
