"""An order for goods that nobody knows is held, and goes on once they are known."""

from tests.factories.sales import PRICE, a_sale
from tests.fakes.caller import Caller


async def test_unknown_sku_is_a_hold_and_no_refusal(caller: Caller, sku: str) -> None:
    order_no = await caller.place(a_sale(sku))
    order = await caller.until(order_no, held=["unknown_sku"])
    assert (order["lifecycle"], order["fulfilment"]) == ("received", "unallocated")
    assert order["holds"][0]["facts"] == {"skus": [sku]}


async def test_goods_that_come_in_make_the_sku_known(caller: Caller, sku: str) -> None:
    order_no = await caller.place(a_sale(sku))
    await caller.until(order_no, held=["unknown_sku"])
    await caller.receive(sku, 2)
    await caller.until(order_no, held=[], fulfilment="allocated")
    await caller.pay(order_no, 2 * PRICE)
    assert (await caller.deliver(order_no))["revenue"] == "full"


async def test_retry_looks_at_the_catalogue_again(caller: Caller, sku: str) -> None:
    order_no = await caller.place(a_sale(sku))
    await caller.until(order_no, held=["unknown_sku"])
    product = {"name": "known now", "price_minor": PRICE, "currency": "CNY", "tax_rate": "0.13"}
    assert (await caller.ask("PUT", f"/v1/products/{sku}", json=product)).status_code == 201
    assert (await caller.resolve(order_no)).status_code == 200
    # Known, and none there.
    await caller.until(order_no, held=["out_of_stock"], lifecycle="accepted")


async def test_unknown_sku_can_be_called_off(caller: Caller, sku: str) -> None:
    order_no = await caller.place(a_sale(sku))
    await caller.until(order_no, held=["unknown_sku"])
    assert (await caller.resolve(order_no, "cancel")).status_code == 200
    await caller.until(order_no, lifecycle="cancelled", held=[])
