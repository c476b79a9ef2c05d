from decimal import Decimal

import pytest

from domain.money import (
    MAX_MINOR,
    AmountTooLarge,
    CannotSplit,
    CurrencyMismatch,
    InvalidAmount,
    InvalidRate,
    Money,
    UnknownCurrency,
    convert,
    exponent,
    from_decimal_text,
    is_currency,
    net_of_gross,
    round_half_up,
    split,
    to_decimal_text,
)


def test_amounts_of_one_currency_add_and_subtract() -> None:
    assert Money(1050, "CNY") + Money(50, "CNY") == Money(1100, "CNY")
    assert Money(1050, "CNY") - Money(2000, "CNY") == Money(-950, "CNY")


def test_amounts_of_two_currencies_do_not_mix() -> None:
    with pytest.raises(CurrencyMismatch) as refused:
        Money(1, "CNY") + Money(1, "USD")
    assert refused.value.facts == {"left": "CNY", "right": "USD"}
    with pytest.raises(CurrencyMismatch):
        Money(1, "CNY") - Money(1, "USD")


@pytest.mark.parametrize("minor", [1.0, True, Decimal(1), "1"])
def test_money_is_whole_minor_units(minor: object) -> None:
    with pytest.raises(InvalidAmount):
        Money(minor, "CNY")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("currency", "decimals"),
    [("CNY", 2), ("BRL", 2), ("JPY", 0), ("KRW", 0), ("KWD", 3), ("TND", 3), ("IQD", 3), ("LAK", 2), ("IDR", 2)],
)
def test_exponent_is_that_of_iso_4217(currency: str, decimals: int) -> None:
    assert exponent(currency) == decimals
    assert is_currency(currency)


@pytest.mark.parametrize("code", ["", "cny", "XYZ", "XXX", "XTS", "XAU", "DEM", "CNH", "CLF", "RMB", "CNY "])
def test_code_that_is_no_currency_in_use_is_refused(code: str) -> None:
    assert not is_currency(code)
    with pytest.raises(UnknownCurrency):
        exponent(code)


@pytest.mark.parametrize(
    ("text", "currency", "minor"),
    [
        ("0", "CNY", 0),
        ("12.3", "CNY", 1230),
        ("12.30", "CNY", 1230),
        ("0012.30", "CNY", 1230),
        ("500", "JPY", 500),
        ("1.234", "KWD", 1234),
        ("90071992547409.91", "CNY", MAX_MINOR),
    ],
)
def test_plain_decimal_is_read_exactly(text: str, currency: str, minor: int) -> None:
    assert from_decimal_text(text, currency) == minor


@pytest.mark.parametrize(
    "text",
    [
        *["", " 1", "1 ", "1,000", "1.", ".5", "1.234", "1.000", "1e3", "NaN", "inf", "Infinity", "-1", "+1", "--1"],
        *["١٢", "１２", "1_000", "0x10", "1\n", "1.2.3", "9" * 33, "9" * 5000],
    ],
)
def test_anything_else_is_not_an_amount(text: str) -> None:
    with pytest.raises(InvalidAmount):
        from_decimal_text(text, "CNY")


def test_signs_are_read_only_where_allowed() -> None:
    assert from_decimal_text("-12.30", "CNY", signed=True) == -1230
    assert from_decimal_text("+12.30", "CNY", signed=True) == 1230


def test_amount_beyond_the_bound_is_refused() -> None:
    with pytest.raises(AmountTooLarge):
        from_decimal_text("90071992547409.92", "CNY")


def test_decimals_a_currency_lacks_are_refused() -> None:
    with pytest.raises(InvalidAmount) as refused:
        from_decimal_text("500.0", "JPY")
    assert refused.value.facts == {"currency": "JPY", "decimals": 0}


@pytest.mark.parametrize(
    ("minor", "currency", "text"),
    [(0, "CNY", "0.00"), (5, "CNY", "0.05"), (-5, "CNY", "-0.05"), (123456, "CNY", "1234.56"), (7, "JPY", "7")],
)
def test_amount_is_written_with_all_its_decimals(minor: int, currency: str, text: str) -> None:
    assert to_decimal_text(minor, currency) == text


@pytest.mark.parametrize(
    ("value", "rounded"),
    [("0.5", 1), ("1.5", 2), ("2.5", 3), ("2.4999999999999999999999999999999999", 2), ("-0.5", -1), ("-2.5", -3)],
)
def test_halves_round_away_from_zero(value: str, rounded: int) -> None:
    assert round_half_up(Decimal(value)) == rounded


@pytest.mark.parametrize(
    ("gross", "rate", "net"),
    [(11300, "0.13", 10000), (9300, "0.13", 8230), (1130, "0.06", 1066), (999, "0", 999), (-9300, "0.13", -8230)],
)
def test_net_is_gross_without_the_tax_in_it(gross: int, rate: str, net: int) -> None:
    assert net_of_gross(gross, Decimal(rate)) == net


@pytest.mark.parametrize("rate", ["-0.01", "NaN", "Infinity"])
def test_tax_rate_that_is_none_is_refused(rate: str) -> None:
    with pytest.raises(InvalidRate):
        net_of_gross(100, Decimal(rate))


@pytest.mark.parametrize(
    ("minor", "source", "target", "rate", "converted"),
    [
        (10000, "USD", "CNY", "7.10", 71000),
        (10000, "JPY", "CNY", "0.0471", 47100),
        (10000, "CNY", "JPY", "21.23", 2123),
        (1000, "KWD", "CNY", "23.456", 2346),
        (-10000, "USD", "CNY", "7.10", -71000),
    ],
)
def test_conversion_respects_both_exponents(minor: int, source: str, target: str, rate: str, converted: int) -> None:
    assert convert(minor, source, target, Decimal(rate)) == converted


@pytest.mark.parametrize("rate", ["0", "-1", "NaN", "Infinity"])
def test_exchange_rate_must_be_above_zero(rate: str) -> None:
    with pytest.raises(InvalidRate):
        convert(1, "USD", "CNY", Decimal(rate))


def test_conversion_beyond_the_bound_is_refused() -> None:
    with pytest.raises(AmountTooLarge):
        convert(MAX_MINOR, "USD", "CNY", Decimal("1.1"))


@pytest.mark.parametrize(
    ("total", "weights", "shares"),
    [
        (100, [1, 1, 1], [34, 33, 33]),
        (101, [3, 1, 3], [43, 15, 43]),
        (10, [0, 5, 0], [0, 10, 0]),
        (1, [1, 2, 2], [0, 1, 0]),
        (-100, [1, 1, 1], [-34, -33, -33]),
        (5, [0, 0], [3, 2]),
        (0, [], []),
        (0, [4, 0], [0, 0]),
    ],
)
def test_shares_follow_the_largest_remainders(total: int, weights: list[int], shares: list[int]) -> None:
    assert split(total, weights) == shares


def test_equal_remainders_go_to_the_larger_weight_then_to_the_smaller_key() -> None:
    assert split(1, [2, 2], ["b", "a"]) == [0, 1]
    assert split(2, [1, 3], ["a", "b"]) == [0, 2]


def test_something_cannot_be_split_over_nobody_or_over_negative_weights() -> None:
    with pytest.raises(CannotSplit):
        split(1, [])
    with pytest.raises(CannotSplit):
        split(1, [2, -1])
