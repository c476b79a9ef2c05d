"""Workbooks as people keep them: what a cell means, and what is refused because it can mean two things."""

import datetime
import re
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from openpyxl import Workbook
from openpyxl.worksheet.worksheet import Worksheet

from importing.columns import BY_NAME, ORDER_COLUMNS, matched
from importing.reading import Choice, Reading, read
from importing.table import UnusableFile
from importing.writing import refused, template, template_csv
from tests.factories.workbooks import a_grid, a_row, a_workbook, saved

SHANGHAI = Choice(time_zone="Asia/Shanghai")


def bodies(reading: Reading) -> list[dict[str, Any]]:
    assert (reading.readout.refused, reading.missing) == ((), ())
    return [item.body for item in reading.readout.items]


def reasons(reading: Reading) -> list[tuple[str, str | None, str]]:
    readout = reading.readout
    return [(readout.cell(one), one.column, one.code) for refusal in readout.refused for one in refusal.problems]


def the_one(**changes: Any) -> dict[str, Any]:
    [body] = bodies(read(a_workbook(a_row(**changes)), "o.xlsx", SHANGHAI))
    return body


def test_rows_of_one_order_become_one_order_and_its_lines_are_numbered() -> None:
    rows = [a_row(), a_row(商品编码="SKU-2", 数量=1, 单价=0.1)]
    [body] = bodies(read(a_workbook(*rows), "o.xlsx", SHANGHAI))
    lines = [(one["line_id"], one["sku"], one["quantity"], one["unit_price_minor"]) for one in body["lines"]]
    assert lines == [("1", "SKU-1", 2, 11300), ("2", "SKU-2", 1, 10)]
    assert body["placed_at"] == "2026-11-20T08:00:00+08:00"


@pytest.mark.parametrize(
    ("heading", "value", "where", "meant"),
    [
        ("数量", "１２", ("lines", 0, "quantity"), 12),
        ("数量", "1,200", ("lines", 0, "quantity"), 1200),
        ("数量", 3.0, ("lines", 0, "quantity"), 3),
        ("单价", "1,234.50", ("lines", 0, "unit_price_minor"), 123_450),
        ("单价", "１２．５０", ("lines", 0, "unit_price_minor"), 1_250),
        ("单价", 0.1 + 0.2, ("lines", 0, "unit_price_minor"), 30),
        ("单价", 1e5, ("lines", 0, "unit_price_minor"), 10_000_000),
        ("税率", 0.13, ("lines", 0, "tax_rate"), "0.13"),
        ("税率", "１３％", ("lines", 0, "tax_rate"), "0.13"),
        ("税率", "0", ("lines", 0, "tax_rate"), "0"),
        ("税率", "0%", ("lines", 0, "tax_rate"), "0"),
        ("国家", "中国", ("ship_to", "country"), "CN"),
        ("国家", "germany", ("ship_to", "country"), "DE"),
        ("币种", "人民币", ("currency",), "CNY"),
        ("币种", "cny", ("currency",), "CNY"),
        ("支付方式", "支付宝", ("payment", "method"), "alipay"),
        ("手机", 13800138000, ("ship_to", "phone"), "13800138000"),
        ("手机", "007 8", ("ship_to", "phone"), "007 8"),
        ("商品编码", "ＳＫＵ－９", ("lines", 0, "sku"), "SKU-9"),
        ("商品编码", "00123", ("lines", 0, "sku"), "00123"),
        ("收货人", " 王\n小明 ", ("ship_to", "name"), "王 小明"),
        ("下单时间", datetime.datetime(2026, 11, 20, 8, 30, 15), ("placed_at",), "2026-11-20T08:30:15+08:00"),  # noqa: DTZ001 - Excel knows no zones
        ("下单时间", datetime.date(2026, 11, 20), ("placed_at",), "2026-11-20T00:00:00+08:00"),
        ("下单时间", 46346.5, ("placed_at",), "2026-11-20T12:00:00+08:00"),
        ("下单时间", "2026/11/2 9:05", ("placed_at",), "2026-11-02T09:05:00+08:00"),
        ("下单时间", "2026年11月2日", ("placed_at",), "2026-11-02T00:00:00+08:00"),
        ("下单时间", "2026-11-20T08:00:00Z", ("placed_at",), "2026-11-20T08:00:00Z"),
    ],
)
def test_a_cell_means_what_a_person_means_by_it(heading: str, value: Any, where: tuple[Any, ...], meant: Any) -> None:
    found: Any = the_one(**{heading: value})
    for step in where:
        found = found[step]
    assert found == meant


@pytest.mark.parametrize(
    ("heading", "value", "cell", "code"),
    [
        ("数量", 1.5, "订单!H2", "not_a_whole_number"),
        ("数量", "1,5", "订单!H2", "not_a_whole_number"),
        ("数量", "٣", "订单!H2", "not_a_whole_number"),
        ("数量", True, "订单!H2", "not_a_whole_number"),
        ("数量", "=2*3", "订单!H2", "uncalculated"),
        ("单价", "1,23", "订单!I2", "invalid_amount"),
        ("单价", "1.234", "订单!I2", "invalid_amount"),
        ("单价", -1, "订单!I2", "invalid_amount"),
        ("单价", "#N/A", "订单!I2", "error_cell"),
        ("单价", None, "订单!I2", "invalid_amount"),
        ("税率", 13, "订单!J2", "string_pattern_mismatch"),
        ("国家", "Utopia", "订单!F2", "string_pattern_mismatch"),
        ("币种", "gold", "订单!C2", "string_too_long"),
        ("订单号", 1234567890123456789, "订单!B2", "digits_lost"),
        ("商品编码", None, "订单!G2", "missing"),
        ("下单时间", "20.13.2026", "订单!L2", "no_moment"),
        ("下单时间", "2026-02-30", "订单!L2", "no_moment"),
        ("下单时间", 12, "订单!L2", "no_moment"),
    ],
)
def test_a_cell_that_means_nothing_refuses_its_order_and_names_its_place(
    heading: str, value: Any, cell: str, code: str
) -> None:
    reading = read(a_workbook(a_row(**{heading: value}), a_row(订单号="X-2")), "o.xlsx", SHANGHAI)
    assert [item.key for item in reading.readout.items] == ["shop/X-2"]
    assert (cell, code) in [(where, why) for where, _, why in reasons(reading)]


def test_a_comma_that_may_be_a_decimal_one_is_refused() -> None:
    reading = read(a_workbook(a_row(币种="KWD", 单价="1,234")), "o.xlsx", SHANGHAI)
    assert reasons(reading) == [("订单!I2", "unit_price", "ambiguous_amount")]


def test_a_date_without_a_zone_is_refused_where_none_was_told() -> None:
    raw = a_workbook(a_row())
    assert reasons(read(raw, "o.xlsx")) == [("订单!L2", "placed_at", "no_time_zone")]


def test_zeros_that_only_a_format_shows_are_there_and_lost_ones_are_told_of() -> None:
    def padded(sheet: Worksheet) -> None:
        sheet["E2"].number_format = "00000000000"

    reading = read(a_workbook(a_row(手机=7551234567), a_row(订单号="X-2", 手机=5), then=padded), "o.xlsx", SHANGHAI)
    assert [body["ship_to"]["phone"] for body in bodies(reading)] == ["07551234567", "5"]
    assert [(note.code, note.column, note.rows, note.count) for note in reading.notes] == [
        ("zeros_lost", "phone", (3,), 1)
    ]


def test_a_cell_merged_over_its_lines_holds_for_each_and_a_merged_figure_for_none() -> None:
    def merged(*ranges: str) -> Callable[[Worksheet], None]:
        def then(sheet: Worksheet) -> None:
            for one in ranges:
                sheet.merge_cells(one)

        return then

    rows = [a_row(), a_row(渠道=None, 订单号=None, 商品编码="SKU-2"), a_row(订单号="X-2")]
    [first, second] = bodies(read(a_workbook(*rows, then=merged("A2:A3", "B2:B3")), "o.xlsx", SHANGHAI))
    assert ([one["sku"] for one in first["lines"]], len(second["lines"])) == (["SKU-1", "SKU-2"], 1)
    rows[1] |= {"数量": None}
    reading = read(a_workbook(*rows, then=merged("A2:A3", "B2:B3", "H2:H3")), "o.xlsx", SHANGHAI)
    assert [item.key for item in reading.readout.items] == ["shop/X-2"]
    assert {why for _, _, why in reasons(reading)} >= {"merged_cell"}


def test_an_order_with_a_hidden_row_is_refused_and_says_which() -> None:
    def hide(sheet: Worksheet) -> None:
        sheet.row_dimensions[3].hidden = True

    rows = [a_row(), a_row(商品编码="SKU-2"), a_row(订单号="X-2")]
    reading = read(a_workbook(*rows, then=hide), "o.xlsx", SHANGHAI)
    assert ([item.key for item in reading.readout.items], reasons(reading)) == (
        ["shop/X-2"],
        [("订单!3", None, "hidden_row")],
    )


def test_titles_above_and_sums_below_are_no_orders() -> None:
    headings = list(a_row())
    reading = read(a_grid(["订单导出"], [], headings, list(a_row().values()), [None] * 7 + [2]), "o.xlsx", SHANGHAI)
    assert (len(bodies(reading)), reading.heading_row) == (1, 3)
    assert [(note.code, note.rows) for note in reading.notes] == [("left_out", (5,))]


def test_the_sheet_with_known_headings_is_read_and_a_hidden_one_is_not() -> None:
    book = Workbook()
    book.worksheets[0].append(["Some", "notes"])
    for title, hidden in (("secret", True), ("orders", False)):
        sheet = book.create_sheet(title)
        sheet.append(list(a_row()))
        sheet.append(list(a_row(订单号=title).values()))
        sheet.sheet_state = "hidden" if hidden else "visible"
    raw = saved(book)
    reading = read(raw, "o.xlsx", SHANGHAI)
    assert (reading.sheets, reading.sheet) == (("Sheet", "orders"), "orders")
    assert [item.key for item in reading.readout.items] == ["shop/orders"]
    with pytest.raises(UnusableFile, match="no visible sheet is called secret"):
        read(raw, "o.xlsx", Choice(sheet="secret"))


def test_columns_are_those_that_were_chosen_and_what_holds_for_all_rows_is_said_once() -> None:
    raw = a_grid(["a", "b", "c", "d"], ["X-1", "SKU-1", 2, 9.9])
    assert set(read(raw, "o.xlsx").missing) == {column.name for column in ORDER_COLUMNS if column.needed}
    columns = {"A": "external_id", "B": "sku", "C": "quantity", "D": "unit_price", "Z": "store"}
    fixed = {"channel": "shop", "currency": "CNY", "tax_rate": "13%", "payment_method": "alipay"}
    [body] = bodies(read(raw, "o.xlsx", Choice(columns=columns, fixed=fixed)))
    assert (body["channel"], body["lines"][0]["tax_rate"], body["lines"][0]["unit_price_minor"]) == (
        "shop",
        "0.13",
        990,
    )


def test_csv_of_any_separator_is_read_like_a_workbook() -> None:
    for separator in ",;\t":
        text = "\n".join(separator.join(str(cell) for cell in row) for row in (a_row(), a_row().values()))
        [body] = bodies(read(text.encode("gb18030"), "o.csv", SHANGHAI))
        assert (body["ship_to"]["name"], body["lines"][0]["quantity"]) == ("李雷", 2)


@settings(deadline=None, max_examples=60)
@given(st.sampled_from(ORDER_COLUMNS), st.sampled_from(["", " *", "(必填)", " / note", "\n"]), st.booleans())
def test_every_name_of_a_column_is_known_however_it_is_dressed(column: Any, dress: str, upper: bool) -> None:
    for name in (column.name, column.english, column.chinese, *column.also):
        assert matched([(name.upper() if upper else name) + dress]) == [column.name]


def test_no_name_stands_for_two_columns() -> None:
    names = [name.casefold() for one in ORDER_COLUMNS for name in {one.name, one.english.casefold(), one.chinese}]
    names += [name.casefold() for one in ORDER_COLUMNS for name in one.also]
    assert len({(name, matched([name])[0]) for name in names}) == len(set(names))
    assert all(matched([one.english, one.chinese]) == [one.name, None] for one in ORDER_COLUMNS)


TEXTS = st.text(st.characters(codec="utf-8", exclude_categories=("Cs", "Cc")), max_size=30)
VALUES = st.one_of(
    st.none(), st.booleans(), st.integers(-(10**20), 10**20), st.floats(allow_nan=False, allow_infinity=False), TEXTS
)


@settings(deadline=None, max_examples=60)
@given(st.lists(st.lists(VALUES, min_size=12, max_size=12), max_size=6))
def test_whatever_is_in_the_cells_every_row_is_in_one_order_or_refused(rows: list[list[Any]]) -> None:
    reading = read(a_grid(list(a_row()), *rows), "o.xlsx", SHANGHAI)
    readout = reading.readout
    told = [row for one in readout.items for row in one.rows] + [row for one in readout.refused for row in one.rows]
    left_out = sum(note.count for note in reading.notes if note.code == "left_out")
    assert len(told) == len(set(told)) == readout.rows
    assert readout.rows + left_out == len(reading.lines)
    for refusal in readout.refused:
        assert refusal.problems
        assert all(one.row in refusal.rows or one.code == "unclear_row" for one in refusal.problems)


@settings(deadline=None, max_examples=60)
@given(
    st.text("ABC019", min_size=1, max_size=20),
    st.integers(1, 1_000_000),
    st.integers(0, 10**9),
    st.sampled_from(["number", "text", "grouped"]),
)
def test_codes_quantities_and_prices_come_through_as_they_were_typed(
    sku: str, quantity: int, minor: int, spelled: str
) -> None:
    price: Any = (
        minor / 100 if spelled == "number" else f"{minor / 100:,.2f}" if spelled == "grouped" else f"{minor / 100}"
    )
    body = the_one(商品编码=sku, 数量=f"{quantity:,}" if spelled == "grouped" else quantity, 单价=price)
    [line] = body["lines"]
    assert (line["sku"], line["quantity"], line["unit_price_minor"]) == (sku, quantity, minor)


@settings(deadline=None, max_examples=60)
@given(st.datetimes(datetime.datetime(2001, 1, 1), datetime.datetime(2099, 1, 1)))  # noqa: DTZ001
def test_a_date_of_excel_is_the_moment_that_it_shows(at: datetime.datetime) -> None:
    at = at.replace(microsecond=0)
    found = datetime.datetime.fromisoformat(the_one(下单时间=at)["placed_at"])
    assert abs(found.replace(tzinfo=None) - at) <= datetime.timedelta(seconds=1)


def test_the_template_is_read_and_keeps_what_is_typed_as_text() -> None:
    for raw, name in ((template(), "t.xlsx"), (template_csv(), "t.csv")):
        [body] = bodies(read(raw, name, SHANGHAI))
        assert (body["lines"][0]["sku"], body["ship_to"]["postal_code"]) == ("SKU-1", "518000")


def test_what_was_refused_is_written_as_text_and_read_again() -> None:
    row = [str(cell) for cell in a_row(商品编码="=1+1", 手机="=cmd|' /C calc'!A0").values()]
    raw = refused(list(a_row()), [(row, "why\x01")], "Why")
    reading = read(raw, "r.xlsx", SHANGHAI)
    assert [why for _, _, why in reasons(reading)] == ["string_pattern_mismatch"]
    assert reading.lines[2][-1] == "why "


def test_every_column_can_be_read_and_says_what_it_is() -> None:
    assert all(
        BY_NAME[one.name] is one and one.english and re.search("[A-Z\u4e00-\u9fff]", one.chinese)
        for one in ORDER_COLUMNS
    )
