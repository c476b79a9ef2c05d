"""What people do to an order at the console: shown first, made as it was shown, and refused as the API refuses it."""

import re
from html import unescape

import httpx
import pytest

from tests.api.conftest import Api, As
from tests.api.running_orders import TOTAL, RunningOrder, price, stock_up
from tests.api.test_flows import published
from tests.api.test_moving import parked, patient, put_price
from tests.console.conftest import Visit
from tests.fakes.browser import Browser
from tests.fakes.patience import eventually

_SAID = re.compile(r'name="wish" value="([^"]*)"')
_RECEIPT = re.compile(r'name="receipt_id" value="([^"]*)"')
ACTS = ("change", "refund", "return", "move", "cancel")


def said(page: httpx.Response) -> str:
    """What the page that shows an act sends to have it made."""
    found = _SAID.search(page.text)
    assert found, page.text
    return unescape(found[1])


async def paid(client: httpx.AsyncClient) -> RunningOrder:
    await price(client)
    await stock_up(client)
    order = RunningOrder(client)
    await order.place()
    await order.when(waiting_for="payment.full")
    return order


async def delivered(client: httpx.AsyncClient) -> RunningOrder:
    order = RunningOrder(client)
    shown = await order.packed()
    path = f"/v1/shipments/{shown['shipments'][0]['shipment_no']}/events"
    for status in ("picked_up", "delivered"):
        report = {"event_id": status, "status": status, "occurred_at": "2026-11-24T08:00:00Z"}
        assert (await client.post(path, json=report)).status_code == 202
    await order.when(lifecycle="completed")
    return order


async def test_order_is_changed_as_it_was_shown(running: Api, visit: Visit, as_role: As) -> None:
    order = await paid(as_role("admin"))
    browser = await visit("service").log_in()
    form = await browser.get(f"/orders/{order.number}/change")
    assert ('name="quantity.1"' in form.text, 'name="street"' in form.text) == (True, True)
    fields = {"quantity.1": "1", "reason": "the buyer rang"} | {
        "country": "CN",
        "street": "文三路 9 号",
        "city": "杭州市",
    }
    shown = await browser.post(f"/orders/{order.number}/change", **fields)
    assert shown.status_code == 200
    assert all(word in shown.text for word in ("CN¥236.00", "CN¥123.00", "-CN¥113.00", "文三路 9 号"))
    before = await order.read()
    assert (before["lines"][0]["quantity"], before["totals"]["total_minor"]) == (2, TOTAL)
    wish = said(shown)
    done = await browser.post(f"/orders/{order.number}/change", wish=wish)
    assert (done.status_code, "The order is changed." in done.text) == (200, True)
    after = await order.read()
    assert (after["totals"]["total_minor"], after["ship_to"]["street"]) == (12_300, "文三路 9 号")
    # Sent twice, it is one change.
    again = await browser.post(f"/orders/{order.number}/change", wish=wish)
    assert again.status_code == 200
    changes = (await as_role("admin").get(f"{order.own}/changes")).json()["data"]
    assert [(one["changed_by"], one["reason"]) for one in changes] == [("service", "the buyer rang")]


async def test_change_that_is_nothing_or_outdated_changes_nothing(running: Api, visit: Visit, as_role: As) -> None:
    order = await paid(as_role("admin"))
    browser = await visit("service").log_in()
    await browser.get(f"/orders/{order.number}/change")
    nothing = await browser.post(f"/orders/{order.number}/change", reason="no idea", **{"quantity.1": "2"})
    assert (nothing.status_code, "Name lines, add or ship_to" in nothing.text) == (422, True)
    mute = await browser.post(f"/orders/{order.number}/change", reason=" ", **{"quantity.1": "1"})
    assert (mute.status_code, "Please check: reason" in mute.text) == (422, True)
    odd = await browser.post(f"/orders/{order.number}/change", reason="x", **{"quantity.1": "-1"})
    assert (odd.status_code, 'value="-1"' in odd.text) == (422, True)
    wish = said(await browser.post(f"/orders/{order.number}/change", reason="fewer", **{"quantity.1": "1"}))
    await order.pay()
    await order.when(waiting_for="shipment.delivered")
    late = await browser.post(f"/orders/{order.number}/change", wish=wish)
    assert (late.status_code, "not what it was when" in late.text or "no longer be changed" in late.text) == (409, True)
    assert (await order.read())["lines"][0]["quantity"] == 2


async def test_goodwill_and_shipping_are_given_back(running: Api, visit: Visit, as_role: As) -> None:
    order = await delivered(as_role("admin"))
    browser = await visit("service").log_in()
    await browser.get(f"/orders/{order.number}/refund")
    path = f"/orders/{order.number}/refund"
    for amount in ("12.345", "abc", "9999.00"):
        refused = await browser.post(path, kind="goodwill", amount=amount, reason_code="damaged", reason="a scratch")
        assert refused.status_code in (409, 422), refused.text
        assert amount in refused.text
    wrong = await browser.post(path, kind="goodwill", amount="1", reason_code="changed_mind", reason="x")
    assert (wrong.status_code, "not one for a refund of this kind" in wrong.text) == (422, True)
    shown = await browser.post(path, kind="goodwill", amount="10.5", reason_code="damaged", reason="a scratch")
    assert (shown.status_code, "CN¥10.50" in shown.text) == (200, True)
    done = await browser.post(path, wish=said(shown))
    assert "on its way back" in done.text
    shipping = await browser.post(path, kind="shipping", amount="", reason_code="late_delivery", reason="too late")
    assert "CN¥10.00" in shipping.text
    await browser.post(path, wish=said(shipping))

    async def refunds() -> list[tuple[str, int]]:
        found = (await as_role("admin").get(f"{order.own}/refunds")).json()["data"]
        return sorted((one["kind"], one["payout_minor"]) for one in found)

    assert await eventually(refunds, lambda found: len(found) == 2) == [("goodwill", 1_050), ("shipping", 1_000)]


async def test_return_is_announced_taken_in_and_inspected(running: Api, visit: Visit, as_role: As) -> None:
    order = await delivered(as_role("admin"))
    service = await visit("service").log_in()
    await service.get(f"/orders/{order.number}/return")
    path = f"/orders/{order.number}/return"
    more = await service.post(path, kind="refund", **{"quantity.1": "3", "reason.1": "damaged"})
    assert more.status_code == 409
    shown = await service.post(path, kind="refund", **{"quantity.1": "1", "reason.1": "damaged"})
    assert "1 come back" in shown.text
    announced = await service.post(path, wish=said(shown))
    assert "The return is announced." in announced.text

    async def returns() -> list[dict[str, str]]:
        found: list[dict[str, str]] = (await order.read())["returns"]
        return found

    [back] = await eventually(returns, lambda found: bool(found) and found[0]["state"] == "approved")
    number = back["return_no"]
    assert "/receipt" not in (await service.get(f"/returns/{number}")).text
    warehouse = await visit("warehouse").log_in()
    page = await warehouse.get(f"/returns/{number}")
    assert (page.status_code, "CN¥" in page.text) == (200, False)
    receipt = _RECEIPT.search(page.text)
    assert receipt is not None
    fields = {"receipt_id": receipt[1], "warehouse": "main", "last": "1"}
    none = await warehouse.post(f"/returns/{number}/receipt", **fields)
    assert (none.status_code, "units" in none.text) == (422, True)
    many = await warehouse.post(f"/returns/{number}/receipt", **fields, **{"resellable.1": "2"})
    assert (many.status_code, "More units than the return announces" in many.text) == (409, True)
    done = await warehouse.post(f"/returns/{number}/receipt", **fields, **{"resellable.1": "1"})
    assert (done.status_code, "on record" in done.text) == (200, True)
    [closed] = await eventually(returns, lambda found: found[0]["state"] == "closed")
    levels = (await as_role("admin").get("/v1/stock", params={"sku": "SKU-1"})).json()["data"]
    assert (closed["state"], levels[0]["on_hand"]) == ("closed", 9)


async def test_exchange_shows_what_goes_out_instead(running: Api, visit: Visit, as_role: As) -> None:
    order = await delivered(as_role("admin"))
    service = await visit(
        "service",
    ).log_in()
    await service.get(f"/orders/{order.number}/return")
    fields = {"quantity.1": "1", "reason.1": "defective"}
    shown = await service.post(f"/orders/{order.number}/return", kind="exchange", **fields)
    assert ("1 go out instead" in shown.text, "Goes back" in shown.text) == (True, False)
    unknown = await service.post(f"/orders/{order.number}/return", kind="exchange", **fields, **{"sku.1": "NOTHING"})
    assert unknown.status_code == 422


async def test_held_order_is_moved_to_another_version(running: Api, visit: Visit, as_role: As) -> None:
    admin = as_role("admin")
    order = await parked(admin)
    assert (await published(running, admin, patient())).status_code == 201
    await put_price(admin, 11_300)
    await stock_up(admin)
    browser = await visit("operations").log_in()
    assert "/move" in (await browser.get(f"/orders/{order.number}")).text
    await browser.get(f"/orders/{order.number}/move")
    lost = await browser.post(f"/orders/{order.number}/move", version="2", reason="it knows how")
    assert (lost.status_code, "Nothing says which node" in lost.text) == (409, True)
    names = {"own": "pay", "there": "pay", "own_3": "check", "there_3": "look"}
    fields = {"version": "2", "reason": "it knows how"} | names
    done = await browser.post(f"/orders/{order.number}/move", **fields)
    assert "goes on in the other version" in done.text
    assert (await order.when(waiting_for="payment.full"))["flow"]["version"] == 2


async def test_cancelling_shows_what_it_sets_free(running: Api, visit: Visit, as_role: As) -> None:
    order = RunningOrder(as_role("admin"))
    await order.packed()
    browser = await visit("operations").log_in()
    shown = await browser.get(f"/orders/{order.number}/cancel")
    assert all(words in shown.text for words in ("2 are on sale again", "called off with the carrier", "CN¥236.00"))
    mute = await browser.post(f"/orders/{order.number}/cancel", reason=" ")
    assert (mute.status_code, (await order.read())["lifecycle"]) == (422, "fulfilling")
    await browser.post(f"/orders/{order.number}/cancel", reason="changed their mind")
    await order.when(lifecycle="cancelled")
    over = await browser.get(f"/orders/{order.number}/cancel")
    assert "no longer be undone" in over.text


@pytest.mark.parametrize(
    ("role", "offered"),
    [
        ("operations", {"change", "cancel"}),
        ("service", {"change", "refund", "cancel"}),
        ("finance", {"refund"}),
        ("warehouse", set[str]()),
        ("gm", set[str]()),
    ],
)
async def test_each_role_is_offered_what_it_may_and_nothing_else(
    api: Api, visit: Visit, as_role: As, role: str, offered: set[str]
) -> None:
    order = RunningOrder(as_role("channel"))
    await order.place()
    browser: Browser = await visit(role).log_in()
    page = (await browser.get(f"/orders/{order.number}")).text
    assert {act for act in ACTS if f"/orders/{order.number}/{act}" in page} == offered
    may = (
        offered
        | ({"return"} if role in ("operations", "service") else set())
        | ({"move"} & {"move" * (role == "operations")})
    )
    for act in ACTS:
        expected = 200 if act in may else 403
        assert (await browser.get(f"/orders/{order.number}/{act}")).status_code == expected, act
        if expected == 403:
            assert (await browser.post(f"/orders/{order.number}/{act}", reason="x")).status_code == 403


async def test_no_act_is_taken_from_another_page(api: Api, visit: Visit, as_role: As) -> None:
    order = RunningOrder(as_role("channel"))
    await order.place()
    browser = await visit("admin").log_in()
    for act in ACTS:
        answer = await browser.post(f"/orders/{order.number}/{act}", csrf="guessed", reason="x")
        assert (answer.status_code, "out of date" in answer.text) == (403, True)
    assert (await browser.get("/orders/SO-NOBODY/change")).status_code == 404
    assert (await browser.get("/returns/RT-NOBODY")).status_code == 404
