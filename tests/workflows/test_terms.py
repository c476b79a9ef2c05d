"""Samples, cash on delivery and orders on credit, on the ways in which they differ from an ordinary order."""

from datetime import timedelta

import pytest
from temporalio.client import WorkflowUpdateFailedError

from domain.order import Standing
from tests.fakes.desk import Word
from tests.fakes.shop import Payment, Scan, Shop
from tests.workflows.conftest import Running, Start, builtin, code_of

SHIPPED = ["book_shipments", "open_wait shipment.delivered"]
SOLD = ["apply_scan", "recognise_revenue", "issue_invoice", "close completed"]
REFUSED = Scan("failed", hold="delivery_failed")
LATER = ["cash_on_delivery", "on_credit"]
ASKED = {"sample": "open_approval manager", "on_credit": "open_approval ask"}


async def order(start: Start, key: str, shop: Shop) -> Running:
    """An order of this flow that nobody has to pay before it ships; its manager has agreed to a sample."""
    running = await placed(start, key, shop)
    if key == "sample":
        await say(running, key, "mona", "approve")
    return running


async def placed(start: Start, key: str, shop: Shop) -> Running:
    terms = "none" if key == "sample" else key
    shop.standing = Standing(payment_terms=terms)
    return await start(shop, builtin(key), order__type="sample" if key == "sample" else "normal", payment__terms=terms)


async def say(running: Running, key: str, person: str, action: str, *, again: int = 0) -> None:
    """The person's word about what this flow asks; `again`: how often it was asked and answered before."""
    await running.until(ASKED[key], 1 + 2 * again)
    await running.tell(900 + again, Word(person, action))


async def delivered(running: Running) -> None:
    """The order is delivered and ends as completed."""
    await running.until("open_wait shipment.delivered")
    await running.tell(1, Scan("delivered"))
    assert (await running.handle.result()).result == "completed"


@pytest.mark.parametrize(
    ("key", "before"),
    [
        ("sample", [ASKED["sample"], "apply_decision", ASKED["sample"], "check_order", "reserve_stock"]),
        ("cash_on_delivery", ["check_order", "reserve_stock"]),
        ("on_credit", ["check_order", "check_credit", "decide_branch", "reserve_stock"]),
    ],
)
async def test_order_ships_unpaid_and_ends_in_the_books(start: Start, key: str, before: list[str]) -> None:
    running = await order(start, key, Shop())
    await delivered(running)
    assert running.shop.calls == [*before, *SHIPPED, *SOLD]


async def test_paid_sample_waits_for_its_money(start: Start) -> None:
    running = await start(Shop(), builtin("sample"), order__type="sample")
    await say(running, "sample", "mona", "approve")
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


async def test_sample_that_the_manager_rejects_ends_with_nothing_done(start: Start) -> None:
    running = await placed(start, "sample", Shop())
    await say(running, "sample", "mona", "reject")
    assert (await running.handle.result()).result == "rejected"
    assert running.shop.calls == [ASKED["sample"], "apply_decision", ASKED["sample"], "close rejected"]


async def test_paid_sample_that_is_rejected_gives_its_money_back(start: Start) -> None:
    running = await start(Shop(), builtin("sample"), order__type="sample")
    await running.until(ASKED["sample"])
    await running.tell(1, Payment())
    await running.until("apply_payment")
    await say(running, "sample", "mona", "reject")
    assert (await running.handle.result()).result == "rejected"
    assert running.shop.calls[-2:] == ["refund_payments", "close rejected"]


async def test_sample_goes_up_when_the_manager_is_silent(start: Start) -> None:
    running = await placed(start, "sample", Shop())
    await running.until(ASKED["sample"])
    await running.environment.sleep(timedelta(minutes=31))
    await running.until("escalate_approval 0")
    await running.tell(900, Word("gina", "approve"))
    await delivered(running)


async def test_sample_that_nobody_answers_for_is_rejected_after_an_hour(start: Start) -> None:
    running = await placed(start, "sample", Shop())
    begun = await running.environment.get_current_time()
    assert (await running.handle.result()).result == "rejected"
    took = await running.environment.get_current_time() - begun
    assert timedelta(minutes=60) <= took < timedelta(minutes=62)
    assert not {"check_order", "reserve_stock"} & set(running.shop.calls)


async def test_sample_is_cancelled_while_it_is_asked_about(start: Start) -> None:
    running = await placed(start, "sample", Shop())
    await running.until(ASKED["sample"])
    assert (await running.cancel()).lifecycle == "cancelled"
    assert running.shop.calls == [ASKED["sample"], "begin_cancel", "close cancelled"]
    assert running.shop.desk.still_open() == ()


async def test_order_above_the_credit_takes_no_goods_until_the_manager_lets_it_pass(start: Start) -> None:
    running = await order(start, "on_credit", Shop(above_credit=True))
    await running.until(ASKED["on_credit"])
    assert "reserve_stock" not in running.shop.calls
    await say(running, "on_credit", "mona", "approve")
    await delivered(running)
    asked = [ASKED["on_credit"], "apply_decision", ASKED["on_credit"]]
    checked = ["check_credit", "decide_branch"]
    assert running.shop.calls[: running.shop.calls.index("reserve_stock")] == [
        "check_order",
        *checked,
        *asked,
        *checked,
    ]
    assert not [call for call in running.shop.calls if call.startswith("open_hold")]


async def test_order_above_the_credit_goes_up_to_the_general_manager(start: Start) -> None:
    running = await order(start, "on_credit", Shop(above_credit=True))
    await running.until(ASKED["on_credit"])
    await running.environment.sleep(timedelta(minutes=31))
    await running.until("escalate_approval 0")
    await running.tell(900, Word("gina", "approve"))
    await delivered(running)


async def refused(start: Start, shop: Shop) -> Running:
    """An order above the credit that the manager has not let pass; finance has it now."""
    running = await order(start, "on_credit", shop)
    await say(running, "on_credit", "mona", "reject")
    await running.until("open_hold credit_exceeded")
    assert "reserve_stock" not in shop.calls
    return running


async def test_order_that_nobody_lets_pass_is_held_for_finance_for_a_day(start: Start) -> None:
    shop = Shop(above_credit=True)
    running = await order(start, "on_credit", shop)
    await running.until(ASKED["on_credit"])
    await running.environment.sleep(timedelta(minutes=61))
    await running.until("open_hold credit_exceeded")
    assert shop.deadlines["credit_exceeded"] == timedelta(days=1)
    (only,) = shop.desk.opened.values()
    assert only.state == "timed_out"


async def test_order_that_was_not_let_pass_is_asked_about_anew_on_retry(start: Start) -> None:
    running = await refused(start, Shop(above_credit=True))
    await running.resolve("retry")
    await say(running, "on_credit", "mona", "approve", again=1)
    await delivered(running)
    assert running.shop.calls.count("check_credit") == 2


async def test_order_whose_customer_has_paid_is_checked_again_and_nobody_is_asked(start: Start) -> None:
    shop = Shop(above_credit=True)
    running = await refused(start, shop)
    shop.above_credit = False
    await running.resolve("jump", "credit")
    await delivered(running)
    assert (shop.calls.count("check_credit"), len(shop.desk.opened)) == (2, 1)


async def test_order_that_still_does_not_fit_is_asked_about_again(start: Start) -> None:
    running = await refused(start, Shop(above_credit=True))
    await running.resolve("jump", "credit")
    await say(running, "on_credit", "mona", "approve", again=1)
    await delivered(running)
    assert running.shop.calls.count("check_credit") == 3


async def test_order_above_the_credit_may_be_cancelled_by_finance(start: Start) -> None:
    running = await refused(start, Shop(above_credit=True))
    await running.resolve("cancel")
    assert (await running.handle.result()).result == "cancelled"
    assert "reserve_stock" not in running.shop.calls


async def test_nobody_but_who_is_asked_lets_an_order_pass(start: Start) -> None:
    running = await refused(start, Shop(above_credit=True))
    with pytest.raises(WorkflowUpdateFailedError) as no:
        await running.resolve("skip")
    assert code_of(no) == "choice_not_offered"


async def test_credit_that_cannot_be_compared_is_held_and_checked_again(start: Start) -> None:
    running = await order(start, "on_credit", Shop(fails={"check_credit": ["fx_rate_missing"]}))
    await running.until("open_hold fx_rate_missing")
    await running.resolve("retry")
    await delivered(running)
    assert running.shop.calls.count("check_credit") == 2


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
