"""Workbooks as people fill them in."""

import io
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from openpyxl import Workbook
from openpyxl.worksheet.worksheet import Worksheet

HEADINGS = (
    "渠道",
    "订单号",
    "币种",
    "收货人",
    "手机",
    "国家",
    "商品编码",
    "数量",
    "单价",
    "税率",
    "支付方式",
    "下单时间",
)
ROW = {
    "渠道": "shop",
    "订单号": "X-1",
    "币种": "CNY",
    "收货人": "李雷",
    "手机": "13800138000",
    "国家": "CN",
    "商品编码": "SKU-1",
    "数量": 2,
    "单价": 113,
    "税率": "13%",
    "支付方式": "alipay",
    "下单时间": "2026-11-20 08:00",
}


def a_row(**changes: Any) -> dict[str, Any]:
    """A row of `ROW` with what is changed; None leaves a cell empty."""
    return ROW | changes


def a_workbook(*rows: Mapping[str, Any], title: str = "订单", then: Callable[[Worksheet], None] | None = None) -> bytes:
    """A workbook with one sheet of these rows, with the headings of the first; `then` does more to the sheet."""
    book = Workbook()
    sheet = book.active
    assert isinstance(sheet, Worksheet)
    sheet.title = title
    headings = list(rows[0]) if rows else list(HEADINGS)
    sheet.append(headings)
    for row in rows:
        sheet.append([row.get(heading) for heading in headings])
    if then is not None:
        then(sheet)
    return saved(book)


def a_grid(*lines: Sequence[Any]) -> bytes:
    """A workbook with one sheet of these lines."""
    book = Workbook()
    sheet = book.active
    assert isinstance(sheet, Worksheet)
    for line in lines:
        sheet.append(list(line))
    return saved(book)


def saved(book: Workbook) -> bytes:
    out = io.BytesIO()
    book.save(out)
    return out.getvalue()
