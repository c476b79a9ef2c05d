"""Changes of orders as people ask for them: shown first, made as shown, once, or refused with nothing changed."""

from typing import Any

import httpx
import pytest

from domain.order_number import order_number
from store import orders
from store.access import Grant
from tests.api.conftest import PROBLEM, Api, As, give_key
from tests.api.rows import counts
from tests.api.running_orders import TOTAL, RunningOrder, price, stock_up
from tests.factories.requests import Body, an_order

PRICE = 11_300
CHANGES = f"/v1/orders/{order_number('web', 'T-1001')}/changes"


def a_change(change_id: str = "C-1", **changes: Any) -> Body:
    said = {"change_id": change_id, "reason": "the buyer rang", "lines": [{"line_id": "1", "quantity": 1}]} | changes
    return {name: value for name, value in said.items() if value is not None}


def an_address(**changes: Any) -> Body:
    return {"country": "CN", "city": "Shanghai", "street": "Nanjing Road 2", "name": "Li Lei"} | changes


async def shown(client: httpx.AsyncClient, path: str, **changes: Any) -> Body:
    """What the preview says."""
    answer = await client.post(path, json=a_change(**changes), params={"preview": "true"})
    assert answer.status_code == 200, answer.text
    body: Body = answer.json()
    return body


@pytest.fixture
async def waiting(running: Api, admin: httpx.AsyncClient) -> RunningOrder:
    """An order of two units at 113.00 with a fee of 10.00, promised and waiting for its money."""
    order = RunningOrder(admin)
    await price(admin)
    await stock_up(admin)
    await order.place()
    await order.when(waiting_for="payment.full")
    return order


async def test_what_the_preview_shows_is_what_happens(running: Api, waiting: RunningOrder, as_role: As) -> None:
    service, path = as_role("service"), f"{waiting.own}/changes"
    before = await counts(running.database)
    preview = await shown(service, path, lines=[{"line_id": "1", "quantity": 3}], ship_to=an_address())
    assert await counts(running.database) == before
    assert (preview["before"]["total_minor"], preview["after"]["total_minor"]) == (TOTAL, TOTAL + PRICE)
    assert (preview["delta_minor"], preview["due_minor"], preview["refund_minor"], preview["outcome"]) == (
        PRICE,
        TOTAL + PRICE,
        0,
        "pay",
    )
    body = a_change(lines=[{"line_id": "1", "quantity": 3}], ship_to=an_address(), version=preview["version"])
    answer = await service.post(path, json=body)
    assert answer.status_code == 200, answer.text
    assert (answer.json()["delta_minor"], answer.json()["after"]) == (
        PRICE,
        {"units": {"1": 3}, "total_minor": TOTAL + PRICE},
    )
    order = await waiting.when(waiting_for="payment.full")
    assert order["totals"]["total_minor"] == TOTAL + PRICE
    assert [(line["quantity"], line["allocated"]) for line in order["lines"]] == [(3, 3)]
    assert order["ship_to"]["city"] == "Shanghai"
    listed = (await service.get(path)).json()
    assert (listed["data"], listed["next_cursor"]) == ([answer.json()], None)
    await waiting.pay(TOTAL + PRICE)
    await waiting.when(waiting_for="shipment.delivered", payment="paid")


async def test_the_surplus_of_a_paid_order_goes_back(running: Api, waiting: RunningOrder, as_role: As) -> None:
    service, path = as_role("service"), f"{waiting.own}/changes"
    hold = {"reason": "the buyer thinks about it"}
    assert (await service.post(f"{waiting.own}/holds", json=hold)).status_code == 201
    await waiting.pay()
    await waiting.when(payment="paid")
    preview = await shown(service, path)
    assert (preview["outcome"], preview["refund_minor"], preview["due_minor"]) == ("refund", PRICE, 0)
    answer = await service.post(path, json=a_change(version=preview["version"]))
    assert (answer.status_code, answer.json()["refund_minor"]) == (200, PRICE)
    refund = (await service.get(f"{waiting.own}/refunds/change-C-1")).json()
    assert (refund["kind"], refund["payout_minor"], refund["reason_code"]) == ("change", PRICE, "order_changed")


async def test_repeated_change_has_one_effect_and_one_answer(running: Api, waiting: RunningOrder, as_role: As) -> None:
    service, path = as_role("service"), f"{waiting.own}/changes"
    body = a_change(version=(await shown(service, path))["version"])
    first = await service.post(path, json=body)
    again = await service.post(path, json=body)
    assert (again.status_code, again.content) == (200, first.content)
    assert again.headers["Idempotent-Replayed"] == "true"
    assert (await counts(running.database))["order_changes"] == 1
    other = await service.post(path, json=body | {"reason": "another"})
    assert (other.status_code, other.json()["code"]) == (422, "idempotency_key_reused")


async def test_a_change_of_an_order_that_went_on_meanwhile_is_shown_anew(
    running: Api, waiting: RunningOrder, as_role: As
) -> None:
    service, path = as_role("service"), f"{waiting.own}/changes"
    version = (await shown(service, path))["version"]
    await service.post(path, json=a_change(version=version, ship_to=an_address(), lines=None))
    answer = await service.post(path, json=a_change("C-2", version=version))
    assert (answer.status_code, answer.json()["code"]) == (409, "preview_stale")
    assert answer.headers["Content-Type"] == PROBLEM
    # With the version of the present the same change goes through.
    later = (await shown(service, path, change_id="C-2"))["version"]
    assert (await service.post(path, json=a_change("C-2", version=later))).status_code == 200


async def test_packed_goods_are_not_changed(running: Api, admin: httpx.AsyncClient) -> None:
    order = RunningOrder(admin)
    packed, path = await order.packed(), f"{order.own}/changes"
    async with running.database.sessions() as session:
        version = (await orders.get(session, order.number)).last_event_seq
    for params in ({"preview": "true"}, {}):
        answer = await admin.post(path, json=a_change(version=version), params=params)
        assert (answer.status_code, answer.json()["code"]) == (409, "order_not_changeable")
    assert (await counts(running.database))["order_changes"] == 0
    assert (await order.read())["lines"] == packed["lines"]


async def test_prices_of_new_lines_count_from_keys_that_set_them(api: Api, as_role: As) -> None:
    await as_role("channel").post("/v1/orders", json=an_order())
    await price(as_role("admin"))
    new = {"line_id": "2", "sku": "SKU-1", "quantity": 1}
    dear = new | {"unit_price_minor": 20_000}
    service = as_role("service")
    preview = await shown(service, CHANGES, lines=None, add=[new])
    assert [line["unit_price_minor"] for line in preview["lines"]] == [PRICE, PRICE]
    refused = await service.post(CHANGES, json=a_change(lines=None, add=[dear]), params={"preview": "true"})
    assert (refused.status_code, refused.json()["code"]) == (409, "price_mismatch")
    token = await give_key(api.database, "shop", ["channel"], Grant(scopes=frozenset({"orders:priced"})))
    preview = await shown(as_role(token=token), CHANGES, lines=None, add=[dear])
    assert [line["unit_price_minor"] for line in preview["lines"]] == [PRICE, 20_000]


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (a_change(version=1, lines=[{"line_id": "9", "quantity": 1}]), 422, "unknown_line"),
        (a_change(version=1, lines=[{"line_id": "1", "quantity": 0}]), 409, "nothing_left_to_ship"),
        (a_change(version=1, lines=[{"line_id": "1", "quantity": 2}]), 409, "nothing_to_change"),
        (a_change(version=1, lines=[{"line_id": "1", "quantity": -1}]), 422, "invalid_request"),
        (a_change(version=1, lines=[{"line_id": "1", "quantity": 1}] * 2), 422, "invalid_request"),
        (a_change(version=1, lines=None), 422, "invalid_request"),
        (a_change(version=1, ship_to={"city": "Shanghai"}), 422, "invalid_request"),
        (a_change(version=1, colour="red"), 422, "invalid_request"),
        (a_change(version=1, change_id="x" * 57), 422, "invalid_request"),
        (a_change(version=1, add=[{"line_id": "2", "sku": "NONE", "quantity": 1}]), 422, "unknown_sku"),
        (a_change(version="1"), 422, "invalid_request"),
    ],
)
async def test_what_cannot_be_changed_is_refused_in_the_preview(
    api: Api, as_role: As, body: Body, status: int, code: str
) -> None:
    service = as_role("service")
    await as_role("channel").post("/v1/orders", json=an_order())
    before = await counts(api.database)
    answer = await service.post(CHANGES, json=body, params={"preview": "true"})
    assert (answer.status_code, answer.json()["code"]) == (status, code), answer.text
    assert await counts(api.database) == before


async def test_a_change_without_a_preview_is_refused(api: Api, as_role: As) -> None:
    await as_role("channel").post("/v1/orders", json=an_order())
    before = await counts(api.database)
    answer = await as_role("service").post(CHANGES, json=a_change())
    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, "#/version")
    assert await counts(api.database) == before


async def test_without_temporal_a_change_is_asked_for_again_later(api: Api, as_role: As) -> None:
    service = as_role("service")
    await as_role("channel").post("/v1/orders", json=an_order())
    before = await counts(api.database)
    for _ in range(2):
        answer = await service.post(CHANGES, json=a_change(version=1))
        assert (answer.status_code, answer.json()["code"]) == (503, "temporal_unavailable")
    assert await counts(api.database) == before | {"inbox_messages": before["inbox_messages"] + 1}


async def test_others_orders_cannot_be_changed_and_not_by_everybody(api: Api, as_role: As) -> None:
    await as_role("channel").post("/v1/orders", json=an_order())
    assert (await as_role().post(CHANGES, json=a_change(version=1))).status_code == 401
    for role in ("warehouse", "finance", "gm"):
        assert (await as_role(role).post(CHANGES, json=a_change(version=1))).status_code == 403
    token = await give_key(api.database, "elsewhere", ["channel"], Grant(channels=frozenset({"shop"})))
    stranger = as_role(token=token)
    for answer in (await stranger.post(CHANGES, json=a_change(version=1)), await stranger.get(CHANGES)):
        assert (answer.status_code, answer.json()["code"]) == (404, "order_not_found")
