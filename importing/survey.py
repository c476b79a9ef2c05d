"""Whether a workbook is one that may be read: found out by inflating and scanning it, before anything is built of it.

What a workbook says of its own size is believed only where it makes it smaller. A scan keeps nothing but what the
reading asks for afterwards: where the values end, which rows are hidden, which cells are merged, where formulas are.
"""

import io
import re
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final
from xml.parsers import expat

from importing.table import UnusableFile

LARGEST_FILE: Final = 8 * 1024 * 1024
MOST_ROWS: Final = 10_001
MOST_COLUMNS: Final = 200
_LARGEST_PART: Final = 48 * 1024 * 1024
_LARGEST_SIDE_PART: Final = 12 * 1024 * 1024
"""Of what is held in memory whole while a sheet is read: texts that cells share, and their styles."""
_MOST_PARTS: Final = 300
_MOST_ELEMENTS: Final = 1_000_000
_MOST_ROW_ELEMENTS: Final = 5 * MOST_ROWS
_MOST_MERGED: Final = 20_000
_CHUNK: Final = 256 * 1024
_ENTRY: Final = b"PK\x01\x02"
_REFERENCE: Final = re.compile(r"([A-Z]{1,3})([0-9]{1,7})")
_SHEETS: Final = "worksheets/"
_SCANNED: Final = (".xml", ".rels")
_DAMAGED: Final = (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, OSError, ValueError)


@dataclass(slots=True)
class SheetForm:
    """What a sheet looks like from outside."""

    rows: int = 0
    last_row: int = 0
    last_column: int = 0
    hidden: set[int] = field(default_factory=set)
    merged: list[tuple[int, int, int, int]] = field(default_factory=list)
    """First row, first column, last row, last column."""
    formulas: bool = False


def is_workbook(raw: bytes) -> bool:
    """Whether it looks like a zip archive, as a workbook is one."""
    return raw.startswith((b"PK\x03\x04", b"PK\x05\x06"))


def is_old_workbook(raw: bytes) -> bool:
    """Whether it looks like the container of the old Excel, in which workbooks with a password lie as well."""
    return raw.startswith(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1")


def is_excel(raw: bytes) -> bool:
    """Whether it looks like what Excel writes, of today or of before."""
    return is_workbook(raw) or is_old_workbook(raw)


def survey(raw: bytes, name: str) -> Mapping[str, SheetForm]:
    """The form of each sheet by the path of its part. Raises UnusableFile for what is damaged, hostile or too large."""
    if len(raw) > LARGEST_FILE:
        raise UnusableFile("{file}: larger than {most} MiB", file=name, most=LARGEST_FILE // 1024**2)
    if raw.count(_ENTRY) > _MOST_PARTS:
        raise UnusableFile("{file}: no workbook has so many parts", file=name)
    try:
        with zipfile.ZipFile(io.BytesIO(raw)) as parts:
            _check_sizes(parts, name)
            return _scanned(parts, name)
    except expat.ExpatError:
        raise UnusableFile("{file}: the workbook is damaged", file=name) from None
    except _DAMAGED:
        raise UnusableFile("{file}: the workbook is damaged or has a password", file=name) from None


def _check_sizes(parts: zipfile.ZipFile, name: str) -> None:
    if "[Content_Types].xml" not in parts.namelist():
        raise UnusableFile("{file}: an archive, but no Excel workbook", file=name)
    inflated = 0
    for part in parts.infolist():
        side = part.filename.endswith(("sharedStrings.xml", "styles.xml")) or _SHEETS not in part.filename
        inflated += part.file_size
        # No more than this is ever inflated of a part, whatever follows.
        if part.filename.endswith(_SCANNED) and part.file_size > (_LARGEST_SIDE_PART if side else _LARGEST_PART):
            raise UnusableFile("{file}: {part} is too large once it is unpacked", file=name, part=part.filename[-60:])
    if inflated > _LARGEST_PART + 2 * _LARGEST_SIDE_PART:
        raise UnusableFile("{file}: too large once it is unpacked", file=name)


def _scanned(parts: zipfile.ZipFile, name: str) -> dict[str, SheetForm]:
    found: dict[str, SheetForm] = {}
    titles: dict[str, str] = {}
    elements = 0
    # Sheets last: what is wrong with one is told with what it is called, which other parts say.
    for part in sorted(filter(_is_scanned, parts.namelist()), key=_order):
        scan = _Scan(name, part, titles.get(part, part.rpartition("/")[2].removesuffix(".xml")), elements)
        with parts.open(part) as stream:
            while chunk := stream.read(_CHUNK):
                scan.parser.Parse(chunk, False)
        scan.parser.Parse(b"", True)
        elements = scan.elements
        titles |= _titles(scan, titles)
        if _SHEETS in part and part.endswith(".xml"):
            found[part] = scan.form
    return found


def _is_scanned(part: str) -> bool:
    return part.endswith(_SCANNED)


def _order(part: str) -> int:
    return 2 if _SHEETS in part else 1 if part.endswith(".rels") else 0


def _titles(scan: "_Scan", so_far: Mapping[str, str]) -> dict[str, str]:
    """What sheets are called, first by the ids of their parts and then, where these are told, by their paths."""
    paths = {f"xl/{target.removeprefix('/xl/')}": so_far.get(name, "") for name, target in scan.targets.items()}
    return {**scan.sheets, **{path: title for path, title in paths.items() if title}}


class _Scan:
    """One part on its way through the parser, which expands nothing that the part itself defines."""

    def __init__(self, name: str, part: str, called: str, elements: int) -> None:
        self.form, self.elements = SheetForm(), elements
        self.sheets, self.targets = dict[str, str](), dict[str, str]()
        self._name, self._part = name, called
        self._rows, self._row, self._column = 0, 0, 0
        self.parser = expat.ParserCreate()
        self.parser.StartDoctypeDeclHandler = self._doctype
        self.parser.StartElementHandler = self._sheet_element if _SHEETS in part else self._other_element

    def _doctype(self, *_told: object) -> None:
        raise UnusableFile("{file}: {part} defines entities, as no workbook does", file=self._name, part=self._part)

    def _other_element(self, tag: str, attributes: Mapping[str, str]) -> None:
        self.elements += 1
        if tag == "sheet":
            self.sheets[attributes.get("r:id", "")] = attributes.get("name", "")[:60]
        elif tag == "Relationship":
            self.targets[attributes.get("Id", "")] = attributes.get("Target", "")
        if self.elements > _MOST_ELEMENTS:
            raise self._too_many()

    def _sheet_element(self, tag: str, attributes: Mapping[str, str]) -> None:
        self._other_element(tag, attributes)
        match tag.rpartition(":")[2]:
            case "c":
                at = _REFERENCE.fullmatch(attributes.get("r", ""))
                self._column = column_number(at[1]) if at else self._column + 1
            case "v" | "t" | "f" as kind:
                self._valued()
                self.form.formulas |= kind == "f"
            case "row":
                self._begin_row(attributes)
            case "mergeCell":
                self._merge(attributes.get("ref", ""))

    def _begin_row(self, attributes: Mapping[str, str]) -> None:
        told = attributes.get("r", "")
        self._row = int(told) if told.isascii() and told.isdecimal() and len(told) < 8 else self._row + 1
        self._column = 0
        self._rows += 1
        if self._rows > _MOST_ROW_ELEMENTS:
            raise self._too_many()
        if attributes.get("hidden") in ("1", "true"):
            self.form.hidden.add(self._row)

    def _valued(self) -> None:
        form = self.form
        if self._row > form.last_row:
            form.rows += 1
            form.last_row = self._row
        form.last_column = max(form.last_column, self._column)
        if form.rows > MOST_ROWS or form.last_row > 2 * MOST_ROWS:
            raise UnusableFile("{file}: {part} has more than {most} rows", **self._said(MOST_ROWS - 1))
        if form.last_column > MOST_COLUMNS:
            raise UnusableFile("{file}: {part} has more than {most} columns", **self._said(MOST_COLUMNS))

    def _merge(self, reference: str) -> None:
        first, _, last = reference.partition(":")
        corners = [_REFERENCE.fullmatch(corner) for corner in (first, last)]
        if corners[0] is None or corners[1] is None:
            return
        self.form.merged.append(
            (int(corners[0][2]), column_number(corners[0][1]), int(corners[1][2]), column_number(corners[1][1]))
        )
        if len(self.form.merged) > _MOST_MERGED:
            raise UnusableFile("{file}: {part} has too many merged cells", file=self._name, part=self._part)

    def _too_many(self) -> UnusableFile:
        words = "{file}: too many cells, even if they are empty; copy the rows into a new workbook"
        return UnusableFile(words, file=self._name)

    def _said(self, most: int) -> dict[str, object]:
        return {"file": self._name, "part": self._part, "most": most}


def column_number(letters: str) -> int:
    """The number of a column, `A` being 1."""
    number = 0
    for letter in letters:
        number = number * 26 + ord(letter) - 64
    return number


def column_letters(number: int) -> str:
    """How a spreadsheet calls the column of this number, 1 being `A`."""
    letters = ""
    while number:
        number, left = divmod(number - 1, 26)
        letters = chr(65 + left) + letters
    return letters
