"""Groups that buy together and orders that cross a border, the whole way over HTTP with real workers."""

import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from api.inbox.hand_over import HandOver
from store import inbox
from tests.api.conftest import Api, As
from tests.api.running_orders import TOTAL, RunningOrder, price, stock_up

DATA = {
    "buyer_name": "Li Lei",
    "buyer_id_no": "110101199001011234",
    "lines": {"1": {"hs_code": "33049900", "origin": "CN", "unit": "piece"}},
}


@pytest.fixture
async def shop(running: Api, as_role: As) -> httpx.AsyncClient:
    client = as_role("admin")
    await price(client)
    await stock_up(client, units=50)
    return client


async def group(client: httpx.AsyncClient, minimum: int, closes_in: timedelta) -> str:
    group_id = f"G-{uuid.uuid4().hex[:8]}"
    closes_at = (datetime.now(UTC) + closes_in).isoformat()
    answer = await client.put(f"/v1/groups/{group_id}", json={"minimum_orders": minimum, "closes_at": closes_at})
    assert answer.status_code == 200, answer.text
    return group_id


async def joined(client: httpx.AsyncClient, group_id: str, many: int) -> list[RunningOrder]:
    """So many orders of the group, paid and waiting for it."""
    orders = [RunningOrder(client) for _ in range(many)]
    for order in orders:
        answer = await order.place(type="group_buy", group_id=group_id)
        assert answer.status_code == 202, answer.text
        await order.pay()
    return orders


async def hand_over_all(api: Api) -> None:
    """What nobody has handed over yet is on its way, as the sweeper sees to."""
    hand_over: HandOver = api.app.state.hand_over
    async with api.database.sessions() as session, session.begin():
        pending = await inbox.claim_pending(session, 100)
    await hand_over.deliver_all(pending)


async def test_group_that_has_its_number_is_sent(running: Api, shop: httpx.AsyncClient) -> None:
    group_id = await group(shop, 2, timedelta(hours=1))
    [first] = await joined(shop, group_id, 1)
    waiting = await first.when(waiting_for="group.complete")
    assert waiting["flow"]["key"] == "group_buy"
    assert (await shop.get(f"/v1/groups/{group_id}")).json()["joined"] == 1
    [second] = await joined(shop, group_id, 1)
    await second.when(waiting_for="shipment.delivered")
    await hand_over_all(running)
    await first.when(waiting_for="shipment.delivered")
    shown = (await shop.get(f"/v1/groups/{group_id}")).json()
    assert (shown["joined"], shown["completed_at"] is not None) == (2, True)


async def test_group_that_closes_too_small_gives_all_money_back(shop: httpx.AsyncClient) -> None:
    group_id = await group(shop, 3, timedelta(seconds=6))
    orders = await joined(shop, group_id, 2)
    for order in orders:
        done = await order.when(lifecycle="expired")
        assert done["payment"] == "refunded"
        decisions = (await shop.get(f"{order.own}/decisions")).json()["data"]
        assert [(one["node"], one["chosen"]) for one in decisions] == [("missed", "default")]
    levels = (await shop.get("/v1/stock", params={"sku": "SKU-1"})).json()["data"]
    assert [one["reserved"] for one in levels] == [0]


async def test_order_of_an_unknown_group_is_held_until_the_group_is_known(shop: httpx.AsyncClient) -> None:
    group_id = f"G-{uuid.uuid4().hex[:8]}"
    [order] = await joined(shop, group_id, 1)
    assert await order.held() == ["group_unknown"]
    closes_at = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
    await shop.put(f"/v1/groups/{group_id}", json={"minimum_orders": 1, "closes_at": closes_at})
    choice = {"choice": "retry", "reason_code": "group_known", "reason": "it is known now"}
    assert (await shop.post(f"{order.own}/exception", json=choice)).status_code == 200
    await order.when(waiting_for="shipment.delivered")


async def report(client: httpx.AsyncClient, order: RunningOrder, document: str, state: str, **more: Any) -> int:
    said = {"report_id": f"{document}.{state}", "document": document, "state": state} | more
    answer = await client.post(f"{order.own}/customs/reports", json=said)
    return answer.status_code


async def test_goods_ship_once_customs_have_accepted_all_three_documents(shop: httpx.AsyncClient) -> None:
    order = RunningOrder(shop)
    await order.place(type="cross_border", customs=DATA)
    await order.pay()
    await order.when(waiting_for="customs.cleared")
    for document in ("order", "payment"):
        assert await report(shop, order, document, "accepted") == 202
    assert await report(shop, order, "order", "accepted") == 202
    shown = (await shop.get(f"{order.own}/customs")).json()
    assert (shown["cleared"], shown["missing"]) == (False, [])
    await report(shop, order, "logistics", "rejected", reason="weight differs")
    assert await order.held() == ["customs_rejected"]
    await report(shop, order, "logistics", "accepted")
    done = await order.when(waiting_for="shipment.delivered")
    assert done["holds"] == []
    assert (await shop.get(f"{order.own}/customs")).json()["cleared"] is True


async def test_nothing_is_promised_while_customs_data_is_missing(shop: httpx.AsyncClient) -> None:
    order = RunningOrder(shop)
    await order.place(type="cross_border", customs={"buyer_name": "Li Lei"})
    assert await order.held() == ["customs_data_missing"]
    shown = (await shop.get(f"{order.own}/customs")).json()
    assert shown["missing"] == ["buyer_id_no", "lines.1.hs_code", "lines.1.origin", "lines.1.unit"]
    levels = (await shop.get("/v1/stock", params={"sku": "SKU-1"})).json()["data"]
    assert [one["reserved"] for one in levels] == [0]
    assert (await shop.put(f"{order.own}/customs", json=DATA)).json()["missing"] == []
    choice = {"choice": "retry", "reason_code": "data_told", "reason": "the buyer has told us"}
    assert (await shop.post(f"{order.own}/exception", json=choice)).status_code == 200
    await order.when(waiting_for="payment.full")
    await order.pay(TOTAL)
    await order.when(waiting_for="customs.cleared")
