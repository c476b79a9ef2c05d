"""Goods receipts in the canonical CSV: one row is units of one SKU; all rows of one receipt and warehouse are one."""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from typing import Any, Final

from pydantic import ValidationError

from api.stock.schemas import MAX_LINES, ReceiptSent
from importing.items import STOCK, Cells, Item, Location, Readout, Refusal, schema_problems
from importing.table import Problem, Row, read_table, shown

_COLUMNS: Final[Mapping[Location, str]] = {("receipt_id",): "receipt_id", ("warehouse",): "warehouse"}
_LINE_COLUMNS: Final[Mapping[str, str]] = {"sku": "sku", "quantity": "quantity"}
COLUMNS: Final = (*_COLUMNS.values(), *_LINE_COLUMNS.values())

Key = tuple[str, str]


def read(raw: bytes, name: str) -> Readout:
    """Every receipt of the file, whole or refused with all its problems. Raises UnusableFile.

    A receipt counts once under its id, so one with a bad row is not sent in part: nobody could complete it later.
    """
    rows = read_table(raw, name, COLUMNS)
    groups: dict[Key, list[Row]] = defaultdict(list)
    for row in rows:
        groups[row["receipt_id"], row["warehouse"]].append(row)
    warehouses = Counter(receipt_id for receipt_id, _ in groups)
    found: list[Item | Refusal] = []
    for (receipt_id, warehouse), own in groups.items():
        # The id is unique over all warehouses, and what is counted in one of them is a receipt of its own.
        found += _receipts(receipt_id if warehouses[receipt_id] == 1 else f"{receipt_id}~{warehouse}", own)
    return Readout.of(STOCK, len(rows), found)


def _receipts(receipt_id: str, rows: Sequence[Row]) -> list[Item | Refusal]:
    cells = Cells([problem for row in rows for problem in row.problems])
    if cells.problems:
        return [_refused(receipt_id, rows, cells.problems)]
    units: Counter[str] = Counter()
    standing: dict[str, list[int]] = defaultdict(list)
    for row in rows:
        units[row["sku"]] += cells.whole(row, "quantity")
        standing[row["sku"]].append(row.number)
    # By SKU, so that the parts are the same ones however the file is sorted.
    skus = sorted(units)
    parts = [skus[start : start + MAX_LINES] for start in range(0, len(skus), MAX_LINES)]
    items = []
    for number, part in enumerate(parts, start=1):
        part_id = receipt_id if len(parts) == 1 else f"{receipt_id}~{number}"
        lines = [{"sku": sku, "quantity": units[sku]} for sku in part]
        at = [standing[sku][0] for sku in part]
        items.append(_checked(_item(part_id, rows[0]["warehouse"], lines, standing), at, cells))
    return [_refused(receipt_id, rows, cells.problems)] if cells.problems else [*items]


def _item(receipt_id: str, warehouse: str, lines: list[dict[str, Any]], standing: Mapping[str, list[int]]) -> Item:
    rows = sorted(number for line in lines for number in standing[line["sku"]])
    body = {"receipt_id": receipt_id, "warehouse": warehouse, "lines": lines}
    return Item(STOCK, shown(receipt_id), tuple(rows), body)


def _checked(item: Item, rows: Sequence[int], cells: Cells) -> Item:
    try:
        ReceiptSent.model_validate(item.body)
    except ValidationError as refused:
        cells.problems += schema_problems(refused, lambda location: located(location, rows))
    return item


def located(location: Location, rows: Sequence[int]) -> tuple[int | None, str | None]:
    """Row and column of a field of a receipt whose lines first stand in these rows."""
    match location:
        case ("lines", int(at), *path) if at < len(rows):
            return rows[at], _LINE_COLUMNS.get(str(path[0])) if path else None
        case _:
            return rows[0], _COLUMNS.get(location)


def _refused(receipt_id: str, rows: Sequence[Row], problems: Sequence[Problem]) -> Refusal:
    key = shown(receipt_id) if receipt_id else f"row {rows[0].number}"
    return Refusal(STOCK, key, tuple(row.number for row in rows), tuple(problems))
