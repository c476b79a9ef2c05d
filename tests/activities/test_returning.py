"""Returns on a real database: who may send what back, and what its coming does to stock, books and money."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from activities.orders import CloseInput, OrderActivities
from activities.payments import PaymentActivities
from activities.refunding import RefundActivities
from activities.returning import ReturnActivities, ReturnConsent, ReturnFact, ReturnResult, ReturnStep
from activities.revenue import RevenueActivities
from activities.step import Step
from domain.returning import what_is_asked
from integrations.memory import Memory
from integrations.payment.simulated import SimulatedPaymentProvider
from models.access import Person
from models.approval import Approval
from models.columns import now
from models.masters import LegalEntity
from models.order import OrderLine
from models.returning import Return
from runtime.database import Sessions
from store import orders
from tests.conftest import Database
from tests.factories.books import balances, entries, open_books
from tests.factories.deliveries import deliver
from tests.factories.orders import Line, place
from tests.factories.payments import open_holds, order_row, refunds, report, story
from tests.factories.refunding import ask, units
from tests.factories.returning import NUMBER, announced, asked_about, found_of, line, received, row_of, say
from tests.factories.stock import is_sound, level, stocked

STEP = Step("SO-1", "return")
ABOUT = ReturnStep("SO-1", NUMBER)


class Desk:
    """Those who take goods back, and those who pay, on one database."""

    def __init__(self, sessions: Sessions) -> None:
        self.sessions = sessions
        self.returning = ReturnActivities(sessions, 1)
        self.payments = PaymentActivities(sessions, SimulatedPaymentProvider(Memory()), tolerance_minor=1)

    async def sold(self, quantity: int = 2, *, delivered: int | None = None, days_ago: int = 1, **columns: Any) -> None:
        """An order of this many units at 113.00 that is paid and whose units have arrived."""
        lines = [Line(quantity=quantity), Line("2", "SKU-2", 1, 0, gift_of="1")]
        await stocked(self.sessions, SKU_1=10)
        await place(self.sessions, lines=lines, **({"lifecycle": "completed"} | columns))
        await self.payments.apply_payment(await report(self.sessions, quantity * 11_300))
        arrived = {"1": quantity if delivered is None else delivered}
        if arrived["1"]:
            await deliver(self.sessions, arrived, at=now() - timedelta(days=days_ago))
        await RevenueActivities(self.sessions).recognise_revenue(STEP)

    async def opened(self, quantity: int = 1) -> str | None:
        step = await announced(self.sessions, {"1": quantity})
        return (await self.returning.open_return(step)).state

    async def settle(self, approval_id: str) -> ReturnResult:
        return await self.returning.settle_return(ReturnConsent("SO-1", NUMBER, approval_id))

    async def receive(self, *found: dict[str, Any], receipt_id: str = "R-1", last: bool = True) -> str:
        fact = await received(self.sessions, *found, receipt_id=receipt_id, last=last)
        return (await self.returning.receive_return(fact)).outcome


@pytest.fixture
async def desk(database: Database) -> Desk:
    await open_books(database.sessions)
    return Desk(database.sessions)


def good(quantity: int, **more: int) -> dict[str, Any]:
    return {"line_id": "1", "resellable": quantity} | more


async def test_p7_goods_that_come_back_leave_only_what_was_kept(desk: Desk) -> None:
    await desk.sold()
    assert await desk.opened() == "approved"
    assert await desk.receive(good(1)) == "applied"
    await desk.payments.pay_refunds(STEP)
    assert (await entries(desk.sessions))[-3:] == [
        "refund_approved | Dr 2221.01.01 1300 | Dr 6001.01 10000 | Cr 2241.refund 11300",
        "goods_restocked | Dr 1405 6000 | Cr 6401 6000",
        "refund_paid | Dr 2241.refund 11300 | Cr 1012.01 11300",
    ]
    assert await balances(desk.sessions) == {
        "1012.01": 11_300,
        "1405": -6_000,
        "2221.01.01": -1_300,
        "6001.01": -10_000,
        "6401": 6_000,
    }
    assert (await level(desk.sessions), await is_sound(desk.sessions)) == ((11, 0, 66_000), True)
    row, one = await row_of(desk.sessions), await line(desk.sessions)
    assert (row.state, one.returned, one.refunded) == ("closed", 1, 1)
    assert row.closed_at is not None
    async with desk.sessions() as session:
        assert (await orders.axes(session, ["SO-1"]))["SO-1"].returned == "partial"


async def test_all_of_it_back_leaves_every_account_at_zero(desk: Desk) -> None:
    await desk.sold()
    await desk.opened(2)
    await desk.receive(good(2))
    await desk.payments.pay_refunds(STEP)
    assert await balances(desk.sessions) == {}
    async with desk.sessions() as session:
        standing, axes = await orders.standing(session, "SO-1"), (await orders.axes(session, ["SO-1"]))["SO-1"]
    assert (standing.payment, axes.returned) == ("refunded", "full")


async def test_opening_twice_has_one_effect(desk: Desk) -> None:
    await desk.sold()
    step = await announced(desk.sessions, {"1": 1})
    first, again = await desk.returning.open_return(step), await desk.returning.open_return(step)
    assert (first.state, first.goods_due_at) == (again.state, again.goods_due_at) == ("approved", first.goods_due_at)
    assert (await story(desk.sessions)).count("return.requested") == 1


async def test_receiving_twice_has_one_effect(desk: Desk) -> None:
    await desk.sold()
    await desk.opened()
    fact = await received(desk.sessions, good(1))
    first, again = await desk.returning.receive_return(fact), await desk.returning.receive_return(fact)
    assert (first.outcome, again.outcome, again.state) == ("applied", "applied", "closed")
    assert await refunds(desk.sessions) == {"SO-1-R1": ("P-1", 11_300, "requested")}
    assert (await level(desk.sessions), (await line(desk.sessions)).returned) == ((11, 0, 66_000), 1)
    assert (await story(desk.sessions)).count("return.received") == 1


async def test_damaged_goods_are_refunded_and_not_on_sale_again(desk: Desk) -> None:
    await desk.sold()
    await desk.opened(2)
    await desk.receive(good(1, damaged=1))
    await desk.payments.pay_refunds(STEP)
    assert await level(desk.sessions) == (11, 0, 66_000)
    assert await balances(desk.sessions) == {"1405": -6_000, "1901": 6_000}
    assert await found_of(desk.sessions) == [(2, 1, 1)]


async def test_units_that_are_not_accepted_are_not_refunded(desk: Desk) -> None:
    await desk.sold()
    await desk.opened(2)
    await desk.receive(good(1, refused=1))
    assert await refunds(desk.sessions) == {"SO-1-R1": ("P-1", 11_300, "requested")}
    assert ((await line(desk.sessions)).returned, await found_of(desk.sessions)) == (1, [(2, 1, 0)])


async def test_goods_may_come_in_several_parcels(desk: Desk) -> None:
    await desk.sold(3)
    await desk.opened(3)
    assert await desk.receive(good(1), last=False) == "applied"
    assert (await row_of(desk.sessions)).state == "approved"
    assert await desk.receive(good(2), receipt_id="R-2", last=False) == "applied"
    assert (await row_of(desk.sessions)).state == "closed"
    assert len(await refunds(desk.sessions)) == 2
    await desk.payments.pay_refunds(STEP)
    assert await balances(desk.sessions) == {}


async def test_more_than_announced_is_refused_and_changes_nothing(desk: Desk) -> None:
    await desk.sold()
    await desk.opened()
    booked = await entries(desk.sessions)
    assert await desk.receive(good(2)) == "more_than_announced"
    assert await desk.receive({"line_id": "2", "resellable": 1}, receipt_id="R-2") == "more_than_announced"
    assert (await entries(desk.sessions), await refunds(desk.sessions)) == (booked, {})
    assert ((await row_of(desk.sessions)).state, await found_of(desk.sessions)) == ("approved", [(0, 0, 0)])


@pytest.mark.parametrize(("policy", "days_ago"), [({"return_approved_below_minor": 11_300}, 1), ({}, 8)])
async def test_what_the_rule_does_not_approve_waits_for_a_person(
    desk: Desk, policy: dict[str, int], days_ago: int
) -> None:
    async with desk.sessions() as session, session.begin():
        entity = await session.get_one(LegalEntity, "main")
        for name, value in policy.items():
            setattr(entity, name, value)
    await desk.sold(days_ago=days_ago)
    assert (await desk.opened(), await open_holds(desk.sessions)) == ("requested", {})
    approval_id = await asked_about(desk.sessions)
    assert (await desk.settle(approval_id)).state == "requested"
    assert await say(desk.sessions, approval_id, "approve") == "effective"
    done = await desk.settle(approval_id)
    assert (done.state, done.requested_by, await open_holds(desk.sessions)) == ("approved", "keeper", {})
    assert done.goods_due_at is not None
    assert (await row_of(desk.sessions)).decided_by == "sven"


async def test_settling_twice_has_one_effect_and_the_first_decision_counts(desk: Desk) -> None:
    await desk.sold(days_ago=30)
    await desk.opened()
    approval_id = await asked_about(desk.sessions)
    assert await say(desk.sessions, approval_id, "reject") == "effective"
    first, again = await desk.settle(approval_id), await desk.settle(approval_id)
    assert (first.state, again.state) == ("rejected", "rejected")
    assert (await story(desk.sessions)).count("return.rejected") == 1
    assert await say(desk.sessions, approval_id, "approve", "mona") == "superseded"
    assert (await desk.settle(approval_id)).state == "rejected"
    row = await row_of(desk.sessions)
    assert (row.state, row.decided_by, row.decision_reason) == ("rejected", "sven", "seen")
    assert await desk.receive(good(1)) == "too_late"
    assert await refunds(desk.sessions) == {}


async def test_return_that_nobody_decides_is_held_until_somebody_does(desk: Desk) -> None:
    await desk.sold(days_ago=30)
    await desk.opened()
    approval_id = await asked_about(desk.sessions)
    async with desk.sessions() as session, session.begin():
        approval = await session.get_one(Approval, approval_id)
        approval.state, approval.closed_at, approval.closed_by = "timed_out", now(), "orderflow"
    for _again in range(2):
        assert (await desk.settle(approval_id)).state == "requested"
    assert list(await open_holds(desk.sessions)) == ["return_undecided"]
    async with desk.sessions() as session:
        assert (await orders.standing(session, "SO-1")).blocking_holds == ()
    second = await asked_about(desk.sessions, visit=2)
    assert await say(desk.sessions, second, "approve") == "effective"
    assert ((await desk.settle(second)).state, await open_holds(desk.sessions)) == ("approved", {})


async def test_people_are_asked_about_what_comes_back_and_not_about_the_order(desk: Desk) -> None:
    await desk.sold(days_ago=30)
    step = await announced(desk.sessions, {"1": 1})
    opened = await desk.returning.open_return(step)
    assert (opened.state, opened.units, opened.worth_minor) == ("requested", {"1": 1}, 11_300)
    approval_id = await asked_about(desk.sessions)
    async with desk.sessions() as session, session.begin():
        approval = await session.get_one(Approval, approval_id)
        assert (approval.amount_minor, approval.content) == (11_300, f"return {NUMBER}: 1 of line 1, worth 11300")
        # What the order comes to is no matter of the return: only another return would be another matter.
        (await orders.lock(session, "SO-1")).total_minor += 100
    assert await say(desk.sessions, approval_id, "approve") == "effective"


async def test_an_approval_of_other_units_is_void(desk: Desk) -> None:
    await desk.sold(days_ago=30)
    await desk.opened()
    approval_id = await asked_about(desk.sessions)
    async with desk.sessions() as session, session.begin():
        approval = await session.get_one(Approval, approval_id)
        approval.content = what_is_asked(NUMBER, {"1": 2}, 22_600)
    assert await say(desk.sessions, approval_id, "approve") == "too_late"
    assert (await desk.settle(approval_id)).state == "requested"


async def test_spans_of_the_policy_are_scaled_as_those_of_flows_are(desk: Desk) -> None:
    await desk.sold(days_ago=1)
    step = replace(await announced(desk.sessions, {"1": 1}), time_scale=0.01)
    # Seven days are less than two hours, so a day is too late; by hand, 14 days are less than three and a half hours.
    assert (await desk.returning.open_return(step)).state == "requested"
    approval_id = await asked_about(desk.sessions)
    await say(desk.sessions, approval_id, "approve")
    consent = ReturnConsent("SO-1", NUMBER, approval_id, time_scale=0.01)
    settled = await desk.returning.settle_return(consent)
    decided_at = (await row_of(desk.sessions)).decided_at
    assert settled.goods_due_at is not None
    assert decided_at is not None
    assert (settled.state, settled.goods_due_at - decided_at) == ("approved", timedelta(days=14) / 100)


async def test_who_wants_the_return_does_not_decide_it(desk: Desk) -> None:
    await desk.sold(days_ago=30)
    await desk.opened()
    async with desk.sessions() as session, session.begin():
        (await session.get_one(Return, NUMBER)).requested_by = "sven"
        session.add(Person(person_id="opal", name="Opal", roles=["operations"]))
    approval_id = await asked_about(desk.sessions)
    assert await say(desk.sessions, approval_id, "approve") == "not_assignee"
    assert await say(desk.sessions, approval_id, "approve", "opal") == "effective"


async def test_order_that_ends_leaves_what_is_asked_about_its_return(desk: Desk) -> None:
    await desk.sold(days_ago=30, lifecycle="fulfilling")
    await desk.opened()
    approval_id = await asked_about(desk.sessions)
    async with desk.sessions() as session, session.begin():
        # The gift was never sent.
        (await session.get_one(OrderLine, ("SO-1", "2"))).cancelled = 1
    closed = await OrderActivities(desk.sessions).close_order(CloseInput("SO-1", "completed"))
    assert closed.standing.lifecycle == "completed"
    assert await say(desk.sessions, approval_id, "approve") == "effective"


async def test_expiring_twice_has_one_effect(desk: Desk) -> None:
    await desk.sold()
    await desk.opened()
    first, again = await desk.returning.expire_return(ABOUT), await desk.returning.expire_return(ABOUT)
    assert (first.state, again.state) == ("expired", "expired")
    assert (await story(desk.sessions)).count("return.expired") == 1
    assert await desk.receive(good(1)) == "too_late"
    # What has not come back can be announced anew.
    step = await announced(desk.sessions, {"1": 2}, "A-2")
    assert (await desk.returning.open_return(step)).state == "approved"


@pytest.mark.parametrize(("quantity", "delivered"), [(3, 2), (1, 0)])
async def test_what_has_not_arrived_cannot_come_back(desk: Desk, quantity: int, delivered: int) -> None:
    await desk.sold(delivered=delivered, lifecycle="fulfilling")
    assert await desk.opened(quantity) == "rejected"
    row = await row_of(desk.sessions)
    assert (row.refusal, row.closed_at is None, await open_holds(desk.sessions)) == ("not_returnable", False, {})


async def test_no_unit_is_announced_twice_or_after_it_was_refunded(desk: Desk) -> None:
    await desk.sold()
    await desk.opened()
    fact = await ask(desk.sessions, units({"1": 1}, "damaged"))
    await RefundActivities(desk.sessions).grant_refund(fact)
    step = await announced(desk.sessions, {"1": 1}, "A-2")
    assert (await desk.returning.open_return(step)).state == "rejected"


async def test_units_refunded_before_they_came_back_are_restocked_and_not_paid_twice(desk: Desk) -> None:
    await desk.sold()
    await desk.opened(2)
    fact = await ask(desk.sessions, units({"1": 1}, "damaged"))
    await RefundActivities(desk.sessions).grant_refund(fact)
    await desk.receive(good(2))
    await desk.payments.pay_refunds(STEP)
    assert ((await order_row(desk.sessions)).refunded_minor, await balances(desk.sessions)) == (22_600, {})


async def test_a_return_on_credit_lowers_what_is_owed(desk: Desk) -> None:
    await stocked(desk.sessions, SKU_1=1)
    await place(desk.sessions, payment_terms="on_credit", lifecycle="completed")
    await deliver(desk.sessions, {"1": 1}, at=now())
    await RevenueActivities(desk.sessions).recognise_revenue(STEP)
    await desk.opened()
    await desk.receive(good(1))
    assert (await refunds(desk.sessions), await balances(desk.sessions)) == ({}, {})


async def test_signals_past_the_door_move_nothing(desk: Desk) -> None:
    await desk.sold()
    stranger = await desk.returning.open_return(ReturnStep("SO-1", "RT-NOBODY"))
    assert (stranger.state, stranger.outcome) == (None, "ignored")
    await desk.opened()
    for inbox_id in (999, (await received(desk.sessions, good(1), return_no="RT-OTHER")).inbox_id):
        assert (await desk.returning.receive_return(ReturnFact("SO-1", NUMBER, inbox_id))).outcome == "ignored"
    assert (await row_of(desk.sessions)).state == "approved"
    assert (await story(desk.sessions)).count("signal.ignored") == 2
