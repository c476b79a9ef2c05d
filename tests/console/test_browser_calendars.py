"""In a real browser, on the real stack: hours of the company are changed by keyboard, and read on a phone."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.console.test_browser import Town
from tests.fakes.chromium import chromium
from tests.fakes.live_stack import live_stack

DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")


@pytest.fixture(scope="module")
def town(open_dir: Path) -> Iterator[Town]:
    data = open_dir / "calendars"
    expect.set_options(timeout=30_000)
    with chromium() as browser, live_stack(data) as stack:
        yield Town(browser, stack.facts, data)


@pytest.mark.timeout(300)
def test_hours_are_changed_by_keyboard_alone(town: Town) -> None:
    visitor = town.visitor("operations")
    page = visitor.page
    visitor.go("/calendars")
    page.get_by_role("link", name="Working days in China").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text("Working days in China")
    page.get_by_label("Monday", exact=True).focus()
    for day in DAYS[:5]:
        expect(page.get_by_label(day, exact=True)).to_be_focused()
        page.keyboard.press("ControlOrMeta+A")
        page.keyboard.type("09:00-12:00, 13:00-17:30")
        page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page.get_by_text("Saved.")).to_be_visible()
    stored = town.ask("GET", "/v1/calendars/cn-default")
    assert (stored["revision"], stored["week"]["fri"], stored["week"]["sat"]) == (2, ["09:00-12:00", "13:00-17:30"], [])
    page.get_by_label("Monday", exact=True).fill("18:00-09:00")
    page.get_by_role("button", name="Save").press("Enter")
    expect(page.get_by_role("alert")).to_contain_text("The hours end before they begin")
    expect(page.get_by_label("Monday", exact=True)).to_have_value("18:00-09:00")
    page.get_by_label("Day", exact=True).fill("2030-12-24")
    page.get_by_label("Note", exact=True).fill("Christmas Eve")
    page.get_by_role("button", name="Note the day").press("Enter")
    expect(page.locator(".row", has_text="Christmas Eve")).to_contain_text("2030-12-24")
    page.get_by_role("button", name="Remove 2030-12-24").press("Enter")
    expect(page.get_by_text("No day is otherwise.")).to_be_visible()
    page.get_by_label("Working time from now").fill("20")
    page.get_by_role("button", name="Work it out").press("Enter")
    due = town.ask("GET", "/v1/calendars/cn-default/due", params={"span": "PT20H"})["due_at"]
    # To the hour: some seconds pass between the two.
    assert (page.locator("#due time").get_attribute("datetime") or "")[:13] == due[:13]
    town.picture(page, "calendar")
    assert [one for one in visitor.complaints if "422" not in one] == []


@pytest.mark.timeout(120)
def test_calendar_is_read_on_a_phone_in_chinese(town: Town) -> None:
    stored = town.ask("GET", "/v1/calendars/cn-default")["week"]["mon"]
    visitor = town.visitor("operations", language="zh-CN", width=390)
    page = visitor.page
    visitor.go("/calendars/cn-default")
    for words in ("每周", "何时到期？", "特殊日期", "未来 30 天"):
        expect(page.get_by_role("heading", name=words)).to_be_visible()
    expect(page.get_by_label("星期一")).to_have_value(", ".join(stored))
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    page.get_by_label("从现在起的工作时间").fill("3")
    page.get_by_role("button", name="计算").click()
    expect(page.locator("#due b")).to_be_visible()
    town.picture(page, "calendar-phone")
    assert visitor.complaints == []
