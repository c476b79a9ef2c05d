"""The built-in normal flow, on every way it can go."""

from datetime import timedelta

import pytest
from temporalio.client import WorkflowUpdateFailedError

from tests.fakes.shop import Payment, Scan, Shop
from tests.workflows.conftest import Start, code_of

DELIVERED_LIFE = [
    "check_order",
    "reserve_stock",
    "open_wait payment.full",
    "apply_payment",
    "book_shipments",
    "open_wait shipment.delivered",
    "apply_scan",
    "recognise_revenue",
    "issue_invoice",
    "close completed",
]


async def test_paid_and_delivered_order_ends_completed_with_revenue_before_invoice(start: Start) -> None:
    running = await start(Shop())
    await running.until("open_wait payment.full")
    await running.tell(1, Payment())
    await running.until("open_wait shipment.delivered")
    await running.tell(2, Scan("delivered"))
    assert (await running.handle.result()).result == "completed"
    assert running.shop.calls == DELIVERED_LIFE


async def test_facts_that_come_before_their_node_are_kept_for_it(start: Start) -> None:
    shop = Shop(inbox={1: Payment(), 2: Scan("delivered")})
    shop.holds["check_order"] = ["unknown_sku"]
    running = await start(shop)
    await running.until("check_order")
    await running.tell(1, Payment())
    await running.until("apply_payment")
    await running.resolve("retry")
    await running.until("book_shipments")
    await running.tell(2, Scan("delivered"))
    assert (await running.handle.result()).result == "completed"
    assert "open_wait payment.full" not in shop.calls


async def test_unpaid_order_expires_reminded_once_and_gives_back_its_stock(start: Start) -> None:
    running = await start(Shop())
    assert (await running.handle.result()).result == "expired"
    assert running.shop.notices == ["reminder.payment.full"]
    assert running.shop.calls == [
        "check_order",
        "reserve_stock",
        "open_wait payment.full",
        "refund_payments",
        "release_stock",
        "close expired",
    ]


async def test_repeated_signal_has_one_effect(start: Start) -> None:
    running = await start(Shop())
    await running.until("open_wait payment.full")
    for _ in range(3):
        await running.tell(1, Payment())
    await running.until("open_wait shipment.delivered")
    await running.tell(2, Scan("delivered"))
    await running.handle.result()
    assert running.shop.calls.count("apply_payment") == 1


async def test_signal_past_the_door_moves_nothing(start: Start) -> None:
    running = await start(Shop())
    await running.until("open_wait payment.full")
    await running.forge("payment_settled", 999)
    await running.until("apply_payment forged")
    assert (await running.handle.result()).result == "expired"


async def test_short_stock_holds_until_goods_come_and_then_goes_on_without_a_person(start: Start) -> None:
    shop = Shop(holds={"reserve_stock": ["out_of_stock", "out_of_stock"]})
    running = await start(shop)
    for attempt in (1, 2):
        await running.until("reserve_stock", attempt)
        await running.tell(attempt, None)
    await running.until("open_wait payment.full")
    assert shop.calls.count("reserve_stock") == 3
    assert shop.resolved == []


async def test_overpayment_stops_the_order_until_somebody_lets_it_go_on(start: Start) -> None:
    running = await start(Shop())
    await running.until("open_wait payment.full")
    await running.tell(1, Payment("overpaid", hold="payment_over"))
    await running.until("apply_payment")
    assert "book_shipments" not in running.shop.calls
    await running.resolve("retry")
    await running.until("book_shipments")
    assert running.shop.resolved == ["retry"]


async def test_carrier_that_is_away_for_half_an_hour_becomes_a_hold(start: Start) -> None:
    shop = Shop()
    shop.away["book_shipments"] = 10_000
    running = await start(shop)
    await running.until("open_wait payment.full")
    await running.tell(1, Payment())
    await running.environment.sleep(timedelta(minutes=31))
    await running.until("open_hold carrier_unavailable")
    shop.away.clear()
    await running.resolve("retry")
    await running.until("open_wait shipment.delivered")


async def test_refused_shipment_becomes_a_hold_and_is_booked_after_retry(start: Start) -> None:
    shop = Shop(holds={"book_shipments": ["carrier_refused"]})
    running = await start(shop)
    await running.until("open_wait payment.full")
    await running.tell(1, Payment())
    await running.until("book_shipments")
    await running.resolve("retry")
    await running.until("open_wait shipment.delivered")
    assert shop.calls.count("book_shipments") == 2


async def test_part_of_the_goods_delivered_is_recognised_at_once(start: Start) -> None:
    running = await start(Shop())
    await running.until("open_wait payment.full")
    await running.tell(1, Payment())
    await running.until("open_wait shipment.delivered")
    await running.tell(2, Scan("partially_delivered"))
    await running.until("recognise_revenue")
    assert "issue_invoice" not in running.shop.calls
    await running.tell(3, Scan("delivered"))
    assert (await running.handle.result()).result == "completed"


async def test_fact_that_cannot_be_booked_is_booked_after_the_hold_is_settled(start: Start) -> None:
    shop = Shop(fails={"apply_payment": ["account_mapping_missing"]})
    running = await start(shop)
    await running.until("open_wait payment.full")
    await running.tell(1, Payment())
    await running.until("open_hold account_mapping_missing")
    await running.resolve("retry")
    await running.until("book_shipments")
    assert shop.calls.count("apply_payment") == 2


async def test_choice_that_the_lane_does_not_offer_is_refused(start: Start) -> None:
    running = await start(Shop(holds={"reserve_stock": ["out_of_stock"]}))
    await running.until("reserve_stock")
    for choice in ("skip", "jump", "anything"):
        with pytest.raises(WorkflowUpdateFailedError) as refused:
            await running.resolve(choice)
        assert code_of(refused) == "choice_not_offered"


async def test_hold_cannot_be_settled_where_there_is_none(start: Start) -> None:
    running = await start(Shop())
    await running.until("open_wait payment.full")
    with pytest.raises(WorkflowUpdateFailedError) as refused:
        await running.resolve("retry")
    assert code_of(refused) == "no_open_hold"
