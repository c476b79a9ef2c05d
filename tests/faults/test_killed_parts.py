"""Orders and payments go on coming in while every part of the system is killed again and again, without warning."""

import asyncio
import itertools
import json
import os
import random
import signal
import time
from pathlib import Path

import pytest
from temporalio.client import Client

from integrations.notifier.simulated import RecordingReceiver
from tests.factories.sales import a_sale
from tests.fakes.caller import Caller
from tests.fakes.figures import tell
from tests.fakes.http_server import serving
from tests.fakes.patience import eventually
from tests.fakes.running_stack import RunningStack
from tests.fakes.sane_client import SaneClient
from tests.fakes.webhook_receiver import receiver_app
from tests.faults import audit
from tests.faults.conftest import Start
from tests.faults.saboteur import Saboteur

FULL = os.environ.get("ORDERFLOW_FULL_FAULTS") == "1"
SEED = int(os.environ.get("ORDERFLOW_FAULT_SEED", "20261122"))
ORDERS = 500 if FULL else 150
KILLS_OF_EACH = 10 if FULL else 3
BUYERS = 6
AMOUNT = 22_600
ENDS_WITHIN_S = 240.0


@pytest.mark.timeout(900)
async def test_every_acknowledged_order_comes_to_its_end_exactly_once(
    start: Start, data_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = {"carrier_autopilot": "1", "carrier_autopilot_delay_s": "0.2", "sweep_interval_s": "1"}
    stack = start(**settings)
    receiver = RecordingReceiver()
    saboteur = Saboteur(stack, random.Random(SEED))
    client = SaneClient(stack.facts["api"], stack.facts["tokens"])
    async with serving(receiver_app(receiver)) as url:
        await _prepare(stack, url)
        load = asyncio.create_task(_buy(client))
        await saboteur.kill_all(KILLS_OF_EACH)
        # And all of it at once, by the death of whoever watches over the parts.
        await asyncio.to_thread(stack.end, signal.SIGKILL)
        saboteur.last_at = time.monotonic()
        stack = await asyncio.to_thread(lambda: start(**settings))
        up_again = time.monotonic() - saboteur.last_at
        await load
        placed = time.monotonic() - saboteur.last_at
        await _until_all_has_ended(stack)
        ended = time.monotonic() - saboteur.last_at
        await _until_all_is_told(stack)
    await client.close()
    told = time.monotonic() - saboteur.last_at

    database = stack.facts["database_url"]
    await audit.check_finished(database)
    on_record = dict(audit.rows(database, "SELECT external_id, order_no FROM orders"))
    assert on_record == client.acknowledged
    assert len(on_record) == ORDERS
    assert audit.rows(database, "SELECT on_hand, reserved FROM stock_levels") == [(1_000, 0)]
    _check_parties(data_dir)
    _check_told(receiver, on_record.values())
    assert await _workflows(stack, "Failed") == await _workflows(stack, "Running", "OrderWorkflow") == 0
    tell(
        capsys,
        f"{ORDERS} orders, {len(saboteur.killed)} parts and the supervisor killed, seed {SEED}: up again after "
        f"{up_again:.1f} s, all placed after {placed:.1f} s, all ended after {ended:.1f} s, all told after {told:.1f} s"
        f"; the client saw {dict(client.refusals)}",
    )


async def _prepare(stack: RunningStack, url: str) -> None:
    caller = Caller(stack)
    await caller.receive("SKU-1", 2 * ORDERS + 1_000)
    put = await caller.ask("PUT", "/v1/webhooks/shop", json={"url": url})
    assert put.status_code == 201
    await caller.http.aclose()


async def _buy(client: SaneClient) -> None:
    numbers = itertools.count(1)

    async def one_after_the_other() -> None:
        while next(numbers) <= ORDERS:
            await client.buy(a_sale("SKU-1", 2), AMOUNT)

    await asyncio.gather(*(one_after_the_other() for _ in range(BUYERS)))


async def _until_all_has_ended(stack: RunningStack) -> None:
    async def look() -> list[tuple[str, int]]:
        query = "SELECT lifecycle, count(*) FROM orders GROUP BY lifecycle"
        return await asyncio.to_thread(audit.rows, stack.facts["database_url"], query)

    await eventually(look, lambda found: found == [("completed", ORDERS)], ENDS_WITHIN_S)


async def _until_all_is_told(stack: RunningStack) -> None:
    async def look() -> list[tuple[str, int]]:
        query = "SELECT state, count(*) FROM outbox_messages WHERE state <> 'delivered' GROUP BY state"
        return await asyncio.to_thread(audit.rows, stack.facts["database_url"], query)

    await eventually(look, lambda found: found == [], ENDS_WITHIN_S)


def _check_parties(data_dir: Path) -> None:
    """Outside parties were asked for each thing once, however often we had to ask."""
    simulators = data_dir / "simulators"
    bookings = audit.kept_by(simulators / "carrier.sqlite", "carrier.bookings").values()
    assert len(bookings) == ORDERS
    assert not any(booking["voided"] for booking in bookings)
    assert len({booking["booking"]["tracking_no"] for booking in bookings}) == ORDERS


def _check_told(receiver: RecordingReceiver, order_nos: object) -> None:
    """Every event of every order was heard, at its first hearing in the order in which it happened."""
    heard: dict[str, list[int]] = {}
    known: set[str] = set()
    for attempt in receiver.received:
        if attempt.message_id not in known:
            known.add(attempt.message_id)
            told = json.loads(attempt.body)["data"]
            heard.setdefault(told["order_no"], []).append(told["seq"])
    assert set(heard) == set(order_nos)  # type: ignore[call-overload]
    assert all(seqs == list(range(1, len(seqs) + 1)) for seqs in heard.values())


async def _workflows(stack: RunningStack, status: str, kind: str | None = None) -> int:
    client = await Client.connect(stack.facts["temporal_address"])
    of_kind = f" AND WorkflowType = '{kind}'" if kind else ""
    return (await client.count_workflows(f"ExecutionStatus = '{status}'{of_kind}")).count
