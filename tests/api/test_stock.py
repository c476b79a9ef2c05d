"""Stock over HTTP: levels, goods in, movements."""

import asyncio
from typing import Any

import httpx
import pytest
from sqlmodel import select

from models.inbox import InboxMessage
from store import holds, orders
from store.holds import Reason
from tests.api.conftest import PROBLEM, Api, As
from tests.api.rows import counts
from tests.factories.orders import place

RECEIPTS = "/v1/stock/receipts"


def a_receipt(receipt_id: str = "R-1", *lines: dict[str, Any], **changes: Any) -> dict[str, Any]:
    return {
        "receipt_id": receipt_id,
        "warehouse": "main",
        "lines": list(lines) or [{"sku": "SKU-1", "quantity": 50, "unit_cost_minor": 6000}],
    } | changes


@pytest.fixture
def keeper(as_role: As) -> httpx.AsyncClient:
    return as_role("warehouse")


async def test_goods_in_raise_the_level_and_make_the_sku(keeper: httpx.AsyncClient, admin: httpx.AsyncClient) -> None:
    answer = await keeper.post(RECEIPTS, json=a_receipt())
    assert answer.status_code == 201
    movements = "/v1/stock/movements?document_no=R-1"
    assert answer.headers["Location"] == movements
    assert answer.json() == {
        "receipt_id": "R-1",
        "warehouse": "main",
        "lines": 1,
        "units": 50,
        "links": {"movements": movements},
    }
    level = {"sku": "SKU-1", "warehouse": "main", "on_hand": 50, "reserved": 0, "available": 50}
    assert (await keeper.get("/v1/stock", params={"sku": "SKU-1"})).json() == {"data": [level], "next_cursor": None}
    (movement,) = (await admin.get(movements)).json()["data"]
    assert (movement["kind"], movement["quantity"], movement["value_minor"]) == ("receipt", 50, 300_000)
    (hidden,) = (await keeper.get(movements)).json()["data"]
    assert (hidden["quantity"], hidden["value_minor"]) == (50, None)


async def test_repeated_receipt_counts_once(api: Api, keeper: httpx.AsyncClient) -> None:
    answers = await asyncio.gather(*(keeper.post(RECEIPTS, json=a_receipt()) for _ in range(20)))
    assert sorted(answer.status_code for answer in answers) == [200] * 19 + [201]
    assert len({answer.content for answer in answers}) == 1
    assert (await keeper.get("/v1/stock")).json()["data"][0]["on_hand"] == 50
    before = await counts(api.database)
    other = await keeper.post(RECEIPTS, json=a_receipt("R-1", {"sku": "SKU-1", "quantity": 51}))
    assert (other.status_code, other.json()["code"]) == (422, "idempotency_key_reused")
    assert await counts(api.database) == before


async def test_goods_in_wake_the_orders_that_wait_for_them(api: Api, keeper: httpx.AsyncClient) -> None:
    await place(api.database.sessions, "SO-1")
    async with api.database.sessions() as session, session.begin():
        order = await orders.lock(session, "SO-1")
        await holds.open_hold(session, order, Reason("out_of_stock", "Not enough units are free."))
    assert (await keeper.post(RECEIPTS, json=a_receipt())).status_code == 201
    async with api.database.sessions() as session:
        message = (await session.exec(select(InboxMessage).where(InboxMessage.source == "stock"))).one()
    assert (message.kind, message.order_no, message.handed_over_at) == ("stock.replenished", "SO-1", None)


async def test_five_thousand_lines_are_one_receipt(keeper: httpx.AsyncClient) -> None:
    lines = [{"sku": f"SKU-{at:04}", "quantity": 1, "unit_cost_minor": 100} for at in range(5001)]
    assert (await keeper.post(RECEIPTS, json=a_receipt("R-1", *lines))).status_code == 422
    assert (await keeper.post(RECEIPTS, json=a_receipt("R-1", *lines[:5000]))).json()["units"] == 5000
    page = await keeper.get("/v1/stock", params={"limit": 200})
    assert [len(page.json()["data"]), page.json()["data"][0]["sku"]] == [200, "SKU-0000"]
    following = (await keeper.get(page.links["next"]["url"])).json()["data"]
    assert following[0]["sku"] == "SKU-0200"


@pytest.mark.parametrize(
    ("change", "pointer"),
    [
        ({"quantity": 0}, "#/lines/0/quantity"),
        ({"quantity": -5}, "#/lines/0/quantity"),
        ({"quantity": 1.5}, "#/lines/0/quantity"),
        ({"quantity": "5"}, "#/lines/0/quantity"),
        ({"quantity": 1_000_001}, "#/lines/0/quantity"),
        ({"unit_cost_minor": -1}, "#/lines/0/unit_cost_minor"),
        ({"unit_cost_minor": 10**13}, "#/lines/0/unit_cost_minor"),
        ({"sku": ""}, "#/lines/0/sku"),
        ({"price": 1}, "#/lines/0/price"),
    ],
)
async def test_lines_that_cannot_be_are_refused(
    api: Api, keeper: httpx.AsyncClient, change: dict[str, Any], pointer: str
) -> None:
    before = await counts(api.database)
    answer = await keeper.post(RECEIPTS, json=a_receipt("R-1", {"sku": "SKU-1", "quantity": 5} | change))
    assert (answer.status_code, answer.headers["Content-Type"]) == (422, PROBLEM)
    assert [error["pointer"] for error in answer.json()["errors"]] == [pointer]
    assert await counts(api.database) == before


async def test_unknown_warehouse_takes_nothing_in(api: Api, keeper: httpx.AsyncClient) -> None:
    before = await counts(api.database)
    answer = await keeper.post(RECEIPTS, json=a_receipt(warehouse="moon"))
    assert (answer.status_code, answer.json()["code"]) == (422, "unknown_warehouse")
    assert await counts(api.database) == before


async def test_only_the_warehouse_takes_goods_in(api: Api, as_role: As) -> None:
    before = await counts(api.database)
    assert (await as_role().post(RECEIPTS, json=a_receipt())).status_code == 401
    for role in ("channel", "sales", "finance", "operations"):
        assert (await as_role(role).post(RECEIPTS, json=a_receipt())).status_code == 403, role
    assert await counts(api.database) == before
