"""Orders driven through their whole lives over HTTP, by somebody who looks into the database for the next turn.

Looking costs one query for all orders under way, by a database user of its own: neither the API nor what is counted of
the system's statements is disturbed by it.
"""

import asyncio
import contextlib
import itertools
import time
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

import httpx
import psycopg
from sqlalchemy import make_url

from cli.bench.lines import Lines

WATCHER: Final = "bench_watcher"
# As many goods as a small shop sells much of: one row of stock for all orders would be another measurement.
SKUS: Final = tuple(f"SKU-BENCH-{number}" for number in range(50))
PRICE_MINOR: Final = 11_300
_UNITS: Final = 2
BIG: Final = 500
"""So many units of anything are worth more than anybody may sell without the general manager."""
_LOOK_S: Final = 0.05
_PATIENCE_S: Final = 120.0
_BUSY: Final = 503
_COMES_AGAIN_S: Final = 1.0
_LOOK: Final = """
SELECT o.order_no, o.lifecycle, o.waiting_for, s.shipment_no, s.status
FROM orders o LEFT JOIN shipments s ON s.order_no = o.order_no WHERE o.order_no = ANY(%s)
"""


class BenchFailed(Exception):
    """The bench cannot go on; the text says what was asked and what came of it."""


@dataclass(frozen=True)
class Seen:
    """How an order was seen to stand."""

    lifecycle: str
    waiting_for: str | None
    shipment_no: str | None
    parcel: str | None


@dataclass
class Lives:
    """What was measured of orders driven to their end."""

    order_nos: list[str] = field(default_factory=list)
    accept_s: list[float] = field(default_factory=list)
    life_s: list[float] = field(default_factory=list)
    seconds: float = 0.0

    def add(self, other: "Lives") -> None:
        """Takes over what was measured in another round."""
        self.order_nos += other.order_nos
        self.accept_s += other.accept_s
        self.life_s += other.life_s
        self.seconds += other.seconds


class Watcher:
    """Looks at all orders that somebody waits for, again and again."""

    def __init__(self, database_url: str) -> None:
        # As somebody else than the system, so that its own statements can be told from the watcher's.
        url = make_url(database_url).set(drivername="postgresql", username=WATCHER)
        self._url = url.render_as_string(hide_password=False)
        self._awaited: dict[str, tuple[Callable[[Seen], bool], asyncio.Future[Seen]]] = {}

    async def until(self, order_no: str, fits: Callable[[Seen], bool]) -> Seen:
        """The order once it fits. Raises BenchFailed when it does not for too long."""
        future: asyncio.Future[Seen] = asyncio.get_running_loop().create_future()
        self._awaited[order_no] = (fits, future)
        try:
            return await asyncio.wait_for(future, _PATIENCE_S)
        except TimeoutError:
            raise BenchFailed(f"{order_no} does not go on") from None
        finally:
            del self._awaited[order_no]

    @contextlib.asynccontextmanager
    async def looking(self) -> AsyncIterator[None]:
        """It looks for the length of the block."""
        async with await psycopg.AsyncConnection.connect(self._url, autocommit=True) as connection:
            task = asyncio.create_task(self._look(connection))
            try:
                yield
            finally:
                task.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await task

    async def _look(self, connection: psycopg.AsyncConnection[Any]) -> None:
        while True:
            await asyncio.sleep(_LOOK_S)
            if not self._awaited:
                continue
            rows = await (await connection.execute(_LOOK, [list(self._awaited)])).fetchall()
            for order_no, *told in rows:
                fits, future = self._awaited.get(order_no, (None, None))
                if fits is not None and future is not None and not future.done() and fits(Seen(*told)):
                    future.set_result(Seen(*told))


class Customers:
    """Place orders, pay them and get their parcels."""

    def __init__(self, lines: Lines, tokens: Mapping[str, str], watcher: Watcher) -> None:
        self._lines = lines
        self._tokens = tokens
        self._watcher = watcher
        self._skus = itertools.cycle(SKUS)

    async def stock_up(self, orders: int) -> None:
        """Afterwards there are goods for so many orders."""
        units = (orders // len(SKUS) + 1) * _UNITS
        lines = [{"sku": sku, "quantity": units, "unit_cost_minor": 6_000} for sku in SKUS]
        receipt = {"receipt_id": f"R-{time.time_ns()}", "warehouse": "main", "lines": lines}
        await self._ask("warehouse", "/v1/stock/receipts", receipt)

    async def at_once(self, orders: int, concurrency: int, run: str) -> Lives:
        """Whole lives of so many orders, so many of them under way at any time."""
        gate, lives, began = asyncio.Semaphore(concurrency), Lives(), time.perf_counter()

        async def one(number: int) -> None:
            async with gate:
                await self._live(f"{run}-{number}", lives)

        await asyncio.gather(*(one(number) for number in range(orders)))
        lives.seconds = time.perf_counter() - began
        return lives

    async def per_second(self, rate: float, seconds: float, run: str) -> Lives:
        """Whole lives of orders that come in at this rate, whether or not those before have got anywhere."""
        lives, began = Lives(), time.perf_counter()

        async def one(number: int) -> None:
            await asyncio.sleep(max(began + number / rate - time.perf_counter(), 0))
            await self._live(f"{run}-{number}", lives)

        await asyncio.gather(*(one(number) for number in range(int(rate * seconds))))
        lives.seconds = time.perf_counter() - began
        return lives

    async def _live(self, external_id: str, lives: Lives) -> None:
        began = time.perf_counter()
        order_no = await self.place(external_id)
        lives.accept_s.append(time.perf_counter() - began)
        await self._watcher.until(order_no, lambda seen: seen.waiting_for == "payment.full")
        await self.pay(order_no)
        booked = await self._watcher.until(order_no, lambda seen: seen.parcel == "booked")
        await self._scan(booked, "picked_up")
        handed_over = await self._watcher.until(order_no, lambda seen: seen.parcel == "handed_over")
        await self._scan(handed_over, "delivered")
        ended = await self._watcher.until(order_no, lambda seen: seen.lifecycle == "completed")
        if ended.lifecycle == "completed":
            lives.life_s.append(time.perf_counter() - began)
            lives.order_nos.append(order_no)

    async def place(self, external_id: str, units: int = _UNITS) -> str:
        """The number of a new order of so many units, which is committed; one of `BIG` waits for an approval first."""
        goods = {"sku": next(self._skus), "quantity": units}
        line = goods | {"line_id": "1", "unit_price_minor": PRICE_MINOR, "tax_rate": "0.13"}
        street = {"country": "CN", "city": "Shanghai", "street": "Nanjing Road 1", "name": "Li Lei"}
        order = {"channel": "web", "external_id": external_id, "currency": "CNY", "ship_to": street, "lines": [line]}
        order_no: str = (await self._ask("channel", "/v1/orders", order | {"payment": {"method": "alipay"}}))[
            "order_no"
        ]
        return order_no

    async def pay(self, order_no: str) -> None:
        """The order's whole price is reported as paid."""
        amount = {"amount_minor": _UNITS * PRICE_MINOR, "currency": "CNY"}
        payment = {"payment_id": f"P-{order_no}", "method": "alipay"} | amount
        await self._ask("channel", f"/v1/orders/{order_no}/payments", payment)

    async def approve(self, order_no: str) -> None:
        """Afterwards the general manager has agreed to the order, with effect."""
        mine = {"assignee": "me", "state": "open", "order_no": order_no}
        (approval,) = (await self._sent("gm", "GET", "/v1/approvals", params=mine))["data"]
        await self._ask("gm", f"/v1/approvals/{approval['approval_id']}/decision", {"decision": "approve"})

    async def _scan(self, seen: Seen, status: str) -> None:
        event = {"event_id": f"{status}-1", "status": status, "occurred_at": datetime.now(UTC).isoformat()}
        await self._ask("warehouse", f"/v1/shipments/{seen.shipment_no}/events", event)

    async def _ask(self, role: str, path: str, body: dict[str, Any]) -> dict[str, Any]:
        return await self._sent(role, "POST", path, json=body)

    async def _sent(self, role: str, method: str, path: str, **what: Any) -> dict[str, Any]:
        headers = {"Authorization": f"Bearer {self._tokens[role]}"}
        try:
            async with self._lines.one() as http:
                answer = await http.request(method, path, headers=headers, **what)
            if answer.status_code == _BUSY:
                # As a client does that is told to come again; the time until he is heard counts.
                await asyncio.sleep(_COMES_AGAIN_S)
                return await self._sent(role, method, path, **what)
        except httpx.HTTPError as failed:
            raise BenchFailed(f"{path}: {type(failed).__name__}") from None
        if answer.is_error:
            raise BenchFailed(f"{path}: {answer.status_code} {answer.text[:500]}")
        told: dict[str, Any] = answer.json()
        return told
