"""Money as integer minor units, and the only places where an amount is rounded, split, converted, read or written."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Context, Decimal, DivisionByZero, FloatOperation, InvalidOperation, Overflow
from functools import cache
from typing import Self

from domain.errors import DomainError

MAX_MINOR = 9_007_199_254_740_991
"""The largest amount: 2**53 - 1, exact in every JSON reader and well inside a bigint column."""

# CLDR drops decimals that are no longer used in cash; books and payment providers keep the exponent of ISO 4217.
_ISO_EXPONENTS = {
    "AFN": 2,
    "ALL": 2,
    "IQD": 3,
    "IRR": 2,
    "KPW": 2,
    "LAK": 2,
    "LBP": 2,
    "MGA": 2,
    "MMK": 2,
    "SOS": 2,
    "SYP": 2,
    "YER": 2,
}
_LONGEST_TEXT = 32
_DECIMAL_TEXT = re.compile(r"(?P<sign>[+-]?)(?P<whole>[0-9]+)(?:\.(?P<fraction>[0-9]+))?")
# Wide enough that neither an amount times a rate nor a quotient is rounded before the named rounding does it.
_EXACT = Context(prec=60, rounding=ROUND_HALF_UP, traps=[InvalidOperation, DivisionByZero, FloatOperation, Overflow])


class CurrencyMismatch(DomainError):
    """Two amounts of different currencies met where only one currency makes sense."""

    code = "currency_mismatch"


class UnknownCurrency(DomainError):
    """The code is not an ISO 4217 currency in use."""

    code = "unknown_currency"


class InvalidAmount(DomainError):
    """The amount is not one that money of this currency can have."""

    code = "invalid_amount"


class InvalidRate(DomainError):
    """The rate is negative, zero where it must not be, or not a finite number."""

    code = "invalid_rate"


class AmountTooLarge(DomainError):
    """The amount is beyond `MAX_MINOR`."""

    code = "amount_too_large"


class CannotSplit(DomainError):
    """There is something to share out, but nobody to take it, or a weight is negative."""

    code = "cannot_split"


@dataclass(frozen=True, slots=True)
class Money:
    """An amount in minor units of one currency. Whether the currency exists is checked where it enters the system."""

    minor: int
    currency: str

    def __post_init__(self) -> None:
        if type(self.minor) is not int:
            raise InvalidAmount("money is counted in whole minor units", minor=repr(self.minor))

    def __add__(self, other: Self) -> "Money":
        return Money(self.minor + self._same_currency(other).minor, self.currency)

    def __sub__(self, other: Self) -> "Money":
        return Money(self.minor - self._same_currency(other).minor, self.currency)

    def _same_currency(self, other: Self) -> Self:
        if other.currency != self.currency:
            raise CurrencyMismatch(f"{self.currency} and {other.currency}", left=self.currency, right=other.currency)
        return other


@cache
def _exponents() -> dict[str, int]:
    # babel stays out of the import: workflow code reads this module and seldom needs the table.
    from babel.core import get_global
    from babel.numbers import get_currency_precision

    in_use = {
        code
        for currencies in get_global("territory_currencies").values()
        for code, _since, until, is_tender in currencies
        if until is None and is_tender
    }
    return {code: _ISO_EXPONENTS.get(code, get_currency_precision(code)) for code in in_use}


def exponents() -> Mapping[str, int]:
    """Every currency in use, and the number of its decimals."""
    return _exponents()


def is_currency(code: str) -> bool:
    """Whether `code` is an ISO 4217 currency that some country uses today (no funds, metals, test codes)."""
    return code in _exponents()


def exponent(currency: str) -> int:
    """The number of decimals of the currency by ISO 4217: JPY 0, CNY 2, KWD 3. Raises `UnknownCurrency`."""
    try:
        return _exponents()[currency]
    except KeyError:
        raise UnknownCurrency(f"{currency!r} is not a currency in use", currency=currency) from None


def within_bounds(minor: int) -> int:
    """`minor` itself, if its size is at most `MAX_MINOR`; otherwise raises `AmountTooLarge`."""
    if abs(minor) > MAX_MINOR:
        raise AmountTooLarge(f"more than {MAX_MINOR} minor units", limit=MAX_MINOR)
    return minor


def from_decimal_text(text: str, currency: str, *, signed: bool = False) -> int:
    """Minor units of a plain decimal such as `12.30`: ASCII digits, at most the currency's decimals, no exponent.

    A leading `+` or `-` is read only when `signed`. Raises `InvalidAmount`, `AmountTooLarge`, `UnknownCurrency`.
    """
    decimals = exponent(currency)
    match = _DECIMAL_TEXT.fullmatch(text) if len(text) <= _LONGEST_TEXT else None
    if match is None or (match["sign"] and not signed):
        raise InvalidAmount("not a plain decimal amount", currency=currency)
    fraction = match["fraction"] or ""
    if len(fraction) > decimals:
        raise InvalidAmount(f"{currency} has {decimals} decimals", currency=currency, decimals=decimals)
    minor = within_bounds(int(match["whole"] + fraction.ljust(decimals, "0")))
    return -minor if match["sign"] == "-" else minor


def to_decimal_text(minor: int, currency: str) -> str:
    """The amount as a plain decimal with all decimals of the currency: the inverse of `from_decimal_text`."""
    decimals = exponent(currency)
    digits = str(abs(minor)).rjust(decimals + 1, "0")
    sign = "-" if minor < 0 else ""
    return f"{sign}{digits[:-decimals]}.{digits[-decimals:]}" if decimals else f"{sign}{digits}"


def round_half_up(value: Decimal) -> int:
    """The one rounding of money: to the nearest whole, halves away from zero (so that minus mirrors plus)."""
    return int(value.quantize(Decimal(1), rounding=ROUND_HALF_UP, context=_EXACT))


def net_of_gross(gross_minor: int, rate: Decimal) -> int:
    """The net part of a tax-inclusive amount, `round(gross / (1 + rate))`; the tax is `gross - net`."""
    if not rate.is_finite() or rate < 0:
        raise InvalidRate("a tax rate is a number from zero up", rate=str(rate))
    return round_half_up(_EXACT.divide(Decimal(gross_minor), _EXACT.add(Decimal(1), rate)))


def convert(minor: int, from_currency: str, to_currency: str, rate: Decimal) -> int:
    """Minor units of `to_currency`, where one whole unit of `from_currency` is worth `rate` whole units of it."""
    if not rate.is_finite() or rate <= 0:
        raise InvalidRate("an exchange rate is a number above zero", rate=str(rate))
    shift = exponent(to_currency) - exponent(from_currency)
    return within_bounds(round_half_up(_EXACT.multiply(Decimal(minor), rate).scaleb(shift, context=_EXACT)))


def split(total: int, weights: Sequence[int], keys: Sequence[str] | None = None) -> list[int]:
    """Share `total` out in proportion to `weights` by largest remainder; the shares sum to `total` exactly.

    Each share is less than one unit from the exact one, and a zero weight gets nothing. Equal remainders go to the
    larger weight, then to the smaller key (or position). A negative total is the mirror of the positive one. Where all
    weights are zero, everyone weighs the same: what was charged has to land somewhere. Raises `CannotSplit`.
    """
    if any(weight < 0 for weight in weights) or (total and not weights):
        raise CannotSplit(total=total, weights=list(weights))
    if total < 0:
        return [-share for share in split(-total, weights, keys)]
    fair = weights if any(weights) else [1] * len(weights)
    whole = sum(fair)
    names = keys if keys is not None else range(len(fair))
    shares = [total * weight // whole for weight in fair]
    order = sorted(
        zip(fair, names, range(len(fair)), strict=True),
        key=lambda one: (-(total * one[0] % whole), -one[0], one[1:]),
    )
    for _weight, _name, at in order[: total - sum(shares)]:
        shares[at] += 1
    return shares
