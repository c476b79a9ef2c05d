"""Lists of orders, one order, and what each role is shown of it."""

from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from domain.order_number import order_number
from store.holds import Reason, open_hold
from store.orders import lock
from tests.api.conftest import Api, As
from tests.factories import orders
from tests.factories.requests import ORDER_TOTAL, an_order

NUMBER = order_number("web", "T-1001")
START = datetime(2026, 11, 22, 10, 0, tzinfo=UTC)


async def placed(api: Api, count: int = 5, **columns: Any) -> list[str]:
    """Orders received a minute apart, the oldest first."""
    numbers = [f"SO-{at}" for at in range(1, count + 1)]
    for at, number in enumerate(numbers):
        received = {"received_at": START + timedelta(minutes=at)}
        await orders.place(api.database.sessions, number, **(received | columns))
    return numbers


async def numbers_of(client: httpx.AsyncClient, **params: Any) -> list[str]:
    answer = await client.get("/v1/orders", params=params)
    assert answer.status_code == 200, answer.text
    return [one["order_no"] for one in answer.json()["data"]]


async def test_list_goes_page_by_page_and_new_orders_shift_nothing(api: Api, admin: httpx.AsyncClient) -> None:
    numbers = await placed(api)
    first = await admin.get("/v1/orders", params={"limit": 2})
    assert [one["order_no"] for one in first.json()["data"]] == ["SO-5", "SO-4"]
    await orders.place(api.database.sessions, "SO-6", received_at=START + timedelta(hours=1))
    assert first.links["next"]["url"].endswith(f"cursor={first.json()['next_cursor']}")
    second = await admin.get(first.links["next"]["url"])
    third = await admin.get("/v1/orders", params={"limit": 2, "cursor": second.json()["next_cursor"]})
    assert [one["order_no"] for one in second.json()["data"] + third.json()["data"]] == ["SO-3", "SO-2", "SO-1"]
    assert (third.json()["next_cursor"], "link" in third.headers) == (None, False)
    assert await numbers_of(admin, sort="oldest") == [*numbers, "SO-6"]


async def test_filters_narrow_the_list(api: Api, admin: httpx.AsyncClient) -> None:
    await placed(api, 2)
    other: dict[str, Any] = {"channel": "shop", "customer_id": "C-9", "type": "gift", "lifecycle": "completed"}
    await orders.place(api.database.sessions, "SO-9", received_at=START + timedelta(days=1), **other)
    for name, value in other.items():
        assert await numbers_of(admin, **{name: value}) == ["SO-9"], name
    assert await numbers_of(admin, external_id="SO-2") == ["SO-2"]
    assert await numbers_of(admin, lifecycle=["completed", "received"]) == ["SO-9", "SO-2", "SO-1"]
    assert await numbers_of(admin, received_after="2026-11-22T10:01:00Z") == ["SO-9", "SO-2"]
    assert await numbers_of(admin, received_before="2026-11-22T18:01:00+08:00") == ["SO-1"]
    assert await numbers_of(admin, channel="nobody") == []


async def test_held_orders_are_found_by_the_reason(api: Api, admin: httpx.AsyncClient) -> None:
    await placed(api, 2)
    async with api.database.sessions() as session, session.begin():
        reason = Reason("out_of_stock", "Not enough", {"missing": {"SKU-1": 2}})
        await open_hold(session, await lock(session, "SO-1"), reason)
    assert await numbers_of(admin, hold="out_of_stock") == ["SO-1"]
    assert await numbers_of(admin, hold="unknown_sku") == []
    (shown,) = (await admin.get("/v1/orders", params={"hold": "out_of_stock"})).json()["data"]
    assert shown["holds"] == ["out_of_stock"]


@pytest.mark.parametrize(
    "params",
    [
        {"limit": 0},
        {"limit": 201},
        {"limit": "1e9"},
        {"cursor": "x"},
        {"sort": "random"},
        {"lifecycle": "lost"},
        {"status": "received"},
        {"received_after": "yesterday"},
        {"received_after": 5},
        {"hold": "A b"},
    ],
)
async def test_lists_refuse_what_they_do_not_know(admin: httpx.AsyncClient, params: dict[str, Any]) -> None:
    answer = await admin.get("/v1/orders", params=params)
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_request")
    (problem,) = answer.json()["errors"]
    assert problem["parameter"].startswith(next(iter(params)))


async def test_cursor_of_another_order_of_the_list_is_refused(api: Api, admin: httpx.AsyncClient) -> None:
    await placed(api, 2)
    cursor = (await admin.get("/v1/orders", params={"limit": 1})).json()["next_cursor"]
    answer = await admin.get("/v1/orders", params={"limit": 1, "sort": "oldest", "cursor": cursor})
    assert answer.status_code == 422


async def test_one_order_shows_everything_to_who_may_see_it(admin: httpx.AsyncClient) -> None:
    await admin.post("/v1/orders", json=an_order())
    shown = (await admin.get(f"/v1/orders/{NUMBER}")).json()
    own = f"/v1/orders/{NUMBER}"
    assert {name: shown[name] for name in ("channel", "external_id", "type", "lifecycle", "payment", "fulfilment")} == {
        "channel": "web",
        "external_id": "T-1001",
        "type": "normal",
        "lifecycle": "received",
        "payment": "unpaid",
        "fulfilment": "unallocated",
    }
    assert [shown[axis] for axis in ("return", "invoice", "revenue", "recon")] == ["none"] * 4
    assert shown["totals"] == {
        "list_minor": 22_600,
        "seller_discount_minor": 2_000,
        "platform_discount_minor": 0,
        "shipping_minor": 1_000,
        "total_minor": ORDER_TOTAL,
        "transaction_minor": ORDER_TOTAL,
        "net_minor": 19_115,
        "tax_minor": 2_485,
        "paid_minor": 0,
        "refunded_minor": 0,
        "written_off_minor": 0,
        "reduced_minor": 0,
        "forfeited_minor": 0,
    }
    (line,) = shown["lines"]
    assert (line["line_id"], line["quantity"], line["tax_rate"], line["payable_minor"]) == ("1", 2, "0.13", ORDER_TOTAL)
    assert shown["fx"] == {"functional_currency": "CNY", "rate": "1", "total_minor": ORDER_TOTAL}
    assert shown["contact"] == {"name": "王小明", "phone": "13800000000", "email": "wang@example.com"}
    assert (shown["ship_to"]["street"], shown["customer_id"], shown["customer_level"]) == (
        "文三路 1 号",
        "C-7",
        "standard",
    )
    assert [shown[name] for name in ("holds", "shipments", "payments", "refunds", "invoices")] == [[]] * 5
    assert (shown["flow"], shown["waiting_for"]) == ({"key": "normal", "version": 1}, None)
    assert shown["placed_at"] == "2026-11-22T10:00:00Z"
    assert shown["links"]["self"] == own


async def test_roles_see_money_and_contacts_as_far_as_they_need(as_role: As) -> None:
    await as_role("admin").post("/v1/orders", json=an_order())
    for role in ("admin", "channel", "sales", "manager", "service", "operations"):
        shown = (await as_role(role).get(f"/v1/orders/{NUMBER}")).json()
        assert (shown["totals"]["total_minor"], shown["contact"]["name"]) == (ORDER_TOTAL, "王小明"), role
    for role in ("finance", "gm", "ceo"):
        shown = (await as_role(role).get(f"/v1/orders/{NUMBER}")).json()
        assert (shown["totals"]["total_minor"], shown["contact"], shown["ship_to"]) == (ORDER_TOTAL, None, None), role
    packer = as_role("warehouse")
    shown = (await packer.get(f"/v1/orders/{NUMBER}")).json()
    assert [shown[name] for name in ("totals", "fx", "discounts", "payments", "refunds", "invoices")] == [None] * 6
    assert (shown["contact"], shown["ship_to"], shown["lines"][0]["quantity"]) == (None, None, 2)
    everything = [
        (await packer.get(path)).text
        for path in ("/v1/orders", f"/v1/orders/{NUMBER}", f"/v1/orders/{NUMBER}/timeline")
    ]
    for secret in ("21600", "11300", "13800000000", "王小明", "文三路"):
        assert not any(secret in text for text in everything), secret


async def test_only_operators_get_a_link_to_the_web_ui(as_role: As) -> None:
    await as_role("admin").post("/v1/orders", json=an_order())
    for role, linked in (("admin", True), ("operations", True), ("channel", False), ("ceo", False)):
        shown = (await as_role(role).get(f"/v1/orders/{NUMBER}")).json()
        assert ("temporal" in shown["links"]) is linked, role


async def test_unknown_orders_are_not_found(admin: httpx.AsyncClient) -> None:
    for part in ("", "/timeline", "/decisions", "/events", "/payments", "/payments/P-1"):
        answer = await admin.get(f"/v1/orders/SO0000000000000000{part}")
        assert (answer.status_code, answer.json()["code"]) == (404, "order_not_found"), part
    assert (await admin.get("/v1/orders/%20")).status_code == 422


async def test_timeline_tells_who_did_what_and_goes_page_by_page(api: Api, admin: httpx.AsyncClient) -> None:
    await admin.post("/v1/orders", json=an_order())
    async with api.database.sessions() as session, session.begin():
        await open_hold(session, await lock(session, NUMBER), Reason("out_of_stock", "Not enough", node="reserve"))
    first = await admin.get(f"/v1/orders/{NUMBER}/timeline", params={"limit": 1})
    second = await admin.get(first.links["next"]["url"])
    (placing,), (hold,) = first.json()["data"], second.json()["data"]
    assert (placing["seq"], placing["kind"], placing["actor"], placing["source"]) == (
        1,
        "order.received",
        "admin",
        "api",
    )
    assert placing["data"]["total_minor"] == ORDER_TOTAL
    assert (hold["seq"], hold["kind"], hold["node"], hold["reason"]) == (2, "order.held", "reserve", "Not enough")
    assert second.json()["next_cursor"] is None
