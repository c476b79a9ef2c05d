"""Money that nobody expected: it goes back beside the order's story, or brings the order back."""

from collections import Counter
from datetime import timedelta

from tests.fakes.shop import Payment, Scan, Shop
from tests.workflows.conftest import Running, Start
from workflows.follow_up import FollowUpWorkflow
from workflows.order.contract import ORDERS_QUEUE, SIGNALS, FactSignal, follow_up_workflow_id
from workflows.order.workflow import OrderWorkflow


async def follow_up(running: Running, inbox_id: int, payment: Payment) -> None:
    """The payment has come after the order's end, and all that it brought about is done."""
    running.shop.inbox[inbox_id] = payment
    order_no = running.handle.id.partition("/")[2]
    given = (await running.environment.client.get_workflow_handle(running.handle.id).fetch_history()).events[0]
    (order,) = await running.environment.client.data_converter.decode(
        given.workflow_execution_started_event_attributes.input.payloads,
        [FollowUpWorkflow.run.__annotations__["order"]],
    )
    handle = await running.environment.client.start_workflow(
        FollowUpWorkflow.run,
        order,
        id=follow_up_workflow_id(order_no),
        task_queue=ORDERS_QUEUE,
        start_signal=SIGNALS["payment.settled"],
        start_signal_args=[FactSignal(inbox_id)],
    )
    await handle.result()


def again(running: Running) -> Running:
    """The order's workflow as it runs now."""
    handle = running.environment.client.get_workflow_handle_for(OrderWorkflow.run, running.handle.id)
    return Running(running.environment, running.shop, handle)


async def test_second_payment_goes_back_while_the_order_goes_on(start: Start) -> None:
    running = await start(Shop())
    await running.until("open_wait payment.full")
    await running.tell(1, Payment())
    await running.tell(2, Payment("overpaid", surplus=True))
    await running.until("refund_surplus")
    await running.until("open_wait shipment.delivered")
    await running.tell(3, Scan("delivered"))
    assert (await running.handle.result()).result == "completed"
    assert running.shop.calls.count("refund_surplus") == 1
    assert "refund_payments" not in running.shop.calls


async def test_surplus_that_cannot_be_sent_back_delays_nothing_and_is_never_dropped(start: Start) -> None:
    shop = Shop(holds={"refund_surplus": ["refund_failed"] * 9})
    running = await start(shop)
    await running.until("open_wait payment.full")
    await running.tell(1, Payment("overpaid", surplus=True))
    await running.until("open_wait shipment.delivered")
    await running.tell(2, Scan("delivered"))
    await running.until("close completed")
    # The order has ended; its workflow has not, as long as money is owed.
    assert (await running.handle.result()).result == "completed"
    assert shop.calls.count("refund_surplus") == 10
    assert shop.standing.surplus_due is False


async def test_provider_that_is_away_is_told_within_five_minutes_and_asked_again(start: Start) -> None:
    shop = Shop()
    shop.away["refund_surplus"] = 10_000
    running = await start(shop)
    await running.until("open_wait payment.full")
    await running.tell(1, Payment("overpaid", surplus=True))
    await running.until("refund_surplus")
    await running.environment.sleep(timedelta(minutes=5))
    await running.until("open_hold refund_failed")
    shop.away.clear()
    await running.environment.sleep(timedelta(minutes=10))
    assert shop.standing.surplus_due is False


async def test_order_that_is_called_off_gives_the_surplus_back_with_everything_else(start: Start) -> None:
    shop = Shop(holds={"refund_surplus": ["refund_failed"] * 9})
    running = await start(shop)
    await running.until("open_wait payment.full")
    await running.tell(1, Payment("overpaid", surplus=True))
    await running.until("open_wait shipment.delivered")
    assert (await running.cancel()).lifecycle == "cancelled"
    assert (await running.handle.result()).result == "cancelled"
    assert shop.standing.surplus_due is shop.standing.money_in is False


async def test_expired_order_that_is_paid_in_full_runs_again_to_its_end(start: Start) -> None:
    running = await start(Shop())
    assert (await running.handle.result()).result == "expired"
    await follow_up(running, 1, Payment(revives=True))
    revived = again(running)
    await revived.until("open_wait shipment.delivered")
    await revived.tell(2, Scan("delivered"))
    assert (await revived.handle.result()).result == "completed"
    assert "refund_payments" not in running.shop.calls[running.shop.calls.index("close expired") :]


async def test_late_money_that_revives_nothing_goes_back(start: Start) -> None:
    running = await start(Shop())
    assert (await running.handle.result()).result == "expired"
    await follow_up(running, 1, Payment())
    assert running.shop.calls[-2:] == ["apply_payment", "refund_payments"]
    assert running.shop.standing.lifecycle == "expired"


async def test_order_that_comes_back_before_its_workflow_has_ended_begins_anew(start: Start) -> None:
    # The database is away while the order is closed, and longer for the payment that comes in that moment.
    shop = Shop(away=Counter({"close expired": 10_000, "apply_payment": 10_000}))
    running = await start(shop)
    await running.until("open_wait payment.full")
    await running.environment.sleep(timedelta(hours=24, minutes=1))
    await running.until("close expired")
    await running.tell(1, Payment(revives=True))
    await running.until("apply_payment")
    del shop.away["close expired"]
    await running.environment.sleep(timedelta(minutes=2))
    assert shop.standing.lifecycle == "expired"
    shop.away.clear()
    await running.environment.sleep(timedelta(minutes=2))
    revived = again(running)
    await revived.until("book_shipments")
    await revived.until("open_wait shipment.delivered")
    await revived.tell(2, Scan("delivered"))
    assert (await revived.handle.result()).result == "completed"
    assert shop.calls.index("close expired") < shop.calls.index("close completed")
