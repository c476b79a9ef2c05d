"""An order called off at each step before its goods are handed over leaves nothing behind; afterwards it goes on."""

from tests.factories.sales import PRICE, a_sale
from tests.fakes.caller import Caller, View


async def _cancelled(caller: Caller, order_no: str) -> View:
    answer = await caller.cancel(order_no)
    assert answer.status_code in (200, 202), answer.text
    order = await caller.until(order_no, lifecycle="cancelled")
    assert (order["waiting_for"], order["holds"]) == (None, [])
    assert order["cancel_reason"] == "changed their mind"
    assert set((await caller.balances(order["voucher_no"])).values()) <= {0}
    return order


async def test_unpaid_order_gives_its_stock_back(caller: Caller, sku: str) -> None:
    await caller.receive(sku, 5)
    order_no = await caller.place(a_sale(sku))
    await caller.until(order_no, waiting_for="payment.full")
    order = await _cancelled(caller, order_no)
    assert (order["payment"], order["refunds"]) == ("unpaid", [])
    assert await caller.stock(sku) == (5, 0, 5)


async def test_paid_order_gives_money_and_stock_back(caller: Caller, sku: str) -> None:
    await caller.receive(sku, 1)
    order_no = await caller.place(a_sale(sku))
    await caller.until(order_no, held=["out_of_stock"])
    await caller.pay(order_no, 2 * PRICE)
    await caller.until(order_no, payment="paid")
    order = await _cancelled(caller, order_no)
    assert order["payment"] == "refunded"
    assert [(one["payment_id"], one["amount_minor"], one["state"]) for one in order["refunds"]] == [
        ("P-1", 22_600, "succeeded")
    ]
    assert await caller.stock(sku) == (1, 0, 1)


async def test_booked_parcel_is_voided(caller: Caller, sku: str) -> None:
    await caller.receive(sku, 5)
    order_no = await caller.place(a_sale(sku))
    await caller.pay(order_no, 2 * PRICE)
    await caller.booked(order_no)
    preview = (await caller.cancel(order_no, preview="true")).json()
    assert (preview["cancellable"], preview["refund_minor"], len(preview["void"])) == (True, 22_600, 1)
    order = await _cancelled(caller, order_no)
    assert [parcel["status"] for parcel in order["shipments"]] == ["voided"]
    assert (order["payment"], order["totals"]["refunded_minor"]) == ("refunded", 22_600)
    assert await caller.stock(sku) == (5, 0, 5)
    undone = (await caller.kinds(order_no))[-6:]
    assert undone == [
        "order.cancel_requested",
        "shipment.voided",
        "refund.requested",
        "refund.succeeded",
        "stock.released",
        "order.cancelled",
    ]


async def test_order_held_for_stock_ends_with_nothing(caller: Caller, sku: str) -> None:
    await caller.receive(sku, 1)
    order_no = await caller.place(a_sale(sku))
    await caller.until(order_no, held=["out_of_stock"])
    order = await _cancelled(caller, order_no)
    assert order["refunds"] == []
    assert await caller.stock(sku) == (1, 0, 1)


async def test_cancelling_twice_is_cancelling_once(caller: Caller, sku: str) -> None:
    await caller.receive(sku, 5)
    order_no = await caller.place(a_sale(sku))
    await caller.pay(order_no, 2 * PRICE)
    await caller.until(order_no, payment="paid")
    first = await _cancelled(caller, order_no)
    again = await caller.cancel(order_no)
    assert again.status_code == 200
    assert (await caller.order(order_no))["refunds"] == first["refunds"]
    assert (await caller.kinds(order_no)).count("order.cancelled") == 1


async def test_order_in_the_carriers_hands_goes_on(caller: Caller, sku: str) -> None:
    await caller.receive(sku, 5)
    order_no = await caller.place(a_sale(sku))
    await caller.pay(order_no, 2 * PRICE)
    shipment_no = (await caller.booked(order_no))["shipments"][0]["shipment_no"]
    await caller.scan(shipment_no, "picked_up")
    await caller.until(order_no, fulfilment="shipped")
    refused = await caller.cancel(order_no)
    assert (refused.status_code, refused.json()["code"]) == (409, "order_not_cancellable")
    assert refused.headers["content-type"] == "application/problem+json"
    await caller.scan(shipment_no, "delivered")
    done = await caller.until(order_no, lifecycle="completed")
    assert (done["payment"], done["refunds"]) == ("paid", [])
    assert await caller.stock(sku) == (3, 0, 3)


async def test_completed_order_stays_completed(caller: Caller, sku: str) -> None:
    await caller.receive(sku, 2)
    order_no = await caller.place(a_sale(sku))
    await caller.pay(order_no, 2 * PRICE)
    done = await caller.deliver(order_no)
    refused = await caller.cancel(order_no)
    assert (refused.status_code, refused.json()["code"]) == (409, "order_not_cancellable")
    assert await caller.order(order_no) == {name: value for name, value in done.items() if name != "held"}
