"""Everything with encrypted payloads, on real processes: an order's whole life, a change of keys, and the Web UI.

With ORDERFLOW_PICTURES=docs/images what is looked at is kept there.
"""

import asyncio
import base64
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from playwright.sync_api import Page, expect
from temporalio.client import Client

from cli.password import LOGINS
from tests.factories.sales import PRICE, a_sale
from tests.fakes.caller import Caller
from tests.fakes.chromium import Visitor, chromium
from tests.fakes.live_stack import live_stack
from tests.fakes.running_stack import RunningStack
from workflows.order.contract import order_workflow_id

OLD, NEW = (base64.b64encode(os.urandom(32)).decode() for _ in range(2))
PATIENCE_MS = 30_000


@dataclass(frozen=True)
class Town:
    """A stack whose keys were changed once, and an order that ended under the old key, one that waited meanwhile."""

    stack: RunningStack
    data: Path
    ended: str
    waiting: str


@pytest.fixture(scope="module")
def town(open_dir: Path) -> Iterator[Town]:
    data, old, both = open_dir / "sealed", {"k1": OLD}, {"k2": NEW, "k1": OLD}
    with live_stack(data, payload_keys=json.dumps(old)) as before:
        ended, waiting = asyncio.run(_first_orders(before))
    with live_stack(data, payload_keys=json.dumps(both)) as after:
        asyncio.run(_go_on(after, waiting))
        yield Town(after, data, ended, waiting)


async def _first_orders(stack: RunningStack) -> tuple[str, str]:
    caller = Caller(stack)
    try:
        await caller.receive("SKU-1", 10)
        first, second = [await caller.place(a_sale("SKU-1")) for _ in range(2)]
        await _live(caller, first)
        await caller.until(second, waiting_for="payment.full")
    finally:
        await caller.http.aclose()
    return first, second


async def _go_on(stack: RunningStack, order_no: str) -> None:
    caller = Caller(stack)
    try:
        await _live(caller, order_no)
    finally:
        await caller.http.aclose()


async def _live(caller: Caller, order_no: str) -> None:
    await caller.until(order_no, waiting_for="payment.full")
    await caller.pay(order_no, 2 * PRICE)
    await caller.deliver(order_no)
    await caller.until(order_no, lifecycle="completed")


def _history(stack: RunningStack, order_no: str) -> dict[str, Any]:
    async def fetch() -> dict[str, Any]:
        client = await Client.connect(stack.facts["temporal_address"])
        history = await client.get_workflow_handle(order_workflow_id(order_no)).fetch_history()
        told: dict[str, Any] = json.loads(history.to_json())
        return told

    return asyncio.run(fetch())


def _payloads(part: Any) -> Iterator[dict[str, Any]]:
    """Every payload but search attributes, which are never encrypted, and what the library itself writes."""
    if isinstance(part, list):
        for one in part:
            yield from _payloads(one)
    elif isinstance(part, dict):
        if "metadata" in part and "data" in part:
            yield part
            return
        for name, one in part.items():
            if name != "searchAttributes" and not (name == "data" and _is_of_the_library(one)):
                yield from _payloads(one)


def _is_of_the_library(details: Any) -> bool:
    texts = [base64.b64decode(one["data"]) for one in details["payloads"]]
    return all(b'"activity_type"' in text and b'"seq"' in text for text in texts)


def _marks(history: dict[str, Any], name: str) -> set[str]:
    found = [payload["metadata"].get(name, "") for payload in _payloads(history)]
    return {base64.b64decode(one).decode() for one in found}


def test_history_of_a_whole_life_has_no_plain_payload(town: Town) -> None:
    history = _history(town.stack, town.ended)
    assert _marks(history, "encoding") == {"binary/encrypted"}
    assert _marks(history, "encryption-key-id") == {"k1"}


def test_order_that_waits_while_keys_change_goes_on_under_the_new_one(town: Town) -> None:
    history = _history(town.stack, town.waiting)
    assert _marks(history, "encoding") == {"binary/encrypted"}
    assert _marks(history, "encryption-key-id") == {"k1", "k2"}


def test_nothing_about_the_customer_lies_in_temporals_files(town: Town) -> None:
    stored = b"".join(file.read_bytes() for file in (town.data / "temporal").glob("*") if file.is_file())
    assert len(stored) > 100_000
    words = ("王小明", "13800000000", "wang@example.com", "文三路")
    assert [word for word in words if word.encode() in stored] == []


def test_web_ui_shows_them_to_who_is_logged_in_and_to_nobody_else(town: Town) -> None:
    facts = town.stack.facts
    passwords: dict[str, str] = json.loads((town.data / LOGINS).read_text())
    address = f"{facts['temporal_ui']}/namespaces/default/workflows/{quote(order_workflow_id(town.waiting), safe='')}"
    expect.set_options(timeout=PATIENCE_MS)
    with chromium() as browser:
        visitor = Visitor(browser, facts["api"], width=1044)
        page, told = visitor.page, visitor.page.get_by_text("Wait for: Delivered, until")
        page.set_default_timeout(PATIENCE_MS)
        page.goto(address)
        expect(page.locator("#content").get_by_text("Codec Server could not connect")).to_be_visible()
        expect(told).to_have_count(0)
        _keep(page, "web-ui-sealed")
        visitor.log_in("operations", passwords["operations"])
        page.goto(address)
        _send_credentials(page, f"{facts['api']}/console/codec")
        page.reload()
        expect(told.first).to_be_attached()
        _keep(page, "web-ui-opened")


def _send_credentials(page: Page, endpoint: str) -> None:
    """What an operator sets once in their browser, so that the codec server hears who is logged in."""
    page.locator('[data-testid="data-encoder-status"], [aria-label*="odec"], [data-testid*="codec"]').first.click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_text("Use my browser setting").click()
    dialog.get_by_label("Codec Server browser endpoint").fill(endpoint)
    dialog.locator("label", has_text="Include cross-origin credentials").click()
    dialog.get_by_role("button", name="Apply").click()
    expect(dialog).not_to_be_visible()


def _keep(page: Page, name: str) -> None:
    folder = os.environ.get("ORDERFLOW_PICTURES")
    if folder:
        page.wait_for_timeout(1_500)
        page.screenshot(path=Path(folder) / f"{name}.png")
