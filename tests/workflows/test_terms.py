"""Samples, cash on delivery and orders on credit, on the ways in which they differ from an ordinary order."""

from datetime import timedelta

import pytest
from temporalio.client import WorkflowUpdateFailedError

from domain.order import Standing
from tests.fakes.shop import Scan, Shop
from tests.workflows.conftest import Running, Start, builtin, code_of

SHIPPED = ["book_shipments", "open_wait shipment.delivered"]
SOLD = ["apply_scan", "recognise_revenue", "issue_invoice", "close completed"]
REFUSED = Scan("failed", hold="delivery_failed")
LATER = ["cash_on_delivery", "on_credit"]


async def order(start: Start, key: str, shop: Shop) -> Running:
    """An order of this flow that nobody has to pay before it ships."""
    terms = "none" if key == "sample" else key
    shop.standing = Standing(payment_terms=terms)
    return await start(shop, builtin(key), order__type="sample" if key == "sample" else "normal", payment__terms=terms)


@pytest.mark.parametrize(
    ("key", "before"),
    [
        ("sample", ["check_order", "reserve_stock"]),
        ("cash_on_delivery", ["check_order", "reserve_stock"]),
        ("on_credit", ["check_order", "check_credit", "reserve_stock"]),
    ],
)
async def test_order_ships_unpaid_and_ends_in_the_books(start: Start, key: str, before: list[str]) -> None:
    running = await order(start, key, Shop())
    await running.until("open_wait shipment.delivered")
    await running.tell(1, Scan("delivered"))
    assert (await running.handle.result()).result == "completed"
    assert running.shop.calls == [*before, *SHIPPED, *SOLD]


async def test_paid_sample_waits_for_its_money(start: Start) -> None:
    running = await start(Shop(), builtin("sample"), order__type="sample")
    assert (await running.handle.result()).result == "expired"
    assert running.shop.calls[-3:] == ["refund_payments", "release_stock", "close expired"]


@pytest.mark.parametrize("key", LATER)
async def test_parcel_that_is_refused_at_the_door_comes_back_and_nothing_is_sold(start: Start, key: str) -> None:
    running = await order(start, key, Shop(known={"shipment.returned": True}))
    await running.until("open_wait shipment.delivered")
    await running.tell(1, REFUSED)
    assert (await running.handle.result()).result == "cancelled"
    after = running.shop.calls[running.shop.calls.index("apply_scan") :]
    undone = ["cancel_shipments", "refund_payments", "release_stock", "close cancelled"]
    assert after == ["apply_scan", "decide_branch", "take_back_parcels", *undone]


@pytest.mark.parametrize("key", LATER)
async def test_parcel_that_is_lost_is_held_and_may_turn_up(start: Start, key: str) -> None:
    shop = Shop(known={"shipment.returned": False})
    running = await order(start, key, shop)
    await running.until("open_wait shipment.delivered")
    await running.tell(1, REFUSED)
    await running.until("decide_branch")
    await running.tell(2, Scan("delivered"))
    await running.until("apply_scan", 2)
    await running.resolve("retry")
    assert (await running.handle.result()).result == "completed"
    assert "take_back_parcels" not in shop.calls


async def test_parcel_that_is_overdue_is_held(start: Start) -> None:
    running = await order(start, "cash_on_delivery", Shop(known={"shipment.returned": False}))
    await running.until("open_wait shipment.delivered")
    await running.environment.sleep(timedelta(days=15, minutes=1))
    await running.until("open_hold delivery_overdue")


async def test_order_above_the_credit_takes_no_goods_until_finance_lets_it_pass(start: Start) -> None:
    shop = Shop(holds={"check_credit": ["credit_exceeded"]})
    running = await order(start, "on_credit", shop)
    await running.until("check_credit")
    assert "reserve_stock" not in shop.calls
    await running.resolve("skip")
    await running.until("open_wait shipment.delivered")
    assert shop.calls.count("check_credit") == 1


async def test_order_above_the_credit_is_checked_again_on_retry(start: Start) -> None:
    shop = Shop(holds={"check_credit": ["credit_exceeded", "credit_exceeded"]})
    running = await order(start, "on_credit", shop)
    for attempt in (1, 2):
        await running.until("check_credit", attempt)
        await running.resolve("retry")
    await running.until("reserve_stock")
    assert shop.calls.count("check_credit") == 3


async def test_order_above_the_credit_may_be_cancelled_by_finance(start: Start) -> None:
    running = await order(start, "on_credit", Shop(holds={"check_credit": ["credit_exceeded"]}))
    await running.until("check_credit")
    await running.resolve("cancel")
    assert (await running.handle.result()).result == "cancelled"
    assert "reserve_stock" not in running.shop.calls


async def test_no_other_step_of_an_order_on_credit_can_be_skipped(start: Start) -> None:
    running = await order(start, "on_credit", Shop(holds={"reserve_stock": ["out_of_stock"]}))
    await running.until("reserve_stock")
    with pytest.raises(WorkflowUpdateFailedError) as refused:
        await running.resolve("skip")
    assert code_of(refused) == "choice_not_offered"


@pytest.mark.parametrize("key", ["sample", *LATER])
async def test_order_that_was_not_collected_yet_can_be_cancelled(start: Start, key: str) -> None:
    running = await order(start, key, Shop())
    await running.until("open_wait shipment.delivered")
    assert (await running.cancel()).lifecycle == "cancelled"
    undone = ["begin_cancel", "cancel_shipments", "refund_payments", "release_stock", "close cancelled"]
    assert running.shop.calls[-5:] == undone
