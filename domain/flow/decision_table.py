"""Decision tables: rows of cells over named facts, and whether they overlap, leave gaps, or can never be reached.

A cell is the rest of a comparison: ``>= 1000000``, ``== 'VIP'``, ``in ['VIP', 'KA']``, ``100..200`` (both included),
``true``, or ``-`` for anything. So a table can be tried on every combination of values that its cells tell apart.
"""

import itertools
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from domain.flow.parts import FlowPart, Name, NodeId, Registry, Text, named_in

ANYTHING = "-"
MAX_WORK = 50_000
Cell = Annotated[str, Field(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f]+$")]
Value = int | str | bool

_INT = r"-?\d{1,18}"
_TEXT = r"'[^'\\]{0,120}'|\"[^\"\\]{0,120}\""
_RANGE = re.compile(rf"({_INT})\.\.({_INT})")
_COMPARED = re.compile(rf"(==|!=|<=|>=|<|>) ?({_INT}|{_TEXT}|true|false)")
_AMONG = re.compile(rf"(not )?in \[((?:{_INT}|{_TEXT})(?:, ?(?:{_INT}|{_TEXT})){{0,49}})\]")
_LITERAL = re.compile(rf"{_INT}|{_TEXT}")
_ORDER = {
    "==": lambda a, b: a == b,
    "!=": lambda a, b: a != b,
    "<": lambda a, b: a < b,
    "<=": lambda a, b: a <= b,
    ">": lambda a, b: a > b,
    ">=": lambda a, b: a >= b,
}


class TableRow(FlowPart):
    label: Text
    cells: Annotated[tuple[Cell, ...], Field(min_length=1, max_length=10)]
    next: NodeId


class DecisionTable(FlowPart):
    """`hit: first` takes the first row that fits; `unique` says that no two rows ever fit, and is held to that.

    `complete`: every combination has a row, so that the branch's default is never taken.
    """

    hit: Literal["first", "unique"] = "first"
    complete: Annotated[bool, Field(strict=True)] = False
    inputs: Annotated[tuple[Annotated[Name, named_in(Registry.FACT)], ...], Field(min_length=1, max_length=10)]
    rows: Annotated[tuple[TableRow, ...], Field(min_length=1, max_length=100)]

    def condition(self, row: TableRow) -> str:
        """The row as one condition."""
        parts = [text for name, cell in zip(self.inputs, row.cells, strict=True) if (text := _as_condition(name, cell))]
        return " && ".join(parts) or "true"

    @model_validator(mode="after")
    def _rows_fit(self) -> Self:
        for index, row in enumerate(self.rows):
            if len(row.cells) != len(self.inputs):
                raise ValueError(f"rows[{index}] should have {len(self.inputs)} cells, one for each input")
            for cell in row.cells:
                if _read(cell) is None:
                    raise ValueError(f"rows[{index}]: not a cell: {cell[:40]}")
        return self


@dataclass(frozen=True, slots=True)
class TableFault:
    """What is wrong with a table: `overlap`, `gap` or `unreachable`, at which row, with an example."""

    code: str
    row: int | None
    example: str


def faults(table: DecisionTable) -> Iterator[TableFault]:
    """Everything that is wrong with the table, one example each; a table too large to be tried says so."""
    axes = [_points([row.cells[at] for row in table.rows]) for at in range(len(table.inputs))]
    combinations = 1
    for axis in axes:
        combinations *= len(axis)
    if combinations * len(table.rows) > MAX_WORK:
        yield TableFault("too_large", None, f"{combinations} combinations")
        return
    reached: set[int] = set()
    overlaps: dict[tuple[int, int], str] = {}
    gap: str | None = None
    matches = [[_read(cell) for cell in row.cells] for row in table.rows]
    for point in itertools.product(*axes):
        fitting = [at for at, tests in enumerate(matches) if all(map(_fits, tests, point))]
        if not fitting:
            gap = gap or _shown(table.inputs, point)
            continue
        reached.add(fitting[0])
        if table.hit == "unique" and len(fitting) > 1:
            overlaps.setdefault((fitting[0], fitting[1]), _shown(table.inputs, point))
    for (_, later), example in overlaps.items():
        yield TableFault("overlap", later, example)
    if gap is not None and table.complete:
        yield TableFault("gap", None, gap)
    for at in range(len(table.rows)):
        if at not in reached and not any(later == at for _, later in overlaps):
            yield TableFault("unreachable", at, table.rows[at].label)


Test = tuple[str, tuple[Value, ...]]


def _read(cell: str) -> Test | None:
    """What the cell asks: an operator and its values; None when it is no cell."""
    text = cell.strip()
    if text == ANYTHING:
        return "any", ()
    if text in ("true", "false"):
        return "==", (text == "true",)
    if found := _RANGE.fullmatch(text):
        return "range", (int(found[1]), int(found[2]))
    if found := _COMPARED.fullmatch(text):
        value = _value(found[2])
        return None if isinstance(value, str | bool) and found[1] not in ("==", "!=") else (found[1], (value,))
    if found := _AMONG.fullmatch(text):
        values = tuple(_value(one) for one in _LITERAL.findall(found[2]))
        return ("not in" if found[1] else "in"), values
    return None


def _value(text: str) -> Value:
    if text in ("true", "false"):
        return text == "true"
    return text[1:-1] if text[0] in "'\"" else int(text)


def _as_condition(name: str, cell: str) -> str:
    text = cell.strip()
    if text == ANYTHING:
        return ""
    if text in ("true", "false"):
        return name if text == "true" else f"!{name}"
    if found := _RANGE.fullmatch(text):
        return f"{name} >= {found[1]} && {name} <= {found[2]}"
    if text.startswith("not in "):
        return f"!({name} {text.removeprefix('not ')})"
    return f"{name} {text}"


def _points(cells: Sequence[str]) -> list[Value]:
    """Values that stand for all others: those that cells name, and one on either side of each number."""
    named = [value for cell in cells if (test := _read(cell)) for value in test[1]]
    if any(isinstance(value, bool) for value in named):
        return [True, False]
    if any(isinstance(value, int) for value in named):
        numbers = {value for value in named if isinstance(value, int)}
        return sorted(numbers | {number + step for number in numbers for step in (-1, 1)})
    texts = sorted({value for value in named if isinstance(value, str)})
    return [*texts, "".join(texts) + "?"]


def _fits(test: Test | None, value: Value) -> bool:
    if test is None:
        return False
    asked, values = test
    match asked:
        case "any":
            return True
        case "range":
            return isinstance(value, int) and int(values[0]) <= value <= int(values[1])
        case "in":
            return value in values
        case "not in":
            return value not in values
        case _:
            return bool(_ORDER[asked](value, values[0]))


def _shown(inputs: Sequence[str], point: Sequence[Value]) -> str:
    return ", ".join(f"{name} = {value!r}" for name, value in zip(inputs, point, strict=True))[:200]
