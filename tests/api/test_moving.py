"""An order that is held is moved to another version of its flow."""

from typing import Any

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


def in_branches(*goods: str, people: str, **more: dict[str, Any]) -> dict[str, object]:
    """Normal behind branches: the check, and others that are asked meanwhile; `goods` are the nodes of its branch."""
    document = normal()
    check = document["nodes"].pop("check")
    chain = {
        node: {"kind": "timer", "duration": "PT1S", "next": after}
        for node, after in zip(goods, (*goods[1:], "reserve"), strict=True)
    }
    chain[goods[0]] = check | {"next": goods[1] if len(goods) > 1 else "reserve"}
    asked = {
        "kind": "approval",
        "assignees": [{"role": "gm"}],
        "outcomes": {"approved": "reserve", "rejected": "unpaid"},
    }
    branches = [{"label": "goods", "start": goods[0]}, {"label": "people", "start": people}]
    branches += [{"label": name, "start": name} for name in more]
    together = {"kind": "parallel", "branches": branches, "next": "reserve"}
    document["nodes"] |= {"together": together, people: asked, **chain, **more}
    return document | {"start": "together"}


async def test_order_that_is_held_in_branches_goes_on_in_each_of_them(running: Api, as_role: As) -> None:
    admin = as_role("admin")
    assert (await published(running, admin, in_branches("look", people="gm"))).status_code == 201
    tell = {"kind": "notify", "event": "order.accepted", "audience": ["customer"], "next": "reserve"}
    newer = in_branches("inspect", "pause", people="boss", tell=tell)
    await admin.delete("/v1/flows/normal/draft", headers={"If-Match": '"1"'})
    answer = await published(running, admin, newer)
    assert answer.status_code == 201, answer.text
    await admin.post("/v1/flows/normal/release", json={"version": 2, "reason": "the older one, to begin with"})
    order = await parked_in_branches(admin, as_role("gm"))
    unclear = await move(order, 3)
    assert (unclear.status_code, unclear.json()["code"]) == (409, "node_map_incomplete")
    both = await move(order, 3, look="boss", gm="boss")
    assert (both.status_code, both.json()["code"]) == (409, "branches_unclear")
    assert (await order.read())["flow"]["version"] == 2
    await put_price(admin, 11_300)
    await stock_up(admin)
    done = await move(order, 3, look="inspect", gm="boss")
    assert done.status_code == 200, done.text
    assert (done.json()["node"], done.json()["branches"]) == ("together", {"look": "inspect"})
    shown = await order.when(waiting_for="payment.full")
    assert shown["flow"]["version"] == 3
    timeline = (await admin.get(f"{order.own}/timeline", params={"limit": 100})).json()["data"]
    [moved] = [event for event in timeline if event["kind"] == "order.moved"]
    assert moved["data"]["branches"] == {"look": "inspect"}
    # The branch of people was finished: nobody is asked again. The one that is new has begun.
    assert [event["kind"] for event in timeline].count("approval.opened") == 1
    nodes = {event["node"] for event in timeline if event["node"]}
    assert ("boss" in nodes, "inspect" in nodes) == (False, True)


async def parked_in_branches(admin: httpx.AsyncClient, gm: httpx.AsyncClient) -> RunningOrder:
    """An order whose check has the wrong price, while the general manager has agreed in another branch."""
    await price(admin)
    await put_price(admin, 9_900)
    order = RunningOrder(admin)
    await order.place()
    await order.when(waiting_for="approval.gm")
    [approval] = (await gm.get("/v1/approvals", params={"order_no": order.number})).json()["data"]
    before = await move(order, 3, look="inspect", gm="boss")
    assert (before.status_code, before.json()["code"]) == (409, "order_not_parked")
    await gm.post(f"/v1/approvals/{approval['approval_id']}/decision", json={"decision": "approve"})
    assert await order.held() == ["price_mismatch"]
    return order
