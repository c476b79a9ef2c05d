"""The logs of a whole life on real processes: every line says what it is about, and none says anything about people."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.factories.requests import an_order
from tests.factories.sales import PRICE, a_sale
from tests.fakes.caller import Caller
from tests.fakes.live_stack import live_stack
from tests.fakes.running_stack import RunningStack

ABOUT_PEOPLE = ("王小明", "13800000000", "wang@example.com", "文三路", "310000")
TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"


@pytest.fixture(scope="module")
def folder(open_dir: Path) -> Path:
    return open_dir / "logs-of-a-life"


@pytest.fixture(scope="module")
def talkative(folder: Path) -> Iterator[RunningStack]:
    with live_stack(folder, log_json="1", log_level="debug") as running:
        yield running


def _lines(folder: Path, part: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "logs" / f"{part}.log").read_text().splitlines() if line[:1] == "{"]


async def test_whole_life_is_told_in_ids_and_never_in_names(talkative: RunningStack, folder: Path, sku: str) -> None:
    caller = Caller(talkative)
    order = an_order(f"T-{sku}", lines=a_sale(sku)["lines"], discounts=[], shipping_fee_minor=0)
    assert all(word in json.dumps(order, ensure_ascii=False) for word in ABOUT_PEOPLE)
    traced = {"traceparent": f"00-{TRACE}-00f067aa0ba902b7-01", "x-request-id": "req-1"}
    placed = await caller.ask("POST", "/v1/orders", "channel", json=order, headers=traced)
    order_no = placed.json()["order_no"]
    await caller.receive(sku, 5)
    await caller.until(order_no, waiting_for="payment.full")
    # What is refused quotes nothing either.
    assert (await caller.ask("POST", "/v1/orders", "channel", json=order | {"currency": "王小明"})).status_code == 422
    assert (await caller.ask("GET", "/v1/orders/13800000000", "channel")).status_code == 404
    payment = {"payment_id": "P-1", "method": "alipay", "amount_minor": 2 * PRICE, "currency": "CNY"}
    paying = {"json": payment, "headers": {"x-request-id": "req-2"}}
    assert (await caller.ask("POST", f"/v1/orders/{order_no}/payments", "finance", **paying)).status_code == 202
    await caller.deliver(order_no)
    await caller.http.aclose()

    told = {file.name: file.read_text(errors="replace") for file in (folder / "logs").glob("*.log")}
    assert {"api.log", "worker.log"} <= set(told)
    assert [(name, word) for name, text in told.items() for word in ABOUT_PEOPLE if word in text] == []
    [accepted] = [line for line in _lines(folder, "api") if line.get("request_id") == "req-1"]
    assert (accepted["event"], accepted["method"], accepted["route"]) == ("request", "POST", "/v1/orders")
    assert (accepted["status"], accepted["order_no"], accepted["trace_id"]) == (202, order_no, TRACE)
    assert accepted["actor"]
    steps = [line for line in _lines(folder, "worker") if line.get("order_no") == order_no]
    assert "advance" in {line.get("activity") for line in steps}
    assert {line["workflow_id"] for line in steps} == {f"order/{order_no}"}
    assert all(line["run_id"] for line in steps if "activity" in line)
    by_request = {line.get("request_id") for line in steps if line.get("activity") == "advance"}
    # The placing, the payment, and two reports of the carrier, each under the id of its own request.
    assert {"req-1", "req-2"} < by_request
    assert len(by_request) == 4
    assert None not in by_request
