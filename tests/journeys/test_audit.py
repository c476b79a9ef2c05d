"""However an order comes in, it passes the same steps, its story says how it came, and the story can be checked."""

import asyncio
import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.factories.sales import PRICE, a_sale
from tests.fakes.caller import Caller
from tests.fakes.live_stack import settings_of
from tests.fakes.running_stack import ROOT, RunningStack
from tests.faults import audit
from tests.journeys.test_normal_life import LIFE


@pytest.mark.parametrize("source", ["api", "import"])
async def test_order_passes_the_same_steps_and_says_how_it_came(
    caller: Caller, stack: RunningStack, open_dir: Path, sku: str, source: str
) -> None:
    await caller.receive(sku, 5)
    sent = a_sale(sku)
    answer = await caller.ask("POST", "/v1/orders:batch", "channel", json={"source": source, "orders": [sent]})
    [item] = answer.json()["results"]
    order_no = item["order_no"]
    await caller.until(order_no, waiting_for="payment.full")
    await caller.pay(order_no, 2 * PRICE)
    await caller.deliver(order_no)

    assert await caller.kinds(order_no) == LIFE
    query = f"SELECT DISTINCT intake, flow_key FROM order_events WHERE order_no = '{order_no}'"
    assert await asyncio.to_thread(audit.rows, stack.facts["database_url"], query) == [(source, "normal")]
    status, verdict = await asyncio.to_thread(_audit, open_dir / "journeys", "verify", "--order", order_no)
    assert (status, verdict["ok"], verdict["events"]) == (0, True, len(LIFE))


async def test_stack_that_is_at_work_is_anchored_and_verifies(caller: Caller, open_dir: Path, sku: str) -> None:
    await caller.place(a_sale(sku))
    assert (await asyncio.to_thread(_audit, open_dir / "journeys", "anchor"))[0] == 0
    status, verdict = await asyncio.to_thread(_audit, open_dir / "journeys", "verify")
    assert (status, verdict["flaws"]) == (0, [])
    assert verdict["anchors"] != 0


def _audit(data: Path, *words: str) -> tuple[int, dict[str, object]]:
    command = [sys.executable, "-P", "-m", "cli.main", "audit", *words, "--data", str(data), "--json"]
    done = subprocess.run(command, cwd=ROOT, env=settings_of(), capture_output=True, text=True, check=False)
    return done.returncode, json.loads(done.stdout)
