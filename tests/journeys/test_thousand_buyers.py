"""Many buyers at the same moment for few units: every one of them is answered, and no unit is sold twice."""

import asyncio
import os
import time
from collections import Counter

import httpx
import pytest

from tests.factories.sales import a_sale
from tests.fakes.caller import Caller, View
from tests.fakes.figures import tell
from tests.fakes.patience import eventually
from tests.fakes.running_stack import RunningStack

FULL = os.environ.get("ORDERFLOW_FULL_FAULTS") == "1"
BUYERS = 1_000 if FULL else 300
UNITS = BUYERS // 10
SETTLED_WITHIN_S = 500.0 if FULL else 200.0


@pytest.mark.timeout(700)
async def test_exactly_the_units_there_are_get_sold(
    stack: RunningStack, caller: Caller, sku: str, capsys: pytest.CaptureFixture[str]
) -> None:
    await caller.receive(sku, UNITS)
    began = time.monotonic()
    answers = await _all_at_once(stack, sku)
    answered = time.monotonic() - began
    assert Counter((answer.status_code, answer.json().get("code")) for answer in answers) == {(202, None): BUYERS}
    assert len({answer.json()["order_no"] for answer in answers}) == BUYERS

    held, sold = await eventually(
        lambda: _outcome(caller, sku), lambda outcome: sum(outcome) == BUYERS, SETTLED_WITHIN_S
    )
    settled = time.monotonic() - began
    assert (sold, held) == (UNITS, BUYERS - UNITS)
    assert await caller.stock(sku) == (UNITS, UNITS, 0)
    tell(
        capsys,
        f"{BUYERS} buyers, {UNITS} units: all answered after {answered:.1f} s, all settled after {settled:.1f} s",
    )


async def _all_at_once(stack: RunningStack, sku: str) -> list[httpx.Response]:
    limits = httpx.Limits(max_connections=BUYERS, max_keepalive_connections=0)
    headers = {"Authorization": f"Bearer {stack.facts['tokens']['channel']}"}
    async with httpx.AsyncClient(base_url=stack.facts["api"], limits=limits, headers=headers, timeout=180) as crowd:
        return await asyncio.gather(
            *(crowd.post("/v1/orders", json=a_sale(sku, 1, customer={"id": sku})) for _ in range(BUYERS))
        )


async def _outcome(caller: Caller, sku: str) -> tuple[int, int]:
    """How many of the orders are held for stock, and how many wait for their money with a unit reserved."""
    held = sold = 0
    cursor: str | None = None
    while True:
        params = {"limit": "200", "customer_id": sku} | ({"cursor": cursor} if cursor else {})
        page = await caller.read("/v1/orders", **params)
        orders: list[View] = page["data"]
        held += sum(order["holds"] == ["out_of_stock"] for order in orders)
        sold += sum(order["waiting_for"] == "payment.full" and order["fulfilment"] == "allocated" for order in orders)
        cursor = page["next_cursor"]
        if cursor is None:
            return held, sold
