"""What reading a file comes to: things that can be sent, and things that are refused with their reasons."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from pydantic import ValidationError

from cli.importing.table import Problem, Row
from domain.errors import DomainError
from domain.money import from_decimal_text, is_currency

ORDERS: Final = "orders"
PAYMENTS: Final = "payments"
STOCK: Final = "stock"
NOT_POSITIVE: Final = "amount_not_positive"

Location = tuple[int | str, ...]
Locate = Callable[[Location], tuple[int | None, str | None]]


@dataclass(frozen=True, slots=True)
class Item:
    """One order, payment or goods receipt as the API takes it. `key` names it to people, `rows` are where it stands.

    `amount_minor` is what an order or payment comes to, in minor units of `currency`; a receipt has neither.
    """

    subject: str
    key: str
    rows: tuple[int, ...]
    body: dict[str, Any]
    currency: str = ""
    amount_minor: int = 0


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
    """All of a file: every row is in exactly one item or refusal."""

    subject: str
    rows: int
    items: tuple[Item, ...]
    refused: tuple[Refusal, ...]

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
            reason = refused.detail if row[column] else "an amount is needed"
            self.problems.append(Problem(row.number, column, refused.code, reason))
            return 0

    def whole(self, row: Row, column: str) -> int:
        """A whole number without sign, separators or decimals."""
        text = row[column]
        if text.isascii() and text.isdecimal() and len(text) <= 12:
            return int(text)
        self.problems.append(Problem(row.number, column, "not_a_whole_number", "a whole number is needed"))
        return 1


def filled(**fields: Any) -> dict[str, Any]:
    """The fields that say something: an empty cell is the same as no cell."""
    return {name: value for name, value in fields.items() if value not in ("", None)}


def schema_problems(refused: ValidationError, locate: Locate) -> list[Problem]:
    """What the API's own schema has against it, in terms of rows and columns."""
    errors = refused.errors(include_input=False, include_url=False, include_context=False)
    return [Problem(*locate(error["loc"]), error["type"], error["msg"]) for error in errors]
