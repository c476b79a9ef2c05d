"""Payments in the canonical CSV: one row a payment, addressed to its order as the channel calls it."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from pydantic import ValidationError

from api.payments.schemas import AddressedPayment
from domain.money import is_currency
from importing.items import NOT_POSITIVE, PAYMENTS, Cells, Item, Location, Readout, Refusal, filled, schema_problems
from importing.table import Problem, Row, read_table, shown

_COLUMNS: Final[Mapping[Location, str]] = {
    ("channel",): "channel",
    ("external_id",): "external_id",
    ("payment_id",): "payment_id",
    ("method",): "method",
    ("amount_minor",): "amount",
    ("currency",): "currency",
    ("paid_at",): "paid_at",
    ("kind",): "kind",
    ("fee_minor",): "fee",
}
_FURTHER_COLUMNS: Final = ("kind", "fee")
"""A file need not have them: then a payment is what the plan expects next, and nobody kept a fee."""
COLUMNS: Final = tuple(column for column in _COLUMNS.values() if column not in _FURTHER_COLUMNS)

Key = tuple[str, str, str]


def read(raw: bytes, name: str) -> Readout:
    """Every payment of the file, or why it is refused. Raises UnusableFile.

    The same payment twice is two items, of which the API will take one. Two that differ under one name contradict each
    other: the later one is refused.
    """
    rows = read_table(raw, name, COLUMNS, _FURTHER_COLUMNS)
    first: dict[Key, Item] = {}
    return Readout.of(PAYMENTS, len(rows), [_consistent(_payment(row), row, first) for row in rows])


def _payment(row: Row) -> Item | Refusal:
    cells = Cells(list(row.problems))
    if cells.problems:
        return _refused(row, cells.problems)
    body = _body(row, cells)
    if not cells.problems and body["amount_minor"] < 1 and is_currency(row["currency"]):
        cells.problems.append(Problem(row.number, "amount", NOT_POSITIVE, "amount must be positive"))
    try:
        # What is wrong with the amount is on record already.
        AddressedPayment.model_validate(body | {"amount_minor": max(body["amount_minor"], 1)})
    except ValidationError as refused:
        cells.problems += schema_problems(refused, lambda location: located(location, (row.number,)))
    if cells.problems:
        return _refused(row, cells.problems)
    return Item(PAYMENTS, _shown(row), (row.number,), body, body["currency"], body["amount_minor"])


def _body(row: Row, cells: Cells) -> dict[str, Any]:
    amount = cells.amount(row, "amount", row["currency"], signed=row["amount"].startswith("-"))
    fee = cells.amount(row, "fee", row["currency"]) if row["fee"] else None
    texts = {column: row[column] for column in (*COLUMNS, "kind") if column != "amount"}
    return filled(**texts, amount_minor=amount, fee_minor=fee)


def _consistent(read_now: Item | Refusal, row: Row, first: dict[Key, Item]) -> Item | Refusal:
    if isinstance(read_now, Refusal):
        return read_now
    before = first.setdefault((row["channel"], row["external_id"], row["payment_id"]), read_now)
    if before.body == read_now.body:
        return read_now
    reason = f"row {before.rows[0]} has the same payment_id with other content"
    return _refused(row, [Problem(row.number, "payment_id", "payment_id_reused", reason)])


def located(location: Location, rows: Sequence[int]) -> tuple[int | None, str | None]:
    """Row and column of a field of the payment that stands in this row."""
    return rows[0], _COLUMNS.get(location) if location else "external_id"


def _refused(row: Row, problems: Sequence[Problem]) -> Refusal:
    return Refusal(PAYMENTS, _shown(row), (row.number,), tuple(problems))


def _shown(row: Row) -> str:
    return shown(row["payment_id"]) if row["payment_id"] else f"row {row.number}"
