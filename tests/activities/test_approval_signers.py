"""Sequences, votes, and signers who come and go, on a real database: whose turn it is, what is on record of it."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import text

from models.access import Absence
from models.approval import Approval
from store import approvals
from tests.conftest import Database
from tests.fakes.approval_desk import Desk

IN_TURN: dict[str, Any] = {"mode": "sequence", "assignees": [{"user": "vera"}, {"user": "gina"}, {"user": "cora"}]}
VOTE: dict[str, Any] = {"mode": {"vote": 0.5}, "assignees": [{"user": "vera"}, {"user": "gina"}, {"user": "cora"}]}


@pytest.fixture
async def desk(database: Database) -> Desk:
    return await Desk(database).prepare()


async def approval_of(desk: Desk) -> Approval:
    async with desk.sessions() as session:
        return await session.get_one(Approval, approvals.approval_id_of("SO-1", "gm", 1))


async def told(desk: Desk, kind: str) -> list[dict[str, Any]]:
    async with desk.sessions() as session:
        rows = await approvals.trail(session, approvals.approval_id_of("SO-1", "gm", 1))
    return [row.data for row in rows if row.kind == kind]


async def copied(desk: Desk) -> dict[str, list[str]]:
    """Who is told of each event, as subscribers get it."""
    query = text("SELECT kind, data FROM order_events WHERE data ? 'cc' ORDER BY seq")
    async with desk.sessions() as session:
        return {row.kind: row.data["cc"] for row in await session.execute(query)}


async def test_sequence_asks_the_next_one_with_a_clock_of_their_own(desk: Desk) -> None:
    first = await desk.open(**IN_TURN)
    assert await desk.asked() == [
        (0, "vera", None, "asked"),
        (0, "gina", None, "waiting"),
        (0, "cora", None, "waiting"),
    ]
    assert await desk.say("gina", "approve") == "not_assignee"
    assert (await desk.remind()).reminds
    assert await desk.say("vera", "approve") == "effective"
    second = await desk.open(**IN_TURN)
    assert (second.state, second.level, second.clock) == ("open", 0, 1)
    assert second.deadline > first.deadline
    assert (await desk.order()).deadline_at == second.deadline
    assert (await approval_of(desk)).reminded == 0
    [following] = await told(desk, "next")
    assert (following["people"], following["deadline"]) == (["gina"], second.deadline.isoformat())
    assert [await desk.say(person, "approve") for person in ("gina", "cora")] == ["effective", "effective"]
    assert await desk.state() == "approved"


async def test_end_of_a_clock_that_was_started_anew_means_nothing(desk: Desk) -> None:
    await desk.open(**IN_TURN)
    await desk.say("vera", "approve")
    stale = await desk.escalate(level=0, clock=0)
    assert (stale.state, stale.level, stale.clock) == ("open", 0, 1)
    assert await told(desk, "escalated") == []
    over = await desk.escalate(level=0, clock=1)
    assert (over.level, over.clock) == (1, 0)
    assert await desk.asked() == [
        (0, "vera", None, "approved"),
        (0, "gina", None, "asked"),
        (0, "cora", None, "waiting"),
        (1, "vera", None, "asked"),
    ]


async def test_word_that_comes_with_the_end_of_its_clock_passes_the_turn_on(desk: Desk) -> None:
    await desk.open(**IN_TURN)
    word = await desk.commit("vera", "approve")
    ended = await desk.escalate(level=0, clock=0)
    assert (ended.state, ended.level, ended.clock) == ("open", 0, 1)
    assert await desk.hear(word) == "effective"
    assert len(await told(desk, "next")) == 1
    assert await told(desk, "escalated") == []


async def test_absence_that_began_meanwhile_goes_to_the_delegate_with_both_names(desk: Desk) -> None:
    await desk.open(**IN_TURN)
    now = datetime.now(UTC)
    away = {"starts_at": now - timedelta(1), "ends_at": now + timedelta(1)}
    async with desk.sessions() as session, session.begin():
        session.add(Absence(person_id="gina", absence_id="1", delegate_id="opal", **away))
    await desk.say("vera", "approve")
    assert await desk.asked() == [
        (0, "vera", None, "approved"),
        (0, "opal", "gina", "asked"),
        (0, "cora", None, "waiting"),
    ]
    assert await desk.trail("next", "delegated") == [
        ("next", "orderflow", None, None),
        ("delegated", "orderflow", "gina", None),
    ]
    assert await desk.say("opal", "approve") == "effective"
    assert (await desk.trail("decided"))[-1] == ("decided", "opal", "gina", "effective")


async def test_vote_ends_when_its_outcome_is_certain_and_says_how_it_stood(desk: Desk) -> None:
    await desk.open(**VOTE)
    assert await desk.say("vera", "abstain") == "effective"
    assert await desk.say("gina", "approve") == "effective"
    assert await desk.state() == "open"
    assert await desk.say("cora", "approve") == "effective"
    assert await desk.state() == "approved"
    assert [one["agreed"] for one in await told(desk, "decided")] == [0, 1, 2]
    assert (await told(desk, "decided"))[-1]["needed"] == 2


async def test_vote_after_the_outcome_is_superseded(desk: Desk) -> None:
    await desk.open(**VOTE)
    assert [await desk.say(person, "reject") for person in ("vera", "gina", "cora")] == [
        "effective",
        "effective",
        "superseded",
    ]
    assert await desk.state() == "rejected"


async def test_nobody_abstains_where_there_is_no_vote(desk: Desk) -> None:
    await desk.open()
    assert await desk.say("gina", "abstain") == "not_assignee"
    assert await desk.state() == "open"


@pytest.mark.parametrize("change", [IN_TURN, VOTE])
async def test_changed_order_voids_whatever_was_said(desk: Desk, change: dict[str, Any]) -> None:
    await desk.open(**change)
    await desk.say("vera", "approve")
    await desk.run("UPDATE orders SET total_minor = total_minor + 1")
    assert await desk.say("gina", "approve") == "too_late"
    assert await desk.state() == "voided"
    assert (await desk.open(visit=2, **change)).state == "open"


async def test_signer_is_added_with_the_reason_on_record_and_signs_first(desk: Desk) -> None:
    await desk.open()
    word = await desk.commit("gina", "add_signer", to="cora", where="before", comment="she knows the customer")
    assert [await desk.hear(word), await desk.hear(word)] == ["effective", "effective"]
    assert await desk.asked() == [(0, "cora", None, "asked"), (0, "gina", None, "waiting")]
    async with desk.sessions() as session:
        rows = await approvals.trail(session, approvals.approval_id_of("SO-1", "gm", 1))
    assert [(row.kind, row.actor, row.comment) for row in rows[1:]] == [
        ("signer_added", "gina", "she knows the customer"),
        ("next", "orderflow", None),
    ]
    assert rows[1].data == {"to": "cora", "where": "before", "of": "gina"}
    events = "SELECT string_agg(data::text, ' ') FROM order_events WHERE kind = 'approval.signer_added'"
    async with desk.sessions() as session:
        assert "knows" not in str((await session.execute(text(events))).scalar_one())
    assert await desk.say("gina", "approve") == "not_assignee"
    assert [await desk.say(person, "approve") for person in ("cora", "gina")] == ["effective", "effective"]
    assert await desk.state() == "approved"


@pytest.mark.parametrize(
    ("person", "said"),
    [
        ("vera", {"to": "cora", "where": "after"}),
        ("gina", {"to": "sally", "where": "after"}),
        ("gina", {"to": "gone", "where": "beside"}),
        ("gina", {"to": "nobody", "where": "beside"}),
        ("gina", {"to": "gina", "where": "beside"}),
        ("opal", {"to": "cora", "where": "before"}),
        ("opal", {"to": "cora", "where": "before", "of": "vera"}),
    ],
)
async def test_adding_whom_one_must_not_changes_nothing(desk: Desk, person: str, said: dict[str, Any]) -> None:
    await desk.open()
    assert await desk.say(person, "add_signer", comment="x", **said) == "not_assignee"
    assert await desk.asked() == [(0, "gina", None, "asked")]
    assert (await approval_of(desk)).clock == 0


async def test_operations_adds_before_the_one_who_is_asked_and_takes_off_again(desk: Desk) -> None:
    await desk.open()
    assert await desk.say("opal", "add_signer", to="cora", where="before", of="gina", comment="x") == "effective"
    assert await desk.say("gina", "remove_signer", to="cora", comment="x") == "not_assignee"
    assert await desk.say("opal", "remove_signer", to="cora", comment="not needed") == "effective"
    assert await desk.asked() == [(0, "cora", None, "removed"), (0, "gina", None, "asked")]
    assert await desk.say("cora", "approve") == "not_assignee"
    assert await desk.say("gina", "approve") == "effective"


@pytest.mark.parametrize("person", ["gina", "vera"])
async def test_who_was_asked_by_the_flow_is_not_taken_off(desk: Desk, person: str) -> None:
    await desk.open()
    assert await desk.say("opal", "remove_signer", to=person, comment="x") == "not_assignee"
    assert await desk.asked() == [(0, "gina", None, "asked")]


async def test_taking_off_the_last_silent_one_lets_what_was_said_decide(desk: Desk) -> None:
    await desk.open()
    await desk.say("gina", "add_signer", to="cora", where="after", comment="x")
    assert await desk.say("gina", "approve") == "effective"
    assert await desk.state() == "open"
    assert await desk.say("gina", "remove_signer", to="cora", comment="she has left") == "effective"
    assert ((await approval_of(desk)).state, (await approval_of(desk)).closed_by) == ("approved", "gina")
    assert (await desk.order()).waiting_for is None


async def test_signer_who_is_silent_is_escalated_like_anybody(desk: Desk) -> None:
    await desk.open()
    await desk.say("gina", "add_signer", to="vera", where="before", comment="x")
    found = await desk.escalate(level=0, clock=1)
    assert found.level == 1
    # The superior of the one whose turn it was.
    assert (await desk.asked())[-1] == (1, "cora", None, "asked")


async def test_others_are_told_and_never_decide(desk: Desk) -> None:
    await desk.open(cc=[{"user": "cora"}, {"role": "operations"}, {"user": "gone"}])
    assert await copied(desk) == {"approval.opened": ["cora", "opal"]}
    assert await desk.say("cora", "approve") == "not_assignee"
    assert await desk.say("gina", "copy", to="vera") == "effective"
    for person, to in (("gina", "vera"), ("gina", "gina"), ("gina", "nobody"), ("cora", "sally")):
        assert await desk.say(person, "copy", to=to) == "not_assignee"
    assert await desk.say("gina", "approve") == "effective"
    everybody = ["cora", "opal", "vera"]
    last = {"approval.copied": everybody, "approval.decided": everybody}
    assert await copied(desk) == {"approval.opened": ["cora", "opal"]} | last


@pytest.mark.parametrize("action", ["add_signer", "remove_signer", "copy"])
async def test_whatever_comes_after_the_end_is_too_late(desk: Desk, action: str) -> None:
    await desk.open()
    await desk.say("gina", "reject")
    assert await desk.say("gina", action, to="cora", where="after", comment="x") == "too_late"
    assert await desk.asked() == [(0, "gina", None, "rejected")]
