"""Temporal's Web UI as an operator sees it, in a real browser: an order's story in words, without any code.

With ORDERFLOW_PICTURES=docs/images what is looked at is kept there.
"""

import asyncio
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.factories.requests import an_order
from tests.factories.sales import PRICE, a_sale
from tests.fakes.caller import Caller
from tests.fakes.chromium import chromium
from tests.fakes.live_stack import live_stack
from tests.fakes.running_stack import RunningStack

PATIENCE_MS = 30_000
_MOMENT = r"\d{4}-\d\d-\d\d \d\d:\d\d UTC"


@pytest.fixture(scope="module")
def stack(open_dir: Path) -> Iterator[RunningStack]:
    with live_stack(open_dir / "web-ui") as running:
        yield running


@pytest.fixture(scope="module")
def orders(stack: RunningStack) -> dict[str, str]:
    """An ordinary order at its end, one that waits for an approval, one that is held: their numbers."""
    return asyncio.run(_orders(stack))


async def _orders(stack: RunningStack) -> dict[str, str]:
    caller = Caller(stack)
    try:
        await caller.receive("SKU-1", 10)

        def sale(name: str, sku: str = "SKU-1", quantity: int = 2) -> dict[str, Any]:
            lines = [line | {"quantity": quantity} for line in a_sale(sku)["lines"]]
            return an_order(name, lines=lines, discounts=[], shipping_fee_minor=0)

        ordinary = await caller.place(sale("ordinary"))
        waiting = await caller.place(sale("waiting", quantity=500))
        held = await caller.place(sale("held", quantity=50))
        await caller.until(ordinary, waiting_for="payment.full")
        await caller.pay(ordinary, 2 * PRICE)
        await caller.deliver(ordinary)
        await caller.until(ordinary, lifecycle="completed")
        await caller.until(waiting, waiting_for="approval.gm")
        await caller.until(held, held=["out_of_stock"])
    finally:
        await caller.http.aclose()
    return {"ordinary": ordinary, "waiting": waiting, "held": held}


@pytest.fixture(scope="module")
def page(orders: dict[str, str]) -> Iterator[Page]:  # first of all what is looked at is there
    expect.set_options(timeout=PATIENCE_MS)
    with chromium() as browser:
        context = browser.new_context(viewport={"width": 1044, "height": 1000}, timezone_id="UTC")
        page = context.new_page()
        page.set_default_timeout(PATIENCE_MS)
        yield page


def _open(page: Page, stack: RunningStack, order_no: str, tab: str) -> None:
    page.goto(f"{stack.facts['temporal_ui']}/namespaces/default/workflows/order%2F{order_no}")
    page.get_by_role("tab", name=tab).or_(page.get_by_role("link", name=tab)).first.click()


def _told(page: Page, at: int) -> Locator:
    """The page's texts of the order, as it shows them: first its summary, then how it stands now."""
    return page.frame_locator("iframe").nth(at).locator("body")


def _keep(page: Page, name: str, height: int = 1000, width: int = 1044) -> None:
    folder = os.environ.get("ORDERFLOW_PICTURES")
    if folder:
        page.set_viewport_size({"width": width, "height": height})
        page.wait_for_timeout(1_500)
        page.screenshot(path=Path(folder) / f"{name}.png")


def test_timeline_of_an_ordinary_order_names_its_waits_in_words(
    page: Page, stack: RunningStack, orders: dict[str, str]
) -> None:
    _open(page, stack, orders["ordinary"], "Timeline")
    for what in ("Paid in full", "Delivered"):
        expect(page.get_by_text(re.compile(f"Wait for: {what}, until {_MOMENT}")).first).to_be_attached()
    _keep(page, "order-timeline", 1330)


def test_history_of_an_ordinary_order_says_in_words_what_was_done_in_one_go(
    page: Page, stack: RunningStack, orders: dict[str, str]
) -> None:
    _open(page, stack, orders["ordinary"], "Event History")
    began = "Check the order; Reserve stock; Wait for: Paid in full"
    paid = "Money came in. If Paid in full: Ship; Wait for: Delivered"
    delivered = "The carrier reports a parcel. If Delivered: Recognise revenue; Issue the invoice"
    for done in (began, paid, delivered):
        expect(page.get_by_text(done).first).to_be_attached()
    _keep(page, "order-history", 1500, 1750)


def test_page_of_an_order_says_what_it_is_worth_and_who_has_to_approve_until_when(
    page: Page, stack: RunningStack, orders: dict[str, str]
) -> None:
    order_no = orders["waiting"]
    _open(page, stack, order_no, "User Metadata")
    told = f"{order_no}: {5 * PRICE}.00 CNY, normal order from web, customer C-7"
    expect(_told(page, 0)).to_have_text(told)
    waits = rf"In review · Wait for approval \(gm\) by gm, until {_MOMENT}"
    expect(_told(page, 1)).to_have_text(re.compile(rf"{told}\s*{waits}"))
    _keep(page, "order-waiting-details")


def test_page_of_a_held_order_says_why_and_who_has_to_act(
    page: Page, stack: RunningStack, orders: dict[str, str]
) -> None:
    _open(page, stack, orders["held"], "User Metadata")
    held = rf"Accepted · Held: Out of stock; warehouse has to act by {_MOMENT}"
    went = r"[-:\d ]+Check the order\s*[-:\d ]+Reserve stock\s"
    expect(_told(page, 1)).to_have_text(re.compile(rf"{held}\s*{went}"))
    _keep(page, "order-held-details")
