"""Workbooks for people: a template to begin with, and what was refused of a file, to be mended and brought again."""

import io
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from openpyxl import Workbook
from openpyxl.cell.cell import Cell, WriteOnlyCell
from openpyxl.styles import Font, PatternFill
from openpyxl.worksheet._write_only import WriteOnlyWorksheet
from openpyxl.worksheet.datavalidation import DataValidation

from importing.columns import ORDER_COLUMNS, Column, Kind
from importing.survey import column_letters

MEDIA_TYPE: Final = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
_CONTROLS: Final = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ufffe\uffff]")
_PREPARED: Final = 1000
_AS_TEXT: Final = "@"
_BOLD: Final = Font(bold=True)
_NEEDED: Final = PatternFill("solid", fgColor="FFF2CC")
_REFUSED: Final = PatternFill("solid", fgColor="F8D7DA")
_CHOICES: Final[Mapping[str, str]] = {
    "type": "normal,presale,group_buy,sample,cross_border,gift",
    "payment_terms": "prepaid,deposit_balance,on_credit,cash_on_delivery,none",
}
_KINDS: Final[Mapping[Kind, tuple[str, str]]] = {
    Kind.CODE: (
        "a code; the column is formatted as text, so that zeros in front stay",
        "编码；本列为文本格式，以保留前导零",
    ),
    Kind.TEXT: ("text", "文本"),
    Kind.WORD: ("one of the words we use", "系统用词"),
    Kind.COUNTRY: ("a country: CN, China or 中国", "国家：CN、China 或 中国"),
    Kind.CURRENCY: ("a currency: CNY, USD or 人民币", "币种：CNY、USD 或 人民币"),
    Kind.WHOLE: ("a whole number", "整数"),
    Kind.AMOUNT: ("an amount, tax included", "含税金额"),
    Kind.RATE: ("a rate: 13% or 0.13", "比率：13% 或 0.13"),
    Kind.MOMENT: ("a date, with or without time", "日期，可带时间"),
}


def template() -> bytes:
    """A workbook with every column under its names in both languages, prepared so that Excel changes nothing typed."""
    book = Workbook(write_only=True)
    sheet = book.create_sheet("Orders 订单")
    sheet.freeze_panes = "A2"
    for at, column in enumerate(ORDER_COLUMNS, start=1):
        sheet.column_dimensions[column_letters(at)].width = 18
        if choices := _CHOICES.get(column.name):
            rule = DataValidation("list", formula1=f'"{choices}"', allow_blank=True)
            rule.add(f"{column_letters(at)}2:{column_letters(at)}{_PREPARED + 1}")
            sheet.data_validations.append(rule)
    sheet.append([_heading(sheet, column) for column in ORDER_COLUMNS])
    sheet.append([_typed(sheet, column, column.example) for column in ORDER_COLUMNS])
    for _ in range(_PREPARED - 1):
        sheet.append([_typed(sheet, column, None) for column in ORDER_COLUMNS])
    _explain(book)
    return _saved(book)


def template_csv() -> bytes:
    """The same columns as CSV; with a BOM, without which spreadsheets misread UTF-8."""
    rows = [[_called(column) for column in ORDER_COLUMNS], [column.example for column in ORDER_COLUMNS]]
    return ("\ufeff" + "".join(",".join(row) + "\r\n" for row in rows)).encode()


def refused(headings: Sequence[str], rows: Iterable[tuple[Sequence[str], str]], why: str) -> bytes:
    """The rows as they stood in the file, all of them as text, and behind each why it was refused."""
    book = Workbook(write_only=True)
    sheet = book.create_sheet("Refused 未导入")
    sheet.append([_text(sheet, heading, _BOLD) for heading in [*headings, why]])
    for cells, reason in rows:
        padded = [*cells, *[""] * (len(headings) - len(cells))]
        written = [_text(sheet, cell) for cell in [*padded[: len(headings)], reason]]
        written[-1].fill = _REFUSED
        sheet.append(written)
    return _saved(book)


def _called(column: Column) -> str:
    return column.english if column.english == column.chinese else f"{column.english} / {column.chinese}"


def _heading(sheet: WriteOnlyWorksheet, column: Column) -> Cell:
    cell = _text(sheet, _called(column), _BOLD)
    if column.needed:
        cell.fill = _NEEDED
    return cell


def _typed(sheet: WriteOnlyWorksheet, column: Column, text: str | None) -> Cell:
    # What is typed into a cell of text stays what was typed; figures and dates stay the ones of Excel.
    cell = WriteOnlyCell(sheet, text)
    if column.kind in (Kind.CODE, Kind.TEXT, Kind.WORD, Kind.COUNTRY, Kind.CURRENCY, Kind.RATE):
        cell.number_format = _AS_TEXT
    if column.kind in (Kind.WHOLE, Kind.AMOUNT) and text:
        cell.value = float(text)
    return cell


def _text(sheet: WriteOnlyWorksheet, text: str, font: Font | None = None) -> Cell:
    """A cell of text, whatever it begins with: nothing that somebody wrote becomes a formula."""
    cell = WriteOnlyCell(sheet, _CONTROLS.sub(" ", text))
    cell.data_type, cell.number_format = "s", _AS_TEXT
    if font is not None:
        cell.font = font
    return cell


def _explain(book: Workbook) -> None:
    sheet = book.create_sheet("Help 说明")
    for letter, width in zip("ABCDEF", (22, 20, 14, 52, 40, 20), strict=True):
        sheet.column_dimensions[letter].width = width
    titles = ("Column", "列名", "Needed 必填", "What is written there", "填写内容", "Example 示例")
    sheet.append([_text(sheet, title, _BOLD) for title in titles])
    for column in ORDER_COLUMNS:
        english, chinese = _KINDS[column.kind]
        if choices := _CHOICES.get(column.name):
            english = chinese = choices
        needed = "yes 是" if column.needed else ""
        cells = (column.english, column.chinese, needed, english, chinese, column.example)
        sheet.append([_text(sheet, cell) for cell in cells])
    more = (
        "All rows with one channel and one order number are one order; each row is a line of it.",
        "同一渠道、同一订单号的各行为同一订单，每行一条明细。",
    )
    for words in more:
        sheet.append([_text(sheet, words)])


def _saved(book: Workbook) -> bytes:
    out = io.BytesIO()
    book.save(out)
    return out.getvalue()
