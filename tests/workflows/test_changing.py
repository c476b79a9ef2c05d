"""Changes of an order under way: it goes through its flow anew, and what is packed or being undone is not changed."""

import asyncio
from datetime import timedelta

import pytest
from temporalio.client import WorkflowUpdateFailedError

from tests.fakes.desk import Word
from tests.fakes.shop import Payment, Scan, Shop
from tests.workflows.conftest import Running, Start, code_of
from tests.workflows.test_approvals import OPENED, asking


async def refused(running: Running, request_id: str = "change/1") -> str | None:
    with pytest.raises(WorkflowUpdateFailedError) as refusal:
        await running.change(request_id)
    return code_of(refusal)


async def finish(running: Running) -> str:
    await running.until("open_wait shipment.delivered")
    await running.tell(102, Scan("delivered"))
    return (await running.handle.result()).result


async def test_a_changed_order_goes_through_its_flow_anew_and_ships_once(start: Start) -> None:
    running = await start(Shop())
    await running.until("open_wait payment.full")
    await running.change()
    await running.until("open_wait payment.full", 2)
    await running.tell(101, Payment())
    assert await finish(running) == "completed"
    assert running.shop.calls[:7] == [
        *("check_order", "reserve_stock", "open_wait payment.full", "change_order"),
        *("check_order", "reserve_stock", "open_wait payment.full"),
    ]
    assert running.shop.calls.count("book_shipments") == 1


async def test_the_same_change_asked_twice_is_one(start: Start) -> None:
    running = await start(Shop())
    await running.until("open_wait payment.full")
    await asyncio.gather(running.change(), running.change())
    await running.change()
    assert running.shop.calls.count("change_order") == 1


async def test_several_changes_at_once_are_made_one_after_the_other(start: Start) -> None:
    running = await start(Shop())
    await running.until("open_wait payment.full")
    await asyncio.gather(*(running.change(f"change/{number}") for number in range(3)))
    await running.until("open_wait payment.full", 2)
    assert running.shop.calls.count("change_order") == 3
    await running.tell(101, Payment())
    assert await finish(running) == "completed"


async def test_a_refused_change_leaves_the_order_where_it_was(start: Start) -> None:
    shop = Shop(change="out_of_stock")
    running = await start(shop)
    await running.until("open_wait payment.full")
    assert await refused(running) == "out_of_stock"
    await running.tell(101, Payment())
    assert await finish(running) == "completed"
    assert shop.calls.count("check_order") == 1


async def test_a_change_that_the_books_cannot_take_is_refused_and_the_next_one_is_not(start: Start) -> None:
    shop = Shop(fails={"change_order": ["account_mapping_missing"]})
    running = await start(shop)
    await running.until("open_wait payment.full")
    assert await refused(running) == "account_mapping_missing"
    await running.change("change/2")
    await running.until("check_order", 2)


async def test_another_street_does_not_begin_the_story_anew(start: Start) -> None:
    shop = Shop(relevant=False)
    running = await start(shop)
    await running.until("open_wait payment.full")
    await running.change()
    await running.tell(101, Payment())
    assert await finish(running) == "completed"
    assert shop.calls.count("check_order") == 1


async def test_a_paid_order_that_became_dearer_waits_for_its_balance_before_it_ships(start: Start) -> None:
    shop = Shop(change={"payment": "partial"}, holds={"book_shipments": ["carrier_refused"]})
    running = await start(shop)
    await running.until("open_wait payment.full")
    await running.tell(101, Payment())
    await running.until("book_shipments")
    await running.change()
    await running.until("open_wait payment.full", 2)
    assert shop.calls.count("book_shipments") == 1
    await running.tell(103, Payment())
    assert await finish(running) == "completed"


async def test_a_wait_that_a_change_came_into_goes_on_as_it_was_left(start: Start) -> None:
    shop = Shop()
    running = await start(shop)
    await running.until("open_wait payment.full")
    await running.change()
    await running.until("open_wait payment.full", 2)
    # To the database it is the first visit of the story that began anew, and so it keeps its deadline.
    assert shop.waits == [("payment.full", 1), ("payment.full", 1)]


async def test_an_order_that_is_short_of_goods_tries_again_when_it_is_changed(start: Start) -> None:
    shop = Shop(holds={"reserve_stock": ["out_of_stock"]})
    running = await start(shop)
    await running.until("reserve_stock")
    await running.change()
    await running.until("open_wait payment.full")
    assert shop.resolved == []
    with pytest.raises(WorkflowUpdateFailedError) as nothing_held:
        await running.resolve("retry")
    assert code_of(nothing_held) == "no_open_hold"


async def test_what_was_approved_is_asked_about_again_after_a_change(start: Start) -> None:
    running = await start(Shop(), asking())
    await running.until(OPENED)
    await running.tell(1, Word("gina", "approve"))
    await running.until("open_wait payment.full")
    await running.change()
    await running.until(OPENED, 2)
    await running.tell(101, Payment())
    await running.until("apply_payment")
    assert "book_shipments" not in running.shop.calls
    await running.tell(2, Word("gina", "approve"))
    assert await finish(running) == "completed"


async def test_what_is_being_packed_is_not_changed(start: Start) -> None:
    shop = Shop()
    shop.away["book_shipments"] = 10_000
    running = await start(shop)
    await running.until("open_wait payment.full")
    await running.tell(101, Payment())
    await running.until("book_shipments")
    assert await refused(running) == "order_not_changeable"
    shop.away.clear()
    assert await finish(running) == "completed"
    assert "change_order" not in shop.calls


async def test_what_is_being_changed_is_not_packed_meanwhile(start: Start) -> None:
    shop = Shop(change={"payment": "partial"})
    shop.away["change_order"] = 3
    running = await start(shop)
    await running.until("open_wait payment.full")
    changing = asyncio.create_task(running.change())
    await running.until("change_order")
    await running.tell(101, Payment())
    await changing
    await running.until("open_wait payment.full", 2)
    assert "book_shipments" not in shop.calls


async def test_a_cancellation_wins_over_a_change(start: Start) -> None:
    shop = Shop()
    shop.away["change_order"] = 3
    running = await start(shop)
    await running.until("open_wait payment.full")
    changing = asyncio.create_task(running.change())
    await running.until("change_order")
    await running.cancel()
    await changing
    assert (await running.handle.result()).result == "cancelled"
    assert shop.calls.count("close cancelled") == 1


async def test_what_is_being_undone_or_has_ended_is_not_changed(start: Start) -> None:
    shop = Shop(holds={"refund_payments": ["refund_failed"]})
    running = await start(shop)
    await running.until("open_wait payment.full")
    await running.environment.sleep(timedelta(hours=24))
    await running.until("refund_payments")
    assert await refused(running) == "order_not_changeable"
    assert (await running.handle.result()).result == "expired"
