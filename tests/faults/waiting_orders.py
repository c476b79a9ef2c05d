"""Orders that wait for their money while something happens to those who work on them, and go to their end after it."""

import asyncio
import uuid
from collections.abc import Coroutine, Sequence
from typing import Any, Protocol

import httpx

from tests.factories.sales import PRICE, a_sale
from tests.fakes.patience import eventually


class System(Protocol):
    """Something that can be called, and whose rows can be read."""

    async def ask(self, method: str, path: str, **request: Any) -> httpx.Response: ...

    async def rows(self, query: str, **values: Any) -> list[Any]: ...


async def waiting(system: System, count: int) -> list[str]:
    """Orders that wait for their money."""
    sku = f"SKU-{uuid.uuid4().hex[:8]}"
    line = {"sku": sku, "quantity": 2 * count, "unit_cost_minor": 6_000}
    await _ask(system, "POST", "/v1/stock/receipts", {"receipt_id": f"R-{sku}", "warehouse": "main", "lines": [line]})
    placed = await _few_at_once([_ask(system, "POST", "/v1/orders", a_sale(sku)) for _ in range(count)])
    order_nos = [one["order_no"] for one in placed]
    await _until(system, order_nos, waiting_for="payment.full")
    return order_nos


async def order(system: System, order_no: str) -> dict[str, Any]:
    """The order as the API shows it."""
    shown: dict[str, Any] = await _ask(system, "GET", f"/v1/orders/{order_no}")
    return shown


async def pay(system: System, order_no: str) -> None:
    """The order's money is on record."""
    payment = {"payment_id": "P-1", "method": "alipay", "amount_minor": 2 * PRICE, "currency": "CNY"}
    await _ask(system, "POST", f"/v1/orders/{order_no}/payments", payment)


async def pay_all(system: System, order_nos: list[str]) -> None:
    """The same for each of them."""
    await _few_at_once([pay(system, order_no) for order_no in order_nos])


async def to_the_end(system: System, order_nos: list[str]) -> None:
    """The orders, which are paid, are delivered and complete."""
    await _until(system, order_nos, waiting_for="shipment.delivered")
    for order_no in order_nos:
        scan = {"event_id": "E-1", "status": "delivered", "occurred_at": "2026-11-22T11:00:00Z"}
        await _ask(system, "POST", f"/v1/shipments/{order_no}-S1/events", scan)
    await _until(system, order_nos, lifecycle="completed")


async def _few_at_once(calls: Sequence[Coroutine[Any, Any, Any]]) -> list[Any]:
    gate = asyncio.Semaphore(8)

    async def one(call: Coroutine[Any, Any, Any]) -> Any:
        async with gate:
            return await call

    return list(await asyncio.gather(*map(one, calls)))


async def _ask(system: System, method: str, path: str, body: Any = None) -> Any:
    answer = await system.ask(method, path, json=body)
    assert answer.is_success, answer.text
    return answer.json()


async def _until(system: System, order_nos: list[str], **wanted: str) -> None:
    [(name, value)] = wanted.items()
    query = f"SELECT order_no FROM orders WHERE order_no = ANY(:nos) AND {name} IS DISTINCT FROM :value"
    await eventually(lambda: system.rows(query, nos=order_nos, value=value), lambda left: left == [], 120)
