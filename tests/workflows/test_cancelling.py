"""Cancelling an order at every step, and when it is too late for that."""

import asyncio
from datetime import timedelta

import pytest
from temporalio.client import WorkflowUpdateFailedError

from tests.fakes.shop import Payment, Scan, Shop
from tests.workflows.conftest import Running, Start, builtin, code_of


async def refusal_of(running: Running) -> str | None:
    """The code under which a cancellation is refused."""
    with pytest.raises(WorkflowUpdateFailedError) as refused:
        await running.cancel()
    return code_of(refused)


async def test_cancel_before_payment_releases_the_stock(start: Start) -> None:
    running = await start(Shop())
    await running.until("open_wait payment.full")
    assert (await running.cancel()).lifecycle == "cancelled"
    assert (await running.handle.result()).result == "cancelled"
    assert running.shop.calls[3:] == ["begin_cancel", "refund_payments", "release_stock", "close cancelled"]


async def test_cancel_after_booking_voids_the_parcel_before_anything_else(start: Start) -> None:
    running = await start(Shop())
    await running.until("open_wait payment.full")
    await running.tell(1, Payment())
    await running.until("open_wait shipment.delivered")
    assert (await running.cancel()).lifecycle == "cancelled"
    assert (await running.handle.result()).result == "cancelled"
    assert running.shop.calls[-5:] == [
        "begin_cancel",
        "cancel_shipments",
        "refund_payments",
        "release_stock",
        "close cancelled",
    ]


async def test_order_called_off_before_it_is_back_where_an_earlier_run_was_undoes_what_that_run_did(
    start: Start,
) -> None:
    running = await start(Shop(), begun=True)
    await running.until("open_wait payment.full")
    assert (await running.cancel()).lifecycle == "cancelled"
    assert running.shop.calls[3:] == [
        "begin_cancel",
        "cancel_shipments",
        "refund_payments",
        "release_stock",
        "close cancelled",
    ]


async def test_cancel_while_held_for_stock_undoes_and_ends(start: Start) -> None:
    running = await start(Shop(holds={"reserve_stock": ["out_of_stock"]}))
    await running.until("reserve_stock")
    assert (await running.cancel()).lifecycle == "cancelled"
    assert "release_stock" in running.shop.calls


async def test_choice_cancel_in_the_lane_is_the_same_cancellation(start: Start) -> None:
    running = await start(Shop(holds={"reserve_stock": ["out_of_stock"]}))
    await running.until("reserve_stock")
    await running.resolve("cancel")
    assert (await running.handle.result()).result == "cancelled"
    assert running.shop.calls[-3:] == ["begin_cancel", "release_stock", "close cancelled"]


async def test_cancel_while_the_carrier_is_away_does_not_wait_for_the_carrier_to_book(start: Start) -> None:
    shop = Shop()
    shop.away["book_shipments"] = 10_000
    running = await start(shop)
    await running.until("open_wait payment.full")
    await running.tell(1, Payment())
    await running.until("book_shipments")
    assert (await running.cancel()).lifecycle == "cancelled"
    assert shop.calls[-4:] == ["cancel_shipments", "refund_payments", "release_stock", "close cancelled"]


async def test_order_whose_parcel_left_refuses_and_goes_on_to_its_end(start: Start) -> None:
    shop = Shop(collected=True)
    running = await start(shop)
    await running.until("open_wait payment.full")
    await running.tell(1, Payment())
    await running.until("open_wait shipment.delivered")
    assert await refusal_of(running) == "order_not_cancellable"
    assert "refund_payments" not in shop.calls
    await running.tell(2, Scan("delivered"))
    assert (await running.handle.result()).result == "completed"
    assert shop.calls.count("withdraw_cancel") == 1


async def test_scanned_parcel_is_refused_before_anything_is_written(start: Start) -> None:
    running = await start(Shop())
    await running.until("open_wait payment.full")
    await running.tell(1, Payment())
    await running.until("open_wait shipment.delivered")
    await running.tell(2, Scan("shipped"))
    await running.until("apply_scan")
    assert await refusal_of(running) == "order_not_cancellable"
    assert "begin_cancel" not in running.shop.calls


async def test_refund_that_fails_is_held_and_repeated_until_it_succeeds(start: Start) -> None:
    shop = Shop(holds={"refund_payments": ["refund_failed"]})
    running = await start(shop)
    await running.until("open_wait payment.full")
    await running.tell(1, Payment("partial"))
    await running.until("apply_payment")
    # Nobody clicks: the pause before the next try ends by itself.
    assert (await running.handle.result()).result == "expired"
    assert shop.calls.count("refund_payments") == 2
    assert shop.resolved == ["retried"]


async def test_second_cancel_gets_the_answer_of_the_first(start: Start) -> None:
    running = await start(Shop())
    await running.until("open_wait payment.full")
    first, second = await running.cancel(), await running.handle.result()
    assert first.lifecycle == second.result == "cancelled"
    assert running.shop.calls.count("begin_cancel") == 1


async def test_cancel_in_temporal_means_cancel_at_the_door(start: Start) -> None:
    running = await start(Shop())
    await running.until("open_wait payment.full")
    await running.handle.cancel()
    assert (await running.handle.result()).result == "cancelled"
    assert running.shop.calls[-3:] == ["refund_payments", "release_stock", "close cancelled"]


async def test_money_that_comes_while_the_order_is_undone_goes_back_too(start: Start) -> None:
    shop = Shop(holds={"refund_payments": ["refund_failed"]})
    running = await start(shop)
    await running.until("open_wait payment.full")
    await running.environment.sleep(timedelta(hours=24, minutes=5))
    await running.until("refund_payments")
    await running.tell(1, Payment("partial"))
    await running.handle.result()
    assert shop.standing.money_in is False
    assert shop.calls.count("apply_payment") == 1


async def test_undoing_goes_on_after_every_final_no_of_its_own_steps(start: Start) -> None:
    refusals = ["step_failed"]
    fails = {
        "release_stock": ["posting_failed"],
        "open_hold posting_failed": refusals.copy(),
        "resolve_holds": refusals.copy(),
        "close cancelled": refusals.copy(),
    }
    running = await start(Shop(fails=fails))
    await running.until("open_wait payment.full")
    undoing = asyncio.create_task(running.cancel())
    await running.until("release_stock")
    # Two pauses of the lane and two half hours between the tries of a compensation.
    await running.environment.sleep(timedelta(hours=2))
    assert (await undoing).lifecycle == "cancelled"
    calls = running.shop.calls
    assert calls.count("release_stock") == calls.count("close cancelled") == 2
    assert calls.count("open_hold posting_failed") == calls.count("open_hold step_failed") + 1 == 2
    assert not any(running.shop.fails.values())


async def test_fact_whose_hold_is_refused_is_neither_lost_nor_ends_the_inlet(start: Start) -> None:
    fails = {"apply_payment": ["posting_failed"], "open_hold posting_failed": ["step_failed"]}
    running = await start(Shop(fails=fails))
    await running.until("open_wait payment.full")
    await running.tell(1, Payment())
    await running.until("open_hold posting_failed")
    await running.environment.sleep(timedelta(minutes=6))
    await running.until("open_hold posting_failed", 2)
    await running.environment.sleep(timedelta(seconds=1))
    await running.resolve("retry")
    await running.until("open_wait shipment.delivered")
    assert running.shop.calls.count("apply_payment") == 2


async def test_order_that_a_lost_task_has_closed_ends_when_it_hears_of_that(start: Start) -> None:
    running = await start(Shop())
    await running.until("open_wait payment.full")
    # What a workflow task does in the database stays done when Temporal gives the task up.
    running.shop.now(lifecycle="cancelled")
    await running.forge("payment_settled", 404)
    assert (await running.handle.result()).result == "cancelled"
    assert "close cancelled" not in running.shop.calls


async def test_approval_of_an_order_that_a_lost_task_has_closed_is_not_asked_for_again_and_again(start: Start) -> None:
    running = await start(Shop(), builtin("normal_big"))
    await running.until("open_approval gm")
    running.shop.now(lifecycle="cancelled", open_approvals=())
    await running.forge("payment_settled", 404)
    assert (await running.handle.result()).result == "cancelled"
    assert running.shop.calls.count("open_approval gm") <= 2
