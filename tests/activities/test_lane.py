"""Single holds on a real database: opened by a person, settled one by one, gone up when nobody does."""

import json
from datetime import timedelta
from typing import Any

import pytest
from sqlmodel import select
from temporalio.exceptions import ApplicationError

from activities.lane import HoldOrderInput, LaneActivities
from activities.orders import HoldInput, OrderActivities, ResolveInput
from activities.shipping import ShippingActivities
from activities.step import Fact, Step
from integrations.carrier.simulated import SimulatedCarrier
from integrations.memory import Memory
from models.columns import now
from models.order import OrderEvent, OrderHold
from runtime.database import Sessions
from tests.conftest import Database
from tests.factories import orders
from tests.factories.books import open_books
from tests.factories.payments import bring, open_holds, set_order, story
from tests.factories.shipping import ready_to_ship


@pytest.fixture
async def sessions(database: Database) -> Sessions:
    await open_books(database.sessions)
    return database.sessions


@pytest.fixture
def lane(sessions: Sessions) -> LaneActivities:
    return LaneActivities(sessions)


async def held(sessions: Sessions, reason: str, node: str = "pay", sla: timedelta | None = None) -> OrderHold:
    """The order is held for this reason."""
    await OrderActivities(sessions).open_hold(HoldInput("SO-1", node, reason, reason, sla=sla))
    return await hold_row(sessions, reason)


async def hold_row(sessions: Sessions, reason: str) -> OrderHold:
    async with sessions() as session:
        return (await session.exec(select(OrderHold).where(OrderHold.reason_code == reason))).one()


async def overdue(sessions: Sessions, reason: str) -> None:
    """The hold's next deadline has passed."""
    async with sessions() as session, session.begin():
        hold = (await session.exec(select(OrderHold).where(OrderHold.reason_code == reason))).one()
        hold.escalates_at = now() - timedelta(seconds=1)


async def decision(sessions: Sessions, hold_id: str, choice: str = "retry", number: int = 1) -> Fact:
    said = {"hold_id": hold_id, "choice": choice, "reason_code": "checked", "reason": "looked into it"}
    return await bring(sessions, json.dumps(said), f"decide/{hold_id}/{number}", "SO-1", kind="hold.decided")


async def wish(sessions: Sessions, number: int = 1) -> HoldOrderInput:
    body = json.dumps({"reason": "the customer wrote", "owner_role": "service"})
    fact = await bring(sessions, body, f"hold/{number}", "SO-1", kind="hold.requested")
    return HoldOrderInput("SO-1", "pay", "lin", fact.inbox_id)


async def test_an_overdue_hold_goes_up_and_the_next_role_is_told(sessions: Sessions, lane: LaneActivities) -> None:
    await orders.place(sessions)
    hold = await held(sessions, "carrier_refused", sla=timedelta(minutes=30))
    assert hold.due_at == hold.escalates_at == hold.opened_at + timedelta(minutes=30)
    await overdue(sessions, "carrier_refused")
    result = await lane.escalate_holds("SO-1")
    up = await hold_row(sessions, "carrier_refused")
    assert (up.level, up.escalated_to, up.due_at) == (1, "operations", hold.due_at)
    assert up.escalated_at is not None
    assert up.escalates_at == result.standing.escalates_at == up.escalated_at + timedelta(minutes=30)
    assert await story(sessions) == ["order.held", "order.hold_escalated", "notice.order.hold_overdue"]
    async with sessions() as session:
        told = (await session.exec(select(OrderEvent).where(OrderEvent.kind == "notice.order.hold_overdue"))).one()
    assert (told.data["audience"], told.data["hold_id"]) == (["operations"], hold.hold_id)


async def test_escalate_holds_twice_has_one_effect(sessions: Sessions, lane: LaneActivities) -> None:
    await orders.place(sessions)
    await held(sessions, "carrier_refused")
    await overdue(sessions, "carrier_refused")
    await lane.escalate_holds("SO-1")
    await lane.escalate_holds("SO-1")
    assert (await hold_row(sessions, "carrier_refused")).level == 1
    assert (await story(sessions)).count("order.hold_escalated") == 1


async def test_a_hold_stays_with_the_last_role_of_its_chain(sessions: Sessions, lane: LaneActivities) -> None:
    await orders.place(sessions)
    await held(sessions, "refund_failed")
    for _level in range(3):
        await overdue(sessions, "refund_failed")
        result = await lane.escalate_holds("SO-1")
    top = await hold_row(sessions, "refund_failed")
    assert (top.level, top.escalated_to, top.escalates_at) == (3, "ceo", None)
    assert result.standing.escalates_at is None
    await lane.escalate_holds("SO-1")
    assert (await story(sessions)).count("order.hold_escalated") == 3


async def test_a_settled_hold_goes_up_no_more(sessions: Sessions, lane: LaneActivities) -> None:
    await orders.place(sessions)
    await held(sessions, "carrier_refused")
    await overdue(sessions, "carrier_refused")
    settled = await OrderActivities(sessions).resolve_holds(ResolveInput("SO-1", "retry", "lin"))
    assert settled.standing.escalates_at is None
    await lane.escalate_holds("SO-1")
    assert "order.hold_escalated" not in await story(sessions)


async def test_a_choice_settles_its_reasons_and_its_node_and_nothing_else(sessions: Sessions) -> None:
    await orders.place(sessions)
    for reason, node in (("payment_over", "pay"), ("carrier_refused", "ship"), ("carrier_unavailable", "ship")):
        await held(sessions, reason, node)
    choice = ResolveInput("SO-1", "retry", "lin", reasons=("carrier_refused",), node="ship")
    await OrderActivities(sessions).resolve_holds(choice)
    assert (await open_holds(sessions)).keys() == {"payment_over"}


async def test_a_decision_settles_its_own_hold(sessions: Sessions, lane: LaneActivities) -> None:
    await orders.place(sessions)
    over = await held(sessions, "payment_over")
    await held(sessions, "payment_conflict")
    result = await lane.settle_hold(await decision(sessions, over.hold_id))
    assert (result.outcome, result.standing.blocking_holds) == ("effective", ("payment_conflict",))
    settled = await hold_row(sessions, "payment_over")
    assert (settled.resolution, settled.resolved_by) == ("retry", "gateway")
    assert settled.resolution_reason == "checked: looked into it"


async def test_settle_hold_twice_has_one_effect(sessions: Sessions, lane: LaneActivities) -> None:
    await orders.place(sessions)
    over = await held(sessions, "payment_over")
    fact = await decision(sessions, over.hold_id)
    assert [(await lane.settle_hold(fact)).outcome for _time in range(2)] == ["effective", "effective"]
    later = await lane.settle_hold(await decision(sessions, over.hold_id, number=2))
    assert later.outcome == "superseded"
    assert (await story(sessions)).count("order.hold_resolved") == 1


async def test_a_forged_or_unreadable_decision_settles_nothing(sessions: Sessions, lane: LaneActivities) -> None:
    await orders.place(sessions)
    await orders.place(sessions, "SO-2")
    over = await held(sessions, "payment_over")
    assert (await lane.settle_hold(Fact("SO-1", 99))).outcome == "ignored"
    of_another = await decision(sessions, over.hold_id)
    assert (await lane.settle_hold(Fact("SO-2", of_another.inbox_id))).outcome == "ignored"
    odd = await bring(sessions, "{}", "odd", "SO-1", kind="hold.decided")
    with pytest.raises(ApplicationError) as refused:
        await lane.settle_hold(odd)
    assert (refused.value.type, refused.value.non_retryable) == ("decision_unreadable", True)
    assert (await open_holds(sessions)).keys() == {"payment_over"}


async def test_hold_order_twice_has_one_effect(sessions: Sessions, lane: LaneActivities) -> None:
    await orders.place(sessions)
    asked = await wish(sessions)
    first, again = await lane.hold_order(asked), await lane.hold_order(asked)
    assert first.hold_id == again.hold_id == "SO-1-H1"
    hold = await hold_row(sessions, "manual")
    assert (hold.detail, hold.owner_role, hold.attempts) == ("the customer wrote", "service", 1)
    assert await story(sessions) == ["order.held"]


@pytest.mark.parametrize("columns", [{"lifecycle": "completed"}, {"cancel_requested_at": now()}])
async def test_an_order_that_is_over_is_not_held(
    sessions: Sessions, lane: LaneActivities, columns: dict[str, Any]
) -> None:
    await orders.place(sessions)
    await set_order(sessions, **columns)
    assert (await lane.hold_order(await wish(sessions))).hold_id is None
    assert await open_holds(sessions) == {}


async def test_an_order_that_a_person_holds_gets_no_parcel(database: Database) -> None:
    await ready_to_ship(database.sessions)
    shipping = ShippingActivities(database.sessions, SimulatedCarrier(Memory()))
    opened = await LaneActivities(database.sessions).hold_order(await wish(database.sessions))
    assert (await shipping.book_shipments(Step("SO-1", "ship"))).held == "manual"
    assert "shipment.booked" not in await story(database.sessions)
    await LaneActivities(database.sessions).settle_hold(await decision(database.sessions, opened.hold_id or ""))
    assert (await shipping.book_shipments(Step("SO-1", "ship"))).held is None
    assert "shipment.booked" in await story(database.sessions)
    late = await LaneActivities(database.sessions).hold_order(await wish(database.sessions, 2))
    assert late.hold_id is None
