"""A second worker process shares the work of the first: nothing else has to be told, and nothing is done twice.

What an order costs each process is told, and stands in docs/scaling.md. No speed is asserted.
"""

import asyncio
import os
import statistics
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest
from temporalio.client import Client

from tests.factories.sales import PRICE, a_sale
from tests.fakes.caller import Caller
from tests.fakes.figures import tell
from tests.fakes.live_stack import live_stack, settings_of
from tests.fakes.patience import eventually
from tests.fakes.running_stack import ROOT, RunningStack
from tests.faults import audit

ORDERS = 200 if os.environ.get("ORDERFLOW_FULL_FAULTS") == "1" else 16


@contextmanager
def _second_worker(folder: Path) -> Iterator[psutil.Process]:
    """Another worker process on the same stack, ready."""
    ready = folder / "second.ready"
    command = [sys.executable, "-P", "-m", "cli.main", "worker", "--data", str(folder)]
    environment = settings_of(carrier_autopilot="1", carrier_autopilot_delay_s="0.1", ready_file=str(ready))
    with (folder / "second.log").open("wb") as log:
        process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=log, stderr=log)
    try:
        yield psutil.Process(process.pid)
    finally:
        process.terminate()
        assert process.wait(30) == 0


async def _lives(stack: RunningStack, sku: str, processes: dict[str, psutil.Process]) -> dict[str, float]:
    """So many whole lives, and the CPU seconds of an order in each of the processes."""
    caller = Caller(stack, timeout=60)
    await caller.receive(sku, 2 * ORDERS)
    before = {name: _cpu_s(process) for name, process in processes.items()}
    order_nos = await asyncio.gather(*(caller.place(a_sale(sku)) for _ in range(ORDERS)))
    await asyncio.gather(*(caller.pay(order_no, 2 * PRICE) for order_no in order_nos))
    url = stack.facts["database_url"]
    left = (
        f"SELECT count(*) FROM orders o JOIN order_lines l USING (order_no) WHERE l.sku = '{sku}' AND closed_at IS NULL"
    )
    await eventually(lambda: asyncio.to_thread(audit.rows, url, left), lambda found: found == [(0,)], 280)
    await caller.http.aclose()
    return {name: (_cpu_s(process) - before[name]) / ORDERS for name, process in processes.items()}


async def _weights(stack: RunningStack) -> dict[str, int]:
    """Bytes of each table with its indexes."""
    query = """
        SELECT relname, pg_total_relation_size(oid) FROM pg_class
        WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace"""
    return dict(await asyncio.to_thread(audit.rows, stack.facts["database_url"], query))


async def _history_sizes(stack: RunningStack) -> list[int]:
    """Bytes of the history of each order, as Temporal counts them."""
    client = await Client.connect(stack.facts["temporal_address"])
    ended = client.list_workflows("WorkflowType = 'OrderWorkflow' AND ExecutionStatus = 'Completed'")
    return [one.raw_info.history_size_bytes async for one in ended]


def _cpu_s(process: psutil.Process) -> float:
    times = [one.cpu_times() for one in (process, *process.children(recursive=True))]
    return sum(one.user + one.system for one in times)


@pytest.mark.timeout(900)
async def test_second_worker_takes_its_share_and_nothing_happens_twice(
    open_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = open_dir / "more-workers"
    with live_stack(folder, carrier_autopilot="1", carrier_autopilot_delay_s="0.1") as stack:
        parts = {name: psutil.Process(pid) for name, pid in stack.pids().items()}
        alone = await _lives(stack, "SKU-ALONE", parts)
        with _second_worker(folder) as second:
            await eventually(lambda: asyncio.to_thread((folder / "second.ready").exists), bool)
            before = await _weights(stack)
            both = await _lives(stack, "SKU-BOTH", parts | {"second worker": second})
            kept = {name: (size - before[name]) / ORDERS for name, size in (await _weights(stack)).items()}
        histories = await _history_sizes(stack)
        url = stack.facts["database_url"]
        once = "SELECT count(*), count(DISTINCT order_no) FROM order_events WHERE kind = 'revenue.recognised'"
        assert await asyncio.to_thread(audit.rows, url, once) == [(2 * ORDERS, 2 * ORDERS)]
    assert both["second worker"] > 0.1 * both["worker"], "it has worked, too"
    for title, found in (("one worker process", alone), ("two", both)):
        told = ", ".join(f"{name} {seconds * 1000:.0f}" for name, seconds in found.items())
        tell(capsys, f"{title}, CPU ms of an order: {told}")
    heaviest = sorted(kept.items(), key=lambda one: -one[1])[:8]
    told = ", ".join(f"{name} {size / 1000:.1f}" for name, size in heaviest)
    tell(capsys, f"kB of rows and indexes of an order: {sum(kept.values()) / 1000:.1f}, of them {told}")
    tell(capsys, f"kB of history of an order: {statistics.fmean(histories) / 1000:.1f} (mean of {len(histories)})")
