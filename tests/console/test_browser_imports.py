"""In a real browser: a workbook is brought, looked at, placed, and mended; customs are told and say what they say."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from openpyxl import load_workbook
from playwright.sync_api import expect

from tests.console.test_browser import PATIENCE_MS, Town, open_town
from tests.factories.requests import a_line
from tests.factories.workbooks import a_row, a_workbook

NUMBER = "11010119900101123X"
__all__ = ["town"]


@pytest.fixture(scope="module")
def town(open_dir: Path) -> Iterator[Town]:
    with open_town(open_dir / "console-imports") as town:
        yield town


def test_workbook_is_looked_at_placed_and_mended_in_chinese(town: Town, tmp_path: Path) -> None:
    orders = [a_row(订单号=f"W-{n}", 商品编码="SKU-1", 数量=1 + n % 3) for n in range(1, 19)]
    orders[3] |= {"数量": "两件"}
    orders[7] |= {"国家": "乌有国"}
    file = tmp_path / "十一月订单.xlsx"
    file.write_bytes(a_workbook(*orders))
    product = {"name": "Green tea", "price_minor": 11300, "currency": "CNY", "tax_rate": "0.13"}
    town.ask("PUT", "/v1/products/SKU-1", json=product)
    visitor = town.visitor("operations", "zh-CN")
    page = visitor.page
    page.get_by_role("link", name="导入").click()
    page.get_by_label("文件").set_input_files(file)
    page.get_by_role("button", name="检查文件").click()
    expect(page.get_by_role("heading", name="十一月订单.xlsx")).to_be_visible()
    expect(page.get_by_text("订单!H5")).to_be_visible()
    expect(page.get_by_text("请填写整数")).to_be_visible()
    town.picture(page, "console-import")
    page.get_by_role("button", name="下 16 个订单").click()
    expect(page.locator(".badge-large")).to_have_text("已完成")
    expect(page.locator(".axes")).to_contain_text(re.compile(r"已下单\s*16\s*已存在\s*0\s*未通过\s*2"))
    with page.expect_download() as download:
        page.get_by_role("link", name="下载未导入的行以便修改").click()
    mended = tmp_path / "mended.xlsx"
    download.value.save_as(mended)
    book = load_workbook(mended)
    book.worksheets[0]["H2"], book.worksheets[0]["F3"] = 2, "日本"
    book.save(mended)
    visitor.go("/imports")
    page.get_by_label("文件").set_input_files(mended)
    page.get_by_role("button", name="检查文件").press("Enter")
    page.get_by_role("button", name="下 2 个订单").press("Enter")
    expect(page.locator(".axes")).to_contain_text(re.compile(r"已下单\s*2\s*已存在\s*0\s*未通过\s*0"))
    page.locator("a.row", has_text="shop/W-8").click()
    expect(page.get_by_text("W-8").first).to_be_visible()
    assert visitor.complaints == []


def test_columns_are_chosen_by_hand_on_a_phone(town: Town, tmp_path: Path) -> None:
    row = {"No": "P-1", "What": "SKU-1", "How many": 2, "Each": 113, "Remark": "<b>call</b>"}
    file = tmp_path / "plain.xlsx"
    file.write_bytes(a_workbook(row))
    visitor = town.visitor("sales", width=390)
    page = visitor.page
    visitor.go("/imports")
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    page.get_by_label("File").set_input_files(file)
    page.get_by_role("button", name="Check the file").click()
    expect(page.get_by_text("Nothing can be read yet")).to_be_visible()
    for heading, column in (("No", "Order no."), ("What", "SKU"), ("How many", "Quantity"), ("Each", "Unit price")):
        page.locator("label", has_text=re.compile(rf"^\s*[A-E] · {heading}")).locator("select").select_option(
            f"{column} *"
        )
    for name, value in (("Channel", "shop"), ("Currency", "CNY"), ("Tax rate", "13%"), ("Payment method", "alipay")):
        page.locator("fieldset").get_by_label(name).fill(value)
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    page.get_by_role("button", name="Read it like this").click()
    expect(page.get_by_text("shop/P-1")).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    page.get_by_role("button", name="Place 1 orders").click()
    expect(page.locator(".badge-large")).to_have_text("Done")
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    assert visitor.complaints == []


def test_customs_are_told_and_what_they_say_lets_the_order_go_on(town: Town) -> None:
    customs = {"buyer_name": "王小明", "buyer_id_no": NUMBER}
    order_no = town.place("C-1", type="cross_border", customs=customs, lines=[a_line(quantity=1)], discounts=[])
    visitor = town.visitor("service", "zh-CN", 390)
    page = visitor.page
    visitor.go(f"/orders/{order_no}")
    card = page.locator("section", has=page.get_by_role("heading", name="海关", exact=True))
    expect(card).to_contain_text("信息缺失")
    expect(card).to_contain_text("********123X")
    expect(page.get_by_role("heading", name="缺少报关").or_(page.locator(".hold h2"))).to_be_visible()
    card.get_by_role("link", name="填写报关信息").click()
    page.get_by_label("HS 编码").fill("33049900")
    page.get_by_label("原产国").fill("jp")
    page.get_by_label("计量单位").fill("瓶")
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    page.get_by_role("button", name="登记").click()
    expect(page.get_by_text("报关信息已登记。")).to_be_visible()
    assert NUMBER not in page.content()
    operations = town.visitor("operations")
    desk = operations.page
    operations.go(f"/orders/{order_no}")
    desk.locator(".hold").get_by_label("Reason").fill("told now")
    desk.locator(".hold").get_by_role("button", name="Settle").click()
    expect(desk.locator(".axes")).to_contain_text("Waits for")
    town.pay(order_no)
    for document in ("Order", "Payment", "Logistics"):
        operations.go(f"/orders/{order_no}")
        desk.get_by_role("link", name="Report what customs say").click()
        desk.get_by_label("Document").select_option(document)
        desk.get_by_label("Status").select_option("Accepted")
        desk.get_by_role("button", name="Put on record").click()
        expect(desk.get_by_text("What customs said is on its way to the order.")).to_be_visible()
    board = desk.locator("section", has=desk.get_by_role("heading", name="Customs", exact=True))
    expect(board).to_contain_text("Cleared", timeout=PATIENCE_MS)
    expect(board.locator(".row", has_text="Logistics")).to_contain_text("operations")
    town.until(lambda: town.ask("GET", f"/v1/orders/{order_no}")["fulfilment"] != "unfulfilled")
    town.picture(desk, "console-customs")
    assert [*visitor.complaints, *operations.complaints] == []
