"""What reading a file comes to: things that can be sent, and things that are refused with their reasons."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from domain.errors import DomainError
from domain.money import AmountTooLarge, exponent, from_decimal_text, is_currency
from importing.table import Problem, Row

ORDERS: Final = "orders"
PAYMENTS: Final = "payments"
STOCK: Final = "stock"
NOT_POSITIVE: Final = "amount_not_positive"

Location = tuple[int | str, ...]
Locate = Callable[[Location], tuple[int | None, str | None]]


@dataclass(frozen=True, slots=True)
class Item:
    """One order, payment or goods receipt as the API takes it. `key` names it to people, `rows` are where it stands.

    `amount_minor` is what an order or payment comes to, in minor units of `currency`; a receipt has neither. The
    `fingerprint` of an order is what the inbox knows it by.
    """

    subject: str
    key: str
    rows: tuple[int, ...]
    body: dict[str, Any]
    currency: str = ""
    amount_minor: int = 0
    fingerprint: str = ""


@dataclass(frozen=True, slots=True)
class Refusal:
    """One order, payment or goods receipt that is not sent, or was refused by the API, with every reason."""

    subject: str
    key: str
    rows: tuple[int, ...]
    problems: tuple[Problem, ...]

    @property
    def is_moneyless(self) -> bool:
        """Whether it is a payment of nothing: worth telling, but nothing is missing without it."""
        return self.subject == PAYMENTS and {problem.code for problem in self.problems} == {NOT_POSITIVE}


@dataclass(frozen=True, slots=True)
class Readout:
    """All of a file: every row is in exactly one item or refusal.

    `sheet` and the `letters` of columns by their names say where people find it, where the file is a workbook.
    """

    subject: str
    rows: int
    items: tuple[Item, ...]
    refused: tuple[Refusal, ...]
    sheet: str = ""
    letters: Mapping[str, str] = field(default_factory=dict)

    def cell(self, problem: Problem) -> str:
        """Where a spreadsheet has it, such as `Orders!F12`; empty for a file that is none."""
        if not self.sheet or problem.row is None:
            return ""
        return f"{self.sheet}!{self.letters.get(problem.column or '', '')}{problem.row}"

    @classmethod
    def of(cls, subject: str, rows: int, read: Sequence[Item | Refusal]) -> "Readout":
        items = tuple(one for one in read if isinstance(one, Item))
        return cls(subject, rows, items, tuple(one for one in read if isinstance(one, Refusal)))


@dataclass(slots=True)
class Cells:
    """Reads cells as numbers and remembers what is wrong with them; a stand-in lets the reading go on."""

    problems: list[Problem] = field(default_factory=list)

    def amount(self, row: Row, column: str, currency: str, *, signed: bool = False) -> int:
        """Minor units of a decimal amount. An unknown currency is left to whoever checks the currency."""
        if not is_currency(currency):
            return 0
        try:
            return from_decimal_text(row[column], currency, signed=signed)
        except DomainError as refused:
            self.problems.append(_amount_problem(row, column, currency, refused))
            return 0

    def whole(self, row: Row, column: str) -> int:
        """A whole number without sign, separators or decimals."""
        text = row[column]
        if text.isascii() and text.isdecimal() and len(text) <= 12:
            return int(text)
        self.problems.append(Problem(row.number, column, "not_a_whole_number", "a whole number is needed"))
        return 1


def _amount_problem(row: Row, column: str, currency: str, refused: DomainError) -> Problem:
    words, values = "an amount is needed", dict[str, str | int]()
    if refused.code == AmountTooLarge.code:
        words = "The amount is too large"
    elif row[column]:
        words, values = (
            "no amount of {currency}: digits and a point, at most {n} decimals",
            {
                "currency": currency,
                "n": exponent(currency),
            },
        )
    return Problem(row.number, column, refused.code, words, values)


def filled(**fields: Any) -> dict[str, Any]:
    """The fields that say something: an empty cell is the same as no cell."""
    return {name: value for name, value in fields.items() if value not in ("", None)}


def schema_problems(refused: ValidationError, locate: Locate) -> list[Problem]:
    """What the API's own schema has against it, in terms of rows and columns and in plain words."""
    return [_schema_problem(error, *locate(error["loc"])) for error in refused.errors(include_input=False)]


_PLAIN: Final[Mapping[str, str]] = {
    "missing": "this is needed",
    "string_too_short": "this is needed",
    "string_too_long": "at most {max_length} characters",
    "greater_than_equal": "at least {ge}",
    "less_than_equal": "at most {le}",
    "literal_error": "one of these: {expected}",
}
_PATTERNS: Final[Mapping[str, str]] = {
    "country": "two capital letters, such as CN",
    "tax_rate": "a rate below one, such as 0.13",
}


def _schema_problem(error: ErrorDetails, row: int | None, column: str | None) -> Problem:
    code, told = error["type"], error.get("ctx", {})
    if code == "string_pattern_mismatch":
        words = _PATTERNS.get(column or "", "there are characters in it that it may not have")
        return Problem(row, column, code, words)
    if (plain := _PLAIN.get(code)) is None:
        return Problem(row, column, code, error["msg"])
    return Problem(row, column, code, plain, {name: told[name] for name in told if f"{{{name}}}" in plain})
