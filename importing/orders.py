"""Rows as orders: one row a line, all rows of one (channel, external_id) are one order.

The schema of the API decides what an order may be; here rows become orders, and its answers become rows and columns.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any, Final

from pydantic import ValidationError

from api.orders.schemas import PlaceOrder
from domain.fingerprint import fingerprint
from domain.money import MAX_MINOR, AmountTooLarge, within_bounds
from importing.items import ORDERS, Cells, Item, Location, Readout, Refusal, filled, schema_problems
from importing.table import CONTROLS, Problem, Row, read_table, shown

_ORDER_COLUMNS: Final[Mapping[Location, str]] = {
    ("channel",): "channel",
    ("external_id",): "external_id",
    ("type",): "type",
    ("currency",): "currency",
    ("customer", "id"): "customer_id",
    ("customer", "level"): "customer_level",
    ("customer", "name"): "customer_name",
    ("ship_to", "name"): "recipient",
    ("ship_to", "phone"): "phone",
    ("ship_to", "country"): "country",
    ("ship_to", "region"): "region",
    ("ship_to", "city"): "city",
    ("ship_to", "street"): "street",
    ("ship_to", "postal_code"): "postal_code",
    ("payment", "method"): "payment_method",
    ("payment", "terms"): "payment_terms",
    ("payment", "deposit_minor"): "deposit",
    ("payment", "balance_opens_at"): "balance_opens_at",
    ("payment", "balance_closes_at"): "balance_closes_at",
    ("placed_at",): "placed_at",
    ("salesperson",): "salesperson",
    ("group_id",): "group_id",
}
"""Fields that an order has once, so that all its rows must agree, and the columns they come from."""

_LINE_COLUMNS: Final[Mapping[str, str]] = {
    "line_id": "line_id",
    "sku": "sku",
    "category": "category",
    "quantity": "quantity",
    "unit_price_minor": "unit_price",
    "tax_rate": "tax_rate",
    "shipping_share_minor": "line_shipping_fee",
    "store": "store",
    "gift_of": "gift_of",
}
FURTHER_COLUMNS: Final = (
    *("deposit", "balance_opens_at", "balance_closes_at", "customer_name", "recipient", "phone", "street"),
    *("salesperson", "group_id", "gift_of"),
)
"""A file need not have them: those of presales and groups, and those of somebody to deliver to."""
COLUMNS: Final = tuple(
    column for column in (*_ORDER_COLUMNS.values(), *_LINE_COLUMNS.values()) if column not in FURTHER_COLUMNS
)

Key = tuple[str, str]


def read(raw: bytes, name: str) -> Readout:
    """Every order of a CSV file as programs write it, whole or refused with all its problems. Raises UnusableFile."""
    return of_rows(read_table(raw, name, COLUMNS, FURTHER_COLUMNS))


def of_rows(rows: Sequence[Row]) -> Readout:
    """Every order of the rows, whole or refused with all its problems."""
    groups: dict[Key, list[Row]] = defaultdict(list)
    nameless: list[Row] = []
    for row in rows:
        if (key := _key(row)) is not None:
            groups[key].append(row)
        else:
            nameless.append(row)
    doubts = _doubts(rows, groups)
    orders = [_order(key, own, doubts.get(key, [])) for key, own in groups.items()]
    return Readout.of(ORDERS, len(rows), [*orders, *map(_nameless, nameless)])


def _key(row: Row) -> Key | None:
    key = (row["channel"], row["external_id"])
    return key if all(key) else None


def _doubts(rows: Sequence[Row], groups: Mapping[Key, Sequence[Row]]) -> Mapping[Key, list[Problem]]:
    """Orders that may lack a line, because a row next to theirs does not say whose it is: half an order is none."""
    found: dict[Key, list[Problem]] = defaultdict(list)
    for before, row in pairwise(rows):
        key, own = _key(before), _key(row)
        if key is not None and (row.damaged or (own is None and _may_belong(row, groups[key]))):
            found[key].append(_doubt(row))
        if before.damaged and own is not None:
            found[own].append(_doubt(before))
    return found


def _may_belong(row: Row, lines: Sequence[Row]) -> bool:
    return row["line_id"] not in {line["line_id"] for line in lines}


def _doubt(row: Row) -> Problem:
    words = "row {row} cannot be read and may be a line of this order"
    return Problem(row.number, None, "unclear_row", words, {"row": row.number})


def _nameless(row: Row) -> Refusal:
    empty = [column for column in ("channel", "external_id") if column in row.cells and not row[column]]
    problems = [Problem(row.number, column, "empty", "without it the row belongs to no order") for column in empty]
    return Refusal(ORDERS, f"row {row.number}", (row.number,), (*row.problems, *problems))


def _order(key: Key, rows: Sequence[Row], doubts: Sequence[Problem]) -> Item | Refusal:
    form = [problem for row in rows for problem in row.problems]
    cells = Cells(list(form))
    if any(problem.column is None or problem.code == CONTROLS for problem in form):
        # What is wrong with the form of a row makes everything else that could be said about it guesswork.
        return _refused(key, rows, [*form, *doubts])
    cells.problems += [*doubts, *_disagreements(rows)]
    body = _body(rows, cells)
    total = body["shipping_fee_minor"] + sum(line["quantity"] * line["unit_price_minor"] for line in body["lines"])
    known = ""
    try:
        known = fingerprint(PlaceOrder.model_validate(body).meaning)
        within_bounds(total)
    except ValidationError as refused:
        cells.problems += schema_problems(refused, lambda location: located(location, _numbers(rows)))
    except AmountTooLarge as refused:
        words = "the order comes to more than {limit} minor units"
        cells.problems.append(Problem(rows[0].number, None, refused.code, words, {"limit": MAX_MINOR}))
    if (body["payment"].get("deposit_minor") or 0) >= max(total, 1):
        words = "A deposit is less than what the order comes to"
        cells.problems.append(Problem(rows[0].number, "deposit", "deposit_too_large", words))
    if cells.problems:
        # A cell without a value lacks one as well: once is enough.
        told = {(problem.row, problem.column) for problem in form}
        more = [one for one in cells.problems[len(form) :] if (one.row, one.column) not in told]
        return _refused(key, rows, [*form, *more])
    return Item(ORDERS, _shown(key), _numbers(rows), body, body["currency"], total, known)


def _disagreements(rows: Sequence[Row]) -> Iterator[Problem]:
    first = rows[0]
    for column in dict.fromkeys(_ORDER_COLUMNS.values()):
        other = next((row for row in rows if row[column] != first[column]), None)
        if other is not None:
            words = "rows {first} and {other} of this order differ"
            yield Problem(other.number, column, "rows_differ", words, {"first": first.number, "other": other.number})


def _body(rows: Sequence[Row], cells: Cells) -> dict[str, Any]:
    first, lines = rows[0], [_line(row, cells) for row in rows]
    customer = filled(id=first["customer_id"], level=first["customer_level"], name=first["customer_name"])
    address = {name: first[name] for name in ("country", "region", "city", "street", "postal_code", "phone")}
    ship_to = filled(**address, name=first["recipient"])
    return filled(
        channel=first["channel"],
        external_id=first["external_id"],
        type=first["type"],
        currency=first["currency"],
        customer=customer or None,
        ship_to=ship_to or None,
        lines=lines,
        shipping_fee_minor=sum(line["shipping_share_minor"] for line in lines),
        payment=_payment(first, cells),
        placed_at=first["placed_at"],
        salesperson=first["salesperson"],
        group_id=first["group_id"],
    )


def _payment(row: Row, cells: Cells) -> dict[str, Any]:
    return filled(
        method=row["payment_method"],
        terms=row["payment_terms"],
        deposit_minor=cells.amount(row, "deposit", row["currency"]) if row["deposit"] else None,
        balance_opens_at=row["balance_opens_at"],
        balance_closes_at=row["balance_closes_at"],
    )


def _line(row: Row, cells: Cells) -> dict[str, Any]:
    currency = row["currency"]
    return filled(
        line_id=row["line_id"],
        sku=row["sku"],
        category=row["category"],
        quantity=cells.whole(row, "quantity"),
        unit_price_minor=cells.amount(row, "unit_price", currency),
        tax_rate=row["tax_rate"],
        shipping_share_minor=cells.amount(row, "line_shipping_fee", currency),
        store=row["store"],
        gift_of=row["gift_of"],
    )


def located(location: Location, rows: Sequence[int]) -> tuple[int | None, str | None]:
    """Row and column of a field of an order that stands in these rows; no column where it is about more than one."""
    match location:
        case ("lines", int(at), *path) if at < len(rows):
            return rows[at], _LINE_COLUMNS.get(str(path[0])) if path else None
        case _:
            return rows[0], _ORDER_COLUMNS.get(location)


def _refused(key: Key, rows: Sequence[Row], problems: Sequence[Problem]) -> Refusal:
    return Refusal(ORDERS, _shown(key), _numbers(rows), tuple(problems))


def _shown(key: Key) -> str:
    return "/".join(map(shown, key))


def _numbers(rows: Sequence[Row]) -> tuple[int, ...]:
    return tuple(row.number for row in rows)
