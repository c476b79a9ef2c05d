from decimal import Decimal
from fractions import Fraction
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from domain.money import MAX_MINOR, convert, from_decimal_text, net_of_gross, split, to_decimal_text

AMOUNTS = st.integers(min_value=-MAX_MINOR, max_value=MAX_MINOR)
CURRENCIES = st.sampled_from(["JPY", "CNY", "KWD", "BRL", "USD", "IDR"])
WEIGHTS = st.lists(st.integers(min_value=0, max_value=10**12), min_size=1, max_size=30)
RATES = st.decimals(min_value=0, max_value=1, places=4)


@given(AMOUNTS, CURRENCIES)
def test_writing_and_reading_an_amount_gives_it_back(minor: int, currency: str) -> None:
    assert from_decimal_text(to_decimal_text(minor, currency), currency, signed=True) == minor


@given(AMOUNTS, WEIGHTS)
def test_shares_sum_to_the_whole_and_stay_within_one_unit(total: int, weights: list[int]) -> None:
    shares = split(total, weights)
    assert sum(shares) == total
    fair = weights if any(weights) else [1] * len(weights)
    assert all(abs(share - Fraction(total * weight, sum(fair))) < 1 for share, weight in zip(shares, fair, strict=True))


@given(AMOUNTS, WEIGHTS)
def test_zero_weight_gets_nothing(total: int, weights: list[int]) -> None:
    shares = split(total, [*weights, 1, 0])
    assert all(share == 0 for share, weight in zip(shares, [*weights, 1, 0], strict=True) if weight == 0)


@given(AMOUNTS, WEIGHTS, st.randoms(use_true_random=False))
def test_permuted_weights_get_permuted_shares(total: int, weights: list[int], random: Random) -> None:
    keyed = [(f"{at:03}", weight) for at, weight in enumerate(weights)]
    by_key = dict(zip([key for key, _ in keyed], split(total, weights, [key for key, _ in keyed]), strict=True))
    random.shuffle(keyed)
    shuffled = split(total, [weight for _, weight in keyed], [key for key, _ in keyed])
    assert shuffled == [by_key[key] for key, _ in keyed]


@given(AMOUNTS, WEIGHTS)
def test_negative_total_mirrors_the_positive_one(total: int, weights: list[int]) -> None:
    assert split(-total, weights) == [-share for share in split(total, weights)]


@given(st.integers(min_value=0, max_value=10**9), WEIGHTS)
def test_no_share_exceeds_its_weight_while_the_whole_does_not(total: int, weights: list[int]) -> None:
    if total <= sum(weights):
        assert all(share <= weight for share, weight in zip(split(total, weights), weights, strict=True))


@given(AMOUNTS, RATES)
def test_net_is_the_nearest_whole_to_the_exact_quotient(gross: int, rate: Decimal) -> None:
    exact = Fraction(gross) / (1 + Fraction(rate))
    assert abs(net_of_gross(gross, rate) - exact) <= Fraction(1, 2)


@given(st.integers(min_value=-(10**12), max_value=10**12), CURRENCIES)
def test_conversion_into_itself_changes_nothing(minor: int, currency: str) -> None:
    assert convert(minor, currency, currency, Decimal(1)) == minor
