"""Approvals on a real database: opened once, reminded, escalated, decided by whoever is first, void when it changes."""

import json
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError
from temporalio.exceptions import ApplicationError
from temporalio.testing import ActivityEnvironment

from activities.orders import CancelInput, CloseInput, OrderActivities
from activities.step import Step
from models.access import Absence
from store import approvals, inbox, orders
from store.inbox import Incoming
from tests.conftest import Database
from tests.fakes.approval_desk import Desk


async def events_of(desk: Desk) -> list[str]:
    async with desk.sessions() as session:
        return list((await session.execute(text("SELECT kind FROM order_events ORDER BY seq"))).scalars())


@pytest.fixture
async def desk(database: Database) -> Desk:
    return await Desk(database).prepare()


async def test_opening_asks_people_and_puts_the_order_in_review(desk: Desk) -> None:
    before = datetime.now(UTC)
    opened = await desk.open()
    assert (opened.state, opened.level, opened.reminds) == ("open", 0, True)
    assert timedelta(minutes=29) < opened.deadline - before < timedelta(minutes=31)
    assert timedelta(minutes=14) < opened.next_at - before < timedelta(minutes=16)
    assert opened.result.standing.open_approvals == (opened.approval_id,)
    order = await desk.order()
    assert (order.lifecycle, order.waiting_for, order.deadline_at) == ("in_review", "approval.gm", opened.deadline)
    assert await desk.asked() == [(0, "gina", None, "asked")]


async def test_opening_twice_has_one_effect(desk: Desk) -> None:
    first, second = await desk.open(), await desk.open()
    assert (first.approval_id, first.deadline) == (second.approval_id, second.deadline)
    assert await events_of(desk) == ["approval.opened"]


async def test_second_visit_starts_afresh(desk: Desk) -> None:
    first = await desk.open(outcomes={"approved": "a", "rejected": "b", "returned": "c"})
    assert await desk.say("gina", "return") == "effective"
    second = await desk.open(visit=2)
    assert first.approval_id != second.approval_id
    assert (second.state, await desk.state(1)) == ("open", "returned")


async def test_accepted_order_stays_accepted_while_it_is_reviewed(desk: Desk) -> None:
    await desk.run("UPDATE orders SET lifecycle = 'fulfilling'")
    await desk.open()
    assert (await desk.order()).lifecycle == "fulfilling"


async def test_order_that_is_being_cancelled_asks_nobody(desk: Desk) -> None:
    orders_ = OrderActivities(desk.sessions)
    await ActivityEnvironment().run(orders_.begin_cancel, CancelInput("SO-1", "sally"))
    opened = await desk.open()
    assert (opened.state, opened.result.standing.cancelling) == ("voided", True)
    assert await desk.asked() == []


async def test_approval_decides_once_and_the_rest_is_superseded(desk: Desk) -> None:
    await desk.open(assignees=[{"role": "gm"}, {"user": "vera"}])
    assert await desk.say("gina", "approve", comment="good customer") == "effective"
    assert await desk.say("vera", "reject", comment="no") == "superseded"
    assert await desk.state() == "approved"
    assert await desk.trail("decided") == [
        ("decided", "gina", None, "effective"),
        ("decided", "vera", None, "superseded"),
    ]
    order = await desk.order()
    assert (order.lifecycle, order.waiting_for, order.deadline_at) == ("in_review", None, None)
    async with desk.sessions() as session:
        last = (await approvals.trail(session, approvals.approval_id_of("SO-1", "gm", 1)))[-1]
    assert (last.data["closed_by"], last.comment, last.flow_version) == ("gina", "no", 2)


async def test_applying_a_decision_twice_has_one_effect(desk: Desk) -> None:
    await desk.open()
    word = await desk.commit("gina", "approve")
    assert [await desk.hear(word), await desk.hear(word)] == ["effective", "effective"]
    assert len(await desk.trail("decided")) == 1


@pytest.mark.parametrize("person", ["vera", "sally", "gone", "stranger"])
async def test_somebody_who_is_not_asked_decides_nothing(desk: Desk, person: str) -> None:
    await desk.open()
    assert await desk.say(person, "approve") == "not_assignee"
    assert await desk.state() == "open"


async def test_person_who_left_decides_nothing_any_more(desk: Desk) -> None:
    await desk.open()
    await desk.run("UPDATE people SET active = false WHERE person_id = 'gina'")
    assert await desk.say("gina", "approve") == "not_assignee"
    assert await desk.state() == "open"


async def test_signal_without_a_row_is_ignored_and_on_record(desk: Desk) -> None:
    await desk.open()
    assert await desk.hear(4711) == "ignored"
    assert await desk.hear(4711) == "ignored"
    assert (await events_of(desk)).count("signal.ignored") == 1
    assert await desk.state() == "open"


async def test_row_of_another_kind_is_no_decision(desk: Desk) -> None:
    await desk.open()
    said = {"approval_id": approvals.approval_id_of("SO-1", "gm", 1), "action": "approve"}
    message = Incoming("api", "payment/1", "payment.settled", "SO-1", json.dumps(said), said, "gina")
    async with desk.sessions() as session, session.begin():
        inbox_id = (await inbox.add(session, message)).inbox_id
    assert await desk.hear(inbox_id) == "ignored"
    assert await desk.state() == "open"


async def test_reminding_goes_on_to_the_next_moment(desk: Desk) -> None:
    await desk.open()
    first, second = await desk.remind(), await desk.remind()
    assert (first.reminds, second.reminds, second.next_at) == (True, False, second.deadline)
    assert (await events_of(desk)).count("approval.reminded") == 2


async def test_escalating_asks_the_superior_and_keeps_whom_it_should(desk: Desk) -> None:
    await desk.open()
    found = await desk.escalate()
    assert (found.state, found.level, found.reminds) == ("open", 1, False)
    assert await desk.asked() == [(0, "gina", None, "asked"), (1, "vera", None, "asked")]
    assert (await desk.order()).deadline_at == found.deadline
    assert await desk.say("gina", "approve") == "effective"


async def test_chief_executive_who_is_the_superior_has_the_time_of_both_levels(desk: Desk) -> None:
    await desk.run("UPDATE people SET superior_id = 'cora' WHERE person_id = 'gina'")
    kept = {"keep_previous": True}
    await desk.open(escalate=[{"to": [{"superior_of": "assignee"}], **kept}, {"to": [{"role": "ceo"}], **kept}])
    superior, top = await desk.escalate(0), await desk.escalate(1)
    assert [(one.state, one.level) for one in (superior, top)] == [("open", 1), ("open", 2)]
    assert superior.deadline < top.deadline
    assert [row for row in await desk.asked() if row[1] == "cora"] == [
        (1, "cora", None, "asked"),
        (2, "cora", None, "asked"),
    ]
    assert await desk.say("cora", "approve") == "effective"
    assert await desk.state() == "approved"


async def test_escalating_twice_has_one_effect(desk: Desk) -> None:
    await desk.open()
    first, second = await desk.escalate(0), await desk.escalate(0)
    assert (first.level, second.level, first.deadline) == (1, 1, second.deadline)
    assert len(await desk.trail("escalated")) == 1


async def test_whoever_is_dropped_decides_nothing_any_more(desk: Desk) -> None:
    await desk.open()
    await desk.escalate(0)
    await desk.escalate(1)
    assert await desk.asked() == [
        (0, "gina", None, "dropped"),
        (1, "vera", None, "dropped"),
        (2, "cora", None, "asked"),
    ]
    assert await desk.say("vera", "approve") == "not_assignee"
    assert await desk.say("cora", "approve") == "effective"


async def test_silence_to_the_end_is_timed_out_and_never_approved(desk: Desk) -> None:
    await desk.open()
    for level in (0, 1, 2):
        ended = await desk.escalate(level)
    assert (ended.state, ended.outcome) == ("timed_out", "rejected")
    assert await desk.say("cora", "approve") == "too_late"
    assert await desk.state() == "timed_out"


async def test_decision_that_comes_with_the_end_of_the_level_counts_before_it(desk: Desk) -> None:
    await desk.open()
    word = await desk.commit("gina", "approve")
    ended = await desk.escalate()
    assert (ended.state, ended.level, ended.outcome) == ("approved", 0, "approved")
    assert await desk.hear(word) == "effective"
    assert await desk.trail("escalated") == []
    assert len(await desk.trail("decided")) == 1


async def test_absent_person_is_asked_through_the_delegate_with_both_names(desk: Desk) -> None:
    now = datetime.now(UTC)
    absence = Absence(
        person_id="gina", absence_id="1", starts_at=now - timedelta(1), ends_at=now + timedelta(1), delegate_id="opal"
    )
    async with desk.sessions() as session, session.begin():
        session.add(absence)
    await desk.open()
    assert await desk.asked() == [(0, "opal", "gina", "asked")]
    assert await desk.say("gina", "approve") == "not_assignee"
    assert await desk.say("opal", "approve") == "effective"
    assert await desk.trail("delegated", "decided") == [
        ("delegated", "orderflow", "gina", None),
        ("decided", "gina", None, "not_assignee"),
        ("decided", "opal", "gina", "effective"),
    ]


@pytest.mark.parametrize(("begins", "ends"), [(-3, -2), (2, 3)])
async def test_absence_of_another_time_changes_nothing(desk: Desk, begins: int, ends: int) -> None:
    now = datetime.now(UTC)
    days = {"starts_at": now + timedelta(begins), "ends_at": now + timedelta(ends)}
    async with desk.sessions() as session, session.begin():
        session.add(Absence(person_id="gina", absence_id="1", delegate_id="opal", **days))
    await desk.open()
    assert await desk.asked() == [(0, "gina", None, "asked")]


async def test_transfer_hands_on_the_decision(desk: Desk) -> None:
    await desk.open()
    assert await desk.say("gina", "transfer", to="vera") == "effective"
    assert await desk.asked() == [(0, "gina", None, "transferred"), (0, "vera", None, "asked")]
    assert await desk.say("gina", "approve") == "not_assignee"
    assert await desk.say("vera", "approve") == "effective"


@pytest.mark.parametrize(
    ("person", "to"), [("vera", "cora"), ("gina", "sally"), ("gina", "gone"), ("gina", "nobody"), ("gina", "gina")]
)
async def test_transfer_by_others_or_to_whom_it_must_not_go_changes_nothing(desk: Desk, person: str, to: str) -> None:
    await desk.open()
    assert await desk.say(person, "transfer", to=to) == "not_assignee"
    assert await desk.asked() == [(0, "gina", None, "asked")]


async def test_operations_adds_somebody_where_nobody_is_there(desk: Desk) -> None:
    await desk.open()
    assert await desk.say("opal", "transfer", to="vera") == "effective"
    assert await desk.asked() == [(0, "gina", None, "asked"), (0, "vera", None, "asked")]


@pytest.mark.parametrize(
    ("person", "outcome"), [("sally", "effective"), ("opal", "effective"), ("gina", "not_assignee")]
)
async def test_withdrawing_is_for_the_submitter_and_operations(desk: Desk, person: str, outcome: str) -> None:
    await desk.open()
    assert await desk.say(person, "withdraw") == outcome
    assert await desk.state() == ("withdrawn" if outcome == "effective" else "open")


async def test_nudges_of_the_same_minutes_are_one(desk: Desk) -> None:
    await desk.open()
    assert [await desk.say("sally", "nudge"), await desk.say("sally", "nudge")] == ["effective", "superseded"]


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE orders SET total_minor = total_minor + 1",
        "UPDATE order_lines SET quantity = quantity + 1",
        """UPDATE orders SET ship_to = '{"country": "HK"}'""",
    ],
)
async def test_changed_order_is_not_what_was_approved(desk: Desk, change: str) -> None:
    await desk.open()
    word = await desk.commit("gina", "approve")
    await desk.run(change)
    assert await desk.hear(word) == "too_late"
    assert await desk.state() == "voided"
    assert (await desk.open(visit=2)).state == "open"


async def test_granted_approval_of_something_else_does_not_let_a_recovered_order_pass(desk: Desk) -> None:
    await desk.open()
    await desk.say("gina", "approve")
    assert (await desk.open()).outcome == "approved"
    await desk.run("UPDATE orders SET total_minor = total_minor + 1")
    assert (await desk.open()).outcome == "voided"


async def test_approval_that_has_served_is_not_asked_for_again_by_a_recovered_order(desk: Desk) -> None:
    await desk.open()
    await desk.say("gina", "approve")
    await desk.run("UPDATE orders SET lifecycle = 'fulfilling', total_minor = total_minor - 1")
    assert (await desk.open()).outcome == "approved"


async def test_message_that_is_no_json_keeps_nobody_from_deciding(desk: Desk) -> None:
    await desk.open()
    message = Incoming("api", "note", "order.noted", "SO-1", "not json", {}, "sally")
    async with desk.sessions() as session, session.begin():
        await inbox.add(session, message)
    await desk.commit("gina", "approve")
    assert (await desk.escalate()).state == "approved"


async def test_street_of_the_same_country_may_change(desk: Desk) -> None:
    await desk.open()
    await desk.run("""UPDATE orders SET ship_to = '{"country": "CN", "street": "elsewhere"}'""")
    assert await desk.say("gina", "approve") == "effective"


async def test_voiding_takes_back_what_is_open_and_what_was_granted(desk: Desk) -> None:
    await desk.open()
    await desk.say("gina", "approve")
    await desk.open(visit=2)
    async with desk.sessions() as session, session.begin():
        order = await orders.lock(session, "SO-1")
        voided = await approvals.void(session, order, "lines changed")
        assert await approvals.void(session, order, "again") == []
    assert len(voided) == 2
    assert [await desk.state(1), await desk.state(2)] == ["voided", "voided"]


@pytest.mark.parametrize("ends", ["cancel", "close"])
async def test_order_that_is_broken_off_leaves_no_approval_open(desk: Desk, ends: str) -> None:
    await desk.open()
    orders_ = OrderActivities(desk.sessions)
    if ends == "cancel":
        await ActivityEnvironment().run(orders_.begin_cancel, CancelInput("SO-1", "sally"))
    else:
        await ActivityEnvironment().run(orders_.close_order, CloseInput("SO-1", "rejected"))
    assert await desk.state() == "voided"
    assert await desk.say("gina", "approve") == "too_late"


async def test_reviewed_order_is_checked_and_accepted(desk: Desk) -> None:
    await desk.run("INSERT INTO products (sku, name, active, updated_at) VALUES ('SKU-1', 'x', true, now())")
    await desk.run("UPDATE orders SET priced_by_client = true")
    await desk.open()
    await desk.say("gina", "approve")
    checked = await ActivityEnvironment().run(OrderActivities(desk.sessions).check_order, Step("SO-1", "check"))
    assert (checked.held, checked.standing.lifecycle) == (None, "accepted")


async def test_moment_of_an_approval_that_is_not_there_fails_for_good(desk: Desk) -> None:
    with pytest.raises(ApplicationError) as failed:
        await desk.remind()
    assert (failed.value.type, failed.value.non_retryable) == ("approval_not_found", True)


@pytest.mark.parametrize("change", ["UPDATE approval_trail SET actor = 'x'", "DELETE FROM approval_trail"])
async def test_trail_cannot_be_rewritten(desk: Desk, change: str) -> None:
    await desk.open()
    with pytest.raises(IntegrityError, match="append-only"):
        await desk.run(change)
