"""An Excel workbook as sheets of cells, read line by line and never whole.

Values are the ones that Excel has calculated and saved; nothing of a workbook is executed.
"""

import io
import re
import warnings
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any, Final
from xml.etree.ElementTree import ParseError

from openpyxl import Workbook, load_workbook
from openpyxl.utils.exceptions import InvalidFileException

from importing.grid import EMPTY, Cell, Form, Line, Sheet
from importing.survey import SheetForm, survey
from importing.table import UnusableFile

# A format that does nothing but write zeros in front, such as that of postal codes.
_PADDED: Final = re.compile(r"(?:\[[^\]]*\])*(0{2,})(?:;.*)?")
_UNREADABLE: Final = (
    *(KeyError, ValueError, TypeError, AttributeError, IndexError, OSError, AssertionError, OverflowError),
    *(zipfile.BadZipFile, zlib.error, ParseError, InvalidFileException, NotImplementedError),
)


def sheets_in(raw: bytes, name: str) -> list[Sheet]:
    """Every visible sheet. Raises UnusableFile for what cannot be read, or is more than is taken."""
    forms = survey(raw, name)
    try:
        with warnings.catch_warnings():
            # Of what a workbook has beyond its values.
            warnings.simplefilter("ignore")
            return _sheets(raw, forms, name)
    except _UNREADABLE:
        raise UnusableFile("{file}: the workbook is damaged", file=name) from None


def _sheets(raw: bytes, forms: Any, name: str) -> list[Sheet]:
    values = _opened(raw, calculated=True)
    formulas = _opened(raw, calculated=False) if any(form.formulas for form in forms.values()) else None
    found = []
    for at, sheet in enumerate(values.worksheets):
        # The library keeps the path of the part to itself, and says nothing of hidden rows and merged cells.
        form = forms.get(getattr(sheet, "_worksheet_path", ""), SheetForm())
        if sheet.sheet_state != "visible":
            continue
        written = formulas.worksheets[at] if formulas is not None and form.formulas else None
        lines = list(_lines(sheet, written, form))
        found.append(Sheet(sheet.title, _with_merged(lines, form)))
    if not found:
        raise UnusableFile("{file}: the workbook has no visible sheet", file=name)
    return found


def _opened(raw: bytes, *, calculated: bool) -> Workbook:
    return load_workbook(io.BytesIO(raw), read_only=True, data_only=calculated, keep_links=False)


def _lines(sheet: Any, written: Any, form: SheetForm) -> Iterator[Line]:
    if not form.last_row:
        return
    bounds = {"max_row": form.last_row, "max_col": max(form.last_column, 1)}
    formulas = iter(written.iter_rows(**bounds)) if written is not None else None
    for number, row in enumerate(sheet.iter_rows(**bounds), start=1):
        beside = next(formulas) if formulas is not None else None
        cells = [_cell(one) for one in row]
        if beside is not None:
            cells = [
                Cell(Form.UNCALCULATED, "=") if there.data_type == "f" and cell.form == Form.EMPTY else cell
                for cell, there in zip(cells, beside, strict=True)
            ]
        yield Line(number, cells, hidden=number in form.hidden)


def _cell(cell: Any) -> Cell:
    value = cell.value
    match value:
        case None:
            return EMPTY
        case bool():
            return Cell(Form.TEXT, str(value).upper())
        case int() | float():
            return _number(value, cell.number_format)
        case datetime():
            return Cell(Form.MOMENT, value.isoformat(timespec="seconds"))
        case date():
            return Cell(Form.MOMENT, f"{value.isoformat()}T00:00:00")
        case time() | timedelta():
            return Cell(Form.TEXT, str(value))
        case _:
            return Cell(Form.ERROR if cell.data_type == "e" else Form.TEXT, str(value))


def _number(value: float, number_format: str) -> Cell:
    # What Excel itself shows of a number: it counts with fifteen digits.
    text = format(Decimal(f"{value:.15g}"), "f") if isinstance(value, float) else str(value)
    padded = _PADDED.fullmatch(number_format or "")
    if padded is not None and text.isdecimal():
        return Cell(Form.TEXT, text.zfill(len(padded[1])))
    return Cell(Form.NUMBER, text)


def _with_merged(lines: list[Line], form: SheetForm) -> Sequence[Line]:
    """What a merged cell says, it says on each of its lines; only the left one of its columns has it."""
    if not form.merged or not lines:
        return lines
    grid = [list(line.cells) for line in lines]
    for first_row, first_column, last_row, last_column in form.merged:
        if first_row > len(grid) or first_column > form.last_column:
            continue
        said = grid[first_row - 1][first_column - 1]
        # One that only spans columns is an ordinary cell beside empty ones.
        if last_row == first_row or said.form == Form.EMPTY:
            continue
        for row in grid[first_row - 1 : min(last_row, len(grid))]:
            for column in range(first_column - 1, min(last_column, form.last_column)):
                row[column] = Cell(said.form, said.text, merged=True) if column == first_column - 1 else EMPTY
    return [Line(line.number, cells, line.hidden) for line, cells in zip(lines, grid, strict=True)]
