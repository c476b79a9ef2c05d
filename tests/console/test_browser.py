"""In a real browser, on the real stack: an approver decides; a supervisor draws, tries and publishes a flow."""

import contextlib
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from cli.local_stack.children import wait_until
from cli.password import LOGINS
from importing.orders import COLUMNS
from tests.factories.requests import a_line, an_order
from tests.fakes.chromium import Visitor, chromium
from tests.fakes.live_stack import live_stack, settings_of
from tests.fakes.running_stack import ROOT

PATIENCE_MS = 60_000
PICTURES = os.environ.get("ORDERFLOW_PICTURES")
BIG = {"lines": [a_line(quantity=200)], "discounts": [], "customer": {"id": "C-7"}}
# Above 10,000, of somebody whom no flow of its own is for.
LARGE = {"lines": [a_line(quantity=100)], "discounts": [], "customer": {"id": "C-9"}}


class Town:
    """A running system: who can log in, and the shop that sends it orders."""

    def __init__(self, browser: Browser, facts: dict[str, Any], data: Path) -> None:
        self.browser, self.base = browser, facts["api"]
        self.passwords: dict[str, str] = json.loads((data / LOGINS).read_text())
        self.mode = (data / LOGINS).stat().st_mode & 0o777
        self._tokens, self._data = facts["tokens"], data

    def visitor(self, person: str, language: str = "en-GB", width: int = 1440) -> Visitor:
        visitor = Visitor(self.browser, self.base, language, width)
        visitor.page.set_default_timeout(PATIENCE_MS)
        visitor.log_in(person, self.passwords[person])
        return visitor

    def ask(self, method: str, path: str, role: str = "admin", **body: Any) -> dict[str, Any]:
        headers = {"Authorization": f"Bearer {self._tokens[role]}"}
        answer = httpx.request(method, f"{self.base}{path}", headers=headers, timeout=30, **body)
        assert answer.status_code < 300, answer.text
        found: dict[str, Any] = answer.json()
        return found

    def place(self, external_id: str, **changes: Any) -> str:
        return str(self.ask("POST", "/v1/orders", "channel", json=an_order(external_id, **changes))["order_no"])

    def pay(self, order_no: str) -> None:
        total = self.ask("GET", f"/v1/orders/{order_no}")["totals"]["total_minor"]
        payment = {"payment_id": f"P-{order_no}", "method": "alipay", "amount_minor": total, "currency": "CNY"}
        self.ask("POST", f"/v1/orders/{order_no}/payments", "finance", json=payment)

    def until(self, holds: Callable[[], bool]) -> None:
        """Waits for what happens by itself."""
        assert wait_until(holds, PATIENCE_MS / 1000)

    def imports(self, quantities: Mapping[str, int]) -> dict[str, str]:
        """Orders over so many units at 113.00 each, through `orderflow import`; their numbers by the shop's names."""
        rows = [_row(external_id, quantity) for external_id, quantity in quantities.items()]
        file = self._data / "orders.csv"
        file.write_text("\n".join([",".join(COLUMNS), *rows]), encoding="utf-8")
        command = [sys.executable, "-P", "-m", "cli.main", "import", str(file), "--data", str(self._data), "--json"]
        done = subprocess.run(command, cwd=ROOT, env=settings_of(), capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stderr
        listed = self.ask("GET", "/v1/orders", params={"channel": "shop", "limit": 200})["data"]
        numbers = {order["external_id"]: str(order["order_no"]) for order in listed}
        assert numbers.keys() == quantities.keys()
        return numbers

    def picture(self, page: Page, name: str) -> None:
        """Kept for the documents where ORDERFLOW_PICTURES names a folder."""
        if PICTURES:
            page.evaluate("window.scrollTo(0, 0)")
            page.screenshot(path=Path(PICTURES) / f"{name}.png", full_page=True, animations="disabled")


def _row(external_id: str, quantity: int) -> str:
    cells = {
        "channel": "shop",
        "external_id": external_id,
        "type": "normal",
        "currency": "CNY",
        "country": "CN",
        "line_id": "1",
        "sku": "SKU-1",
        "quantity": str(quantity),
        "unit_price": "113.00",
        "tax_rate": "0.13",
        "line_shipping_fee": "0",
        "payment_method": "alipay",
        "payment_terms": "prepaid",
        "placed_at": "2026-11-20T08:00:00Z",
    }
    return ",".join(cells.get(column, "") for column in COLUMNS)


@contextlib.contextmanager
def open_town(data: Path) -> Iterator[Town]:
    """A system of its own, with goods and one customer of rank; its carrier moves parcels by itself."""
    expect.set_options(timeout=PATIENCE_MS)
    with chromium() as browser, live_stack(data, carrier_autopilot="1") as stack:
        town = Town(browser, stack.facts, data)
        line = {"sku": "SKU-1", "quantity": 2000, "unit_cost_minor": 6000}
        town.ask("POST", "/v1/stock/receipts", json={"receipt_id": "R-1", "warehouse": "main", "lines": [line]})
        town.ask("PUT", "/v1/customers/C-7", json={"name": "<b>Wang</b>", "level": "VIP"})
        yield town


@pytest.fixture(scope="module")
def town(open_dir: Path) -> Iterator[Town]:
    with open_town(open_dir / "console") as town:
        yield town


def test_approver_decides_and_sees_the_order_go_on(town: Town) -> None:
    assert town.mode == 0o600
    order_no = town.place("B-1", **BIG)
    visitor = town.visitor("gm")
    page = visitor.page
    visitor.go(f"/orders/{order_no}")
    expect(page.get_by_text("In review").first).to_be_visible(timeout=PATIENCE_MS)
    visitor.go("/approvals")
    page.locator(".approval", has_text=order_no).get_by_role("link").click()
    page.get_by_label("Comment").fill("a good customer")
    page.get_by_role("button", name="Approve").click()
    expect(page.get_by_text("Done.")).to_be_visible()
    expect(page.get_by_text("a good customer")).to_be_visible()
    visitor.go(f"/orders/{order_no}")
    expect(page.locator(".axes")).to_contain_text("Payment")
    town.pay(order_no)
    # Nobody reloads the page: it hears of the money by itself.
    expect(page.locator(".axes")).to_contain_text("Paid")
    expect(page.get_by_text("Payment came").first).to_be_attached()
    assert visitor.complaints == []


def test_approvals_stand_below_one_another_on_a_phone(town: Town) -> None:
    # An amount is short or long, and both stand in the same place.
    numbers = [town.place(f"P-{at}", **(BIG | {"lines": [a_line(quantity=at * 95)]})) for at in (2, 3, 900)]
    visitor = town.visitor("gm", "zh-CN", 390)
    page = visitor.page
    town.until(lambda: len(town.ask("GET", "/v1/approvals", "gm", params={"assignee": "me"})["data"]) >= len(numbers))
    visitor.go("/approvals")
    edges = {
        round(box["x"] + box["width"])
        for number in numbers
        if (box := page.locator(".approval", has_text=number).locator(".amount").bounding_box()) is not None
    }
    assert len(edges) == 1
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    town.picture(page, "console-phone")
    assert visitor.complaints == []


def test_what_somebody_types_survives_a_live_update_and_works_by_keyboard_on_a_phone(town: Town) -> None:
    order_no = town.place("B-2", lines=[a_line(sku="NOBODY-KNOWS")], discounts=[])
    visitor = town.visitor("operations", "zh-CN", 390)
    page = visitor.page
    visitor.go("/lane")
    expect(page.get_by_text("商品未建档").first).to_be_visible()
    visitor.go(f"/orders/{order_no}")
    reason = page.locator(".hold textarea")
    reason.fill("正在联系客户")
    town.ask("POST", f"/v1/orders/{order_no}/holds", json={"reason": "another one"})
    expect(page.locator(".hold")).to_have_count(2)
    expect(reason.first).to_have_value("正在联系客户")
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    page.keyboard.press("Tab")
    visitor.go("/orders")
    page.keyboard.press("/")
    page.keyboard.type("B-2")
    page.keyboard.press("Enter")
    expect(page.locator(".cover")).to_have_count(1)
    assert visitor.complaints == []


class DrawingBoard:
    """The canvas, used with a mouse."""

    def __init__(self, visitor: Visitor, key: str) -> None:
        self.page = visitor.page
        visitor.go(f"/flows/{key}/design")
        self.page.wait_for_selector("[data-ready]")
        self.side, self.state = self.page.locator("#side"), self.page.locator("#draft-state")

    def node(self, name: str) -> Locator:
        return self.page.locator(f'[data-node="{name}"]:not(.lf-mini-map *)')

    def middle(self, name: str) -> tuple[float, float]:
        x, y, width, height = self._box(self.node(name))
        return x + width / 2, y + height / 2

    def take(self, kind: str, to: tuple[float, float]) -> None:
        x, y, _width, _height = self._box(self.page.locator(f'[data-kind="{kind}"]'))
        self._drag((x + 30, y + 15), to)

    def connect(self, source: str, target: str, side: str) -> None:
        self.node(source).hover()
        x, y, width, height = self._box(self.node(source))
        anchors = {
            "right": (x + width, y + height / 2),
            "bottom": (x + width / 2, y + height),
            "left": (x, y + height / 2),
        }
        self._drag(anchors[side], self.middle(target))

    def corner(self, right: float, down: float) -> tuple[float, float]:
        x, y, width, _height = self._box(self.page.locator("#canvas"))
        return x + width - right, y + down

    def _drag(self, start: tuple[float, float], end: tuple[float, float]) -> None:
        mouse = self.page.mouse
        mouse.move(*start)
        mouse.down()
        mouse.move((start[0] + end[0]) / 2, (start[1] + end[1]) / 2, steps=8)
        mouse.move(*end, steps=8)
        mouse.up()

    def _box(self, one: Locator) -> tuple[float, float, float, float]:
        # While the canvas is drawn anew there is nothing to measure.
        for _ in range(50):
            if (box := one.bounding_box()) is not None:
                return box["x"], box["y"], box["width"], box["height"]
            self.page.wait_for_timeout(100)
        raise AssertionError(f"{one} is not on the canvas")


def test_supervisor_adds_an_approval_by_mouse_and_orders_on_their_way_keep_theirs(town: Town) -> None:
    imported = town.imports({f"I-{at}": quantity for at, quantity in enumerate((1, 88, 89, 40, 100), start=1)})
    larger = [imported["I-3"], imported["I-5"]]
    visitor = town.visitor("operations")
    board = DrawingBoard(visitor, "normal")
    page, side = board.page, board.side
    draw_approval(board)
    expect(board.state).to_have_text("Not saved · 1 Problems")
    expect(board.node("approval").locator(".node-flag")).to_have_text("1")
    side.get_by_role("button", name="Close").click()
    expect(side.locator(".problems li")).to_have_text(re.compile("^approval .*rejected"))
    board.connect("approval", "end", "bottom")
    expect(board.state).to_have_text("Not saved")
    ask_the_general_manager(board)

    page.get_by_role("button", name="Arrange").click()
    page.locator("[data-do=try]").click()
    page.locator("#try-go").click()
    expect(page.locator(".try-out")).to_contain_text(re.compile(r"after \d+ (minutes|hours|days)"))
    expect(board.node("approval")).to_have_class("node-card node-approval node-chosen node-lit")
    expect(board.node("end")).to_have_class("node-card node-end node-dim")
    page.locator("[data-do=fit]").click()
    town.picture(page, "console-flow")

    page.locator("[data-do=backtest]").click()
    page.locator("#backtest-go").click()
    rows = page.locator("#backtest-out tbody tr")
    expect(rows.first).to_be_visible()
    changed = {number for number in imported.values() if rows.filter(has_text=number).count()}
    assert changed == set(larger)
    expect(rows.filter(has_text=larger[0])).to_contain_text("Case 1")

    publish(board, "big orders ask the general manager")
    nodes = town.ask("GET", "/v1/flows/normal/versions/2")["definition"]["nodes"]
    assert_asks_the_general_manager(nodes)
    new_goes_the_new_way(town, visitor, town.place("B-4", **LARGE))
    old_goes_the_old_way(town, visitor, larger[0])
    visitor.go("/flows/normal?before=1&after=2")
    expect(page.get_by_text("added").first).to_be_visible()
    assert visitor.complaints == []


def draw_approval(board: DrawingBoard) -> None:
    """Above 10,000 a manager is asked; where a rejection leads is left out."""
    (x, y), (_x, below) = board.middle("check"), board.middle("reserve")
    board.take("branch", (x, (y + below) / 2))
    board.side.get_by_role("button", name="Add an item").first.click()
    board.side.get_by_role("button", name="Add a condition").first.click()
    expect(board.side.locator(".condition-row")).to_have_count(1)
    expect(board.side.get_by_label("Result")).to_have_value("10000")
    board.take("approval", board.corner(120, 200))
    board.connect("branch", "approval", "right")
    board.take("end", board.corner(90, 330))
    board.side.locator("label", has_text="Ends as").locator("select").select_option("rejected")
    board.connect("approval", "reserve", "left")
    board.page.get_by_role("dialog").get_by_role("button", name="Approved").click()


def ask_the_general_manager(board: DrawingBoard) -> None:
    """He has 30 minutes; then his superior is asked."""
    side = board.side
    board.node("approval").click()
    side.locator(".field", has_text="Who is asked").locator("select").nth(1).select_option("gm")
    time = side.get_by_label("Time to answer").first
    expect(time).to_have_value("30")
    expect(side.get_by_label("Time to answer Kind").first).to_have_value("M")
    side.locator(".field", has_text="Then asks").get_by_role("button", name="Add an item").last.click()
    expect(side.locator(".field", has_text="Then asks").get_by_label("Time to answer").first).to_have_value("30")


def publish(board: DrawingBoard, reason: str) -> None:
    """Run in the sandbox, and then published as the second version."""
    board.page.locator("[data-do=publish]").click()
    board.page.locator("#sandbox-go").click()
    expect(board.page.locator(".runs .tone-good").first).to_be_visible()
    board.page.locator("#publish-reason").fill(reason)
    board.page.locator("#publish-go").click()
    expect(board.page.locator("#board-said")).to_have_text("Published as version 2.")


def assert_asks_the_general_manager(nodes: dict[str, Any]) -> None:
    assert nodes["branch"]["cases"] == [{"label": "Case 1", "when": "order.total_minor > 1000000", "next": "approval"}]
    asked = nodes["approval"]
    assert (asked["assignees"], asked["outcomes"]) == ([{"role": "gm"}], {"approved": "reserve", "rejected": "end"})
    # 30 minutes are what a level has where nothing else is said.
    assert [level["to"] for level in asked["escalate"]] == [[{"superior_of": "assignee"}]]
    assert "timeout" not in asked


def new_goes_the_new_way(town: Town, visitor: Visitor, order_no: str) -> None:
    """The general manager is asked, with 30 minutes to answer, and lets it go on."""
    visitor.go(f"/orders/{order_no}")
    expect(visitor.page.get_by_text("branch → Case 1")).to_be_visible()
    manager = town.visitor("gm")
    manager.go("/approvals")
    row = manager.page.locator(".approval", has_text=order_no)
    expect(row.locator("time")).to_have_text(re.compile("^(29|30) min left$"))
    row.get_by_role("link").click()
    manager.page.get_by_role("button", name="Approve").click()
    expect(manager.page.get_by_text("Done.")).to_be_visible()
    town.pay(order_no)
    expect(visitor.page.locator(".badge-large")).to_have_text("Completed")
    expect(visitor.page.get_by_text("normal v2")).to_be_visible()
    visitor.page.locator("summary", has_text="events").click()
    town.picture(visitor.page, "console-order")


def old_goes_the_old_way(town: Town, visitor: Visitor, order_no: str) -> None:
    """It was there before, comes to as much, and nobody is asked."""
    visitor.go(f"/orders/{order_no}")
    town.pay(order_no)
    expect(visitor.page.locator(".badge-large")).to_have_text("Completed")
    expect(visitor.page.get_by_text("normal v1")).to_be_visible()
    expect(visitor.page.get_by_text("It has not come to a branch.")).to_be_visible()


def test_the_list_does_the_same_without_a_mouse(town: Town) -> None:
    visitor = town.visitor("operations")
    board = DrawingBoard(visitor, "cash_on_delivery")
    page = board.page
    page.get_by_role("button", name="As a list").press("Enter")
    page.locator("#list-kind").select_option("notify")
    page.get_by_role("button", name="Add", exact=True).press("Enter")
    expect(page.locator("#list tr", has_text="notify")).to_contain_text("nowhere yet")
    expect(board.state).to_contain_text("Problems")
    board.side.locator("label", has_text="Next").locator("select").select_option("done")
    page.locator("[data-do=undo]").press("Enter")
    page.locator("[data-do=undo]").press("Enter")
    expect(board.state).to_have_text("Published")
    assert visitor.complaints == []


def test_whoever_may_only_read_flows_changes_nothing(town: Town) -> None:
    visitor = town.visitor("gm")
    board = DrawingBoard(visitor, "normal")
    expect(board.page.locator("[data-do=save]")).to_have_count(0)
    expect(board.page.locator("[data-kind]")).to_have_count(0)
    board.node("reserve").click()
    expect(board.side.locator("select").first).to_be_disabled()
    assert visitor.complaints == []
