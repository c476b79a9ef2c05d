"""Money that nobody expected, on a real database: the books are right at once, and it goes where it belongs."""

import json
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from sqlmodel import select
from temporalio.testing import ActivityEnvironment

from activities.checks import CheckActivities, CheckInput
from activities.lane import LaneActivities
from activities.late_payments import LatePolicy
from activities.orders import CloseInput, HoldInput, OrderActivities
from activities.payments import MoneyPolicy, PaymentActivities
from activities.refunding import RefundActivities
from activities.step import Step, StepResult
from activities.stock import StockActivities
from activities.surplus import SurplusPolicy
from integrations.memory import Memory
from integrations.payment.simulated import PaymentBehaviour, SimulatedPaymentProvider
from models.columns import now
from models.order import OrderHold
from runtime.database import Sessions
from store import orders as order_rows
from tests.conftest import Database
from tests.factories import orders
from tests.factories.books import balances, entries, open_books
from tests.factories.payments import bring, open_holds, order_row, payments, refunds, report, set_order, story
from tests.factories.refunding import ask, goodwill
from tests.factories.stock import is_sound, stocked

STEP = Step("SO-1", "surplus")
PAID = {"1012.01": 11_300, "2204": -10_000, "2221.06": -1_300}


@pytest.fixture
async def sessions(database: Database) -> Sessions:
    await open_books(database.sessions)
    return database.sessions


@pytest.fixture
def provider() -> SimulatedPaymentProvider:
    return SimulatedPaymentProvider(Memory())


def able(
    sessions: Sessions, provider: SimulatedPaymentProvider, policy: MoneyPolicy | None = None
) -> PaymentActivities:
    return PaymentActivities(sessions, provider, 1, policy or MoneyPolicy())


@pytest.fixture
def activities(sessions: Sessions, provider: SimulatedPaymentProvider) -> PaymentActivities:
    return able(sessions, provider)


async def twice(sessions: Sessions, activities: PaymentActivities) -> StepResult:
    """The order was paid through one provider, and then through another."""
    await activities.apply_payment(await report(sessions, 11_300))
    return await activities.apply_payment(await report(sessions, 11_300, "W-1", method="wechat_pay", source="webhook"))


async def decided(sessions: Sessions, hold_id: str, choice: str = "refund") -> StepResult:
    """Finance has decided about this hold."""
    said = {"hold_id": hold_id, "choice": choice, "reason_code": "asked", "reason": "the customer wants it back"}
    fact = await bring(sessions, json.dumps(said), f"decide/{hold_id}/{choice}", "SO-1", kind="hold.decided")
    return await LaneActivities(sessions).settle_hold(fact)


async def over(sessions: Sessions) -> str:
    """The hold for what was paid too much."""
    async with sessions() as session:
        return (await session.exec(select(OrderHold.hold_id).where(OrderHold.reason_code == "payment_over"))).one()


async def within_paid(sessions: Sessions) -> bool:
    row = await order_row(sessions)
    return row.refunded_minor <= row.paid_minor


async def contradictions(sessions: Sessions) -> dict[str, int]:
    """What the checks of money and goods find about the order."""
    asked = CheckInput("run", "weekly", "SO-1")
    result = await ActivityEnvironment().run(CheckActivities(sessions).run_checks, asked)
    return {name: many for name, many in result.found.items() if many and name not in _ABOUT_PROGRESS}


# Orders that a test has put where it wants them have no story and wait for nothing.
_ABOUT_PROGRESS = ("nothing_waits_without_a_deadline",)


async def test_an_order_paid_through_two_providers_owes_the_second_payment_and_pays_it_back(
    sessions: Sessions, activities: PaymentActivities
) -> None:
    await orders.place(sessions)
    result = await twice(sessions, activities)
    assert (result.outcome, result.standing.payment, result.standing.surplus_due) == ("duplicate", "overpaid", True)
    assert await open_holds(sessions) == {}
    assert (await entries(sessions))[1:] == ["payment_received | Dr 1012.01 11300 | Cr 2241.refund 11300"]
    done = await activities.refund_surplus(STEP)
    assert (done.held, done.standing.payment, done.standing.surplus_due) == (None, "paid", False)
    assert (await entries(sessions))[2:] == ["refund_paid | Dr 2241.refund 11300 | Cr 1012.01 11300"]
    assert await refunds(sessions) == {"SO-1-R1": ("W-1", 11_300, "succeeded")}
    assert await payments(sessions) == {"P-1": "applied", "W-1": "duplicate"}
    assert (await balances(sessions), await within_paid(sessions)) == (PAID, True)
    assert await contradictions(sessions) == {}


async def test_what_the_provider_kept_of_a_payment_that_goes_back_is_our_loss(
    sessions: Sessions, activities: PaymentActivities
) -> None:
    await orders.place(sessions)
    await activities.apply_payment(await report(sessions, 11_300, fee_minor=68))
    result = await activities.apply_payment(await report(sessions, 11_300, "W-1", fee_minor=70))
    assert (result.outcome, await contradictions(sessions)) == ("duplicate", {})
    assert (await entries(sessions))[1:] == [
        "payment_received | Dr 1012.01 11230 | Dr 6601.fee 70 | Cr 2241.refund 11300"
    ]
    await activities.refund_surplus(STEP)
    assert await balances(sessions) == PAID | {"1012.01": 11_300 - 68 - 70, "6601.fee": 68 + 70}
    assert (await refunds(sessions), await contradictions(sessions)) == ({"SO-1-R1": ("W-1", 11_300, "succeeded")}, {})


async def test_refund_surplus_twice_has_one_effect(sessions: Sessions, activities: PaymentActivities) -> None:
    await orders.place(sessions)
    await twice(sessions, activities)
    for _time in range(2):
        await activities.refund_surplus(STEP)
    assert (await order_row(sessions)).refunded_minor == 11_300
    assert (await story(sessions)).count("refund.succeeded") == 1


async def test_a_duplicate_that_is_told_twice_goes_back_once(sessions: Sessions, activities: PaymentActivities) -> None:
    await orders.place(sessions)
    await activities.apply_payment(await report(sessions, 11_300))
    for source in ("api", "webhook"):
        await activities.apply_payment(await report(sessions, 11_300, "W-1", source=source))
        await activities.refund_surplus(STEP)
    assert await refunds(sessions) == {"SO-1-R1": ("W-1", 11_300, "succeeded")}
    assert await balances(sessions) == PAID


@pytest.mark.parametrize(
    ("surplus", "paid", "back"),
    [
        (SurplusPolicy.NOTHING, [11_300, 11_300], {}),
        (SurplusPolicy.DUPLICATES, [12_000], {}),
        (SurplusPolicy.ALL, [12_000], {"SO-1-R1": ("P-1", 700, "succeeded")}),
        (SurplusPolicy.ALL, [6_000, 6_000], {"SO-1-R1": ("P-2", 700, "succeeded")}),
        (
            SurplusPolicy.ALL,
            [12_000, 500],
            {"SO-1-R1": ("P-1", 700, "succeeded"), "SO-1-R2": ("P-2", 500, "succeeded")},
        ),
    ],
)
async def test_what_goes_back_by_itself_is_for_the_seller_to_say(
    sessions: Sessions,
    provider: SimulatedPaymentProvider,
    surplus: SurplusPolicy,
    paid: list[int],
    back: dict[str, Any],
) -> None:
    activities = able(sessions, provider, MoneyPolicy(surplus=surplus))
    await orders.place(sessions)
    for number, minor in enumerate(paid, start=1):
        await activities.apply_payment(await report(sessions, minor, f"P-{number}"))
    await activities.refund_surplus(STEP)
    assert await refunds(sessions) == back
    assert ("payment_over" in await open_holds(sessions)) == (not back)
    if back:
        assert await balances(sessions) == PAID
    assert await within_paid(sessions)


@pytest.mark.parametrize("paid", [[12_000], [11_300, 11_300], [6_000, 7_000], [11_301, 11_300]])
async def test_one_click_sends_back_what_was_held_and_no_more(
    sessions: Sessions, provider: SimulatedPaymentProvider, paid: list[int]
) -> None:
    activities = able(sessions, provider, MoneyPolicy(surplus=SurplusPolicy.NOTHING))
    await orders.place(sessions)
    for number, minor in enumerate(paid, start=1):
        await activities.apply_payment(await report(sessions, minor, f"P-{number}"))
    result = await decided(sessions, await over(sessions))
    assert (result.outcome, result.standing.surplus_due) == ("effective", True)
    done = await activities.refund_surplus(STEP)
    assert (done.standing.payment, await open_holds(sessions)) == ("paid", {})
    row = await order_row(sessions)
    assert row.paid_minor - row.refunded_minor == 11_300 - row.written_off_minor
    books = await balances(sessions)
    assert (books["2204"], books.get("2241.overpay", 0), books.get("2241.refund", 0)) == (-10_000, 0, 0)


async def test_a_surplus_that_is_kept_stays_owed(sessions: Sessions, activities: PaymentActivities) -> None:
    await orders.place(sessions)
    await activities.apply_payment(await report(sessions, 12_000))
    result = await decided(sessions, "SO-1-H1", "retry")
    assert (result.standing.surplus_due, await refunds(sessions)) == (False, {})
    assert (await balances(sessions))["2241.overpay"] == -700


async def test_an_order_that_is_called_off_gives_back_the_rest_of_what_was_paid_twice(
    sessions: Sessions, activities: PaymentActivities
) -> None:
    await orders.place(sessions)
    await twice(sessions, activities)
    await activities.refund_surplus(STEP)
    result = await activities.refund_payments(Step("SO-1", "undo"))
    assert (result.standing.payment, result.standing.money_in, await balances(sessions)) == ("refunded", False, {})
    assert (await order_row(sessions)).refunded_minor == 22_600
    assert await contradictions(sessions) == {}


async def test_money_of_another_currency_goes_back_when_finance_says_so(
    sessions: Sessions, activities: PaymentActivities
) -> None:
    await orders.place(sessions)
    await activities.apply_payment(await report(sessions, 5_000, currency="USD"))
    assert (await decided(sessions, "SO-1-H1")).standing.surplus_due is True
    done = await activities.refund_surplus(STEP)
    assert (done.held, done.standing.payment, done.standing.surplus_due) == (None, "unpaid", False)
    assert await refunds(sessions) == {"SO-1-R1": ("P-1", 5_000, "succeeded")}
    assert (await balances(sessions), (await order_row(sessions)).refunded_minor) == ({}, 0)
    assert await contradictions(sessions) == {}


async def test_a_surplus_that_is_not_in_the_books_yet_is_not_paid_back(
    sessions: Sessions, provider: SimulatedPaymentProvider
) -> None:
    activities = able(sessions, provider, MoneyPolicy(surplus=SurplusPolicy.NOTHING))
    await orders.place(sessions)
    await activities.apply_payment(await report(sessions, 12_000, method="barter"))
    result = await decided(sessions, await over(sessions))
    assert (result.outcome, await refunds(sessions)) == ("not_posted", {})
    assert "payment_over" in await open_holds(sessions)


async def test_a_surplus_that_the_provider_refuses_is_held_beside_the_order_and_tried_when_it_is_due(
    sessions: Sessions, activities: PaymentActivities, provider: SimulatedPaymentProvider
) -> None:
    provider.behaviour = PaymentBehaviour(refused_payment_ids=frozenset({"W-1"}))
    await orders.place(sessions)
    await twice(sessions, activities)
    refused = await activities.refund_surplus(STEP)
    assert (refused.held, refused.standing.blocking_holds) == ("refund_failed", ())
    assert refused.standing.quiet_holds == ("refund_failed",)
    provider.behaviour = replace(provider.behaviour, refused_payment_ids=frozenset())
    # Not due yet: asked neither by a repeated activity nor before its time.
    assert (await activities.refund_surplus(STEP)).held == "refund_failed"
    lane = OrderActivities(sessions)
    hold = HoldInput("SO-1", "surplus", "refund_failed", "", opened=True, try_after=timedelta(hours=1))
    await lane.open_hold(hold)
    assert (await activities.refund_surplus(STEP)).held == "refund_failed"
    await lane.open_hold(replace(hold, try_after=timedelta(0)))
    done = await activities.refund_surplus(STEP)
    assert (done.held, done.standing.quiet_holds, done.standing.surplus_due) == (None, (), False)
    assert await balances(sessions) == PAID


async def test_a_shortage_asks_the_customer_for_the_rest(sessions: Sessions, activities: PaymentActivities) -> None:
    await orders.place(sessions)
    await activities.apply_payment(await report(sessions, 5_000))
    assert (await story(sessions))[-2:] == ["order.held", "notice.payment.short"]
    await activities.apply_payment(await report(sessions, 6_300, "P-2"))
    assert (await open_holds(sessions), await balances(sessions)) == ({}, PAID)


async def expired(sessions: Sessions, units: int) -> None:
    """The order has run out, with so many of its two units still there."""
    await stocked(sessions, SKU_1=2)
    await orders.place(sessions, lines=[orders.Line(quantity=2, unit_price_minor=5_650)], lifecycle="accepted")
    stock = StockActivities(sessions, None)
    await stock.reserve_stock(Step("SO-1", "reserve"))
    await stock.release_stock(Step("SO-1", "unpaid"))
    await OrderActivities(sessions).close_order(CloseInput("SO-1", "expired"))
    if units < 2:
        await orders.place(sessions, "SO-2", lines=[orders.Line(quantity=2 - units)], lifecycle="accepted")
        await stock.reserve_stock(Step("SO-2", "reserve"))


async def test_an_expired_order_that_is_paid_goes_on_with_all_its_units(
    sessions: Sessions, activities: PaymentActivities
) -> None:
    await expired(sessions, units=2)
    fact = await report(sessions, 11_300)
    result = await activities.apply_payment(fact)
    assert (result.outcome, result.standing.lifecycle, result.standing.payment) == ("applied", "accepted", "paid")
    assert result.standing.fulfilment == "allocated"
    row = await order_row(sessions)
    assert (row.closed_at, row.waiting_for) == (None, None)
    async with sessions() as session:
        (line,) = await order_rows.lines(session, "SO-1")
    assert (line.cancelled, line.allocated, await is_sound(sessions)) == (0, 2, True)
    assert await balances(sessions) == PAID
    assert "order.revived" in await story(sessions)
    again = await activities.apply_payment(fact)
    assert (again.outcome, (await story(sessions)).count("order.revived")) == ("repeated", 1)
    assert await contradictions(sessions) == {}


async def test_a_step_that_had_ended_the_order_and_is_repeated_does_not_end_it_again(
    sessions: Sessions, activities: PaymentActivities
) -> None:
    await expired(sessions, units=2)
    knew = (await order_row(sessions)).last_event_seq - 1
    await activities.apply_payment(await report(sessions, 11_300))
    repeated = await OrderActivities(sessions).close_order(CloseInput("SO-1", "expired", knew))
    assert (repeated.standing.lifecycle, repeated.standing.fulfilment) == ("accepted", "allocated")
    # Nor where a part of that money has gone back, before the step is repeated.
    asked = await ask(sessions, goodwill(100, "price_reduction"))
    assert (await RefundActivities(sessions).grant_refund(asked)).outcome == "granted"
    await activities.pay_refunds(Step("SO-1", "refund"))
    assert (await order_row(sessions)).refunded_minor == 100
    repeated = await OrderActivities(sessions).close_order(CloseInput("SO-1", "expired", knew))
    assert (repeated.standing.lifecycle, repeated.standing.payment) == ("accepted", "partially_refunded")
    assert ((await order_row(sessions)).closed_at, (await story(sessions)).count("order.expired")) == (None, 1)
    assert await contradictions(sessions) == {}
    await activities.refund_payments(Step("SO-1", "unpaid"))
    knows = (await order_row(sessions)).last_event_seq
    again = await OrderActivities(sessions).close_order(CloseInput("SO-1", "expired", knows))
    assert again.standing.lifecycle == "expired"


@pytest.mark.parametrize(
    ("units", "minor", "late"),
    [(1, 11_300, LatePolicy.REVIVE), (2, 5_000, LatePolicy.REVIVE), (2, 11_300, LatePolicy.REFUND)],
)
async def test_late_money_goes_back_when_the_order_cannot_go_on(
    sessions: Sessions, provider: SimulatedPaymentProvider, units: int, minor: int, late: LatePolicy
) -> None:
    activities = able(sessions, provider, MoneyPolicy(late=late))
    await expired(sessions, units)
    result = await activities.apply_payment(await report(sessions, minor))
    assert (result.outcome, result.standing.lifecycle) == ("too_late", "expired")
    assert (await story(sessions))[-1] == "notice.payment.late"
    async with sessions() as session:
        (line,) = await order_rows.lines(session, "SO-1")
    assert (line.cancelled, line.allocated, await is_sound(sessions)) == (2, 0, True)
    assert await balances(sessions) == {"1012.01": minor, "2241.refund": -minor}
    done = await activities.refund_payments(Step("SO-1", "late"))
    assert (done.standing.payment, done.standing.money_in, await balances(sessions)) == ("refunded", False, {})
    assert await contradictions(sessions) == {}


@pytest.mark.parametrize("terms", [{"deposit_minor": 3_000}, {"paid_minor": 3_000, "forfeited_minor": 3_000}])
async def test_an_expired_order_with_a_deposit_does_not_come_back(
    sessions: Sessions, activities: PaymentActivities, terms: dict[str, Any]
) -> None:
    await expired(sessions, units=2)
    await set_order(sessions, **terms)
    result = await activities.apply_payment(await report(sessions, 11_300))
    assert (result.outcome, result.standing.lifecycle) == ("too_late", "expired")


async def test_a_cancelled_order_never_comes_back(sessions: Sessions, activities: PaymentActivities) -> None:
    await orders.place(sessions, lifecycle="cancelled", closed_at=now())
    await stocked(sessions, SKU_1=5)
    result = await activities.apply_payment(await report(sessions, 11_300))
    assert (result.outcome, result.standing.lifecycle) == ("too_late", "cancelled")


async def test_an_order_that_came_back_is_paid_once_however_often_money_comes(
    sessions: Sessions, activities: PaymentActivities
) -> None:
    await expired(sessions, units=2)
    await activities.apply_payment(await report(sessions, 5_000, "P-0"))
    await activities.refund_payments(Step("SO-1", "late"))
    revived = await activities.apply_payment(await report(sessions, 11_300))
    assert (revived.standing.lifecycle, revived.standing.payment) == ("accepted", "paid")
    second = await activities.apply_payment(await report(sessions, 11_300, "W-1"))
    assert second.outcome == "duplicate"
    done = await activities.refund_surplus(STEP)
    assert (done.standing.payment, await balances(sessions)) == ("paid", PAID)
    assert await within_paid(sessions)


async def test_an_order_whose_earlier_money_is_not_back_yet_does_not_come_back(
    sessions: Sessions, activities: PaymentActivities
) -> None:
    await expired(sessions, units=2)
    await activities.apply_payment(await report(sessions, 5_000, "P-0"))
    result = await activities.apply_payment(await report(sessions, 11_300))
    assert (result.outcome, result.standing.lifecycle) == ("too_late", "expired")
    done = await activities.refund_payments(Step("SO-1", "late", ended=True))
    assert (done.standing.payment, await balances(sessions)) == ("refunded", {})


async def test_a_refund_that_was_asked_for_before_the_order_came_back_takes_nothing(
    sessions: Sessions, activities: PaymentActivities
) -> None:
    await expired(sessions, units=2)
    await activities.apply_payment(await report(sessions, 11_300))
    result = await activities.refund_payments(Step("SO-1", "late", ended=True))
    assert (result.standing.payment, await refunds(sessions), await balances(sessions)) == ("paid", {}, PAID)


async def test_money_that_is_owed_outlives_the_order(sessions: Sessions, provider: SimulatedPaymentProvider) -> None:
    activities = able(sessions, provider, MoneyPolicy(surplus=SurplusPolicy.NOTHING))
    await orders.place(sessions, lifecycle="fulfilling")
    await activities.apply_payment(await report(sessions, 12_000))
    await OrderActivities(sessions).open_hold(HoldInput("SO-1", "signed", "delivery_overdue", "late"))
    async with sessions() as session, session.begin():
        (line,) = await order_rows.lines(session, "SO-1")
        line.allocated = line.shipped = line.delivered = line.recognised = 1
    await OrderActivities(sessions).close_order(CloseInput("SO-1", "completed"))
    assert (await open_holds(sessions)).keys() == {"payment_over"}
    assert (await decided(sessions, "SO-1-H1")).standing.surplus_due is True
