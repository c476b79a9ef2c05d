"""A file of orders as people keep it: any sheet, headings in two languages, in any order, with titles above."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from importing import orders
from importing.columns import BY_NAME, ORDER_COLUMNS, matched
from importing.grid import EMPTY, Cell, Form, Line, Sheet, sheets_of
from importing.items import ORDERS, Readout
from importing.plain import Hand
from importing.survey import column_letters
from importing.table import MALFORMED, Problem, Row, UnusableFile, shown

_HEADINGS_WITHIN: Final = 20
_SAMPLES: Final = 3
_ROWS_NAMED: Final = 10


@dataclass(frozen=True, slots=True)
class Choice:
    """What somebody said about a file: its sheet, its columns by their letters, and what holds for all its rows.

    Columns that are None are found by their headings; a letter that is not among them is not used.
    """

    sheet: str | None = None
    columns: Mapping[str, str] | None = None
    fixed: Mapping[str, str] = field(default_factory=dict)
    time_zone: str | None = None


@dataclass(frozen=True, slots=True)
class Heading:
    """One column of the file: its letter, what stands above it, what stands in it, and what it is taken for."""

    letter: str
    text: str
    samples: tuple[str, ...]
    column: str | None


@dataclass(frozen=True, slots=True)
class Note:
    """Something worth a look that refuses nothing. `rows` are the first of `count`."""

    code: str
    words: str
    column: str | None
    rows: tuple[int, ...]
    count: int


@dataclass(frozen=True, slots=True)
class Reading:
    """A file as it was read. Where columns are `missing`, nothing of it was. `lines`: its rows as they stand there."""

    sheets: tuple[str, ...]
    sheet: str
    heading_row: int
    headings: tuple[Heading, ...]
    missing: tuple[str, ...]
    readout: Readout
    notes: tuple[Note, ...]
    lines: Mapping[int, tuple[str, ...]]


def read(raw: bytes, name: str, choice: Choice = Choice()) -> Reading:
    """The orders of the file, each whole or refused with all its problems. Raises UnusableFile."""
    sheets = sheets_of(raw, name)
    sheet = _chosen(sheets, choice.sheet, name)
    at = _heading_at(sheet.lines)
    if at is None:
        raise UnusableFile("{file}: the file has no rows", file=name)
    headings = _headings(sheet.lines[at].cells, sheet.lines[at + 1 :], choice.columns)
    named = {one.column for one in headings} | choice.fixed.keys()
    missing = tuple(column.name for column in ORDER_COLUMNS if column.needed and column.name not in named)
    readout, notes = Readout(ORDERS, 0, (), ()), list[Note]()
    if not missing:
        rows, notes = _rows(sheet.lines[at + 1 :], headings, choice)
        letters = {one.column: one.letter for one in headings if one.column}
        readout = replace(orders.of_rows(rows), sheet=sheet.name, letters=letters)
    below = {
        line.number: tuple(cell.text for cell in line.cells) for line in sheet.lines[at + 1 :] if not line.is_empty
    }
    names = tuple(one.name for one in sheets)
    return Reading(names, sheet.name, sheet.lines[at].number, headings, missing, readout, tuple(notes), below)


def read_whole(raw: bytes, name: str, choice: Choice) -> Readout:
    """The orders of a file nobody is there to be asked about. Raises UnusableFile also where a column is missing."""
    reading = read(raw, name, choice)
    if reading.missing:
        found = ", ".join(shown(one.text) for one in reading.headings if one.text)
        words = "{file}: {sheet}, row {row}: no column for {missing}. There are: {found}"
        told = {"sheet": reading.sheet, "row": reading.heading_row, "missing": ", ".join(reading.missing)}
        raise UnusableFile(words, file=name, found=found, **told)
    return reading.readout


def _chosen(sheets: Sequence[Sheet], wanted: str | None, name: str) -> Sheet:
    """The one that was asked for, or the first with the most headings that are known."""
    if wanted is None:
        return max(sheets, key=lambda sheet: _best(sheet.lines)[1])
    found = next((sheet for sheet in sheets if sheet.name == wanted), None)
    if found is None:
        raise UnusableFile("{file}: no visible sheet is called {sheet}", file=name, sheet=shown(wanted))
    return found


def _heading_at(lines: Sequence[Line]) -> int | None:
    return _best(lines)[0]


def _best(lines: Sequence[Line]) -> tuple[int | None, int]:
    """Where the headings are, and how many of them are known; titles may stand above them."""
    found: tuple[int | None, int] = (None, 0)
    for at, line in enumerate(lines[:_HEADINGS_WITHIN]):
        known = sum(name is not None for name in matched([cell.text for cell in line.cells]))
        if not line.is_empty and (found[0] is None or known > found[1]):
            found = (at, known)
    return found


def _headings(cells: Sequence[Cell], below: Sequence[Line], chosen: Mapping[str, str] | None) -> tuple[Heading, ...]:
    letters = [column_letters(number) for number in range(1, len(cells) + 1)]
    found = matched([cell.text for cell in cells])
    if chosen is not None:
        found = [name if (name := chosen.get(letter)) in BY_NAME else None for letter in letters]
    return tuple(
        Heading(letter, cell.text.strip(), tuple(_samples(below, at)), column)
        for at, (letter, cell, column) in enumerate(zip(letters, cells, found, strict=True))
    )


def _samples(lines: Sequence[Line], at: int) -> Iterator[str]:
    texts = (line.cells[at].text.strip() for line in lines[:_HEADINGS_WITHIN] if at < len(line.cells))
    for _, text in zip(range(_SAMPLES), filter(None, texts), strict=False):
        yield text[:60]


def _rows(lines: Sequence[Line], headings: Sequence[Heading], choice: Choice) -> tuple[list[Row], list[Note]]:
    hand = Hand(choice.time_zone)
    places = {one.column: at for at, one in enumerate(headings) if one.column}
    rows, left_out = list[Row](), list[int]()
    fixed = {
        name: hand.read(Cell(Form.TEXT, text), BY_NAME[name], 0, "")
        for name, text in choice.fixed.items()
        if name in BY_NAME and name not in places
    }
    numbers: Counter[tuple[str, str]] = Counter()
    for line in lines:
        if line.is_empty:
            continue
        if line.problem:
            rows.append(Row(line.number, {}, (Problem(line.number, None, MALFORMED, line.problem),), damaged=True))
            continue
        cells = _cells(line, places, fixed, hand)
        problems = tuple(hand.problems)
        hand.problems.clear()
        if not problems and not cells.get("external_id") and not cells.get("sku"):
            # A sum below, a remark at the side: no line of an order lacks both.
            left_out.append(line.number)
            continue
        key = (cells["channel"], cells["external_id"])
        numbers[key] += 1
        cells["line_id"] = cells.get("line_id") or str(numbers[key])
        if line.hidden:
            words = "the row is hidden: show it or delete it"
            problems = (*problems, Problem(line.number, None, "hidden_row", words))
        rows.append(Row(line.number, cells, problems))
    return rows, list(_notes(hand, left_out))


def _cells(line: Line, places: Mapping[str, int], fixed: Mapping[str, str], hand: Hand) -> dict[str, str]:
    def at(name: str) -> Cell:
        place = places.get(name)
        return line.cells[place] if place is not None and place < len(line.cells) else EMPTY

    currency = fixed.get("currency") or hand.read(at("currency"), BY_NAME["currency"], line.number, "")
    found = {"line_shipping_fee": "0", **fixed, "currency": currency}
    for name in places:
        if name != "currency":
            text = hand.read(at(name), BY_NAME[name], line.number, currency)
            found[name] = text or ("0" if name == "line_shipping_fee" else "")
    return found


def _notes(hand: Hand, left_out: Sequence[int]) -> Iterator[Note]:
    for column, rows in hand.numbers_as_codes.items():
        if column in ("phone", "postal_code", "sku"):
            words = "numbers in Excel: zeros in front, if there were any, are gone. Format the column as text"
            yield Note("zeros_lost", words, column, tuple(rows[:_ROWS_NAMED]), len(rows))
    if left_out:
        words = "rows without an order number and an SKU are left out"
        yield Note("left_out", words, None, tuple(left_out[:_ROWS_NAMED]), len(left_out))
