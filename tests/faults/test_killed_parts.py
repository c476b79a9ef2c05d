"""Parts of a running system are killed while orders come in: nothing is lost and nothing happens twice."""

import asyncio
import random
import signal
import time
import uuid
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from runtime.database import create_unpooled_engine
from tests.factories.sales import a_sale
from tests.fakes.caller import eventually
from tests.fakes.figures import tell
from tests.fakes.live_stack import start_stack
from tests.fakes.running_stack import RunningStack, all_gone

ORDERS = 60
PRICE_MINOR = 11_300
SEED = 20261122
_ENDED_WITHIN_S = 150.0
_GIVES_UP_AFTER_S = 90.0


@dataclass
class Shop:
    """A client that behaves: it sends the same request again until it is answered, and remembers what it was told."""

    stack: RunningStack
    sku: str = field(default_factory=lambda: f"SKU-{uuid.uuid4().hex[:10]}")
    acknowledged: dict[str, str] = field(default_factory=dict)

    async def ask(self, method: str, path: str, role: str, body: dict[str, Any]) -> httpx.Response:
        headers = {"Authorization": f"Bearer {self.stack.facts['tokens'][role]}"}
        deadline = time.monotonic() + _GIVES_UP_AFTER_S
        async with httpx.AsyncClient(base_url=self.stack.facts["api"], timeout=10, headers=headers) as http:
            while True:
                try:
                    answer = await http.request(method, path, json=body)
                    if answer.status_code < 500:
                        return answer
                    assert answer.status_code == 503, answer.text
                except httpx.TransportError:
                    pass
                assert time.monotonic() < deadline, f"{path} was never answered"
                await asyncio.sleep(0.2)

    async def stock_up(self) -> None:
        line = {"sku": self.sku, "quantity": ORDERS, "unit_cost_minor": 6_000}
        receipt = {"receipt_id": f"R-{self.sku}", "warehouse": "main", "lines": [line]}
        assert (await self.ask("POST", "/v1/stock/receipts", "warehouse", receipt)).status_code in (200, 201)

    async def buy(self, number: int) -> None:
        """The order and its payment are acknowledged."""
        order = a_sale(self.sku, 1) | {"external_id": f"{self.sku}-{number}"}
        placed = await self.ask("POST", "/v1/orders", "channel", order)
        assert placed.status_code == 202, placed.text
        order_no = self.acknowledged[order["external_id"]] = placed.json()["order_no"]
        payment = {"payment_id": f"P-{number}", "method": "alipay", "amount_minor": PRICE_MINOR, "currency": "CNY"}
        paid = await self.ask("POST", f"/v1/orders/{order_no}/payments", "finance", payment)
        assert paid.status_code == 202, paid.text

    async def buy_all(self) -> None:
        """Every order, a few at a time."""
        gate = asyncio.Semaphore(4)

        async def one(number: int) -> None:
            async with gate:
                await self.buy(number)

        await asyncio.gather(*(one(number) for number in range(ORDERS)))


@pytest.fixture
async def shop(open_dir: Path) -> AsyncIterator[Shop]:
    folder = open_dir / f"killed-{uuid.uuid4().hex[:8]}"
    stack = start_stack(folder, carrier_autopilot="1", carrier_autopilot_delay_s="0.2")
    selling = Shop(stack)
    yield selling
    selling.stack.end(timeout=40)


async def test_no_order_is_lost_or_doubled_when_parts_are_killed(
    shop: Shop, capsys: pytest.CaptureFixture[str]
) -> None:
    luck = random.Random(SEED)
    await shop.stock_up()
    buying = asyncio.create_task(shop.buy_all())
    kills = []
    for part in ("worker", "api", "temporal", "postgres", "worker", "temporal", "postgres", "api"):
        await asyncio.sleep(luck.uniform(0.5, 2.0))
        kills.append(await _kill(shop.stack, part))
    await buying
    ended_after = await _all_ended(shop)
    await _nothing_lost_or_doubled(shop)
    told = ", ".join(f"{part} back after {seconds:.1f} s" for part, seconds in kills)
    tell(capsys, f"{ORDERS} orders through {len(kills)} kills ({told}); all ended {ended_after:.1f} s after the last")


async def test_no_order_is_lost_or_doubled_when_everything_is_killed_at_once(
    shop: Shop, open_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    await shop.stock_up()
    buying = asyncio.create_task(shop.buy_all())
    await eventually(lambda: _count(shop), lambda count: count > ORDERS // 4)
    began = time.monotonic()
    shop.stack = _started_again_after_a_crash(shop.stack)
    restarted_after = time.monotonic() - began
    await buying
    ended_after = await _all_ended(shop)
    await _nothing_lost_or_doubled(shop)
    tell(capsys, f"everything killed: ready again after {restarted_after:.1f} s, all ended {ended_after:.1f} s later")


async def _kill(stack: RunningStack, part: str) -> tuple[str, float]:
    """The part is killed and back under a new pid; returns it and the seconds that took."""
    pid = await eventually(lambda: _pid_of(stack, part), lambda found: found is not None)
    assert pid is not None
    psutil.Process(pid).send_signal(signal.SIGKILL)
    began = time.monotonic()
    await eventually(lambda: _pid_of(stack, part), lambda found: found not in (None, pid))
    return part, time.monotonic() - began


async def _pid_of(stack: RunningStack, part: str) -> int | None:
    return stack.pids().get(part)


def _started_again_after_a_crash(stack: RunningStack) -> RunningStack:
    command = psutil.Process(stack.process.pid).cmdline()
    environment = psutil.Process(stack.process.pid).environ()
    processes = stack.processes()
    for process in processes:
        process.kill()
    stack.process.communicate()
    assert all_gone(processes, 10)
    return RunningStack(command, environment).wait_ready(120)


async def _count(shop: Shop) -> int:
    return len(shop.acknowledged)


async def _all_ended(shop: Shop) -> float:
    began = time.monotonic()

    async def open_orders() -> list[str]:
        try:
            rows = await _rows(shop, "SELECT order_no || ' ' || lifecycle FROM orders WHERE lifecycle <> 'completed'")
        except OSError:
            return ["the database is away"]
        return [row[0] for row in rows]

    await eventually(open_orders, lambda still: not still, _ENDED_WITHIN_S)
    return time.monotonic() - began


async def _nothing_lost_or_doubled(shop: Shop) -> None:
    orders = await _rows(shop, "SELECT external_id, order_no FROM orders")
    assert {row[0]: row[1] for row in orders} == shop.acknowledged
    assert len(orders) == ORDERS
    for once in ("payments", "shipments", "invoices"):
        assert await _rows(shop, f"SELECT count(*), count(DISTINCT order_no) FROM {once}") == [(ORDERS, ORDERS)], once
    assert await _rows(shop, "SELECT on_hand, reserved, value_minor FROM stock_levels") == [(0, 0, 0)]
    assert await _rows(shop, "SELECT count(*) FROM orders WHERE paid_minor <> total_minor OR refunded_minor <> 0") == [
        (0,)
    ]
    numbers = await _rows(shop, "SELECT invoice_no FROM invoices ORDER BY invoice_no")
    assert [int(row[0].partition("-")[2]) for row in numbers] == list(range(1, ORDERS + 1))
    balances = await _rows(
        shop,
        """SELECT role, sum(CASE side WHEN 'Dr' THEN amount_minor ELSE -amount_minor END)::bigint AS balance
           FROM journal_lines GROUP BY role HAVING
           sum(CASE side WHEN 'Dr' THEN amount_minor ELSE -amount_minor END) <> 0 ORDER BY role""",
    )
    assert dict(map(tuple, balances)) == {
        "cost_of_sales": 6_000 * ORDERS,
        "goods_received_not_invoiced": -6_000 * ORDERS,
        "output_vat": -1_300 * ORDERS,
        "revenue": -10_000 * ORDERS,
        "wallet": PRICE_MINOR * ORDERS,
    }


async def _rows(shop: Shop, query: str) -> list[Any]:
    engine: AsyncEngine = create_unpooled_engine(shop.stack.facts["database_url"])
    try:
        async with engine.connect() as connection:
            return list((await connection.execute(text(query))).all())
    finally:
        await engine.dispose()
