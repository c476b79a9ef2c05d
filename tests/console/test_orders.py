"""Orders at the console: found, read by each role, followed, held, settled and cancelled."""

import httpx

from store import logins
from tests.api.conftest import Api, As
from tests.api.running_orders import RunningOrder, price, stock_up
from tests.console.conftest import Visit
from tests.factories.requests import a_line, an_order

PHONE, AMOUNT = "13800000000", "236.00"


async def _unknown(as_role: As) -> RunningOrder:
    order = RunningOrder(as_role("admin"))
    await order.place(lines=[a_line(sku="NEW")])
    assert await order.held() == ["unknown_sku"]
    return order


async def test_orders_are_found_by_what_people_know_of_them(api: Api, visit: Visit, as_role: As) -> None:
    shop = as_role("channel")
    for number in range(3):
        await shop.post("/v1/orders", json=an_order(f"X-{number}", customer={"id": f"C-{number}"}))
    browser = await visit("service").log_in()
    for called in ("X-1", "C-1", _numbers((await browser.get("/orders?called=X-1")).text)[0]):
        page = await browser.get("/orders", params={"called": f" {called} "})
        assert ["X-1" in page.text, "X-2" in page.text] == [True, False]
    assert _numbers((await browser.get("/orders?called=nothing")).text) == []
    assert len(_numbers((await browser.get("/orders?lifecycle=received&type=normal&channel=web")).text)) == 3
    assert _numbers((await browser.get("/orders?lifecycle=completed")).text) == []
    assert (await browser.get("/orders?lifecycle=nonsense")).status_code == 422
    assert (await browser.get("/orders?cursor=nonsense")).status_code == 422


async def test_a_list_goes_on_behind_its_last_order(api: Api, visit: Visit, as_role: As) -> None:
    shop = as_role("channel")
    orders = [an_order(f"P-{number}") for number in range(30)]
    assert (await shop.post("/v1/orders:batch", json={"orders": orders})).status_code == 200
    browser = await visit("service").log_in()
    first = await browser.get("/orders?channel=web")
    following = first.text.partition('rel="next"')[0].rpartition('href="')[2].partition('"')[0]
    second = await browser.http.get(following.replace("&amp;", "&"))
    found = _numbers(first.text) + _numbers(second.text)
    assert (len(_numbers(first.text)), len(found), len(set(found))) == (25, 30, 30)
    assert 'rel="next"' not in second.text


async def test_each_role_sees_what_it_may(api: Api, visit: Visit, as_role: As) -> None:
    order = RunningOrder(as_role("channel"))
    await order.place()
    seen = {}
    for role in ("service", "warehouse", "finance"):
        text = (await (await visit(role).log_in()).get(f"/orders/{order.number}")).text
        seen[role] = (AMOUNT in text, PHONE in text, "ui.test" in text)
    assert seen == {"service": (True, True, False), "warehouse": (False, False, False), "finance": (True, False, False)}
    assert (
        "http://ui.test/namespaces/" in (await (await visit("operations").log_in()).get(f"/orders/{order.number}")).text
    )
    lists = {role: (await (await visit(role).log_in()).get("/orders")).text for role in ("service", "warehouse")}
    assert {role: AMOUNT in text for role, text in lists.items()} == {"service": True, "warehouse": False}


async def test_hold_is_settled_by_its_owner_and_nobody_else(running: Api, visit: Visit, as_role: As) -> None:
    order = await _unknown(as_role)
    others = await visit("finance").log_in()
    page = await others.get(f"/orders/{order.number}")
    assert ("Unknown SKU" in page.text, "/resolve" in page.text) == (True, False)
    refused = await others.post(f"/orders/{order.number}/resolve", choice="retry", reason="let it go")
    assert (refused.status_code, "belongs to another role" in refused.text) == (403, True)
    owner = await visit("operations").log_in()
    await owner.get(f"/orders/{order.number}")
    mute = await owner.post(f"/orders/{order.number}/resolve", choice="retry", reason=" ")
    assert (mute.status_code, "reason" in mute.text) == (422, True)
    wrong = await owner.post(f"/orders/{order.number}/resolve", choice="skip", reason="never mind")
    assert (wrong.status_code, "does not offer this choice" in wrong.text) == (409, True)
    assert (await order.read())["holds"][0]["attempts"] == 1
    client = as_role("admin")
    await client.put(
        "/v1/products/NEW", json={"name": "N", "price_minor": 11300, "currency": "CNY", "tax_rate": "0.13"}
    )
    line = {"sku": "NEW", "quantity": 10, "unit_cost_minor": 6000}
    await client.post("/v1/stock/receipts", json={"receipt_id": "R-9", "warehouse": "main", "lines": [line]})
    done = await owner.post(f"/orders/{order.number}/resolve", choice="retry", reason="catalogue mended")
    assert done.status_code in (200, 409), done.text
    assert (await order.when(holds=[]))["holds"] == []


async def test_order_is_kept_from_being_shipped_and_cancelled(running: Api, visit: Visit, as_role: As) -> None:
    order = RunningOrder(as_role("admin"))
    await price(as_role("admin"))
    await stock_up(as_role("admin"))
    await order.place()
    await order.when(waiting_for="payment.full")
    browser = await visit("operations").log_in()
    page = await browser.get(f"/orders/{order.number}")
    assert "sse-connect" in page.text
    held = await browser.post(f"/orders/{order.number}/hold", reason="the customer wrote")
    assert (held.status_code, "will not be shipped" in held.text, "Held by a person" in held.text) == (200, True, True)
    undone = await browser.post(f"/orders/{order.number}/cancel", reason="changed their mind")
    assert (undone.status_code, "is being undone" in undone.text) == (200, True)
    await order.when(lifecycle="cancelled")
    over = await browser.post(f"/orders/{order.number}/hold", reason="too late")
    assert over.status_code == 409
    shown = await browser.get(f"/orders/{order.number}")
    assert ("sse-connect" in shown.text, "Cancelled" in shown.text) == (False, True)
    told = await browser.get(f"/orders/{order.number}/events?after=1")
    assert told.headers["content-type"].startswith("text/event-stream")
    assert told.text.count("event: change") == len(await _story(as_role, order)) - 1
    assert told.text.rstrip().endswith("event: over\ndata: over")
    assert "the customer wrote" not in told.text
    live = await browser.get(f"/orders/{order.number}/live")
    assert ("<html" in live.text, "<svg" in live.text) == (False, True)


async def test_with_temporal_away_a_command_says_so_and_the_pages_stay(api: Api, visit: Visit, as_role: As) -> None:
    order = RunningOrder(as_role("channel"))
    await order.place()
    browser = await visit("operations").log_in()
    page = await browser.get(f"/orders/{order.number}")
    assert page.status_code == 200
    answer = await browser.post(f"/orders/{order.number}/hold", reason="wait")
    assert (answer.status_code, "cannot be reached" in answer.text) == (503, True)


async def test_a_stream_ends_with_the_session_that_opened_it(api: Api, visit: Visit) -> None:
    browser = await visit("gm").log_in()
    token = browser.http.cookies["orderflow_session"]
    async with api.database.sessions() as session, session.begin():
        assert await logins.entered(session, token, seen=False) is not None
        await logins.close_session(session, token)
        assert await logins.entered(session, token, seen=False) is None
    answer: httpx.Response = await browser.get("/orders/SO-1/events")
    assert answer.url.path == "/console/login"


def _numbers(text: str) -> list[str]:
    return [part.partition('"')[0] for part in text.split('class="cover" href="/console/orders/')[1:]]


async def _story(as_role: As, order: RunningOrder) -> list[object]:
    found: list[object] = (await as_role("admin").get(f"{order.own}/timeline")).json()["data"]
    return found
