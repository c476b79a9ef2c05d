"""Credit on a real database: what a customer owes counts, once and exactly, however many orders come at once."""

import asyncio
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from sqlmodel import col, select
from temporalio.exceptions import ApplicationError

from activities.orders import BranchInput, OrderActivities
from activities.payments import PaymentActivities
from activities.revenue import RevenueActivities
from activities.step import Step
from activities.stock import StockActivities
from activities.terms import TermsActivities
from domain.flow.nodes import BranchNode
from flows import builtin_flows
from integrations.memory import Memory
from integrations.payment.simulated import SimulatedPaymentProvider
from models.masters import Customer, FxRate
from models.order import OrderEvent
from runtime.database import Sessions
from tests.conftest import Database
from tests.factories import orders
from tests.factories.books import balances, entries, open_books
from tests.factories.deliveries import deliver
from tests.factories.orders import Line
from tests.factories.payments import open_holds, order_row, report, set_order, story
from tests.factories.stock import stocked

TOTAL = 11_300
EVENING = datetime(2026, 11, 25, 17, 0, tzinfo=UTC)  # the 26th in Shanghai


@pytest.fixture
async def sessions(database: Database) -> Sessions:
    await open_books(database.sessions)
    return database.sessions


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


async def check(sessions: Sessions, order_no: str = "SO-1", visit: int = 1) -> str | None:
    """What the check found; whatever it is, the flow goes on and nothing is held."""
    result = await TermsActivities(sessions).check_credit(Step(order_no, "credit", visit))
    assert (result.held, await open_holds(sessions, order_no)) == (None, {})
    return (await order_row(sessions, order_no)).credit_state


async def found(sessions: Sessions, order_no: str = "SO-1") -> dict[str, Any]:
    """The figures that the latest check has put on record."""
    async with sessions() as session:
        query = select(OrderEvent).where(OrderEvent.order_no == order_no, col(OrderEvent.kind).startswith("credit."))
        return (await session.exec(query.order_by(col(OrderEvent.seq).desc()))).all()[0].data


async def sell(sessions: Sessions, order_no: str, at: datetime = EVENING) -> None:
    """The order is delivered, in the books and completed."""
    await deliver(sessions, {"1": 1}, f"{order_no}-S1", order_no, at)
    await RevenueActivities(sessions).recognise_revenue(Step(order_no, "revenue"))
    await set_order(sessions, order_no, lifecycle="completed", closed_at=at)


async def test_order_within_the_credit_takes_its_part(sessions: Sessions) -> None:
    await customer(sessions, TOTAL, payment_days=45)
    await order(sessions)
    assert await check(sessions) == "within"
    assert (await order_row(sessions)).payment_days == 45
    assert await story(sessions) == ["credit.taken"]


@pytest.mark.parametrize("limit", [TOTAL - 1, 0])
async def test_order_above_the_credit_takes_nothing_and_says_by_how_much(sessions: Sessions, limit: int) -> None:
    await customer(sessions, limit)
    await order(sessions)
    assert await check(sessions) == "above"
    facts = await found(sessions)
    assert (facts["limit_minor"], facts["used_minor"], facts["wanted_minor"]) == (limit, 0, TOTAL)


async def test_nobody_gets_credit_who_is_not_on_record(sessions: Sessions) -> None:
    await order(sessions)
    await order(sessions, "SO-2", customer_id=None)
    assert [await check(sessions, number) for number in ("SO-1", "SO-2")] == ["above"] * 2


async def test_check_credit_twice_has_one_effect(sessions: Sessions) -> None:
    await customer(sessions, TOTAL)
    await order(sessions)
    await check(sessions)
    await customer(sessions, 0)
    assert await check(sessions) == "within"
    assert await story(sessions) == ["credit.taken"]


async def test_check_that_finds_the_order_above_twice_has_one_effect_for_each_visit(sessions: Sessions) -> None:
    await order(sessions)
    assert [await check(sessions, visit=visit) for visit in (1, 1, 2)] == ["above"] * 3
    assert await story(sessions) == ["credit.exceeded"] * 2


async def test_raised_limit_lets_the_order_in(sessions: Sessions) -> None:
    await customer(sessions, 1)
    await order(sessions)
    await check(sessions)
    await customer(sessions, TOTAL)
    assert await check(sessions) == "within"
    assert await story(sessions) == ["credit.exceeded", "credit.taken"]


async def test_orders_of_one_customer_that_come_together_do_not_pass_the_limit_together(sessions: Sessions) -> None:
    await customer(sessions, 3 * TOTAL)
    numbers = [f"SO-{number}" for number in range(10)]
    for number in numbers:
        await order(sessions, number)
    results = await asyncio.gather(*(check(sessions, number) for number in numbers))
    assert sorted(map(str, results)) == ["above"] * 7 + ["within"] * 3


async def test_orders_that_are_above_or_have_ended_take_nothing(sessions: Sessions) -> None:
    await customer(sessions, TOTAL)
    await order(sessions, "SO-1", (Line(quantity=2),))
    assert await check(sessions, "SO-1") == "above"
    await order(sessions, "SO-2")
    await check(sessions, "SO-2")
    await set_order(sessions, "SO-2", lifecycle="cancelled", closed_at=EVENING)
    await order(sessions, "SO-3")
    assert await check(sessions, "SO-3") == "within"


async def test_order_that_was_let_through_all_the_same_counts_once_it_has_goods(sessions: Sessions) -> None:
    await customer(sessions, TOTAL)
    await order(sessions, "SO-1", (Line(quantity=2),), credit_state="above")
    await deliver(sessions, {"1": 2}, "SO-1-S1", "SO-1")
    await order(sessions, "SO-2")
    assert await check(sessions, "SO-2") == "above"
    assert (await found(sessions, "SO-2"))["used_minor"] == 2 * TOTAL


async def test_delivered_goods_count_until_they_are_paid(sessions: Sessions, payments: PaymentActivities) -> None:
    await customer(sessions, TOTAL)
    await order(sessions)
    await check(sessions)
    await sell(sessions, "SO-1")
    await order(sessions, "SO-2")
    assert await check(sessions, "SO-2") == "above"
    await payments.apply_payment(await report(sessions, TOTAL - 1, method="bank_transfer"))
    assert await check(sessions, "SO-2") == "within"
    assert (await entries(sessions))[-1] == "payment_received | Dr 1002 11299 | Dr 6603.round 1 | Cr 1122 11300"
    left = {"1002": 11_299, "1405": -6_000, "2221.01.01": -1_300, "6001.01": -10_000, "6401": 6_000, "6603.round": 1}
    assert await balances(sessions) == left


async def test_part_of_a_payment_frees_its_part_of_the_credit(sessions: Sessions, payments: PaymentActivities) -> None:
    await customer(sessions, TOTAL)
    await order(sessions)
    await check(sessions)
    await sell(sessions, "SO-1")
    await payments.apply_payment(await report(sessions, 5_000, method="bank_transfer"))
    await order(sessions, "SO-2")
    assert await check(sessions, "SO-2") == "above"
    assert (await found(sessions, "SO-2"))["used_minor"] == 6_300


@pytest.mark.parametrize(("days", "due"), [(0, date(2026, 11, 26)), (30, date(2026, 12, 26))])
async def test_money_is_due_so_many_days_after_the_delivery_where_the_entity_is(
    sessions: Sessions, days: int, due: date
) -> None:
    await customer(sessions, TOTAL, payment_days=days)
    await order(sessions)
    await check(sessions)
    await sell(sessions, "SO-1")
    assert (await order_row(sessions)).payment_due_on == due


async def test_last_parcel_says_when_the_money_is_due(sessions: Sessions) -> None:
    await customer(sessions, 2 * TOTAL, payment_days=10)
    await order(sessions, "SO-1", (Line(quantity=2),))
    await check(sessions)
    for number, days in (("S-1", 2), ("S-2", 1)):
        await deliver(sessions, {"1": 1}, number, at=EVENING + timedelta(days=days))
        await RevenueActivities(sessions).recognise_revenue(Step("SO-1", "revenue"))
    assert (await order_row(sessions)).payment_due_on == date(2026, 12, 8)


@pytest.mark.parametrize(("due_in_days", "state"), [(-1, "above"), (0, "within"), (1, "within")])
async def test_anything_overdue_keeps_the_next_order_out(sessions: Sessions, due_in_days: int, state: str) -> None:
    await customer(sessions, 10 * TOTAL)
    await order(sessions)
    await check(sessions)
    await sell(sessions, "SO-1")
    today = (datetime.now(UTC) + timedelta(hours=8)).date()
    await set_order(sessions, payment_due_on=today + timedelta(days=due_in_days))
    await order(sessions, "SO-2")
    assert await check(sessions, "SO-2") == state
    assert (await found(sessions, "SO-2"))["overdue_minor"] == (TOTAL if state == "above" else 0)


async def test_limit_and_orders_in_other_currencies_are_compared_in_the_currency_of_the_books(
    sessions: Sessions,
) -> None:
    async with sessions() as session, session.begin():
        session.add(FxRate(entity_id="main", currency="USD", valid_from=date(2020, 1, 1), rate=Decimal(7)))
    await customer(sessions, 2 * TOTAL, credit_currency="USD")
    for number in ("SO-1", "SO-2"):
        await order(sessions, number, currency="USD", fx_rate=Decimal(7))
        assert await check(sessions, number) == "within"
    await order(sessions, "SO-3", (Line(unit_price_minor=1),))
    await check(sessions, "SO-3")
    facts = await found(sessions, "SO-3")
    assert (facts["limit_minor"], facts["used_minor"], facts["currency"]) == (14 * TOTAL, 14 * TOTAL, "CNY")


async def test_limit_without_a_rate_cannot_be_compared(sessions: Sessions) -> None:
    await customer(sessions, TOTAL, credit_currency="USD")
    await order(sessions)
    with pytest.raises(ApplicationError) as failed:
        await check(sessions)
    assert failed.value.type == "fx_rate_missing"
    assert (await order_row(sessions)).credit_state is None


async def test_branch_knows_what_the_customer_owes_now(sessions: Sessions) -> None:
    await customer(sessions, TOTAL)
    for number, leads_to in (("SO-1", "reserve"), ("SO-2", "ask")):
        await order(sessions, number)
        assert await fits(sessions, number) == leads_to
        await check(sessions, number)


async def test_branch_goes_by_what_the_check_has_found(sessions: Sessions) -> None:
    await customer(sessions, TOTAL)
    for number in ("SO-1", "SO-2"):
        await order(sessions, number)
        await check(sessions, number)
    await customer(sessions, 0)
    assert await fits(sessions, "SO-1") == "reserve", "it has its part, whatever became of the limit"
    await customer(sessions, 10 * TOTAL)
    assert await fits(sessions, "SO-2") == "ask", "it has no part before it is checked again"


async def test_order_above_the_credit_gets_no_goods_whatever_its_flow_says(sessions: Sessions) -> None:
    await stocked(sessions, SKU_1=5)
    await order(sessions)
    await check(sessions)
    reserve = StockActivities(sessions, None).reserve_stock
    assert (await reserve(Step("SO-1", "reserve"))).held == "credit_exceeded"
    await customer(sessions, TOTAL)
    await TermsActivities(sessions).check_credit(Step("SO-1", "credit", 2))
    result = await reserve(Step("SO-1", "reserve", 2))
    assert (result.held, result.standing.fulfilment) == (None, "allocated")


async def fits(sessions: Sessions, order_no: str) -> str:
    """Where the built-in flow's branch leads the order."""
    [branch] = [node for flow in builtin_flows() for name, node in flow.nodes.items() if name == "fits"]
    assert isinstance(branch, BranchNode)
    asked = BranchInput(order_no, "fits", 1, "on_credit", 2, branch)
    return (await OrderActivities(sessions).decide_branch(asked)).next
