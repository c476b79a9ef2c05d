"""Money for an order that has ended is never dropped: it is booked, and goes back."""

from tests.factories.sales import PRICE, a_sale
from tests.fakes.caller import Caller
from tests.fakes.patience import eventually


async def test_payment_of_a_cancelled_order_goes_back_by_itself(caller: Caller, sku: str) -> None:
    await caller.receive(sku, 2)
    order_no = await caller.place(a_sale(sku))
    await caller.until(order_no, waiting_for="payment.full")
    await caller.cancel(order_no)
    await caller.until(order_no, lifecycle="cancelled")
    await caller.pay(order_no, 2 * PRICE)
    order = await caller.until(order_no, payment="refunded")
    assert order["lifecycle"] == "cancelled"
    [refund] = order["refunds"]
    assert (refund["payment_id"], refund["amount_minor"], refund["state"]) == ("P-1", 2 * PRICE, "succeeded")
    books = await caller.balances(order["voucher_no"])
    assert books["wallet"] == 0
    assert set(books.values()) == {0}
    assert await caller.stock(sku) == (2, 0, 2)


async def test_second_payment_of_a_completed_order_goes_back_by_itself(caller: Caller, sku: str) -> None:
    await caller.receive(sku, 2)
    order_no = await caller.place(a_sale(sku))
    await caller.pay(order_no, 2 * PRICE)
    done = await caller.deliver(order_no)
    before = await caller.balances(done["voucher_no"])
    await caller.pay(order_no, 2 * PRICE, "P-2")
    order = await eventually(
        lambda: caller.order(order_no), lambda shown: [one["state"] for one in shown["refunds"]] == ["succeeded"]
    )
    assert (order["lifecycle"], order["payment"], order["holds"]) == ("completed", "paid", [])
    assert (order["totals"]["paid_minor"], order["totals"]["refunded_minor"]) == (4 * PRICE, 2 * PRICE)
    books = await caller.balances(done["voucher_no"])
    assert {role: minor for role, minor in books.items() if minor} == {r: m for r, m in before.items() if m}
