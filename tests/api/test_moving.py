"""An order that is held is moved to another version of its flow."""

import httpx

from tests.api.conftest import Api, As
from tests.api.running_orders import RunningOrder, price, stock_up
from tests.api.test_flows import normal, published


def patient() -> dict[str, object]:
    """Normal, whose check is called otherwise, and which asks nobody for anything more."""
    document = normal()
    document["nodes"]["look"] = document["nodes"].pop("check")
    return document | {"start": "look"}


async def parked(client: httpx.AsyncClient) -> RunningOrder:
    """An order that is held at its check: the catalogue has another price."""
    await price(client)
    await put_price(client, 9_900)
    order = RunningOrder(client)
    await order.place()
    assert await order.held() == ["price_mismatch"]
    return order


async def put_price(client: httpx.AsyncClient, price_minor: int) -> None:
    product = {"name": "面膜", "price_minor": price_minor, "currency": "CNY", "tax_rate": "0.13"}
    assert (await client.put("/v1/products/SKU-1", json=product)).status_code == 200


async def move(order: RunningOrder, version: int, **nodes: str) -> httpx.Response:
    said = {"version": version, "nodes": nodes, "reason": "the new one knows how"}
    return await order.client.post(f"{order.own}/flow", json=said)


async def test_held_order_goes_on_in_the_newer_version(running: Api, as_role: As) -> None:
    admin = as_role("admin")
    order = await parked(admin)
    answer = await published(running, admin, patient())
    assert answer.status_code == 201, answer.text
    lost = await move(order, 2)
    assert (lost.status_code, lost.json()["code"]) == (409, "node_map_incomplete")
    past = await move(order, 2, check="signed")
    assert (past.status_code, past.json()["code"]) == (409, "core_step_passed")
    assert (await move(order, 9, check="look")).status_code == 404
    await put_price(admin, 11_300)
    await stock_up(admin)
    done = await move(order, 2, check="look")
    assert (done.status_code, done.json().get("node")) == (200, "look"), done.text
    shown = await order.when(waiting_for="payment.full")
    assert shown["flow"]["version"] == 2
    timeline = (await admin.get(f"{order.own}/timeline", params={"limit": 100})).json()["data"]
    [moved] = [event for event in timeline if event["kind"] == "order.moved"]
    assert (moved["actor"], moved["data"]["left"], moved["data"]["entered"]) == ("admin", "check", "look")
    assert "knows how" in moved["reason"]
    again = await move(order, 1, look="check")
    assert (again.status_code, again.json()["code"]) == (409, "order_not_parked")
