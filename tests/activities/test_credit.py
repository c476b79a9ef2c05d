"""Credit on a real database: what a customer owes counts, once and exactly, however many orders come at once."""

import asyncio
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from temporalio.exceptions import ApplicationError

from activities.orders import BranchInput, OrderActivities
from activities.payments import PaymentActivities
from activities.revenue import RevenueActivities
from activities.step import Step, StepResult
from activities.terms import TermsActivities
from domain.flow.nodes import BranchNode, Case
from integrations.memory import Memory
from integrations.payment.simulated import SimulatedPaymentProvider
from models.masters import Customer, FxRate
from runtime.database import Sessions
from tests.conftest import Database
from tests.factories import orders
from tests.factories.books import balances, entries, open_books
from tests.factories.deliveries import deliver
from tests.factories.orders import Line
from tests.factories.payments import open_holds, order_row, report, set_order, story

TOTAL = 11_300
EVENING = datetime(2026, 11, 25, 17, 0, tzinfo=UTC)  # the 26th in Shanghai


@pytest.fixture
async def sessions(database: Database) -> Sessions:
    await open_books(database.sessions)
    return database.sessions


@pytest.fixture
def terms(sessions: Sessions) -> TermsActivities:
    return TermsActivities(sessions)


@pytest.fixture
def payments(sessions: Sessions) -> PaymentActivities:
    return PaymentActivities(sessions, SimulatedPaymentProvider(Memory()), tolerance_minor=1)


async def customer(sessions: Sessions, limit_minor: int, **columns: object) -> None:
    """Afterwards the buyer of all orders here has this credit, in CNY unless `columns` say otherwise."""
    values: dict[str, Any] = {
        "customer_id": "C-7",
        "credit_limit_minor": limit_minor,
        "credit_currency": "CNY",
    } | columns
    async with sessions() as session, session.begin():
        await session.merge(Customer(**values))


async def order(
    sessions: Sessions, order_no: str = "SO-1", lines: tuple[Line, ...] = (Line(),), **columns: object
) -> None:
    accepted = {"lifecycle": "accepted", "payment_terms": "on_credit"}
    await orders.place(sessions, order_no, lines, **(accepted | columns))


async def check(terms: TermsActivities, order_no: str = "SO-1") -> StepResult:
    return await terms.check_credit(Step(order_no, "credit"))


async def sell(sessions: Sessions, order_no: str, at: datetime = EVENING) -> None:
    """The order is delivered, in the books and completed."""
    await deliver(sessions, {"1": 1}, f"{order_no}-S1", order_no, at)
    await RevenueActivities(sessions).recognise_revenue(Step(order_no, "revenue"))
    await set_order(sessions, order_no, lifecycle="completed", closed_at=at)


async def test_order_within_the_credit_takes_its_part(sessions: Sessions, terms: TermsActivities) -> None:
    await customer(sessions, TOTAL, payment_days=45)
    await order(sessions)
    result = await check(terms)
    assert (result.held, await open_holds(sessions)) == (None, {})
    row = await order_row(sessions)
    assert (row.credit_state, row.payment_days) == ("within", 45)
    assert await story(sessions) == ["credit.taken"]


@pytest.mark.parametrize("limit", [TOTAL - 1, 0])
async def test_order_above_the_credit_is_held_and_says_by_how_much(
    sessions: Sessions, terms: TermsActivities, limit: int
) -> None:
    await customer(sessions, limit)
    await order(sessions)
    assert (await check(terms)).held == "credit_exceeded"
    facts = (await open_holds(sessions))["credit_exceeded"]
    assert (facts["limit_minor"], facts["used_minor"], facts["wanted_minor"]) == (limit, 0, TOTAL)


async def test_nobody_gets_credit_who_is_not_on_record(sessions: Sessions, terms: TermsActivities) -> None:
    await order(sessions)
    await order(sessions, "SO-2", customer_id=None)
    assert [(await check(terms, number)).held for number in ("SO-1", "SO-2")] == ["credit_exceeded"] * 2


async def test_check_credit_twice_has_one_effect(sessions: Sessions, terms: TermsActivities) -> None:
    await customer(sessions, TOTAL)
    await order(sessions)
    await check(terms)
    await customer(sessions, 0)
    assert (await check(terms)).held is None
    assert await story(sessions) == ["credit.taken"]


async def test_raised_limit_lets_the_order_in_and_settles_the_hold(sessions: Sessions, terms: TermsActivities) -> None:
    await customer(sessions, 1)
    await order(sessions)
    await check(terms)
    await customer(sessions, TOTAL)
    assert (await check(terms)).held is None
    assert await open_holds(sessions) == {}


async def test_orders_of_one_customer_that_come_together_do_not_pass_the_limit_together(
    sessions: Sessions, terms: TermsActivities
) -> None:
    await customer(sessions, 3 * TOTAL)
    numbers = [f"SO-{number}" for number in range(10)]
    for number in numbers:
        await order(sessions, number)
    results = await asyncio.gather(*(check(terms, number) for number in numbers))
    assert sorted(str(result.held) for result in results) == ["None"] * 3 + ["credit_exceeded"] * 7


async def test_orders_that_are_held_or_have_ended_take_nothing(sessions: Sessions, terms: TermsActivities) -> None:
    await customer(sessions, TOTAL)
    await order(sessions, "SO-1", (Line(quantity=2),))
    assert (await check(terms, "SO-1")).held == "credit_exceeded"
    await order(sessions, "SO-2")
    await check(terms, "SO-2")
    await set_order(sessions, "SO-2", lifecycle="cancelled", closed_at=EVENING)
    await order(sessions, "SO-3")
    assert (await check(terms, "SO-3")).held is None


async def test_order_that_was_let_through_all_the_same_counts_once_it_has_goods(
    sessions: Sessions, terms: TermsActivities
) -> None:
    await customer(sessions, TOTAL)
    await order(sessions, "SO-1", (Line(quantity=2),), credit_state="above")
    await deliver(sessions, {"1": 2}, "SO-1-S1", "SO-1")
    await order(sessions, "SO-2")
    await check(terms, "SO-2")
    assert (await open_holds(sessions, "SO-2"))["credit_exceeded"]["used_minor"] == 2 * TOTAL


async def test_delivered_goods_count_until_they_are_paid(
    sessions: Sessions, terms: TermsActivities, payments: PaymentActivities
) -> None:
    await customer(sessions, TOTAL)
    await order(sessions)
    await check(terms)
    await sell(sessions, "SO-1")
    await order(sessions, "SO-2")
    assert (await check(terms, "SO-2")).held == "credit_exceeded"
    await payments.apply_payment(await report(sessions, TOTAL - 1, method="bank_transfer"))
    assert (await check(terms, "SO-2")).held is None
    assert (await entries(sessions))[-1] == "payment_received | Dr 1002 11299 | Dr 6603.round 1 | Cr 1122 11300"
    left = {"1002": 11_299, "1405": -6_000, "2221.01.01": -1_300, "6001.01": -10_000, "6401": 6_000, "6603.round": 1}
    assert await balances(sessions) == left


async def test_part_of_a_payment_frees_its_part_of_the_credit(
    sessions: Sessions, terms: TermsActivities, payments: PaymentActivities
) -> None:
    await customer(sessions, TOTAL)
    await order(sessions)
    await check(terms)
    await sell(sessions, "SO-1")
    await payments.apply_payment(await report(sessions, 5_000, method="bank_transfer"))
    await order(sessions, "SO-2")
    await check(terms, "SO-2")
    assert (await open_holds(sessions, "SO-2"))["credit_exceeded"]["used_minor"] == 6_300


@pytest.mark.parametrize(("days", "due"), [(0, date(2026, 11, 26)), (30, date(2026, 12, 26))])
async def test_money_is_due_so_many_days_after_the_delivery_where_the_entity_is(
    sessions: Sessions, terms: TermsActivities, days: int, due: date
) -> None:
    await customer(sessions, TOTAL, payment_days=days)
    await order(sessions)
    await check(terms)
    await sell(sessions, "SO-1")
    assert (await order_row(sessions)).payment_due_on == due


async def test_last_parcel_says_when_the_money_is_due(sessions: Sessions, terms: TermsActivities) -> None:
    await customer(sessions, 2 * TOTAL, payment_days=10)
    await order(sessions, "SO-1", (Line(quantity=2),))
    await check(terms)
    for number, days in (("S-1", 2), ("S-2", 1)):
        await deliver(sessions, {"1": 1}, number, at=EVENING + timedelta(days=days))
        await RevenueActivities(sessions).recognise_revenue(Step("SO-1", "revenue"))
    assert (await order_row(sessions)).payment_due_on == date(2026, 12, 8)


@pytest.mark.parametrize(("due_in_days", "held"), [(-1, "credit_exceeded"), (0, None), (1, None)])
async def test_anything_overdue_holds_the_next_order(
    sessions: Sessions, terms: TermsActivities, due_in_days: int, held: str | None
) -> None:
    await customer(sessions, 10 * TOTAL)
    await order(sessions)
    await check(terms)
    await sell(sessions, "SO-1")
    today = (datetime.now(UTC) + timedelta(hours=8)).date()
    await set_order(sessions, payment_due_on=today + timedelta(days=due_in_days))
    await order(sessions, "SO-2")
    assert (await check(terms, "SO-2")).held == held
    if held:
        assert (await open_holds(sessions, "SO-2"))[held]["overdue_minor"] == TOTAL


async def test_limit_and_orders_in_other_currencies_are_compared_in_the_currency_of_the_books(
    sessions: Sessions, terms: TermsActivities
) -> None:
    async with sessions() as session, session.begin():
        session.add(FxRate(entity_id="main", currency="USD", valid_from=date(2020, 1, 1), rate=Decimal(7)))
    await customer(sessions, 2 * TOTAL, credit_currency="USD")
    for number in ("SO-1", "SO-2"):
        await order(sessions, number, currency="USD", fx_rate=Decimal(7))
        assert (await check(terms, number)).held is None
    await order(sessions, "SO-3", (Line(unit_price_minor=1),))
    await check(terms, "SO-3")
    facts = (await open_holds(sessions, "SO-3"))["credit_exceeded"]
    assert (facts["limit_minor"], facts["used_minor"], facts["currency"]) == (14 * TOTAL, 14 * TOTAL, "CNY")


async def test_limit_without_a_rate_cannot_be_compared(sessions: Sessions, terms: TermsActivities) -> None:
    await customer(sessions, TOTAL, credit_currency="USD")
    await order(sessions)
    with pytest.raises(ApplicationError) as failed:
        await check(terms)
    assert failed.value.type == "fx_rate_missing"
    assert (await order_row(sessions)).credit_state is None


async def test_branch_knows_what_the_customer_owes_now(sessions: Sessions, terms: TermsActivities) -> None:
    await customer(sessions, TOTAL)
    above = Case(label="above", when="order.above_credit && customer.credit_used_minor == 11300", next="ask")
    branch = BranchNode(kind="branch", cases=(above,), default="reserve")
    for number, leads_to in (("SO-1", "reserve"), ("SO-2", "ask")):
        await order(sessions, number)
        decided = await OrderActivities(sessions).decide_branch(BranchInput(number, "route", 1, "mine", 1, branch))
        assert decided.next == leads_to
        await check(terms, number)
