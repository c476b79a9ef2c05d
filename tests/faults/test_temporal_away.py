"""Temporal answers nothing for a while: orders and money come in all the same, and go their way afterwards."""

import os
import signal
import time

import pytest

from tests.factories.sales import PRICE, a_sale
from tests.fakes.caller import Caller
from tests.fakes.figures import tell
from tests.faults import audit
from tests.faults.conftest import Start

ORDERS = 10


async def test_intake_goes_on_and_everything_is_handed_over_afterwards(
    start: Start, capsys: pytest.CaptureFixture[str]
) -> None:
    stack = start(sweep_interval_s="1")
    caller = Caller(stack)
    await caller.receive("SKU-1", 2 * ORDERS + 2)
    known = await caller.place(a_sale("SKU-1"))
    await caller.until(known, waiting_for="payment.full")

    frozen = stack.pids()["temporal"]
    os.kill(frozen, signal.SIGSTOP)
    slowest = 0.0
    placed = []
    for _ in range(ORDERS):
        began = time.monotonic()
        placed.append(await caller.place(a_sale("SKU-1")))
        slowest = max(slowest, time.monotonic() - began)
    for order_no in placed:
        await caller.pay(order_no, 2 * PRICE)
    await caller.pay(known, 2 * PRICE)
    assert [(await caller.order(order_no))["lifecycle"] for order_no in placed] == ["received"] * ORDERS

    began = time.monotonic()
    refused = await caller.cancel(known)
    waited = time.monotonic() - began
    assert (refused.status_code, refused.json()["code"]) == (503, "temporal_unavailable")
    assert refused.headers["retry-after"] == "5"
    assert waited < 10
    assert (await caller.ask("GET", "/readyz")).json()["checks"] == {"database": "ok", "temporal": "timeout"}
    assert (await caller.ask("GET", "/healthz")).status_code == 200

    # Dead instead of frozen: the supervisor starts another one on the same file.
    os.kill(frozen, signal.SIGKILL)
    back = time.monotonic()
    for order_no in [known, *placed]:
        await caller.deliver(order_no)
    ended = time.monotonic() - back
    await caller.http.aclose()
    await audit.check_finished(stack.facts["database_url"])
    tell(
        capsys,
        f"Temporal away: slowest of {ORDERS} orders taken in {slowest:.2f} s, cancel refused after {waited:.1f} s; "
        f"all delivered {ended:.1f} s after it was killed",
    )
