"""Tables as CSV: a bad row spoils only itself on the way in, and no spreadsheet executes a cell on the way out."""

import csv
import io
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final, Generic, TypeVar

from fastapi import Request
from pydantic import BaseModel, ValidationError

from api.errors import field_problems
from api.problem import FieldProblem, Refused, in_body, short, unprocessable

MEDIA_TYPE: Final = "text/csv"
REQUEST_BODY: Final = {
    "requestBody": {
        "required": True,
        "description": "UTF-8 (with or without BOM) or GB18030; the first line names the columns",
        "content": {MEDIA_TYPE: {"schema": {"type": "string"}}},
    }
}
_LIST_SEPARATOR: Final = ";"
# What a spreadsheet takes for the beginning of a formula, full-width forms included.
_FORMULA_STARTS: Final = tuple("=+-@\t\r\n＝＋－＠")
Row = TypeVar("Row", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class CsvRow(Generic[Row]):
    """One line of the file: the row it means, or what is wrong with it (pointers name the column)."""

    line: int
    row: Row | None
    problems: Sequence[FieldProblem] = ()


async def read_rows(request: Request, model: type[Row]) -> Iterator[CsvRow[Row]]:
    """The rows of a CSV request. Raises Refused when it is not CSV (415), or its header does not fit (422)."""
    media = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media != MEDIA_TYPE:
        raise Refused(415, "unsupported_media_type", f"This route takes {MEDIA_TYPE}.")
    reader = csv.reader(io.StringIO(_decoded(await request.body()), newline=""))
    header = [name.strip() for name in next(reader, [])]
    _check_header(header, model)
    return _rows(reader, header, model)


def split_cell(cell: str) -> list[str]:
    """The values of a cell that holds several: for list fields of a row model, as `BeforeValidator(split_cell)`."""
    return [part.strip() for part in cell.split(_LIST_SEPARATOR) if part.strip()]


def _decoded(raw: bytes) -> str:
    for encoding in ("utf-8-sig", "gb18030"):
        try:
            return raw.decode(encoding)
        except UnicodeDecodeError:
            continue
    raise unprocessable([in_body("#", "unknown_encoding", "The file is neither UTF-8 nor GB18030")])


def _check_header(header: Sequence[str], model: type[BaseModel]) -> None:
    fields = model.model_fields
    problems = [
        in_body(f"#/{short(name)}", "unknown_column", "No such column")
        for name in dict.fromkeys(header)
        if name not in fields
    ]
    problems += [
        in_body(f"#/{name}", "missing_column", "This column is needed")
        for name, field in fields.items()
        if field.is_required() and name not in header
    ]
    problems += [
        in_body(f"#/{short(name)}", "duplicate_column", "The column occurs twice")
        for name in dict.fromkeys(header)
        if header.count(name) > 1
    ]
    if problems:
        raise unprocessable(problems)


def _rows(reader: Iterator[list[str]], header: Sequence[str], model: type[Row]) -> Iterator[CsvRow[Row]]:
    for line, cells, problem in _lines(reader):
        if problem is not None:
            yield CsvRow(line, None, [problem])
        elif len(cells) != len(header):
            yield CsvRow(line, None, [in_body("#", "cell_count", f"The line has not {len(header)} cells")])
        else:
            yield _validated(line, dict(zip(header, cells, strict=True)), model)


def _lines(reader: Iterator[list[str]]) -> Iterator[tuple[int, list[str], FieldProblem | None]]:
    line = 1
    while True:
        line += 1
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error:
            yield line, [], in_body("#", "malformed_csv", "The line is not CSV")
            continue
        if any(cell.strip() for cell in cells):
            yield line, cells, None


def _validated(line: int, cells: dict[str, str], model: type[Row]) -> CsvRow[Row]:
    given = {name: text for name, cell in cells.items() if (text := _without_guard(cell.strip()))}
    try:
        return CsvRow(line, model.model_validate_strings(given))
    except ValidationError as refused:
        errors = [{**error, "loc": ("body", *error["loc"])} for error in refused.errors(include_input=False)]
        return CsvRow(line, None, field_problems(errors))


async def written(model: type[BaseModel], batches: AsyncIterator[Sequence[BaseModel]]) -> AsyncIterator[bytes]:
    """The rows as CSV with the columns of `model`; with a BOM, without which spreadsheets misread UTF-8."""
    columns = list(model.model_fields)
    yield b"\xef\xbb\xbf" + _csv([columns])
    async for batch in batches:
        yield _csv([_cell(value) for value in _values(row, columns)] for row in batch)


def _values(row: BaseModel, columns: Sequence[str]) -> Iterable[Any]:
    values = row.model_dump(mode="json", include=set(columns))
    return [values[column] for column in columns]


def _csv(rows: Iterable[Sequence[str]]) -> bytes:
    buffer = io.StringIO()
    csv.writer(buffer).writerows(rows)
    return buffer.getvalue().encode()


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        return guarded(_LIST_SEPARATOR.join(str(part) for part in value))
    return guarded(value) if isinstance(value, str) else str(value)


def guarded(text: str) -> str:
    """The text as a cell that no spreadsheet takes for a formula."""
    return f"'{text}" if text.startswith(_FORMULA_STARTS) else text


def _without_guard(text: str) -> str:
    return text[1:] if text.startswith("'") and text[1:].startswith(_FORMULA_STARTS) else text
