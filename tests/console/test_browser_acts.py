"""In a real browser: what people do to orders, with a mouse, by keyboard and on a phone, in both languages."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.console.test_browser import PATIENCE_MS, DrawingBoard, Town, open_town
from tests.factories.requests import a_line

TWO = {"lines": [a_line(quantity=2)], "discounts": [], "customer": {"id": "C-9"}}
__all__ = ["town"]


@pytest.fixture(scope="module")
def town(open_dir: Path) -> Iterator[Town]:
    with open_town(open_dir / "console-acts") as town:
        yield town


def test_order_is_changed_on_a_phone_by_touch_in_chinese(town: Town) -> None:
    order_no = town.place("A-1", **TWO)
    visitor = town.visitor("service", "zh-CN", 390)
    page = visitor.page
    visitor.go(f"/orders/{order_no}")
    page.get_by_role("link", name="修改订单").click()
    units = page.get_by_label("SKU-1 数量")
    expect(units).to_have_value("2")
    units.fill("1")
    page.get_by_label("原因").fill("买家来电")
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    page.get_by_role("button", name="预览结果").click()
    expect(page.get_by_role("heading", name="修改后的订单")).to_be_visible()
    expect(page.locator(".sums .strong")).to_contain_text("-¥113.00")
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    town.picture(page, "console-change")
    page.get_by_role("button", name="确认修改").click()
    expect(page.get_by_text("订单已修改。")).to_be_visible()
    assert town.ask("GET", f"/v1/orders/{order_no}")["lines"][0]["quantity"] == 1
    assert visitor.complaints == []


def test_return_goes_from_the_wish_to_the_shelf_by_keyboard(town: Town) -> None:
    order_no = town.place("A-2", **TWO)
    visitor = town.visitor("service")
    page = visitor.page
    visitor.go(f"/orders/{order_no}")
    town.pay(order_no)
    expect(page.locator(".badge-large")).to_have_text("Completed")
    # What can be done follows the order while one looks at it.
    expect(page.get_by_role("link", name="Cancel the order")).to_have_count(0)
    page.get_by_role("link", name="Return or exchange").press("Enter")
    page.get_by_label("Units, at most 2").press_sequentially("1")
    page.keyboard.press("Tab")
    page.keyboard.type("It arrived")
    page.get_by_role("button", name="Show what it comes to").press("Enter")
    expect(page.get_by_text("1 come back")).to_be_visible()
    page.get_by_role("button", name="Announce it").press("Enter")
    expect(page.get_by_text("The return is announced.")).to_be_visible()
    expect(page.locator("a.row[href*='/returns/'] .badge")).to_have_text("Approved")
    warehouse = town.visitor("warehouse")
    warehouse.go(f"/orders/{order_no}")
    warehouse.page.locator("a.row[href*='/returns/']").press("Enter")
    warehouse.page.get_by_label("Resellable").press_sequentially("1")
    warehouse.page.keyboard.press("Enter")
    expect(warehouse.page.get_by_text("What came in is on record.")).to_be_visible()
    number = warehouse.page.url.rpartition("/")[2].removesuffix("/receipt")
    town.until(lambda: town.ask("GET", f"/v1/returns/{number}")["state"] == "closed")
    warehouse.go(f"/returns/{number}")
    expect(warehouse.page.locator("tbody .num").nth(2)).to_have_text("1")
    visitor.go(f"/orders/{order_no}")
    expect(page.locator("a.row[href*='/returns/'] .badge")).to_have_text("Closed")
    expect(page.locator(".row", has_text="Refund")).to_contain_text("118.00")
    assert [*visitor.complaints, *warehouse.complaints] == []


def test_goodwill_is_shown_before_it_is_given(town: Town) -> None:
    order_no = town.place("A-3", **TWO)
    town.pay(order_no)
    visitor = town.visitor("service")
    page = visitor.page
    visitor.go(f"/orders/{order_no}")
    expect(page.locator(".badge-large")).to_have_text("Completed")
    page.get_by_role("link", name="Give money back").click()
    goodwill = page.locator("section", has=page.get_by_role("heading", name="Goodwill"))
    goodwill.get_by_label("Amount in CNY").fill("12.5")
    goodwill.get_by_label("Reason").fill("a scratch")
    goodwill.get_by_label("Cause").select_option("It arrived damaged")
    goodwill.get_by_role("button").click()
    expect(page.locator(".sums .strong")).to_have_text(re.compile(r"Goes back\s*CN¥12\.50"))
    page.get_by_role("button", name="Give it back").click()
    expect(page.get_by_text("The money is on its way back.")).to_be_visible()
    expect(page.locator(".row", has_text="Refund")).to_contain_text("12.50", timeout=PATIENCE_MS)
    assert visitor.complaints == []


def test_amounts_of_conditions_have_the_decimals_of_their_currency(town: Town) -> None:
    visitor = town.visitor("operations")
    board = DrawingBoard(visitor, "cash_on_delivery")
    side = board.side
    for _ in range(2):
        side.get_by_role("button", name="Add a condition").click()
    amount, currency = side.locator(".condition-row").nth(1), side.locator(".condition-row").nth(2)
    expect(amount.get_by_label("Result")).to_have_value("10000")
    currency.get_by_label("When").select_option("order.currency")
    said = {"JPY": 10_000, "KWD": 10_000_000, "CNY": 1_000_000}
    for code, minor in said.items():
        side.locator(".condition-row").nth(2).get_by_label("Result").fill(code)
        side.locator(".condition-row").nth(2).get_by_label("Result").press("Enter")
        condition = f"order.total_minor > {minor} && order.currency == '{code}'"
        expect(side.locator(".condition > code")).to_contain_text(condition)
        expect(side.locator(".condition-row").nth(1).get_by_label("Result")).to_have_value("10000")
        expect(side.locator(".condition-row").nth(1)).to_contain_text(code)
    assert visitor.complaints == []
