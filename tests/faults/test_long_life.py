"""Much at once: orders that came in while nobody worked, and one order that is told of without end."""

import asyncio
import os
import statistics
import time
import uuid
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.conftest import Database
from tests.factories.sales import PRICE, a_sale
from tests.fakes.figures import tell
from tests.fakes.patience import eventually
from tests.faults.bench import Bench, bench
from workflows import options
from workflows.order.contract import order_workflow_id

FULL = os.environ.get("ORDERFLOW_FULL_FAULTS") == "1"
BACKLOG = 1_000 if FULL else 40
MESSAGES = int(os.environ.get("ORDERFLOW_MESSAGES", "5000" if FULL else "120"))
# The machine is shared by everybody who tests on it; these are bounds for hangs, not for speed.
PATIENCE_S = 1_500.0 if FULL else 200.0


@pytest.fixture
async def system(database: Database, open_dir: Path) -> AsyncIterator[Bench]:
    folder = open_dir / f"long-{uuid.uuid4().hex[:6]}"
    folder.mkdir()
    async with bench(database, folder) as made:
        yield made


async def _stock(system: Bench, units: int) -> str:
    sku = f"SKU-{uuid.uuid4().hex[:10]}"
    line = {"sku": sku, "quantity": units, "unit_cost_minor": 6_000}
    receipt = {"receipt_id": f"R-{sku}", "warehouse": "main", "lines": [line]}
    assert (await system.ask("POST", "/v1/stock/receipts", json=receipt)).status_code in (200, 201)
    return sku


async def _place(system: Bench, sku: str) -> str:
    answer = await system.ask("POST", "/v1/orders", json=a_sale(sku, 1))
    assert answer.status_code == 202
    order_no: str = answer.json()["order_no"]
    return order_no


async def _pay(system: Bench, order_no: str) -> None:
    payment = {"payment_id": f"P-{order_no}", "method": "alipay", "amount_minor": PRICE, "currency": "CNY"}
    assert (await system.ask("POST", f"/v1/orders/{order_no}/payments", json=payment)).status_code == 202


async def _scan(system: Bench, shipment_no: str, event_id: str, status: str) -> None:
    scan = {"event_id": event_id, "status": status, "occurred_at": "2026-11-22T10:00:00Z"}
    assert (await system.ask("POST", f"/v1/shipments/{shipment_no}/events", json=scan)).status_code == 202


@pytest.mark.timeout(PATIENCE_S + 100)
async def test_orders_that_came_in_while_no_worker_was_there_are_all_taken_up(
    system: Bench, capsys: pytest.CaptureFixture[str]
) -> None:
    sku = await _stock(system, BACKLOG)
    await system.at_work.aclose()
    waits = []
    for _ in range(BACKLOG):
        began = time.perf_counter()
        await _place(system, sku)
        waits.append(time.perf_counter() - began)
    assert await system.rows("SELECT DISTINCT lifecycle FROM orders") == [("received",)]

    began = time.perf_counter()
    await system.deploy()
    taken = "SELECT count(*) FROM orders WHERE lifecycle = 'accepted' AND waiting_for = 'payment.full'"
    await eventually(lambda: system.rows(taken), lambda rows: rows == [(BACKLOG,)], PATIENCE_S)
    seconds = time.perf_counter() - began

    assert await system.rows("SELECT reserved, on_hand FROM stock_levels WHERE sku = :sku", sku=sku) == [
        (BACKLOG, BACKLOG)
    ]
    # Not last come first served: who came in the first half was, on average, taken up before the others.
    places = await system.rows(
        "SELECT o.voucher_no, e.at FROM orders o JOIN order_events e USING (order_no) "
        "WHERE e.kind = 'order.accepted' ORDER BY o.voucher_no"
    )
    moments = [at.timestamp() for _, at in places]
    half = BACKLOG // 2
    assert statistics.fmean(moments[:half]) < statistics.fmean(moments[half:])
    memory = psutil.Process().memory_info().rss / 1_000_000
    assert memory < 1_500
    p95 = 1000 * sorted(waits)[len(waits) * 95 // 100]
    told = f"taken up in {seconds:.1f} s; acceptance meanwhile p95 {p95:.0f} ms; API and worker hold {memory:.0f} MB"
    tell(capsys, f"{BACKLOG} orders without a worker: {told}")


@pytest.mark.timeout(PATIENCE_S + 100)
async def test_order_that_is_told_of_without_end_goes_on_in_new_histories_and_loses_nothing(
    system: Bench, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(options, "FACTS_IN_A_RUN", options.FACTS_IN_A_RUN if FULL else 25)
    sku = await _stock(system, 1)
    order_no = await _place(system, sku)
    await _until(system, order_no, "waiting_for = 'payment.full'")
    await _pay(system, order_no)
    await _until(system, order_no, "waiting_for = 'shipment.delivered'")
    [(shipment_no,)] = await system.rows("SELECT shipment_no FROM shipments WHERE order_no = :no", no=order_no)
    deadline = await system.rows("SELECT deadline_at FROM orders WHERE order_no = :no", no=order_no)

    await _scan(system, shipment_no, "first", "picked_up")
    gate = asyncio.Semaphore(16)

    async def one(number: int) -> None:
        async with gate:
            await _scan(system, shipment_no, f"on-the-way-{number}", "in_transit")

    await asyncio.gather(*(one(number) for number in range(MESSAGES)))
    heard = "SELECT count(*) FROM inbox_messages WHERE kind = 'parcel.scanned' AND applied_at IS NOT NULL"
    await eventually(lambda: system.rows(heard), lambda rows: rows == [(MESSAGES + 1,)], PATIENCE_S)
    assert await system.rows("SELECT deadline_at FROM orders WHERE order_no = :no", no=order_no) == deadline

    await _scan(system, shipment_no, "last", "delivered")
    await _until(system, order_no, "lifecycle = 'completed'")

    lengths = await _lengths(system, order_no)
    assert len(lengths) > 1
    assert max(lengths) < 10_000
    scans = await system.rows("SELECT count(*), count(DISTINCT scan_id) FROM carrier_scans")
    assert scans == [(MESSAGES + 2, MESSAGES + 2)]
    once = "SELECT kind, count(*) FROM order_events WHERE order_no = :no GROUP BY kind HAVING count(*) > 1"
    # For its money, and for its delivery; neither anew by another run.
    assert dict(await system.rows(once, no=order_no)) == {"order.waiting": 2}
    tell(capsys, f"one order told of {MESSAGES} times: {len(lengths)} histories, the longest of {max(lengths)} events")


async def test_long_line_of_facts_is_worked_through_in_pieces_that_are_kept(
    system: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(options, "LONG_LINE", 5)
    monkeypatch.setattr(options, "LONG_STRETCH", timedelta(0))
    order_no = await _place(system, await _stock(system, 1))
    await _until(system, order_no, "waiting_for = 'payment.full'")
    await _pay(system, order_no)
    await _until(system, order_no, "waiting_for = 'shipment.delivered'")
    [(shipment_no,)] = await system.rows("SELECT shipment_no FROM shipments WHERE order_no = :no", no=order_no)
    await system.at_work.aclose()
    for number in range(12):
        await _scan(system, shipment_no, f"on-the-way-{number}", "in_transit")
    handed_over = "SELECT count(*) FROM inbox_messages WHERE handed_over_at IS NULL"
    await eventually(lambda: system.rows(handed_over), lambda rows: rows == [(0,)])

    await system.deploy()
    heard = "SELECT count(*) FROM inbox_messages WHERE kind = 'parcel.scanned' AND applied_at IS NOT NULL"
    await eventually(lambda: system.rows(heard), lambda rows: rows == [(12,)])
    handle = system.client.get_workflow_handle(order_workflow_id(order_no))

    timers = [one for one in (await handle.fetch_history()).events if one.HasField("timer_started_event_attributes")]
    told = [timer.user_metadata.summary.data.decode() for timer in timers]
    breaths = [summary for summary in told if "Many facts at once" in summary]
    assert breaths == [f'"Many facts at once: {waiting} wait for their turn"' for waiting in range(11, 5, -1)]


async def _until(system: Bench, order_no: str, what: str) -> None:
    query = f"SELECT 1 FROM orders WHERE order_no = :no AND {what}"
    await eventually(lambda: system.rows(query, no=order_no), lambda rows: rows == [(1,)], PATIENCE_S)


async def _lengths(system: Bench, order_no: str) -> list[int]:
    """How long the history of each run of the order is."""
    workflow_id = order_workflow_id(order_no)

    async def look() -> list[Any]:
        return [one async for one in system.client.list_workflows(f"WorkflowId = '{workflow_id}'")]

    runs = await eventually(look, lambda found: all(one.close_time is not None for one in found), 60)
    lengths = []
    for run in runs:
        history = await system.client.get_workflow_handle(workflow_id, run_id=run.run_id).fetch_history()
        lengths.append(len(history.events))
    return lengths
