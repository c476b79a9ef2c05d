"""What cannot proceed is held with its reason, and goes on when what was missing has come."""

from tests.factories.sales import PRICE, a_sale
from tests.fakes.caller import Caller


async def test_goods_that_come_in_wake_the_order(caller: Caller, sku: str) -> None:
    await caller.receive(sku, 1)
    order_no = await caller.place(a_sale(sku))
    held = await caller.until(order_no, held=["out_of_stock"])
    [hold] = held["holds"]
    assert (hold["owner_role"], hold["blocking"]) == ("warehouse", True)
    assert hold["due_at"] > hold["opened_at"]
    assert held["waiting_for"] == "a person" or held["waiting_for"] is None
    assert await caller.stock(sku) == (1, 0, 1)
    await caller.receive(sku, 1)
    await caller.until(order_no, held=[], waiting_for="payment.full", fulfilment="allocated")
    assert await caller.stock(sku) == (2, 2, 0)
    await caller.pay(order_no, 2 * PRICE)
    await caller.deliver(order_no)
    assert await caller.stock(sku) == (0, 0, 0)


async def test_goods_that_are_too_few_wake_nobody(caller: Caller, sku: str) -> None:
    await caller.receive(sku, 1)
    order_no = await caller.place(a_sale(sku, quantity=3))
    await caller.until(order_no, held=["out_of_stock"])
    await caller.receive(sku, 1)
    younger = await caller.place(a_sale(sku, quantity=2))
    await caller.until(younger, waiting_for="payment.full")
    assert (await caller.until(order_no, held=["out_of_stock"]))["fulfilment"] == "unallocated"
    assert await caller.stock(sku) == (2, 2, 0)


async def test_stock_that_another_order_gives_back_wakes_the_order(caller: Caller, sku: str) -> None:
    await caller.receive(sku, 2)
    first = await caller.place(a_sale(sku))
    await caller.until(first, fulfilment="allocated")
    second = await caller.place(a_sale(sku))
    await caller.until(second, held=["out_of_stock"])
    assert (await caller.cancel(first)).status_code in (200, 202)
    await caller.until(second, held=[], fulfilment="allocated")
    assert await caller.stock(sku) == (2, 2, 0)


async def test_money_is_taken_while_the_order_is_held(caller: Caller, sku: str) -> None:
    await caller.receive(sku, 1)
    order_no = await caller.place(a_sale(sku))
    await caller.until(order_no, held=["out_of_stock"])
    await caller.pay(order_no, 2 * PRICE)
    await caller.until(order_no, payment="paid", held=["out_of_stock"])
    await caller.receive(sku, 1)
    assert (await caller.deliver(order_no))["revenue"] == "full"


async def test_choice_that_the_lane_does_not_offer_is_refused(caller: Caller, sku: str) -> None:
    order_no = await caller.place(a_sale(sku))
    await caller.until(order_no, held=["unknown_sku"])
    refused = await caller.resolve(order_no, "skip")
    assert (refused.status_code, refused.json()["code"]) == (409, "choice_not_offered")
    assert (await caller.order(order_no))["fulfilment"] == "unallocated"
