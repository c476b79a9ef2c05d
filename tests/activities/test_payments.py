"""Payments on a real database: counted once, posted once, and every difference held."""

import asyncio
import json
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from temporalio.exceptions import ApplicationError

from activities.orders import OrderActivities, ResolveInput
from activities.payments import PaymentActivities
from activities.step import Fact
from integrations.memory import Memory
from integrations.payment.simulated import SimulatedPaymentProvider
from models.inbox import InboxMessage
from models.masters import AccountMapping, FxRate, PaymentMethod
from runtime.database import Sessions
from tests.conftest import Database
from tests.factories import orders
from tests.factories.books import balances, both_amounts, entries, open_books
from tests.factories.payments import bring, open_holds, order_row, payments, report, set_order, story

PAID = {"1012.01": 11_300, "2204": -10_000, "2221.06": -1_300}


@pytest.fixture
async def sessions(database: Database) -> Sessions:
    await open_books(database.sessions)
    return database.sessions


@pytest.fixture
def activities(sessions: Sessions) -> PaymentActivities:
    return PaymentActivities(sessions, SimulatedPaymentProvider(Memory()), tolerance_minor=1)


async def test_a_payment_in_full_is_posted_and_told(sessions: Sessions, activities: PaymentActivities) -> None:
    await orders.place(sessions, waiting_for="payment.full")
    result = await activities.apply_payment(await report(sessions, 11_300))
    assert (result.outcome, result.held) == ("applied", None)
    assert (result.standing.payment, result.standing.money_in) == ("paid", True)
    assert await entries(sessions) == ["payment_received | Dr 1012.01 11300 | Cr 2204 10000 | Cr 2221.06 1300"]
    assert await story(sessions) == ["payment.received"]
    assert await open_holds(sessions) == {}
    assert (await order_row(sessions)).waiting_for is None


async def test_apply_payment_twice_has_one_effect(sessions: Sessions, activities: PaymentActivities) -> None:
    await orders.place(sessions)
    fact = await report(sessions, 11_300)
    await activities.apply_payment(fact)
    again = await activities.apply_payment(fact)
    assert (again.outcome, again.standing.payment) == ("repeated", "paid")
    other_door = await activities.apply_payment(await report(sessions, 11_300, source="webhook"))
    assert other_door.outcome == "repeated"
    assert (await order_row(sessions)).paid_minor == 11_300
    assert await balances(sessions) == PAID
    assert await story(sessions) == ["payment.received"]


async def test_payments_that_come_at_the_same_time_are_counted_one_after_the_other(
    sessions: Sessions, activities: PaymentActivities
) -> None:
    await orders.place(sessions)
    facts = [await report(sessions, 1_130, f"P-{number % 10}", source=f"door-{number // 10}") for number in range(20)]
    results = await asyncio.gather(*(activities.apply_payment(fact) for fact in facts))
    assert sorted(result.outcome for result in results) == ["applied"] * 10 + ["repeated"] * 10
    assert await balances(sessions) == PAID
    assert (await order_row(sessions)).paid_minor == 11_300


async def test_the_same_payment_with_another_sum_is_held_and_changes_nothing(
    sessions: Sessions, activities: PaymentActivities
) -> None:
    await orders.place(sessions)
    await activities.apply_payment(await report(sessions, 11_300))
    result = await activities.apply_payment(await report(sessions, 9_900, source="webhook"))
    assert (result.outcome, result.held) == ("conflict", "payment_conflict")
    assert (await open_holds(sessions))["payment_conflict"]["reported_minor"] == 9_900
    assert await balances(sessions) == PAID


@pytest.mark.parametrize("parts", [[11_300], [5_000, 6_300], [6_300, 5_000], [1, 11_298, 1], [3_767, 3_767, 3_766]])
async def test_parts_in_any_order_end_in_equal_books(
    sessions: Sessions, activities: PaymentActivities, parts: list[int]
) -> None:
    await orders.place(sessions)
    for number, minor in enumerate(parts, start=1):
        result = await activities.apply_payment(await report(sessions, minor, f"P-{number}"))
    assert result.standing.payment == "paid"
    assert await balances(sessions) == PAID
    assert await open_holds(sessions) == {}


@pytest.mark.parametrize(
    ("paid", "status", "rounding"), [(11_299, "paid", 1), (11_301, "paid", -1), (11_298, "partial", 0)]
)
async def test_a_difference_within_the_tolerance_is_written_off(
    sessions: Sessions, activities: PaymentActivities, paid: int, status: str, rounding: int
) -> None:
    await orders.place(sessions)
    result = await activities.apply_payment(await report(sessions, paid))
    assert result.standing.payment == status
    assert (await order_row(sessions)).written_off_minor == rounding
    assert (await balances(sessions)).get("6603.round", 0) == rounding
    assert set(await open_holds(sessions)) == (set() if status == "paid" else {"payment_short"})


async def test_a_cent_that_comes_after_the_write_off_takes_it_back(
    sessions: Sessions, activities: PaymentActivities
) -> None:
    await orders.place(sessions)
    await activities.apply_payment(await report(sessions, 11_299))
    await activities.apply_payment(await report(sessions, 1, "P-2"))
    assert await balances(sessions) == PAID
    assert (await order_row(sessions)).written_off_minor == 0


async def test_books_stay_right_when_the_tolerance_is_changed_between_two_payments(
    sessions: Sessions, activities: PaymentActivities
) -> None:
    await orders.place(sessions)
    await activities.apply_payment(await report(sessions, 11_299))
    strict = PaymentActivities(sessions, SimulatedPaymentProvider(Memory()), tolerance_minor=0)
    result = await strict.apply_payment(await report(sessions, 3, "P-2"))
    assert result.standing.payment == "overpaid"
    # The cent stays written off, and what came after it is no part of the sale.
    assert await balances(sessions) == {
        "1012.01": 11_302,
        "2204": -10_000,
        "2221.06": -1_300,
        "2241.refund": -3,
        "6603.round": 1,
    }


async def test_a_part_holds_without_blocking_until_the_rest_comes(
    sessions: Sessions, activities: PaymentActivities
) -> None:
    await orders.place(sessions)
    first = await activities.apply_payment(await report(sessions, 5_000))
    assert (first.standing.payment, first.standing.blocking_holds) == ("partial", ())
    assert await open_holds(sessions) == {"payment_short": {"paid_minor": 5_000, "due_minor": 6_300, "currency": "CNY"}}
    await activities.apply_payment(await report(sessions, 6_300, "P-2"))
    assert await open_holds(sessions) == {}


async def test_too_much_blocks_and_is_owed_back(sessions: Sessions, activities: PaymentActivities) -> None:
    await orders.place(sessions)
    result = await activities.apply_payment(await report(sessions, 12_000))
    assert (result.standing.payment, result.standing.blocking_holds) == ("overpaid", ("payment_over",))
    assert await open_holds(sessions) == {
        "payment_over": {"surplus_minor": 700, "currency": "CNY", "payment_id": "P-1"}
    }
    assert await balances(sessions) == PAID | {"1012.01": 12_000, "2241.overpay": -700}


async def test_a_second_success_for_a_completed_order_is_owed_to_who_paid(
    sessions: Sessions, activities: PaymentActivities
) -> None:
    await orders.place(sessions)
    await activities.apply_payment(await report(sessions, 11_300))
    await set_order(sessions, lifecycle="completed")
    result = await activities.apply_payment(await report(sessions, 11_300, "P-2"))
    assert (result.outcome, result.standing.payment) == ("duplicate", "overpaid")
    assert (await balances(sessions))["2241.refund"] == -11_300


async def test_a_planned_deposit_is_no_shortage(sessions: Sessions, activities: PaymentActivities) -> None:
    await orders.place(sessions, payment_terms="deposit_balance", deposit_minor=3_390)
    await activities.apply_payment(await report(sessions, 3_390))
    assert await open_holds(sessions) == {}
    result = await activities.apply_payment(await report(sessions, 7_910, "P-2"))
    assert result.standing.payment == "paid"
    assert await balances(sessions) == PAID


async def test_a_voucher_and_a_card_together_pay_the_order(sessions: Sessions, activities: PaymentActivities) -> None:
    await orders.place(sessions)
    await activities.apply_payment(await report(sessions, 10_000, method="voucher"))
    await activities.apply_payment(await report(sessions, 1_300, "P-2", method="bank_transfer"))
    assert await balances(sessions) == {"1002": 1_300, "2203.card": 10_000, "2204": -10_000, "2221.06": -1_300}


async def test_money_of_another_currency_is_set_aside(sessions: Sessions, activities: PaymentActivities) -> None:
    await orders.place(sessions)
    result = await activities.apply_payment(await report(sessions, 11_300, currency="USD"))
    assert (result.outcome, result.held, result.standing.payment) == ("unapplied", "payment_currency", "unpaid")
    assert await payments(sessions) == {"P-1": "unapplied"}
    assert await balances(sessions) == {}
    assert result.standing.blocking_holds == ("payment_currency",)


async def test_money_for_an_expired_order_is_booked_to_give_it_back(
    sessions: Sessions, activities: PaymentActivities
) -> None:
    await orders.place(sessions, lifecycle="expired")
    result = await activities.apply_payment(await report(sessions, 11_300))
    assert (result.outcome, result.standing.money_in) == ("too_late", True)
    assert await entries(sessions) == ["payment_received | Dr 1012.01 11300 | Cr 2241.refund 11300"]
    assert (await payments(sessions), await open_holds(sessions)) == ({"P-1": "late"}, {})


async def test_an_order_in_another_currency_keeps_both_amounts(
    sessions: Sessions, activities: PaymentActivities
) -> None:
    await orders.place(sessions, currency="BRL", fx_rate=Decimal("1.3333333333"))
    for number, minor in enumerate([333, 4_001, 6_966], start=1):
        await activities.apply_payment(await report(sessions, minor, f"P-{number}", currency="BRL"))
    assert await both_amounts(sessions) == {
        ("1012.01", "BRL"): (11_300, 15_067),
        ("2204", "BRL"): (-10_000, -13_333),
        ("2221.06", "BRL"): (-1_300, -1_733),
        ("6603.fx", "BRL"): (0, -1),
    }


async def test_money_without_a_rate_waits_for_it(sessions: Sessions, activities: PaymentActivities) -> None:
    await orders.place(sessions, currency="BRL")
    result = await activities.apply_payment(await report(sessions, 11_300, currency="BRL"))
    assert (result.outcome, result.held, result.standing.payment) == ("applied", "fx_rate_missing", "paid")
    assert (await payments(sessions), await balances(sessions)) == ({"P-1": "unposted"}, {})
    rate = FxRate(entity_id="main", currency="BRL", valid_from=datetime(2020, 1, 1, tzinfo=UTC).date(), rate=Decimal(2))
    async with sessions() as session, session.begin():
        session.add(rate)
    settled = await OrderActivities(sessions).resolve_holds(ResolveInput("SO-1", "retried", "lin"))
    assert settled.standing.blocking_holds == ()
    assert await payments(sessions) == {"P-1": "applied"}
    assert (await both_amounts(sessions))["1012.01", "BRL"] == (11_300, 22_600)


async def test_an_unknown_method_is_never_guessed(sessions: Sessions, activities: PaymentActivities) -> None:
    await orders.place(sessions)
    first = await activities.apply_payment(await report(sessions, 5_000, method="barter"))
    assert (first.held, first.standing.blocking_holds) == ("payment_method_unknown", ("payment_method_unknown",))
    assert (await payments(sessions), await balances(sessions)) == ({"P-1": "unposted"}, {})
    async with sessions() as session, session.begin():
        session.add(PaymentMethod(method="barter", category="offline_transfer"))
    second = await activities.apply_payment(await report(sessions, 6_300, "P-2"))
    assert (second.held, second.standing.payment, second.standing.blocking_holds) == (None, "paid", ())
    assert await balances(sessions) == {"1002": 5_000, "1012.01": 6_300, "2204": -10_000, "2221.06": -1_300}


async def test_a_missing_account_holds_the_order_and_loses_no_money(
    sessions: Sessions, activities: PaymentActivities
) -> None:
    await orders.place(sessions)
    async with sessions() as session, session.begin():
        mapping = await session.get_one(AccountMapping, ("main", "wallet", datetime(1970, 1, 1, tzinfo=UTC).date()))
        kept = mapping.model_dump()
        await session.delete(mapping)
    result = await activities.apply_payment(await report(sessions, 11_300))
    assert (result.held, result.standing.payment) == ("account_mapping_missing", "paid")
    assert (await open_holds(sessions))["account_mapping_missing"] == {"entity_id": "main", "roles": ["wallet"]}
    assert await balances(sessions) == {}
    async with sessions() as session, session.begin():
        session.add(AccountMapping(**kept))
    await OrderActivities(sessions).resolve_holds(ResolveInput("SO-1", "retried", "lin"))
    assert await balances(sessions) == PAID


async def test_a_forged_fact_is_ignored_and_on_record(sessions: Sessions, activities: PaymentActivities) -> None:
    await orders.place(sessions)
    await orders.place(sessions, "SO-2")
    of_another = await report(sessions, 11_300, order_no="SO-2")
    of_another_kind = await bring(sessions, "{}", "scan", "SO-1", kind="parcel.scanned")
    for inbox_id in (99, of_another.inbox_id, of_another_kind.inbox_id):
        result = await activities.apply_payment(Fact("SO-1", inbox_id))
        assert (result.outcome, result.standing.payment) == ("ignored", "unpaid")
    assert await story(sessions) == ["signal.ignored"] * 3
    assert (await balances(sessions), await payments(sessions)) == ({}, {})


async def test_an_unreadable_message_is_a_final_failure_and_changes_nothing(
    sessions: Sessions, activities: PaymentActivities
) -> None:
    await orders.place(sessions)
    for number, body in enumerate(["no json", json.dumps({"payment_id": "P-1", "amount_minor": 0})]):
        fact = await bring(sessions, body, f"odd-{number}", "SO-1")
        with pytest.raises(ApplicationError) as refused:
            await activities.apply_payment(fact)
        assert (refused.value.type, refused.value.non_retryable) == ("payment_unreadable", True)
    assert (await payments(sessions), await story(sessions)) == ({}, [])


async def test_the_inbox_row_says_what_became_of_the_payment(sessions: Sessions, activities: PaymentActivities) -> None:
    await orders.place(sessions)
    fact = await report(sessions, 11_300)
    await activities.apply_payment(fact)
    await activities.apply_payment(fact)
    async with sessions() as session:
        message = await session.get_one(InboxMessage, fact.inbox_id)
    assert message.outcome == "applied"
    assert message.applied_at is not None
