"""Cancelling an order and settling its holds, while it runs and while nobody is there to do it."""

import asyncio
from typing import Any

import httpx
import pytest

from domain.order_number import order_number
from store.access import Grant
from tests.api.conftest import PROBLEM, Api, As, give_key
from tests.api.rows import counts
from tests.api.running_orders import TOTAL, RunningOrder, price, stock_up
from tests.factories.requests import a_line, a_scan, an_order

OWN = f"/v1/orders/{order_number('web', 'T-1001')}"
WHY = {"reason": "changed their mind", "reason_code": "customer_request"}
RETRY = {"choice": "retry", "reason_code": "checked", "reason": "goods are there"}


async def stock_of(client: httpx.AsyncClient) -> list[dict[str, Any]]:
    levels: list[dict[str, Any]] = (await client.get("/v1/stock")).json()["data"]
    return levels


async def test_cancelled_order_gives_goods_and_money_back(running: Api, as_role: As) -> None:
    admin, service = as_role("admin"), as_role("service")
    order = RunningOrder(admin)
    packed, cancel = await order.packed(), f"{order.own}/cancel"
    preview = (await service.post(cancel, params={"preview": "true"}, json=WHY)).json()
    assert preview["cancellable"] is True
    assert preview["release"] == [{"line_id": "1", "sku": "SKU-1", "warehouse": "main", "quantity": 2}]
    assert preview["void"] == [packed["shipments"][0]["shipment_no"]]
    assert (preview["refund_minor"], [one["payment_id"] for one in preview["refund"]]) == (TOTAL, ["P-1"])
    assert (await order.read())["lifecycle"] == packed["lifecycle"]
    answer = await service.post(cancel, json=WHY)
    assert (answer.status_code, answer.json()["lifecycle"]) == (200, "cancelled")
    (refund,) = answer.json()["refunds"]
    assert (refund["payment_id"], refund["amount_minor"], refund["state"]) == ("P-1", TOTAL, "succeeded")
    level = {"sku": "SKU-1", "warehouse": "main", "on_hand": 10, "reserved": 0, "available": 10}
    assert await stock_of(admin) == [level]
    balances = (await admin.get("/v1/ledger/balances", params={"voucher_no": packed["voucher_no"]})).json()["data"]
    assert {row["balance_minor"] for row in balances} == {0}
    again = await service.post(cancel, json=WHY)
    assert (again.status_code, again.json()) == (200, answer.json())


async def test_goods_on_their_way_cannot_be_cancelled(running: Api, as_role: As) -> None:
    admin = as_role("admin")
    order = RunningOrder(admin)
    packed, cancel = await order.packed(), f"{order.own}/cancel"
    await admin.post(f"/v1/shipments/{packed['shipments'][0]['shipment_no']}/events", json=a_scan())
    shipped = await order.when(fulfilment="shipped")
    answer = await admin.post(cancel, json=WHY)
    assert (answer.status_code, answer.json()["code"]) == (409, "order_not_cancellable")
    assert answer.headers["Content-Type"] == PROBLEM
    preview = (await admin.post(cancel, params={"preview": True}, json=WHY)).json()
    assert (preview["cancellable"], preview["reason"], preview["refund"]) == (False, "goods_handed_over", [])
    assert (await order.read())["lifecycle"] == shipped["lifecycle"]


async def test_cancelling_ten_times_at_once_refunds_once(running: Api, as_role: As) -> None:
    admin = as_role("admin")
    order = RunningOrder(admin)
    await order.packed()
    keys = [{"Idempotency-Key": f"k{at % 3}"} for at in range(10)]
    answers = await asyncio.gather(*(admin.post(f"{order.own}/cancel", json=WHY, headers=key) for key in keys))
    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.content for answer in answers}) == 1
    assert (await counts(running.database))["refunds"] == 1


async def test_order_that_never_reached_temporal_is_started_and_cancelled(running: Api, as_role: As) -> None:
    running.app.state.hand_over = None
    order = RunningOrder(as_role("admin"))
    await order.place()
    answer = await as_role("sales").post(f"{order.own}/cancel", json=WHY)
    assert (answer.status_code, answer.json()) == (
        200,
        {"order_no": order.number, "lifecycle": "cancelled", "refunds": []},
    )


async def test_order_short_of_stock_is_held_and_resumed_by_its_owner(running: Api, as_role: As) -> None:
    admin, warehouse = as_role("admin"), as_role("warehouse")
    order = RunningOrder(admin)
    settle = f"{order.own}/exception"
    await price(admin)
    await order.place()
    assert await order.held() == ["out_of_stock"]
    listed = (await warehouse.get("/v1/holds", params={"reason_code": "out_of_stock"})).json()["data"]
    assert [(one["order_no"], one["owner_role"]) for one in listed] == [(order.number, "warehouse")]
    others = await as_role("finance").post(settle, json=RETRY)
    assert (others.status_code, others.json()["code"]) == (403, "not_the_owner")
    cancelled = await warehouse.post(settle, json=RETRY | {"choice": "cancel"})
    assert (cancelled.status_code, cancelled.json()["code"]) == (403, "forbidden")
    skipped = await warehouse.post(settle, json=RETRY | {"choice": "skip"})
    assert (skipped.status_code, skipped.json()["code"]) == (409, "choice_not_offered")
    retried = await warehouse.post(settle, json=RETRY)
    assert (retried.status_code, retried.json()) == (
        200,
        {"order_no": order.number, "choice": "retry", "node": "reserve"},
    )
    assert (await stock_up(warehouse)).status_code == 201
    resumed = await order.when(waiting_for="payment.full")
    assert (resumed["fulfilment"], resumed["holds"]) == ("allocated", [])
    nothing = await warehouse.post(settle, json=RETRY)
    assert (nothing.status_code, nothing.json()["code"]) == (409, "no_open_hold")


async def test_held_order_is_cancelled_by_choice(running: Api, as_role: As) -> None:
    admin = as_role("admin")
    order = RunningOrder(admin)
    await order.place(lines=[a_line(sku="UNKNOWN")])
    assert await order.held() == ["unknown_sku"]
    answer = await admin.post(f"{order.own}/exception", json=RETRY | {"choice": "cancel"})
    assert answer.status_code == 200
    assert (await order.when(lifecycle="cancelled"))["holds"] == []


async def test_without_temporal_commands_are_asked_for_again_later(api: Api, as_role: As) -> None:
    admin = as_role("admin")
    assert (await admin.post("/v1/orders", json=an_order())).status_code == 202
    before = await counts(api.database)
    for _ in range(2):
        answer = await admin.post(f"{OWN}/cancel", json=WHY)
        assert (answer.status_code, answer.json()["code"]) == (503, "temporal_unavailable")
        assert int(answer.headers["Retry-After"]) > 0
    # Only the words of whoever asked are kept; the order is as it was.
    assert await counts(api.database) == before | {"inbox_messages": before["inbox_messages"] + 1}
    assert (await admin.get(OWN)).json()["cancel_requested_at"] is None


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("cancel", {}),
        ("cancel", {"reason": ""}),
        ("cancel", {"reason": "x", "refund": True}),
        ("cancel", {"reason": 5}),
        ("exception", RETRY | {"choice": "forget"}),
        ("exception", {"choice": "retry"}),
        ("exception", RETRY | {"node": "done"}),
    ],
)
async def test_malformed_commands_do_nothing(api: Api, as_role: As, path: str, body: dict[str, Any]) -> None:
    admin = as_role("admin")
    await admin.post("/v1/orders", json=an_order())
    before = await counts(api.database)
    answer = await admin.post(f"{OWN}/{path}", json=body)
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_request")
    assert await counts(api.database) == before


async def test_commands_on_orders_of_others_find_nothing(api: Api, as_role: As) -> None:
    await as_role("admin").post("/v1/orders", json=an_order())
    token = await give_key(api.database, "shop", ["channel", "sales"], Grant(channels={"shop"}))
    for path, body in (("cancel", WHY), ("cancel?preview=true", WHY), ("exception", RETRY)):
        answer = await as_role(token=token).post(f"{OWN}/{path}", json=body)
        assert (answer.status_code, answer.json()["code"]) == (404, "order_not_found"), path
