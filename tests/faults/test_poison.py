"""What can never work: it is held and told of, a person mends it and lets it go on, and nobody else notices."""

import asyncio
import csv
import io
import json
import sys
import time
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import psycopg
import pytest
from temporalio.api.common.v1 import Payload
from temporalio.client import Client, WorkflowUpdateFailedError
from temporalio.common import RawValue
from temporalio.service import RPCError

from domain.order_number import order_number
from runtime.temporal import connect
from tests.factories.sales import PRICE, a_sale
from tests.fakes.figures import tell
from tests.fakes.live_stack import settings_of
from tests.fakes.running_stack import ROOT
from tests.faults.laboratory import Lab
from workflows.order.contract import order_workflow_id

OTHERS = 100
HELD_WITHIN_S = 60.0
BREAKING = [{"quantity": "1e999"}, {"tax_rate": "NaN"}, {"unit_price": "\x00"}, {"placed_at": "yesterday"}]


class Curse:
    """Makes what an order needs impossible: every row of it in a table, for as long as the curse lasts."""

    def __init__(self, lab: Lab) -> None:
        self._address = lab.database_url.replace("+psycopg", "", 1)
        self._cast: list[str] = []

    async def cast(self, table: str, order_no: str) -> None:
        name = f"curse_{order_no.lower()}"
        await self._run(
            f"CREATE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RAISE EXCEPTION $$no$$; END'"
        )
        self._cast.append(name)
        await self._run(
            f"CREATE TRIGGER {name} BEFORE INSERT ON {table} FOR EACH ROW WHEN (NEW.order_no = '{order_no}') "
            f"EXECUTE FUNCTION {name}()"
        )

    async def lift(self) -> None:
        while self._cast:
            await self._run(f"DROP FUNCTION {self._cast.pop()} CASCADE")

    async def _run(self, statement: str) -> None:
        async with await psycopg.AsyncConnection.connect(self._address, autocommit=True) as connection:
            await connection.execute(statement)


@pytest.fixture
async def curse(lab: Lab) -> AsyncIterator[Curse]:
    one = Curse(lab)
    yield one
    await one.lift()


async def test_order_that_cannot_proceed_is_held_and_goes_on_once_it_is_mended(
    lab: Lab, sku: str, curse: Curse, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    await lab.stocked(sku, OTHERS + 3)
    at_party, at_fact = await lab.waiting(sku, 2)
    body = a_sale(sku)
    at_step = order_number("web", body["external_id"])
    for table, order_no in (("reservations", at_step), ("shipments", at_party), ("payments", at_fact)):
        await curse.cast(table, order_no)
    assert await lab.caller.place(body) == at_step
    for order_no in (at_party, at_fact):
        await lab.pay(order_no)

    began = time.monotonic()
    others = asyncio.create_task(_import(lab, sku, tmp_path))
    cursed = (at_step, at_party, at_fact)
    held = await lab.all([*cursed], HELD_WITHIN_S + 30, held=["step_failed"])
    took = time.monotonic() - began
    for order in held:
        [hold] = order["holds"]
        assert (hold["owner_role"], hold["due_at"] > hold["opened_at"]) == ("operations", True)
        assert (await lab.caller.kinds(order["order_no"]))[-1] == "order.held"
    told = await others
    placed = time.monotonic() - began
    assert (told["orders"]["placed"], told["orders"]["refused"]) == (OTHERS, len(BREAKING))
    await _until_all_wait(lab, sku, OTHERS)

    await curse.lift()
    for order_no in cursed:
        assert (await lab.caller.resolve(order_no)).status_code == 200
    await lab.caller.until(at_step, waiting_for="payment.full")
    await lab.pay(at_step)
    for order_no in cursed:
        await lab.caller.deliver(order_no)
        assert len(lab.world.labels(order_no)) == 1
        assert (await lab.caller.order(order_no))["totals"]["paid_minor"] == 2 * PRICE
    assert took < HELD_WITHIN_S
    tell(
        capsys,
        f"3 orders that could not proceed: held and told of within {took:.1f} s; {OTHERS} others imported meanwhile in "
        f"{placed:.1f} s, {len(BREAKING)} broken rows refused; all 3 went on and ended after they were mended",
    )


GARBAGE: Sequence[Payload] = [
    Payload(metadata={"encoding": b"json/plain"}, data=b"{not json"),
    Payload(metadata={"encoding": b"json/plain"}, data=b'{"inbox_id": "one"}'),
    Payload(metadata={"encoding": b"json/plain"}, data=b"[1, 2]"),
    Payload(metadata={"encoding": b"binary/encrypted"}, data=b"\x00\xff"),
    Payload(data=b""),
]
# These can be read. No row has such a number.
FORGED: Sequence[int] = [0, -1, 2**31, 10**30]


async def test_payloads_past_the_door_stop_nothing(lab: Lab, sku: str) -> None:
    await lab.stocked(sku, 2)
    order_no, other = await lab.waiting(sku, 2)
    client = await connect(address=lab.stack.facts["temporal_address"])
    workflow = client.get_workflow_handle(order_workflow_id(order_no))
    for signal in ("payment_settled", "parcel_scanned", "stock_replenished", "unheard_of"):
        for payload in GARBAGE:
            await workflow.signal(signal, RawValue(payload))
        for inbox_id in FORGED:
            await workflow.signal(signal, {"inbox_id": inbox_id})
        await workflow.signal(signal)
        await workflow.signal(signal, args=[{"inbox_id": 1}, {"inbox_id": 2}])
    for payload in GARBAGE:
        for update in ("cancel", "resolve_exception", "unheard_of"):
            await _refused(client, order_no, update, payload)
    with pytest.raises(RPCError):
        await workflow.signal("payment_settled", "x" * 3_000_000)

    for number in (order_no, other):
        assert (await lab.caller.order(number))["lifecycle"] == "accepted"
        await lab.pay(number)
        await lab.caller.deliver(number)
    kinds = await lab.caller.kinds(order_no)
    # What could be read is on record as ignored, once for each number.
    assert kinds.count("signal.ignored") == len(FORGED)
    assert [kind for kind in kinds if kind != "signal.ignored"] == await lab.caller.kinds(other)


async def _refused(client: Client, order_no: str, update: str, payload: Payload) -> None:
    workflow = client.get_workflow_handle(order_workflow_id(order_no))
    with pytest.raises(WorkflowUpdateFailedError):
        await workflow.execute_update(update, RawValue(payload))


@pytest.mark.parametrize("path", ["/v1/orders", "/v1/webhooks/payments/simulated", "/v1/orders/SO1/payments"])
async def test_three_megabytes_are_refused_at_the_door(lab: Lab, sku: str, path: str) -> None:
    before = await lab.ask("SELECT count(*) FROM inbox_messages")
    body = a_sale(sku) | {"note": "x" * 3_000_000}
    answer = await lab.caller.ask("POST", path, json=body)
    assert (answer.status_code, answer.json()["code"]) == (413, "content_too_large")
    assert answer.headers["content-type"] == "application/problem+json"
    assert await lab.ask("SELECT count(*) FROM inbox_messages") == before


async def _import(lab: Lab, sku: str, folder: Path) -> dict[str, Any]:
    """What `orderflow import` says of a file in which rows that break stand between those that do not."""
    text = io.StringIO()
    rows = csv.DictWriter(text, list(_row(sku, "")))
    rows.writeheader()
    for number in range(OTHERS):
        rows.writerow(_row(sku, f"{sku}-{number}"))
        if number < len(BREAKING):
            rows.writerow(_row(sku, f"{sku}-broken-{number}") | BREAKING[number])
    file = folder / "orders.csv"
    file.write_text(text.getvalue(), encoding="utf-8")
    command = [sys.executable, "-P", "-m", "cli.main", "import", str(file), "--data", str(lab.data_dir), "--json"]
    process = await asyncio.create_subprocess_exec(
        *command, cwd=ROOT, env=settings_of(), stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    said, complaints = await process.communicate()
    assert process.returncode == 3, complaints
    told: dict[str, Any] = json.loads(said)
    return told


def _row(sku: str, external_id: str) -> dict[str, str]:
    return {
        "channel": "web",
        "external_id": external_id,
        "type": "normal",
        "currency": "CNY",
        "customer_id": sku,
        "customer_level": "",
        "country": "CN",
        "region": "",
        "city": "Shanghai",
        "postal_code": "",
        "line_id": "1",
        "sku": sku,
        "category": "",
        "quantity": "2",
        "unit_price": "113.00",
        "tax_rate": "0.13",
        "line_shipping_fee": "0",
        "payment_method": "alipay",
        "payment_terms": "prepaid",
        "placed_at": "2026-11-22T10:00:00Z",
        "store": "",
    }


async def _until_all_wait(lab: Lab, sku: str, count: int) -> None:
    query = f"SELECT count(*) FROM orders WHERE customer_id = '{sku}' AND waiting_for = 'payment.full'"
    await lab.until(query, [(count,)])
