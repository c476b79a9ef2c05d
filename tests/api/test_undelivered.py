"""Parcels that are lost or come back: their goods go out once more, or their price goes back, and the books agree."""

from collections.abc import Sequence
from typing import Any

import httpx
import pytest

from store.checks.catalogue import CHECKS
from tests.api.conftest import Api, As
from tests.api.running_orders import TOTAL, RunningOrder, Shown, price, stock_up
from tests.api.test_trade import hand_over_all
from tests.factories.requests import a_line, a_scan
from tests.fakes.patience import eventually

WHY = {"reason_code": "checked", "reason": "the carrier has looked for it"}


async def scanned(order: RunningOrder, shipment_no: str, *statuses: str) -> None:
    for status in statuses:
        scan = a_scan(f"{shipment_no}-{status}", status=status)
        answer = await order.client.post(f"/v1/shipments/{shipment_no}/events", json=scan)
        assert answer.status_code == 202, answer.text


async def undelivered(client: httpx.AsyncClient, status: str = "lost", **changes: Any) -> tuple[RunningOrder, Shown]:
    """An order of two units that were bought at 60.00, held because its parcel was lost, or is back."""
    order = RunningOrder(client)
    await price(client)
    await stock_up(client, units=3)
    await order.place(**changes)
    if not changes:
        await order.pay()
    packed = await order.when(waiting_for="shipment.delivered")
    await scanned(order, packed["shipments"][0]["shipment_no"], "picked_up", status)
    assert await order.held() == ["delivery_failed"]
    return order, await order.read()


def reasons(shown: Shown) -> list[str]:
    return [hold["reason_code"] for hold in shown["holds"]]


async def settle(order: RunningOrder, choice: str, hold: dict[str, Any] | None = None) -> httpx.Response:
    named = {"hold_id": hold["hold_id"]} if hold else {}
    return await order.client.post(f"{order.own}/exception", json={"choice": choice} | WHY | named)


async def books(order: RunningOrder, shown: Shown) -> dict[str, int]:
    """What is on each account of the order that is not at nothing."""
    answer = await order.client.get("/v1/ledger/balances", params={"voucher_no": shown["voucher_no"]})
    return {row["role"]: row["balance_minor"] for row in answer.json()["data"] if row["balance_minor"]}


async def nothing_is_wrong(api: Api) -> None:
    async with api.database.sessions() as session:
        found = {check.name: findings for check in CHECKS if (findings := await check.ask(session, None))}
    assert found == {}


async def units(client: httpx.AsyncClient) -> Sequence[tuple[int, int]]:
    levels = (await client.get("/v1/stock")).json()["data"]
    return [(level["on_hand"], level["reserved"]) for level in levels]


@pytest.mark.parametrize(
    ("terms", "status"), [("prepaid", "lost"), ("prepaid", "returned"), ("cash_on_delivery", "lost")]
)
async def test_goods_go_out_once_more_in_another_parcel(running: Api, as_role: As, terms: str, status: str) -> None:
    admin = as_role("admin")
    on_delivery = {"payment": {"method": "cod", "terms": terms}} if terms == "cash_on_delivery" else {}
    order, held = await undelivered(admin, status, **on_delivery)
    # Of three units two are under way: the replacement needs one that is not there yet, unless they came back.
    answer = await settle(order, "resend", held["holds"][0])
    assert answer.status_code == 202, answer.text
    if status == "lost":
        await eventually(order.read, lambda shown: reasons(shown) == ["out_of_stock"])
        await stock_up(admin, "R-2", units=1)
    sent = await eventually(order.read, lambda shown: [one["status"] for one in shown["shipments"]][1:] == ["booked"])
    first, second = sent["shipments"]
    assert (first["status"], reasons(sent)) == ("given_up", [])
    await scanned(order, second["shipment_no"], "picked_up", "delivered")
    done = await order.when(lifecycle="completed")
    assert [(line["shipped"], line["delivered"], line["recognised"]) for line in done["lines"]] == [(2, 2, 2)]
    loss = {"count_difference": 12_000} if status == "lost" else {}
    money = {"cod_receivable": TOTAL} if on_delivery else {"wallet": TOTAL}
    goods = {"inventory": -12_000 - sum(loss.values()), "cost_of_sales": 12_000}
    sale = {"revenue": -20_885, "output_vat": -2_715}
    assert await books(order, done) == money | goods | sale | loss
    assert await units(admin) == [(0 if status == "lost" else 1, 0)]
    await nothing_is_wrong(running)


async def test_lost_order_is_called_off_and_all_its_money_goes_back(running: Api, as_role: As) -> None:
    admin = as_role("admin")
    order, held = await undelivered(admin)
    refused = await settle(order, "refund", held["holds"][0])
    assert (refused.status_code, refused.json()["code"]) == (409, "nothing_left_to_ship")
    assert (await settle(order, "cancel")).status_code == 200
    done = await order.when(lifecycle="cancelled")
    assert (done["totals"]["refunded_minor"], done["holds"]) == (TOTAL, [])
    assert [parcel["status"] for parcel in done["shipments"]] == ["given_up"]
    assert await books(order, done) == {"inventory": -12_000, "count_difference": 12_000}
    assert await units(admin) == [(1, 0)]
    await nothing_is_wrong(running)


@pytest.mark.parametrize("terms", ["cash_on_delivery", "on_credit"])
async def test_lost_order_that_nobody_has_paid_leaves_nothing_but_the_loss(
    running: Api, as_role: As, terms: str
) -> None:
    admin = as_role("admin")
    changes: dict[str, Any] = {"payment": {"method": "cod", "terms": terms}}
    if terms == "on_credit":
        credit = {"credit_limit_minor": 100 * TOTAL, "credit_currency": "CNY", "payment_days": 30}
        assert (await admin.put("/v1/customers/C-1", json=credit)).status_code == 201
        changes = {"payment": {"method": "bank_transfer", "terms": terms}, "customer": {"id": "C-1"}}
    order, _held = await undelivered(admin, **changes)
    assert (await settle(order, "cancel")).status_code == 200
    done = await order.when(lifecycle="cancelled")
    assert await books(order, done) == {"inventory": -12_000, "count_difference": 12_000}
    await nothing_is_wrong(running)


async def test_price_of_what_was_lost_goes_back_and_the_order_completes_with_the_rest(
    running: Api, as_role: As
) -> None:
    admin = as_role("admin")
    north = {"name": "North", "priority": 200, "active": True}
    assert (await admin.put("/v1/warehouses/north", json=north)).status_code == 201
    line = {"sku": "SKU-2", "quantity": 1, "unit_cost_minor": 4_000}
    await admin.post("/v1/stock/receipts", json={"receipt_id": "R-N", "warehouse": "north", "lines": [line]})
    await price(admin)
    cheaper = {"name": "洁面乳", "price_minor": 5_650, "currency": "CNY", "tax_rate": "0.13"}
    assert (await admin.put("/v1/products/SKU-2", json=cheaper)).status_code == 200
    await stock_up(admin)
    order = RunningOrder(admin)
    await order.place(lines=[a_line("1"), a_line("2", sku="SKU-2", quantity=1, unit_price_minor=5_650)])
    await order.pay((await order.read())["totals"]["total_minor"])
    packed = await order.when(waiting_for="shipment.delivered")
    arrives, lost = (parcel["shipment_no"] for parcel in packed["shipments"])
    await scanned(order, arrives, "picked_up", "delivered")
    await scanned(order, lost, "picked_up", "lost")
    assert await order.held() == ["delivery_failed"]
    (hold,) = (await order.read())["holds"]
    assert (await settle(order, "refund", hold)).status_code == 202
    done = await order.when(lifecycle="completed")
    (given,) = (await admin.get(f"{order.own}/refunds")).json()["data"]
    assert (given["state"], given["reason_code"]) == ("granted", "not_delivered")
    assert [(one["line_id"], one["unshipped"]) for one in given["lines"]] == [("2", 1)]
    # What an order that has ended owes is taken up by the sweeper.
    await hand_over_all(running)
    paid_back = await order.when(payment="partially_refunded")
    assert paid_back["totals"]["refunded_minor"] == given["payout_minor"] > 0
    assert [line["cancelled"] for line in done["lines"]] == [0, 1]
    loss = (await books(order, done))["count_difference"]
    assert loss == 4_000
    late = await settle(order, "refund", hold)
    assert late.status_code == 409
    await nothing_is_wrong(running)


async def test_lost_parcel_that_turns_up_is_stock_again_or_for_people_to_know(running: Api, as_role: As) -> None:
    admin = as_role("admin")
    order, held = await undelivered(admin)
    shipment_no = held["shipments"][0]["shipment_no"]
    assert (await settle(order, "cancel")).status_code == 200
    await order.when(lifecycle="cancelled")
    await scanned(order, shipment_no, "in_transit", "returned", "delivered")
    known = await order.held()
    done = await order.read()
    assert (known, done["lifecycle"]) == (["parcel_turned_up"], "cancelled")
    assert await books(order, done) == {}
    assert await units(admin) == [(3, 0)]
    await nothing_is_wrong(running)


async def test_choices_about_a_parcel_are_for_holds_about_one(running: Api, as_role: As) -> None:
    admin = as_role("admin")
    order = RunningOrder(admin)
    await order.place(lines=[a_line(sku="UNKNOWN")])
    assert await order.held() == ["unknown_sku"]
    (hold,) = (await order.read())["holds"]
    answer = await settle(order, "resend", hold)
    assert (answer.status_code, answer.json()["code"]) == (409, "choice_not_offered")
    unnamed = await settle(order, "resend")
    assert unnamed.status_code == 422
    assert (await order.read())["holds"] == [hold]
