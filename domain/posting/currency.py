"""Entries of a sale in another currency, with the amounts of the entity's functional currency beside them."""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

from domain.money import InvalidRate, convert
from domain.posting.entry import Entry, Side, UnbalancedEntry
from domain.posting.roles import Role


@dataclass(frozen=True, slots=True)
class Conversion:
    """One whole unit of `document_currency` is worth `rate` whole units of `base_currency`, for all of one voucher."""

    document_currency: str
    base_currency: str
    rate: Decimal

    def __post_init__(self) -> None:
        if self.document_currency == self.base_currency and self.rate != 1:
            raise InvalidRate("a currency is worth itself", rate=str(self.rate))

    @classmethod
    def none(cls, currency: str) -> "Conversion":
        """The sale is in the functional currency already."""
        return cls(currency, currency, Decimal(1))

    def base_of(self, minor: int) -> int:
        """The rounded worth of a balance."""
        return convert(minor, self.document_currency, self.base_currency, self.rate)


@dataclass(frozen=True, slots=True)
class BookedLine:
    """A line with both amounts, zero or more, on one side. At most one of them is zero."""

    role: Role
    side: Side
    minor: int
    base_minor: int


@dataclass(frozen=True, slots=True)
class BookedEntry:
    """An entry balanced in the document's and in the functional currency (`UnbalancedEntry` otherwise)."""

    event: str
    conversion: Conversion
    lines: tuple[BookedLine, ...]

    def __post_init__(self) -> None:
        signs = [1 if line.side is Side.DEBIT else -1 for line in self.lines]
        document = sum(sign * line.minor for sign, line in zip(signs, self.lines, strict=True))
        base = sum(sign * line.base_minor for sign, line in zip(signs, self.lines, strict=True))
        empty = any(min(line.minor, line.base_minor) < 0 or line.minor + line.base_minor == 0 for line in self.lines)
        if document != 0 or base != 0 or empty or len(self.lines) < 2:
            raise UnbalancedEntry(f"the entry {self.event!r} does not balance", event=self.event)


def in_functional_currency(
    entry: Entry, conversion: Conversion, document_before: Mapping[Role, int] | None = None
) -> BookedEntry:
    """The entry with base amounts. `document_before` holds the voucher's balance per role so far, debit positive.

    A line's base amount is what the rounded worth of its role's balance changes by. So a role whose document balance
    returns to zero has a base balance of exactly zero. What these roundings leave over in one entry stands on
    `FX_DIFFERENCE` with a document amount of zero; over a voucher that is undone it sums to zero too.
    """
    before = document_before or {}
    lines = []
    left_over = 0
    for line in entry.lines:
        balance = before.get(line.role, 0)
        moved = conversion.base_of(balance + line.signed_minor) - conversion.base_of(balance)
        left_over += moved
        lines.append(BookedLine(line.role, line.side, line.minor, abs(moved)))
    if left_over:
        side = Side.CREDIT if left_over > 0 else Side.DEBIT
        lines.append(BookedLine(Role.FX_DIFFERENCE, side, 0, abs(left_over)))
    return BookedEntry(entry.event, conversion, tuple(lines))
