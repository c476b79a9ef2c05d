"""After all that the journeys have done to one system, its records agree."""

import asyncio
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.factories.sales import PRICE, a_sale
from tests.fakes.caller import Caller
from tests.fakes.live_stack import settings_of
from tests.fakes.running_stack import ROOT


async def test_orders_that_were_finished_cancelled_and_held_leave_nothing_that_does_not_agree(
    caller: Caller, open_dir: Path, sku: str
) -> None:
    await caller.receive(sku, 8)
    done, undone = await caller.place(a_sale(sku)), await caller.place(a_sale(sku))
    held = await caller.place(a_sale(sku))
    await caller.pay(done, 2 * PRICE)
    await caller.deliver(done)
    await caller.pay(undone, 2 * PRICE)
    await caller.booked(undone)
    await caller.cancel(undone)
    await caller.until(undone, lifecycle="cancelled")
    await caller.until(held, waiting_for="payment.full")
    with_fee = await caller.place(a_sale(sku, payment={"method": "cod", "terms": "cash_on_delivery"}))
    await caller.deliver(with_fee)
    await caller.pay(with_fee, 2 * PRICE, method="cod", fee_minor=339)
    await caller.until(with_fee, payment="paid")

    for words in ((), ("--order", done), ("--order", held), ("--order", with_fee)):
        status, told = await asyncio.to_thread(check, open_dir / "journeys", *words)
        assert (status, told["found"], told["temporal"]) == (0, {}, True)
        assert "open_orders_have_a_workflow" in told["checks"]


def check(data: Path, *words: str) -> tuple[int, dict[str, Any]]:
    command = [sys.executable, "-P", "-m", "cli.main", "check", *words, "--data", str(data), "--json"]
    done = subprocess.run(command, cwd=ROOT, env=settings_of(), capture_output=True, text=True, check=False)
    assert done.stdout, done.stderr
    return done.returncode, json.loads(done.stdout)
