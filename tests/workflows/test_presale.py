"""The built-in presale flow, on every way it can go."""

from datetime import UTC, datetime, timedelta

import pytest

from domain.order import Standing
from tests.fakes.shop import Payment, Scan, Shop
from tests.workflows.conftest import Running, Start, builtin

DEPOSIT = Payment("partial", deposit=True)
ALL = Payment("paid", deposit=True)
LOST = {"order.deposit_refundable": False, "payment.paid_in_full": False}
REFUNDABLE = LOST | {"order.deposit_refundable": True}
UNDONE = ["release_stock", "refund_payments", "close expired"]


async def presale(start: Start, shop: Shop, *, opens: timedelta, closes: timedelta) -> Running:
    """An order whose balance may be paid within this window from now."""
    shop.standing = Standing(payment_terms="deposit_balance")
    now = datetime.now(UTC)
    window = {"order__balance_opens_at": now + opens, "order__balance_closes_at": now + closes}
    return await start(
        shop,
        builtin("presale"),
        order__type="presale",
        payment__terms="deposit_balance",
        **{name: moment.isoformat() for name, moment in window.items()},
    )


@pytest.fixture
async def running(start: Start) -> Running:
    """An order whose balance opens in three days and closes in six."""
    return await presale(start, Shop(known=dict(LOST)), opens=timedelta(days=3), closes=timedelta(days=6))


async def test_deposit_locks_stock_and_nothing_ships_until_the_balance_is_asked_for_and_paid(running: Running) -> None:
    await running.until("open_wait payment.deposit")
    assert "reserve_stock" not in running.shop.calls
    await running.tell(1, DEPOSIT)
    await running.until("open_wait payment.balance")
    assert running.shop.notices == []
    await running.environment.sleep(timedelta(days=3, minutes=5))
    await running.until("open_wait payment.balance", 2)
    assert running.shop.notices == ["order.balance_due"]
    assert "book_shipments" not in running.shop.calls
    await running.tell(2, ALL)
    await running.until("open_wait shipment.delivered")
    await running.tell(3, Scan("delivered"))
    assert (await running.handle.result()).result == "completed"
    assert running.shop.calls == [
        "check_order",
        "open_wait payment.deposit",
        "apply_payment",
        "reserve_stock",
        "open_wait payment.balance",
        "open_wait payment.balance",
        "apply_payment",
        "book_shipments",
        "open_wait shipment.delivered",
        "apply_scan",
        "recognise_revenue",
        "issue_invoice",
        "close completed",
    ]


async def test_missed_balance_costs_the_deposit_and_gives_back_the_stock(running: Running) -> None:
    await running.until("open_wait payment.deposit")
    await running.tell(1, DEPOSIT)
    await running.until("open_wait payment.balance")
    assert (await running.handle.result()).result == "expired"
    assert running.shop.calls[-5:] == ["decide_branch", "forfeit_deposit", *UNDONE]
    assert running.shop.notices == ["order.balance_due", "reminder.payment.balance", "reminder.payment.balance"]
    assert "book_shipments" not in running.shop.calls


async def test_refundable_deposit_goes_back_when_the_balance_is_missed(start: Start) -> None:
    running = await presale(start, Shop(known=dict(REFUNDABLE)), opens=timedelta(hours=1), closes=timedelta(hours=9))
    await running.until("open_wait payment.deposit")
    await running.tell(1, DEPOSIT)
    await running.until("open_wait payment.balance")
    assert (await running.handle.result()).result == "expired"
    assert running.shop.calls[-4:] == ["decide_branch", *UNDONE]
    assert "forfeit_deposit" not in running.shop.calls


async def test_deposit_that_does_not_come_in_time_expires_the_order_without_stock(running: Running) -> None:
    assert (await running.handle.result()).result == "expired"
    assert running.shop.calls == ["check_order", "open_wait payment.deposit", "refund_payments", "close expired"]


async def test_part_of_a_deposit_is_no_deposit_and_goes_back(running: Running) -> None:
    await running.until("open_wait payment.deposit")
    await running.tell(1, Payment("partial"))
    await running.until("apply_payment")
    assert (await running.handle.result()).result == "expired"
    assert "reserve_stock" not in running.shop.calls


async def test_all_at_once_is_deposit_and_balance_and_ships(running: Running) -> None:
    await running.until("open_wait payment.deposit")
    await running.tell(1, ALL)
    await running.until("open_wait shipment.delivered")
    assert "open_wait payment.balance" not in running.shop.calls
    assert running.shop.notices == []


async def test_balance_before_its_window_ships_at_once(running: Running) -> None:
    await running.until("open_wait payment.deposit")
    await running.tell(1, DEPOSIT)
    await running.until("open_wait payment.balance")
    await running.tell(2, ALL)
    await running.until("book_shipments")
    assert running.shop.notices == []


async def test_balance_in_parts_ships_with_the_last_one(running: Running) -> None:
    await running.until("open_wait payment.deposit")
    await running.tell(1, DEPOSIT)
    await running.until("open_wait payment.balance")
    await running.environment.sleep(timedelta(days=3, minutes=5))
    await running.until("open_wait payment.balance", 2)
    await running.tell(2, DEPOSIT)
    await running.until("apply_payment", 2)
    assert "book_shipments" not in running.shop.calls
    await running.tell(3, ALL)
    await running.until("book_shipments")


async def test_balance_that_came_in_the_last_moment_ships_after_all(start: Start) -> None:
    shop = Shop(known=LOST | {"payment.paid_in_full": True})
    running = await presale(start, shop, opens=timedelta(minutes=1), closes=timedelta(minutes=3))
    await running.until("open_wait payment.deposit")
    await running.tell(1, DEPOSIT)
    await running.until("open_wait payment.balance")
    # The database has the money already when the branch is decided, and the workflow hears of it a moment later.
    await running.environment.sleep(timedelta(minutes=3, seconds=30))
    await running.until("decide_branch")
    await running.until("open_wait payment.balance", 3)
    await running.tell(2, ALL)
    await running.until("book_shipments")
    assert "forfeit_deposit" not in shop.calls


async def test_short_stock_after_the_deposit_holds_until_goods_come(start: Start) -> None:
    shop = Shop(holds={"reserve_stock": ["out_of_stock"]}, known=dict(LOST))
    running = await presale(start, shop, opens=timedelta(days=3), closes=timedelta(days=6))
    await running.until("open_wait payment.deposit")
    await running.tell(1, DEPOSIT)
    await running.until("reserve_stock")
    await running.tell(2, None)
    await running.until("open_wait payment.balance")
    assert shop.calls.count("reserve_stock") == 2


async def test_cancelled_presale_gives_back_stock_and_settles_its_money(running: Running) -> None:
    await running.until("open_wait payment.deposit")
    await running.tell(1, DEPOSIT)
    await running.until("open_wait payment.balance")
    assert (await running.cancel()).lifecycle == "cancelled"
    assert running.shop.calls[-4:] == ["begin_cancel", "release_stock", "refund_payments", "close cancelled"]


async def test_presale_cancelled_before_its_deposit_has_nothing_to_undo_but_money(running: Running) -> None:
    await running.until("open_wait payment.deposit")
    assert (await running.cancel()).lifecycle == "cancelled"
    assert running.shop.calls[-3:] == ["begin_cancel", "refund_payments", "close cancelled"]
