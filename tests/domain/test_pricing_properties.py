from decimal import Decimal
from fractions import Fraction
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from domain.money import net_of_gross
from domain.pricing import Discount, FundedBy, OrderLineValue, price_order, share_of_line

RATES = st.sampled_from([Decimal(rate) for rate in ("0", "0.01", "0.06", "0.09", "0.13")])


@st.composite
def order_lines(draw: st.DrawFn) -> list[OrderLineValue]:
    figures = st.tuples(st.integers(1, 20), st.integers(0, 500_000), RATES)
    priced = [
        OrderLineValue(f"{at:02}", f"SKU-{at}", quantity, price, rate)
        for at, (quantity, price, rate) in enumerate(draw(st.lists(figures, min_size=1, max_size=12)))
    ]
    parents = draw(st.lists(st.sampled_from(priced), max_size=3))
    gifts = [
        OrderLineValue(f"g{at}", "GIFT", 1, 0, parent.tax_rate, gift_of=parent.line_id)
        for at, parent in enumerate(parents)
    ]
    return priced + gifts


@st.composite
def orders(draw: st.DrawFn) -> tuple[list[OrderLineValue], list[Discount], int]:
    lines = draw(order_lines())
    goods = sum(line.quantity * line.unit_price_minor for line in lines)
    seller = draw(st.integers(0, goods))
    platform = draw(st.one_of(st.integers(0, goods - seller), st.just(goods - seller)))
    discounts = [
        Discount("coupon", "S", seller, FundedBy.SELLER),
        Discount("coupon", "P", platform, FundedBy.PLATFORM),
    ]
    return lines, discounts, draw(st.integers(0, 5000))


Order = tuple[list[OrderLineValue], list[Discount], int]


@given(orders())
def test_every_component_of_the_lines_sums_to_the_orders(sold: Order) -> None:
    lines, (seller, platform), shipping = sold
    order = price_order(*sold)
    assert order.list_minor == sum(line.quantity * line.unit_price_minor for line in lines)
    assert order.seller_discount_minor == seller.amount_minor
    assert order.platform_discount_minor == platform.amount_minor
    assert order.shipping_minor == shipping
    assert order.total_minor == order.list_minor - seller.amount_minor - platform.amount_minor + shipping
    assert order.transaction_minor == order.total_minor + platform.amount_minor
    assert order.net_minor + order.tax_minor == order.transaction_minor


@given(orders())
def test_no_line_costs_less_than_nothing_and_gifts_nothing(sold: Order) -> None:
    for line, priced in zip(sold[0], price_order(*sold).lines, strict=True):
        assert priced.payable_minor >= 0
        assert 0 <= priced.seller_discount_minor + priced.platform_discount_minor <= priced.list_minor
        if line.gift_of is not None and any(other.unit_price_minor for other in sold[0]):
            assert (priced.payable_minor, priced.transaction_minor, priced.tax_minor) == (0, 0, 0)


@given(orders())
def test_shares_are_within_one_unit_of_the_exact_ones(sold: Order) -> None:
    order = price_order(*sold)
    for line in order.lines if order.list_minor else ():
        part = Fraction(line.list_minor, order.list_minor)
        assert abs(line.seller_discount_minor - order.seller_discount_minor * part) < 1
        assert abs(line.shipping_minor - order.shipping_minor * part) < 1
        # A unit that finds no room on its line moves to another one.
        assert abs(line.platform_discount_minor - order.platform_discount_minor * part) < 2


@given(orders())
def test_tax_is_taken_from_each_lines_own_transaction_price(sold: Order) -> None:
    order = price_order(*sold)
    for line in order.lines:
        assert line.net_minor == net_of_gross(line.transaction_minor, line.tax_rate)
    assert sum(group.tax_minor for group in order.tax_by_rate()) == order.tax_minor
    assert sum(group.net_minor for group in order.tax_by_rate()) == order.net_minor


@given(orders(), st.randoms(use_true_random=False))
def test_order_of_the_lines_does_not_change_their_components(sold: Order, random: Random) -> None:
    lines, discounts, shipping = sold
    before = {line.line_id: line for line in price_order(*sold).lines}
    shuffled = list(lines)
    random.shuffle(shuffled)
    after = price_order(shuffled, discounts, shipping).lines
    assert {line.line_id: line for line in after} == before


@given(st.integers(-(10**12), 10**12), st.lists(st.integers(0, 50), min_size=1, max_size=20))
def test_successive_takes_of_a_line_sum_to_the_whole(component: int, takes: list[int]) -> None:
    quantity = max(1, sum(takes))
    parts = [share_of_line(component, quantity, sum(takes[:at]), take) for at, take in enumerate(takes)]
    assert sum(parts) == (component if sum(takes) else 0)
    assert all(part >= 0 for part in parts) if component >= 0 else all(part <= 0 for part in parts)
