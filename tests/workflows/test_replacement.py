"""What goes out instead of goods that came back: paid by them, or only in part, or called off."""

from datetime import timedelta

from domain.order import Standing
from tests.fakes.shop import Payment, Scan, Shop
from tests.workflows.conftest import Running, Start, builtin

BEGUN = ["check_order", "reserve_stock", "decide_branch"]
SHIPPED = ["book_shipments", "open_wait shipment.delivered"]
SOLD = ["apply_scan", "recognise_revenue", "issue_invoice", "close completed"]


async def replacement(start: Start, *, covered: bool) -> Running:
    """A replacement for which credit has come in: all that it costs, or a part of that."""
    standing = Standing(payment="paid" if covered else "partial", money_in=True)
    shop = Shop(standing=standing, known={"payment.paid_in_full": covered})
    return await start(shop, builtin("replacement"), order__type="replacement")


async def delivered(running: Running) -> None:
    await running.until("open_wait shipment.delivered")
    await running.tell(1, Scan("delivered"))
    assert (await running.handle.result()).result == "completed"


async def test_what_is_covered_goes_out_and_asks_nobody(start: Start) -> None:
    running = await replacement(start, covered=True)
    await delivered(running)
    assert (running.shop.calls, running.shop.notices) == ([*BEGUN, *SHIPPED, *SOLD], [])


async def test_what_is_dearer_asks_for_the_rest_before_it_goes_out(start: Start) -> None:
    running = await replacement(start, covered=False)
    await running.until("open_wait payment.full")
    assert "order.payment_due" in running.shop.notices
    assert "book_shipments" not in running.shop.calls
    await running.tell(2, Payment("paid"))
    await delivered(running)


async def test_a_rest_that_does_not_come_gives_the_credit_back(start: Start) -> None:
    running = await replacement(start, covered=False)
    begun = await running.environment.get_current_time()
    assert (await running.handle.result()).result == "expired"
    assert timedelta(days=7) <= await running.environment.get_current_time() - begun < timedelta(days=8)
    assert running.shop.calls[-3:] == ["refund_payments", "release_stock", "close expired"]
