"""The customs card of an order: what is there, who gave it, and what people may add."""

from typing import Any

import pytest

from tests.api.conftest import Api, As
from tests.api.running_orders import RunningOrder
from tests.console.conftest import Visit

NUMBER = "11010119900101123X"
CUSTOMS = {"buyer_name": "王小明", "buyer_id_no": NUMBER}
LINE = {"hs_code.1": "33049900", "origin.1": "jp", "unit.1": "piece"}


@pytest.fixture
async def order(api: Api, as_role: As) -> RunningOrder:
    order = RunningOrder(as_role("channel"))
    await order.place(type="cross_border", customs=CUSTOMS)
    return order


async def test_data_is_told_and_its_number_stays_hidden_from_all_but_those_who_declare(
    order: RunningOrder, visit: Visit, as_role: As
) -> None:
    service = await visit("service").log_in()
    card = (await service.get(f"/orders/{order.number}")).text
    assert ("Data is missing" in card, "********123X" in card, NUMBER in card) == (True, True, False)
    form = (await service.get(f"/orders/{order.number}/customs")).text
    assert (NUMBER in form, 'placeholder="********123X"' in form) == (False, True)
    done = await service.post(f"/orders/{order.number}/customs", buyer_name="王小明", buyer_id_no="", **LINE)
    assert "What customs ask for is on record." in done.text
    # What was left empty is what was known; what was typed is as customs write it.
    told = await customs(as_role("operations"), order)
    assert (told["buyer_id_no"], told["missing"]) == (NUMBER, [])
    assert told["lines"][0] | {"sku": ""} == {
        "line_id": "1",
        "sku": "",
        "hs_code": "33049900",
        "origin": "JP",
        "unit": "piece",
    }
    card = (await (await visit("operations").log_in()).get(f"/orders/{order.number}")).text
    assert ("Not cleared yet" in card, NUMBER in card, "Told by" in card, "service" in card) == (True,) * 4
    # Those who neither see customers nor change orders see neither name nor way to it.
    warehouse = await visit("warehouse").log_in()
    card = (await warehouse.get(f"/orders/{order.number}")).text
    assert ("王小明" in card, f'/orders/{order.number}/customs"' in card) == (False, False)
    assert (await warehouse.get(f"/orders/{order.number}/customs")).status_code == 403


async def test_data_that_customs_would_not_take_is_refused_and_nothing_changes(
    order: RunningOrder, visit: Visit, as_role: As
) -> None:
    before = await customs(as_role("operations"), order)
    browser = await visit("operations").log_in()
    wrong = LINE | {"hs_code.1": "many"}
    answer = await browser.post(f"/orders/{order.number}/customs", buyer_name="王小明", buyer_id_no="", **wrong)
    assert (answer.status_code, "Please check" in answer.text, "many" in answer.text) == (422, True, True)
    assert await customs(as_role("operations"), order) == before


async def test_what_customs_say_is_reported_once_by_those_who_may(
    api: Api, order: RunningOrder, visit: Visit, as_role: As
) -> None:
    browser = await visit("operations").log_in()
    said = {"report_id": "console-1", "document": "payment", "state": "rejected", "reason": "another amount"}
    for _ in range(2):
        done = await browser.post(f"/orders/{order.number}/customs/report", **said)
        assert "What customs said is on its way to the order." in done.text
    changed = await browser.post(f"/orders/{order.number}/customs/report", **(said | {"state": "accepted"}))
    assert (changed.status_code, "another content" in changed.text) == (422, True)
    service = await visit("service").log_in()
    assert "/customs/report" not in (await service.get(f"/orders/{order.number}")).text
    assert (await service.post(f"/orders/{order.number}/customs/report", **said)).status_code == 403


async def test_an_order_that_customs_have_nothing_to_do_with_shows_no_card(api: Api, visit: Visit, as_role: As) -> None:
    order = RunningOrder(as_role("channel"))
    await order.place()
    browser = await visit("operations").log_in()
    assert 'id="customs"' not in (await browser.get(f"/orders/{order.number}")).text


async def customs(client: Any, order: RunningOrder) -> dict[str, Any]:
    found: dict[str, Any] = (await client.get(f"/v1/orders/{order.number}/customs")).json()
    return found
