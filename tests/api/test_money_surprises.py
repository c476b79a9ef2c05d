"""Money that nobody expected, told over HTTP to the running system: it goes back, waits, or brings the order back."""

from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
from sqlalchemy import text

from tests.api.conftest import Api, As
from tests.api.running_orders import TOTAL, RunningOrder, price, stock_up
from tests.factories.requests import a_payment
from tests.fakes.patience import eventually

REFUND = {"choice": "refund", "reason_code": "asked", "reason": "the customer wants it back"}


async def pay(order: RunningOrder, payment_id: str, amount_minor: int = TOTAL, **changes: Any) -> httpx.Response:
    return await order.client.post(
        f"{order.own}/payments", json=a_payment(payment_id=payment_id, amount_minor=amount_minor, **changes)
    )


async def refunded(order: RunningOrder, number: int = 1) -> dict[str, Any]:
    """The order once so many of its refunds have come to their end."""

    def are_back(shown: dict[str, Any]) -> bool:
        return [one["state"] for one in shown["refunds"]] == ["succeeded"] * number

    return await eventually(order.read, are_back)


async def balances(client: httpx.AsyncClient, voucher_no: str) -> dict[str, int]:
    rows = (await client.get("/v1/ledger/balances", params={"voucher_no": voucher_no})).json()["data"]
    return {row["role"]: row["balance_minor"] for row in rows if row["balance_minor"]}


async def test_second_payment_through_another_provider_goes_back_by_itself(running: Api, as_role: As) -> None:
    order = RunningOrder(as_role("admin"))
    await order.packed()
    books = await balances(order.client, (await order.read())["voucher_no"])
    assert (await pay(order, "W-1", method="wechat_pay")).status_code == 202
    shown = await refunded(order)
    assert (shown["payment"], shown["holds"], shown["waiting_for"]) == ("paid", [], "shipment.delivered")
    assert (shown["totals"]["paid_minor"], shown["totals"]["refunded_minor"]) == (2 * TOTAL, TOTAL)
    assert {one["payment_id"]: one["state"] for one in shown["payments"]} == {"P-1": "applied", "W-1": "duplicate"}
    assert shown["refunds"][0]["cause"] == "surplus"
    assert await balances(order.client, shown["voucher_no"]) == books


async def test_surplus_is_held_and_goes_back_at_one_click_of_finance(running: Api, as_role: As) -> None:
    admin, finance = as_role("admin"), as_role("finance")
    order = RunningOrder(admin)
    await price(admin)
    await stock_up(admin)
    await order.place()
    await pay(order, "P-1", TOTAL + 500)
    assert await order.held() == ["payment_over"]
    hold_id = (await order.read())["holds"][0]["hold_id"]
    settle = f"{order.own}/exception"
    nameless = await finance.post(settle, json=REFUND)
    assert (nameless.status_code, nameless.json()["code"]) == (422, "invalid_request")
    answer = await finance.post(settle, json=REFUND | {"hold_id": hold_id})
    assert (answer.status_code, answer.json()["choice"]) == (202, "refund")
    shown = await refunded(order)
    assert (shown["refunds"][0]["amount_minor"], shown["payment"], shown["holds"]) == (500, "paid", [])
    await order.when(waiting_for="shipment.delivered")
    again = await finance.post(settle, json=REFUND | {"hold_id": hold_id})
    assert (again.status_code, again.json()["code"]) == (409, "no_open_hold")


async def test_choice_refund_is_for_holds_about_money(running: Api, as_role: As) -> None:
    admin = as_role("admin")
    order = RunningOrder(admin)
    await price(admin)
    await order.place()
    assert await order.held() == ["out_of_stock"]
    hold_id = (await order.read())["holds"][0]["hold_id"]
    answer = await admin.post(f"{order.own}/exception", json=REFUND | {"hold_id": hold_id})
    assert (answer.status_code, answer.json()["code"]) == (409, "choice_not_offered")


async def test_payment_that_comes_before_its_order_waits_and_is_seen_when_it_grows_old(
    running: Api, as_role: As
) -> None:
    admin = as_role("admin")
    order = RunningOrder(admin)
    early = {"order_no": order.number} | a_payment(amount_minor=TOTAL)
    taken = (await admin.post("/v1/payments:batch", json={"payments": [early]})).json()
    assert (taken["accepted"], taken["refused"]) == (1, 0)
    assert "orderflow_inbox_strays 0.0" in (await admin.get("/metrics")).text
    async with running.database.sessions() as session, session.begin():
        long_ago = datetime.now(UTC) - timedelta(hours=25)
        await session.execute(
            text("UPDATE inbox_messages SET received_at = :at WHERE kind = 'payment.settled'"), {"at": long_ago}
        )
    assert "orderflow_inbox_strays 1.0" in (await admin.get("/metrics")).text
