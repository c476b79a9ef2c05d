"""A CSV file as rows of named cells. Says which rows cannot be trusted, and leaves to others what they mean."""

import csv
import io
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import Any, Final

_ENCODINGS: Final = ("utf-8-sig", "gb18030")
_CONTROLS: Final = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_LINE_BREAKS: Final = re.compile(r"[\r\n]")
_LONGEST_NAME: Final = 60
MALFORMED: Final = "malformed_csv"
CONTROLS: Final = "control_character"
NO_CSV: Final = "the row is not CSV; is a quote not closed?"


class UnusableFile(Exception):
    """The file as a whole cannot be read: `words` with `values` in them say why, and name it."""

    def __init__(self, words: str, **values: object) -> None:
        super().__init__(filled_in(words, values))
        self.words, self.values = words, values


@dataclass(frozen=True, slots=True)
class Problem:
    """Why something is not sent. `row` counts as a spreadsheet does; the reason is `words` with `values` in them."""

    row: int | None
    column: str | None
    code: str
    words: str
    values: Mapping[str, str | int] = field(default_factory=dict)

    @property
    def reason(self) -> str:
        return filled_in(self.words, self.values)


@dataclass(frozen=True, slots=True)
class Row:
    """One row. `problems` speak of its form; `damaged`: it may have swallowed rows next to it."""

    number: int
    cells: Mapping[str, str]
    problems: tuple[Problem, ...] = ()
    damaged: bool = False

    def __getitem__(self, column: str) -> str:
        return self.cells.get(column, "")


def filled_in(words: str, values: Mapping[str, Any]) -> str:
    """The words with their values; as they are where they have none, whatever braces are in them."""
    return words.format(**values) if values else words


def read_table(raw: bytes, name: str, columns: Sequence[str], optional: Sequence[str] = ()) -> list[Row]:
    """All rows but empty ones, cells trimmed. Raises UnusableFile when text, header or columns do not fit.

    A file may leave out the columns that are `optional`; their cells are empty then.
    """
    reader = csv.reader(io.StringIO(decoded(raw, name), newline=""), strict=True)
    try:
        header = [cell.strip() for cell in next(reader, [])]
    except csv.Error as wrong:
        raise UnusableFile(f"{name}: the header is not CSV ({wrong})") from None
    _check_header(header, name, columns, optional)
    return list(_rows(reader, header))


def decoded(raw: bytes, name: str) -> str:
    """The text of the file. Raises UnusableFile."""
    if raw.startswith(b"PK\x03\x04"):
        raise UnusableFile("{file}: an Excel workbook, where CSV is read", file=name)
    for encoding in _ENCODINGS:
        try:
            return raw.decode(encoding)
        except UnicodeDecodeError:
            continue
    raise UnusableFile("{file}: the file is neither UTF-8 nor GB18030", file=name)


def _check_header(header: Sequence[str], name: str, columns: Sequence[str], optional: Sequence[str]) -> None:
    if not any(header):
        raise UnusableFile(f"{name}: the first row must name the columns, but it is empty")
    known, named = (*columns, *optional), dict.fromkeys(header)
    wrong = {
        "unknown": [column for column in named if column not in known],
        "missing": [column for column in columns if column not in header],
        "repeated": [column for column in named if column in known and header.count(column) > 1],
    }
    found = [
        f"{what} column{'s' if len(which) > 1 else ''}: {', '.join(map(shown, which))}"
        for what, which in wrong.items()
        if which
    ]
    if found:
        listed = f"{','.join(columns)}{' and, if wanted, ' + ','.join(optional) if optional else ''}"
        raise UnusableFile(f"{name}: {'; '.join(found)}. The columns are {listed}")


def shown(text: str) -> str:
    """Text from a file as it may stand in a message: short, and without characters that a terminal would obey."""
    clean = _CONTROLS.sub("\N{REPLACEMENT CHARACTER}", text)
    return repr(clean[:_LONGEST_NAME]) if clean != text or len(clean) > _LONGEST_NAME or not clean else clean


def _rows(reader: Iterator[list[str]], header: Sequence[str]) -> Iterator[Row]:
    for number, cells in numbered(reader, 2):
        if cells is None:
            yield Row(number, {}, (Problem(number, None, MALFORMED, NO_CSV),), damaged=True)
        elif any(cell.strip() for cell in cells):
            yield _row(number, cells, header)


def numbered(reader: Iterator[list[str]], first: int) -> Iterator[tuple[int, list[str] | None]]:
    """Every row of CSV with its number; None where it is not CSV, which spoils no other row."""
    for number in count(first):
        try:
            yield number, next(reader)
        except StopIteration:
            return
        except csv.Error:
            yield number, None


def _row(number: int, cells: Sequence[str], header: Sequence[str]) -> Row:
    named = {column: cell.strip() for column, cell in zip(header, cells, strict=False)}
    problems = [
        Problem(number, column, CONTROLS, "the cell has a line break or a control character")
        for column, cell in named.items()
        if _CONTROLS.search(cell)
    ]
    if len(cells) != len(header):
        counts = {"cells": len(cells), "header": len(header)}
        words = "the row has {cells} cells where the header has {header}"
        problems.append(Problem(number, None, "cell_count", words, counts))
    damaged = any(_LINE_BREAKS.search(cell) for cell in cells)
    return Row(number, named, tuple(problems), damaged)
