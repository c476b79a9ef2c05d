"""An order of its own for each test, followed through the API: Temporal remembers the numbers of earlier tests."""

import uuid
from typing import Any

import httpx

from domain.order_number import order_number
from tests.factories.requests import a_payment, an_order
from tests.fakes.patience import eventually

TOTAL = 23_600
Shown = dict[str, Any]


class RunningOrder:
    """The order as the client sees it; `price` and `stock_up` prepare what it needs."""

    def __init__(self, client: httpx.AsyncClient) -> None:
        self.client = client
        self.external_id = uuid.uuid4().hex
        self.number = order_number("web", self.external_id)
        self.own = f"/v1/orders/{self.number}"

    async def place(self, **changes: Any) -> httpx.Response:
        return await self.client.post("/v1/orders", json=an_order(self.external_id, **({"discounts": []} | changes)))

    async def pay(self, amount_minor: int = TOTAL) -> httpx.Response:
        return await self.client.post(f"{self.own}/payments", json=a_payment(amount_minor=amount_minor))

    async def read(self) -> Shown:
        shown: Shown = (await self.client.get(self.own)).json()
        return shown

    async def when(self, **expected: Any) -> Shown:
        """The order once these fields of it are so."""
        return await eventually(
            self.read, lambda shown: all(shown.get(name) == value for name, value in expected.items())
        )

    async def held(self) -> list[str]:
        """Why the order is held, once it is."""
        shown = await eventually(self.read, lambda shown: bool(shown["holds"]))
        return [hold["reason_code"] for hold in shown["holds"]]

    async def packed(self) -> Shown:
        """The order paid, packed and waiting for its carrier; its goods have come and its price is known."""
        await price(self.client)
        await stock_up(self.client)
        await self.place()
        await self.pay()
        return await self.when(waiting_for="shipment.delivered")


async def stock_up(client: httpx.AsyncClient, receipt_id: str = "R-1", units: int = 10) -> httpx.Response:
    line = {"sku": "SKU-1", "quantity": units, "unit_cost_minor": 6000}
    return await client.post(
        "/v1/stock/receipts", json={"receipt_id": receipt_id, "warehouse": "main", "lines": [line]}
    )


async def price(client: httpx.AsyncClient) -> None:
    product = {"name": "面膜", "price_minor": 11300, "currency": "CNY", "tax_rate": "0.13"}
    assert (await client.put("/v1/products/SKU-1", json=product)).status_code == 201
