"""Temporal answers nothing for a while: orders and money come in all the same, and go their way afterwards."""

import asyncio
import os
import signal
import time

import pytest

from tests.factories.sales import PRICE, a_sale
from tests.fakes.caller import Caller
from tests.fakes.figures import tell
from tests.fakes.patience import eventually
from tests.faults import audit
from tests.faults.conftest import Start
from tests.faults.laboratory import Lab

FULL = os.environ.get("ORDERFLOW_FULL_FAULTS") == "1"
ORDERS = 10
KILLS = 10 if FULL else 3
# Ten starts a second, one after the other.
PAUSE_S = 0.1
TAKEN_WITHIN_S = 10.0


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
    refused = await caller.ask_to_cancel(known)
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


async def test_no_acknowledged_order_is_lost_however_often_temporal_is_killed(
    lab: Lab, sku: str, capsys: pytest.CaptureFixture[str]
) -> None:
    await lab.caller.receive(sku, 10_000)
    placed, waits, stop = [], [], asyncio.Event()

    async def place_on_and_on() -> None:
        while not stop.is_set():
            began = time.monotonic()
            placed.append(await lab.caller.place(a_sale(sku)))
            waits.append(time.monotonic() - began)
            await asyncio.sleep(PAUSE_S)

    placing = asyncio.create_task(place_on_and_on())
    backs = []
    for _ in range(KILLS):
        count = len(placed) + 5
        await eventually(lambda: _count(placed), lambda found, count=count: found >= count)  # type: ignore[misc]
        killed = await lab.kill("temporal")
        await eventually(lambda: _ready(lab), lambda ready: not ready, 10)
        await eventually(lambda: _ready(lab), bool)
        backs.append(time.monotonic() - killed)
    stop.set()
    await placing
    began = time.monotonic()
    await lab.all(placed, waiting_for="payment.full")
    assert max(waits) < TAKEN_WITHIN_S
    tell(
        capsys,
        f"Temporal killed {KILLS} times: {len(placed)} orders taken meanwhile, the slowest in {max(waits):.2f} s; "
        f"back after {max(backs):.1f} s at most; no order behind {time.monotonic() - began:.1f} s after the last time",
    )


async def _count(placed: list[str]) -> int:
    return len(placed)


async def _ready(lab: Lab) -> bool:
    return (await lab.caller.ask("GET", "/readyz")).status_code == 200
