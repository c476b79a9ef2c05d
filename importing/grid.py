"""A table as somebody has it before their eyes: sheets of lines of cells, wherever they come from."""

import csv
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, NamedTuple

from importing.survey import LARGEST_FILE, MOST_COLUMNS, MOST_ROWS, is_old_workbook, is_workbook
from importing.table import NO_CSV, UnusableFile, decoded, numbered

_DELIMITERS: Final = ",;\t"


class Form(StrEnum):
    """What is in a cell: written characters, a number as Excel counts, or what is no value at all."""

    EMPTY = "empty"
    TEXT = "text"
    NUMBER = "number"
    MOMENT = "moment"
    ERROR = "error"
    UNCALCULATED = "uncalculated"


class Cell(NamedTuple):
    """One cell. `merged`: it is part of one that spans several lines; `text` is what stands in that."""

    form: Form
    text: str
    merged: bool = False


EMPTY: Final = Cell(Form.EMPTY, "")


@dataclass(frozen=True, slots=True)
class Line:
    """One line by its number in the sheet. `problem`: why it cannot be trusted as a whole."""

    number: int
    cells: Sequence[Cell]
    hidden: bool = False
    problem: str = ""

    @property
    def is_empty(self) -> bool:
        return not self.problem and all(not cell.text.strip() for cell in self.cells)


@dataclass(frozen=True, slots=True)
class Sheet:
    """One sheet; a CSV file is one without a name."""

    name: str
    lines: Sequence[Line]


def sheets_of(raw: bytes, name: str) -> list[Sheet]:
    """Every visible sheet of the file. Raises UnusableFile for what cannot be read, or is more than is taken."""
    if len(raw) > LARGEST_FILE:
        raise UnusableFile("{file}: larger than {most} MiB", file=name, most=LARGEST_FILE // 1024**2)
    if is_old_workbook(raw):
        words = "{file}: an old Excel file, or one with a password; save it as .xlsx without one"
        raise UnusableFile(words, file=name)
    if not is_workbook(raw):
        return [Sheet("", list(_csv_lines(raw, name)))]
    # Seldom needed, and slow to load.
    from importing.workbook import sheets_in

    return sheets_in(raw, name)


def _csv_lines(raw: bytes, name: str) -> Iterator[Line]:
    text = decoded(raw, name)
    first = text.partition("\n")[0]
    delimiter = max(_DELIMITERS, key=first.count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    for number, cells in numbered(reader, 1):
        if cells is None:
            yield Line(number, (), problem=NO_CSV)
            continue
        if number > MOST_ROWS:
            raise UnusableFile("{file}: more than {most} rows", file=name, most=MOST_ROWS - 1)
        if len(cells) > MOST_COLUMNS:
            raise UnusableFile("{file}: more than {most} columns", file=name, most=MOST_COLUMNS)
        yield Line(number, [Cell(Form.TEXT, cell) if cell else EMPTY for cell in cells])
