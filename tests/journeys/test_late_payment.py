"""Money for an order that has ended is never dropped: it is booked, and goes back."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.factories.sales import PRICE, a_sale
from tests.fakes.caller import Caller
from tests.fakes.live_stack import live_stack
from tests.fakes.patience import eventually


@pytest.fixture
async def hasty(open_dir: Path) -> AsyncIterator[Caller]:
    """A system of its own in which the payment deadline, a day elsewhere, is a matter of seconds."""
    with live_stack(open_dir / "hasty", time_scale="0.0001") as stack:
        one = Caller(stack)
        yield one
        await one.http.aclose()


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


async def test_order_that_is_paid_after_it_has_expired_goes_on_or_gives_the_money_back(hasty: Caller, sku: str) -> None:
    await hasty.receive(sku, 2)
    lucky = await hasty.place(a_sale(sku))
    await hasty.until(lucky, lifecycle="expired")
    unlucky = await hasty.place(a_sale(sku))
    await hasty.until(unlucky, lifecycle="expired")
    assert await hasty.stock(sku) == (2, 0, 2)
    # The goods are still there: they are taken again, and the order comes to its end.
    await hasty.pay(lucky, 2 * PRICE)
    done = await hasty.deliver(lucky)
    assert (done["payment"], done["refunds"], done["invoice"]) == ("paid", [], "full")
    assert "order.revived" in await hasty.kinds(lucky)
    # They are gone: the money goes back, and the books of the order are empty.
    await hasty.pay(unlucky, 2 * PRICE)
    order = await hasty.until(unlucky, payment="refunded")
    assert (order["lifecycle"], order["refunds"][0]["state"]) == ("expired", "succeeded")
    assert set((await hasty.balances(order["voucher_no"])).values()) == {0}
    assert "notice.payment.late" in await hasty.kinds(unlucky)
