"""In a real browser, on the real stack: a vote is drawn, published and held, with somebody added while it runs."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.console.test_browser import LARGE, DrawingBoard, Town, draw_approval
from tests.fakes.chromium import Visitor, chromium
from tests.fakes.live_stack import live_stack


@pytest.fixture(scope="module")
def town(open_dir: Path) -> Iterator[Town]:
    data = open_dir / "signers"
    expect.set_options(timeout=30_000)
    with chromium() as browser, live_stack(data) as stack:
        town = Town(browser, stack.facts, data)
        line = {"sku": "SKU-1", "quantity": 1000, "unit_cost_minor": 6000}
        town.ask("POST", "/v1/stock/receipts", json={"receipt_id": "R-1", "warehouse": "main", "lines": [line]})
        yield town


@pytest.mark.timeout(420)
def test_vote_is_drawn_published_and_held_with_a_signer_who_is_added(town: Town) -> None:
    supervisor = town.visitor("operations")
    publish_vote(supervisor)
    flow = town.ask("GET", "/v1/flows/normal/versions/2")["definition"]
    assert json.dumps(flow["nodes"]["approval"]["mode"]) == '{"vote": 2}'
    order_no = town.place("S-1", **LARGE)
    gm, finance, ceo = (town.visitor(person) for person in ("gm", "finance", "ceo"))
    gm.go("/approvals")
    gm.page.locator(".approval", has_text=order_no).get_by_role("link").click()
    expect(gm.page.get_by_text("0 of 2 that are needed agree")).to_be_visible()
    gm.page.get_by_label("Add a signer").select_option("ceo")
    gm.page.get_by_label("Signs").select_option("beside")
    gm.page.get_by_label("Reason").first.fill("she decides about such customers")
    gm.page.get_by_role("button", name="Add", exact=True).click()
    expect(gm.page.get_by_text("Done.")).to_be_visible()
    expect(gm.page.get_by_text("she decides about such customers")).to_be_visible()
    gm.page.get_by_role("button", name="Abstain").click()
    expect(gm.page.get_by_text("abstained 1, not yet 2")).to_be_visible()
    for visitor in (finance, ceo):
        visitor.go("/approvals")
        visitor.page.locator(".approval", has_text=order_no).get_by_role("link").click()
        visitor.page.get_by_role("button", name="Approve").click()
        expect(visitor.page.get_by_text("Done.")).to_be_visible()
    expect(ceo.page.get_by_text("2 of 2 that are needed agree")).to_be_visible()
    ceo.go(f"/orders/{order_no}")
    expect(ceo.page.locator(".axes")).to_contain_text("Payment")
    assert [one.complaints for one in (supervisor, gm, finance, ceo)] == [[], [], [], []]


def publish_vote(supervisor: Visitor) -> None:
    """Above 10,000 two of the general manager and finance have to agree: drawn by mouse, tried and published."""
    board = DrawingBoard(supervisor, "normal")
    page, side = board.page, board.side
    draw_approval(board)
    board.connect("approval", "end", "bottom")
    board.node("approval").click()
    side.get_by_label("Who has to agree", exact=True).select_option("vote")
    side.get_by_label("Who has to agree Kind").select_option("count")
    expect(side.get_by_label("vote", exact=True)).to_have_value("2")
    asked = side.locator(".field", has_text="Who is asked").first
    asked.locator("select").nth(1).select_option("gm")
    asked.get_by_role("button", name="Add an item").last.click()
    asked.locator("select").nth(3).select_option("finance")
    counted = side.locator(".field", has_text="Clock").first
    counted.get_by_role("button", name="Add").click()
    counted.locator("select").first.select_option("working_hours")
    expect(counted.locator("select").nth(1)).to_have_value("cn-default")
    page.get_by_role("button", name="As a list").press("Enter")
    expect(page.locator("#list tr", has_text="gm, finance (vote 2)")).to_contain_text("Approval")
    page.locator("[data-do=publish]").click()
    page.locator("#sandbox-go").click()
    expect(page.locator(".runs .tone-good").first).to_be_visible()
    page.locator("#publish-reason").fill("two of them decide")
    page.locator("#publish-go").click()
    expect(page.locator("#board-said")).to_have_text("Published as version 2.")
