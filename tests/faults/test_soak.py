"""Orders for a long time, while a part is killed every minute: nothing is lost, and no process grows.

With ORDERFLOW_FULL_FAULTS=1 for half an hour at two orders a second; ORDERFLOW_SOAK_MINUTES and ORDERFLOW_SOAK_RATE say
otherwise.
"""

import asyncio
import os
import random
import statistics
import time
from dataclasses import dataclass, field

import psutil
import pytest

from tests.factories.sales import a_sale
from tests.fakes.caller import Caller
from tests.fakes.figures import tell
from tests.fakes.patience import eventually
from tests.fakes.running_stack import RunningStack
from tests.fakes.sane_client import SaneClient
from tests.faults import audit
from tests.faults.conftest import Start
from tests.faults.saboteur import PARTS, Saboteur

FULL = os.environ.get("ORDERFLOW_FULL_FAULTS") == "1"
SEED = int(os.environ.get("ORDERFLOW_FAULT_SEED", "20261122"))
LASTS_S = 60 * float(os.environ.get("ORDERFLOW_SOAK_MINUTES", "30" if FULL else "0.7"))
RATE = float(os.environ.get("ORDERFLOW_SOAK_RATE", "2" if FULL else "1"))
KILL_EVERY_S = 60.0 if FULL else 7.0
# In the last part nobody is killed: a process that is to be looked at for growth has to live.
QUIET = 1 / 3
AMOUNT = 22_600
ENDS_WITHIN_S = 900.0 if FULL else 240.0
GROWTH = 1.10


@dataclass
class Vitals:
    """Memory and open files of the processes of ours, as they were seen every few seconds."""

    stack: RunningStack
    seen: dict[tuple[str, int], list[tuple[int, int]]] = field(default_factory=dict)

    async def watch(self, every_s: float) -> None:
        while True:
            for part, pid in self.stack.pids().items():
                try:
                    process = psutil.Process(pid)
                    looks = (process.memory_info().rss, process.num_fds())
                except psutil.Error:
                    continue
                if part in ("worker", "api"):
                    self.seen.setdefault((part, pid), []).append(looks)
            await asyncio.sleep(every_s)

    def of_the_last(self, part: str) -> tuple[float, float, float]:
        """Of the process that lived last: MB at its end, by how much memory and open files grew after its beginnings.

        Its beginnings are the first third of its life, when caches fill and connections open.
        """
        looks = [looks for (name, _), looks in self.seen.items() if name == part][-1]
        third = max(len(looks) // 3, 1)
        before, after = looks[third : 2 * third] or looks, looks[-third:]

        def growth(at: int) -> float:
            return statistics.median(one[at] for one in after) / statistics.median(one[at] for one in before)

        return after[-1][0] / 1e6, growth(0), growth(1)


@pytest.mark.timeout(LASTS_S + ENDS_WITHIN_S + 300)
async def test_orders_go_on_for_a_long_time_while_parts_are_killed_and_no_process_grows(
    start: Start, capsys: pytest.CaptureFixture[str]
) -> None:
    stack = start(carrier_autopilot="1", carrier_autopilot_delay_s="0.5")
    orders = int(LASTS_S * RATE)
    await _stock(stack, 2 * orders)
    client, vitals = SaneClient(stack.facts["api"], stack.facts["tokens"]), Vitals(stack)
    saboteur = Saboteur(stack, random.Random(SEED))
    watching = asyncio.create_task(vitals.watch(LASTS_S / 300))
    killing = asyncio.create_task(_kill(saboteur))
    began = time.monotonic()
    async with asyncio.TaskGroup() as buyers:
        for number in range(orders):
            await asyncio.sleep(max(0.0, began + number / RATE - time.monotonic()))
            buyers.create_task(client.buy(a_sale("SKU-1", 2), AMOUNT))
    placed = time.monotonic() - began
    await killing
    await _until_all_has_ended(stack, orders)
    ended = time.monotonic() - began
    watching.cancel()
    await client.close()

    database = stack.facts["database_url"]
    await audit.check_finished(database)
    on_record = dict(audit.rows(database, "SELECT external_id, order_no FROM orders"))
    assert on_record == client.acknowledged
    assert len(on_record) == orders
    assert audit.rows(database, "SELECT on_hand, reserved FROM stock_levels") == [(0, 0)]
    looks = {part: vitals.of_the_last(part) for part in ("worker", "api")}
    told = "; ".join(
        f"{part} {megabytes:.0f} MB, memory x {memory:.2f}, open files x {files:.2f}"
        for part, (megabytes, memory, files) in looks.items()
    )
    tell(
        capsys,
        f"{orders} orders at {RATE:g} a second, {len(saboteur.killed)} kills, seed {SEED}: placed after {placed:.0f} s,"
        f" ended after {ended:.0f} s; {told}; the client saw {dict(client.refusals)}",
    )
    if FULL:
        assert all(memory < GROWTH and files < GROWTH for _, memory, files in looks.values()), told


async def _stock(stack: RunningStack, units: int) -> None:
    caller = Caller(stack)
    await caller.receive("SKU-1", units)
    await caller.http.aclose()


async def _kill(saboteur: Saboteur) -> None:
    for _ in range(max(1, int(LASTS_S * (1 - QUIET) / KILL_EVERY_S))):
        await asyncio.sleep(KILL_EVERY_S)
        await saboteur.kill(saboteur.chance.choice(PARTS))


async def _until_all_has_ended(stack: RunningStack, orders: int) -> None:
    async def look() -> list[tuple[str, int]]:
        query = "SELECT lifecycle, count(*) FROM orders GROUP BY lifecycle"
        return await asyncio.to_thread(audit.rows, stack.facts["database_url"], query)

    await eventually(look, lambda found: found == [("completed", orders)], ENDS_WITHIN_S)
