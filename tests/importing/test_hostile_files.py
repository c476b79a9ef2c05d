"""Workbooks that mean harm, or are far too large: refused in words, in little time and memory."""

import io
import resource
import zipfile
from collections.abc import Callable

import pytest

from importing import apart
from importing.apart import read_apart
from importing.reading import Choice, read
from importing.survey import LARGEST_FILE, survey
from importing.table import UnusableFile
from tests.factories.workbooks import a_row, a_workbook

SHEET = "xl/worksheets/sheet1.xml"
HEAD = '<worksheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"><sheetData>'
TAIL = "</sheetData></worksheet>"


def altered(change: Callable[[str, bytes], bytes], extra: dict[str, bytes] | None = None) -> bytes:
    """An ordinary workbook with its parts changed, and more of them."""
    out = io.BytesIO()
    with (
        zipfile.ZipFile(io.BytesIO(a_workbook(a_row()))) as parts,
        zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as written,
    ):
        for name in parts.namelist():
            written.writestr(name, change(name, parts.read(name)))
        for name, content in (extra or {}).items():
            written.writestr(name, content)
    return out.getvalue()


def with_sheet(content: str) -> bytes:
    return altered(lambda name, part: content.encode() if name == SHEET else part)


def rows(count: int, cell: str = '<c t="n"><v>1</v></c>') -> str:
    return HEAD + "".join(f'<row r="{n}">{cell}</row>' for n in range(1, count + 1)) + TAIL


HOSTILE: dict[str, tuple[Callable[[], bytes], str]] = {
    "bomb": (lambda: with_sheet(HEAD + " " * 60_000_000 + TAIL), "too large once it is unpacked"),
    "shared texts": (
        lambda: altered(lambda _n, part: part, {"xl/sharedStrings.xml": b"<a>" + b" " * 20_000_000 + b"</a>"}),
        "too large once it is unpacked",
    ),
    "a million empty rows": (lambda: with_sheet(rows(1_048_576, "")), "too many cells, even if they are empty"),
    "a million rows": (lambda: with_sheet(rows(20_000)), "订单 has more than 10000 rows"),
    "one cell far below": (
        lambda: with_sheet(HEAD + '<row r="1048576"><c r="A1048576"><v>1</v></c></row>' + TAIL),
        "more than 10000 rows",
    ),
    "one cell far to the right": (
        lambda: with_sheet(HEAD + '<row r="1"><c r="XFD1"><v>1</v></c></row>' + TAIL),
        "more than 200 columns",
    ),
    "entities": (
        lambda: with_sheet('<!DOCTYPE a [<!ENTITY b "ha">]>' + HEAD + TAIL),
        "defines entities, as no workbook does",
    ),
    "an outside entity": (
        lambda: with_sheet('<!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/passwd">]>' + HEAD + TAIL),
        "defines entities, as no workbook does",
    ),
    "a thousand parts": (
        lambda: altered(lambda _n, part: part, {f"xl/{n}.xml": b"<a/>" for n in range(1000)}),
        "no workbook has so many parts",
    ),
    "broken XML": (lambda: with_sheet(HEAD + "<row>"), "the workbook is damaged"),
    "no sheets": (
        lambda: altered(lambda name, part: b"<a/>" if name == "xl/workbook.xml" else part),
        "no visible sheet",
    ),
    "another archive": (lambda: _archive(), "an archive, but no Excel workbook"),
    "a cut file": (lambda: a_workbook(a_row())[:-60], "damaged"),
    "too large": (lambda: b"PK\x03\x04" + b"\x00" * LARGEST_FILE, "larger than 8 MiB"),
    "merged without end": (
        lambda: with_sheet(HEAD + TAIL.replace("</worksheet>", '<mergeCell ref="A1:A9"/>' * 20_001 + "</worksheet>")),
        "too many merged cells",
    ),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_what_means_harm_is_refused_in_words_and_takes_little_memory(case: str) -> None:
    make, words = HOSTILE[case]
    raw = make()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(UnusableFile, match=words) as refusal:
        read(raw, "orders.xlsx")
    assert str(refusal.value).startswith("orders.xlsx: ")
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100 * 1024


def test_a_sheet_that_is_merely_formatted_far_below_is_read() -> None:
    raw = altered(
        lambda name, part: (
            part.replace(b"</sheetData>", b'<row r="1048576"><c r="A1048576" s="0"/></row></sheetData>')
            if name == SHEET
            else part
        )
    )
    reading = read(raw, "o.xlsx", Choice(time_zone="UTC"))
    assert [item.key for item in reading.readout.items] == ["shop/X-1"]
    assert [form.last_row for form in survey(raw, "o.xlsx").values()] == [2]


async def test_a_file_is_read_apart_as_it_is_read_here() -> None:
    raw, choice = a_workbook(a_row(), a_row(订单号="X-2", 数量=0)), Choice(time_zone="Asia/Shanghai")
    assert await read_apart(raw, "o.xlsx", choice) == read(raw, "o.xlsx", choice)
    with pytest.raises(UnusableFile, match=r"o\.xlsx: the workbook is damaged"):
        await read_apart(b"PK\x03\x04", "o.xlsx", choice)


async def test_a_process_that_dies_or_takes_too_long_over_a_file_is_a_refusal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(apart, "_PATIENCE_S", 0.01)
    with pytest.raises(UnusableFile, match="takes more than it may"):
        await read_apart(a_workbook(a_row()), "o.xlsx", Choice())


def _archive() -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as parts:
        parts.writestr("readme.txt", "hello")
    return out.getvalue()
