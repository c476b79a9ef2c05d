"""Sending what was read to a real HTTP server that fails in every passing way, and the command as a process."""

import asyncio
import csv
import json
import os
import sys
import time
from collections import deque
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import httpx
import pytest

from cli.importing.door import Door, GivenUp
from cli.importing.sending import Outcome, Sending, batches
from cli.local_stack.temporal import free_port
from importing.items import ORDERS, PAYMENTS, STOCK, Item
from tests.fakes.batch_api import BatchApi
from tests.fakes.http_server import misbehaving, replying

HEADER = (
    "channel,external_id,type,currency,customer_id,customer_level,country,region,city,postal_code,line_id,sku,category,"
    "quantity,unit_price,tax_rate,line_shipping_fee,payment_method,payment_terms,placed_at,store\n"
)


@pytest.fixture
async def api() -> AsyncIterator[tuple[BatchApi, str]]:
    fake = BatchApi()
    async with misbehaving(fake) as url:
        yield fake, url


async def test_items_come_back_placed_already_there_or_refused(api: tuple[BatchApi, str]) -> None:
    fake, url = api
    fake.taken["T-1"] = {}
    errors = [
        {"pointer": "#/lines/1/sku", "code": "bad_sku", "detail": "No such SKU"},
        {"pointer": "#/customer/id", "code": "bad_customer", "detail": "No such customer"},
        {"pointer": "#/lines", "code": "too_many", "detail": "Too many"},
    ]
    fake.refusals["T-2"] = {"code": "invalid_request", "detail": "Not as expected", "errors": errors}
    fake.refusals["T-3"] = {"code": "idempotency_key_reused", "detail": "Came before with another content"}
    outcome, steps = await _send(url, ORDERS, [_order(n) for n in range(4)])
    assert [item.key for item in outcome.taken] == ["web/T-0"]
    assert [item.key for item in outcome.repeated] == ["web/T-1"]
    reasons = {one.key: [(p.row, p.column, p.code) for p in one.problems] for one in outcome.refused}
    assert reasons == {
        "web/T-2": [(21, "sku", "bad_sku"), (20, "customer_id", "bad_customer"), (20, None, "too_many")],
        "web/T-3": [(30, None, "idempotency_key_reused")],
    }
    assert (outcome.settled, sum(steps), fake.requests) == (4, 4, [("/v1/orders:batch", 4)])


@pytest.mark.parametrize("mishap", ["reset", 408, 429, 500, 502, 503, 504])
async def test_passing_failure_only_delays(api: tuple[BatchApi, str], mishap: str | int) -> None:
    fake, url = api
    fake.mishaps = deque([mishap, mishap])
    outcome, _ = await _send(url, ORDERS, [_order(1), _order(2)])
    assert ([item.key for item in outcome.taken], outcome.refused) == (["web/T-1", "web/T-2"], [])
    assert len(fake.requests) == 3


@pytest.mark.parametrize(("subject", "made"), [(ORDERS, "_order"), (PAYMENTS, "_payment"), (STOCK, "_receipt")])
async def test_answer_that_was_lost_has_one_effect(api: tuple[BatchApi, str], subject: str, made: str) -> None:
    fake, url = api
    fake.mishaps = deque(["lost", "lost"])
    item = {"_order": _order, "_payment": _payment, "_receipt": _receipt}[made](1)
    outcome, _ = await _send(url, subject, [item])
    assert (outcome.taken, [one.key for one in outcome.repeated]) == ([], [item.key])
    assert (len(fake.taken), len(fake.requests)) == (1, 3)


async def test_wish_of_the_server_for_a_pause_is_kept(api: tuple[BatchApi, str]) -> None:
    fake, url = api
    fake.mishaps, fake.headers = deque([503]), ("retry-after: 1",)
    started = time.monotonic()
    await _send(url, ORDERS, [_order(1)])
    assert time.monotonic() - started >= 1.0


async def test_server_that_stays_away_is_given_up_with_the_reason(api: tuple[BatchApi, str]) -> None:
    fake, url = api
    fake.mishaps = deque([503] * 50)
    with pytest.raises(GivenUp, match=r"answers 503 \(not now\), for 1 s now"):
        await _send(url, ORDERS, [_order(1)], patience=1.0)
    with pytest.raises(GivenUp, match=r"does not answer \(ConnectError\)"):
        await _send(f"http://127.0.0.1:{free_port()}", ORDERS, [_order(1)], patience=1.0)


@pytest.mark.parametrize("status", [401, 403, 404, 405])
async def test_refusal_that_would_meet_every_item_ends_the_sending_at_once(
    api: tuple[BatchApi, str], status: int
) -> None:
    fake, url = api
    fake.mishaps = deque([status] * 9)
    with pytest.raises(GivenUp, match=rf"answers {status} \(not now\)"):
        await _send(url, PAYMENTS, [_payment(n) for n in range(300)], concurrency=1)
    assert len(fake.requests) == 1


async def test_server_that_is_no_api_is_recognised() -> None:
    async with misbehaving(replying(b"<html>", "200 OK", "content-type: text/html")) as url:
        with pytest.raises(GivenUp, match="is no API of ours"):
            await _send(url, ORDERS, [_order(1)])


async def test_batch_that_is_refused_as_a_whole_is_halved_until_the_items_pass(api: tuple[BatchApi, str]) -> None:
    fake, url = api
    fake.largest_batch = 2
    outcome, steps = await _send(url, ORDERS, [_order(n) for n in range(7)])
    assert (len(outcome.taken), sum(steps)) == (7, 7)
    assert [size for _, size in fake.requests] == [7, 3, 1, 2, 4, 2, 2]


async def test_single_item_that_no_request_can_carry_is_refused_with_the_reason(api: tuple[BatchApi, str]) -> None:
    fake, url = api
    fake.largest_batch = 0
    outcome, _ = await _send(url, ORDERS, [_order(1), _order(2)])
    assert [one.problems[0].code for one in outcome.refused] == ["content_too_large", "content_too_large"]


async def test_no_more_requests_are_under_way_than_asked_for(api: tuple[BatchApi, str]) -> None:
    fake, url = api
    fake.crowd = 3
    await _send(url, PAYMENTS, [_payment(n) for n in range(2000)], concurrency=3)
    assert (fake.most_in_flight, len(fake.taken)) == (3, 2000)


async def test_receipt_is_a_request_of_its_own(api: tuple[BatchApi, str]) -> None:
    fake, url = api
    fake.taken["R-1"] = {}
    fake.refusals["R-2"] = {"code": "unknown_warehouse", "detail": "No such warehouse"}
    outcome, _ = await _send(url, STOCK, [_receipt(n) for n in range(3)])
    assert ([item.key for item in outcome.taken], [item.key for item in outcome.repeated]) == (["R-0"], ["R-1"])
    assert [(one.key, one.problems[0].reason) for one in outcome.refused] == [("R-2", "No such warehouse")]
    assert fake.requests == [("/v1/stock/receipts", 1)] * 3


def test_batches_keep_within_count_and_size() -> None:
    assert [len(batch) for batch in batches([_order(n) for n in range(250)], 100)] == [100, 100, 50]
    large = Item(ORDERS, "large", (1,), {"text": "x" * 150_000})
    assert [len(batch) for batch in batches([large] * 5, 100)] == [2, 2, 1]


async def test_command_reports_everything_and_says_by_its_status_that_rows_were_refused(
    api: tuple[BatchApi, str], tmp_path: Path
) -> None:
    fake, url = api
    fake.refusals["T-2"] = {"code": "refused", "detail": "=cmd|' /C calc'!A0"}
    rows = [_row(1), _row(2), _row(3).replace(",1,9.90,", ",0,9.90,")]
    written = tmp_path / "report.csv"
    status, said, _ = await _command(tmp_path, rows, "--api", url, "--token", "t-1", "--json", "--report", str(written))
    told = json.loads(said)
    assert (status, fake.tokens) == (3, {"t-1"})
    assert told["orders"] == {
        "rows": 3,
        "orders": 3,
        "placed": 1,
        "already_there": 0,
        "refused": 2,
        "not_sent": 0,
        "totals_minor": {"CNY": 1090},
    }
    assert [(one["item"], one["rows"]) for one in told["refusals"]] == [("web/T-3", [4]), ("web/T-2", [3])]
    with written.open(encoding="utf-8-sig", newline="") as out:
        assert list(csv.reader(out)) == [
            ["file", "item", "row", "column", "code", "reason", "cell"],
            [
                "orders",
                "web/T-3",
                "4",
                "quantity",
                "greater_than_equal",
                told["refusals"][0]["problems"][0]["reason"],
                "",
            ],
            ["orders", "web/T-2", "3", "", "refused", "'=cmd|' /C calc'!A0", ""],
        ]


async def test_command_run_again_finds_everything_there(api: tuple[BatchApi, str], tmp_path: Path) -> None:
    _, url = api
    for placed, already_there in ((2, 0), (0, 2)):
        status, said, _ = await _command(tmp_path, [_row(1), _row(2)], "--api", url, "--token", "t", "--json")
        told = json.loads(said)["orders"]
        assert (status, told["placed"], told["already_there"]) == (0, placed, already_there)


async def test_payment_of_nothing_is_reported_and_leaves_the_status_at_zero(
    api: tuple[BatchApi, str], tmp_path: Path
) -> None:
    fake, url = api
    money = tmp_path / "payments.csv"
    money.write_text(
        "channel,external_id,payment_id,method,amount,currency,paid_at\n"
        "web,T-1,P-1,alipay,0.00,CNY,2026-11-22T11:00:00Z\n"
        "web,T-1,P-2,alipay,10.90,CNY,2026-11-22T11:00:00Z\n"
    )
    status, said, _ = await _command(tmp_path, [_row(1)], "--payments", str(money), "--api", url, "--token", "t")
    assert status == 0
    assert "refused: payments P-1: row 2, amount: amount must be positive" in said
    assert set(fake.taken) == {"T-1", "P-2"}
    assert "\x1b" not in said


async def test_dry_run_sends_nothing(api: tuple[BatchApi, str], tmp_path: Path) -> None:
    fake, url = api
    status, said, _ = await _command(tmp_path, [_row(1)], "--api", url, "--token", "t", "--dry-run", "--json")
    assert (status, json.loads(said)["orders"]["not_sent"], fake.requests) == (0, 1, [])


async def test_file_that_does_not_fit_ends_the_command_before_anything_is_sent(
    api: tuple[BatchApi, str], tmp_path: Path
) -> None:
    fake, url = api
    goods = tmp_path / "stock.csv"
    goods.write_text("receipt_id,warehouse,sku\nR-1,main,A\n")
    status, _, said = await _command(tmp_path, [_row(1)], "--stock", str(goods), "--api", url, "--token", "t")
    assert (status, fake.requests) == (1, [])
    assert said.startswith("orderflow: stock.csv: missing column: quantity.")


async def test_command_that_cannot_finish_says_so_and_what_was_not_sent(
    api: tuple[BatchApi, str], tmp_path: Path
) -> None:
    fake, url = api
    fake.mishaps = deque([403] * 9)
    status, said, complaint = await _command(tmp_path, [_row(1)], "--api", url, "--token", "t", "--json")
    told = json.loads(said)
    assert (status, told["orders"]["not_sent"]) == (1, 1)
    assert told["trouble"] == f"{url}/v1/orders:batch answers 403 (not now)"
    assert "run the same command again" in complaint


async def test_command_without_an_api_says_how_to_get_one(tmp_path: Path) -> None:
    status, _, said = await _command(tmp_path, [_row(1)])
    assert status == 1
    assert said == (
        "orderflow: no API: start the local stack on .orderflow with `orderflow dev`, or give --api and --token\n"
    )


async def _send(
    url: str, subject: str, items: Sequence[Item], *, patience: float = 30, concurrency: int = 2
) -> tuple[Outcome, list[int]]:
    outcome, steps = Outcome(), list[int]()
    async with httpx.AsyncClient(base_url=url, trust_env=False) as client:
        door = Door(client, "t", patience)
        await Sending(door.post, concurrency, steps.append).send(subject, items, outcome)
    return outcome, steps


async def _command(folder: Path, rows: Sequence[str], *arguments: str) -> tuple[int | None, str, str]:
    file = folder / "orders.csv"
    file.write_text(HEADER + "".join(rows))
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("ORDERFLOW_", "TEMPORAL_"))}
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-W", "error", "-m", "cli.main", "import", str(file), *arguments),
        cwd=folder,
        env=inherited | {"COLUMNS": "200"},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    said, complaint = await asyncio.wait_for(process.communicate(), 60)
    return process.returncode, said.decode(), complaint.decode()


def _row(number: int) -> str:
    return f"web,T-{number},normal,CNY,,,CN,,,,1,SKU-1,,1,9.90,0.13,1.00,alipay,prepaid,2026-11-22T10:00:00Z,\n"


def _order(number: int) -> Item:
    body: dict[str, Any] = {"channel": "web", "external_id": f"T-{number}"}
    return Item(ORDERS, f"web/T-{number}", (10 * number, 10 * number + 1), body, "CNY", 100)


def _payment(number: int) -> Item:
    return Item(PAYMENTS, f"P-{number}", (number,), {"payment_id": f"P-{number}"}, "CNY", 100)


def _receipt(number: int) -> Item:
    body = {"receipt_id": f"R-{number}", "warehouse": "main", "lines": [{"sku": "A", "quantity": 1}]}
    return Item(STOCK, f"R-{number}", (number,), body)
