"""Who is asked, whose word counts, and when a level is over."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from domain.approval import (
    ApprovalState,
    Asked,
    Case,
    Colleague,
    Decision,
    Outcome,
    first_round,
    next_round,
    outcome_of,
    schedule,
    told_of,
)
from domain.flow.approval_node import Mode
from domain.signing import Assignment, Standing, judge
from domain.working_calendar import BUILT_IN
from tests.factories.approvals import gm_approval

CASE = Case("sally", frozenset({"sally"}))


def staff(*people: Colleague) -> dict[str, Colleague]:
    return {one.person_id: one for one in people}


SALLY = Colleague("sally", frozenset({"sales"}), superior="mia")
MIA = Colleague("mia", frozenset({"manager"}), superior="gina")
GINA = Colleague("gina", frozenset({"gm"}), superior="vera")
VERA = Colleague("vera", superior="cora")
CORA = Colleague("cora", frozenset({"ceo"}))
OPAL = Colleague("opal", frozenset({"operations"}))
ALL = staff(SALLY, MIA, GINA, VERA, CORA, OPAL)


def away(who: Colleague, delegate: str | None) -> Colleague:
    return Colleague(who.person_id, who.roles, who.superior, delegate)


@pytest.mark.parametrize(
    ("changes", "people", "asked"),
    [
        ({}, ALL, [Asked("gina", role="gm")]),
        ({"assignees": [{"user": "mia"}]}, ALL, [Asked("mia")]),
        ({"assignees": [{"superior_of": "submitter"}]}, ALL, [Asked("mia")]),
        ({"assignees": [{"user": "mia"}, {"role": "gm"}]}, ALL, [Asked("gina", role="gm"), Asked("mia")]),
        # Nobody decides about an order of their own, unless the flow says so.
        ({"assignees": [{"role": "sales"}]}, ALL, [Asked("mia", role="sales")]),
        ({"assignees": [{"role": "sales"}], "same_as_submitter": "self"}, ALL, [Asked("sally", role="sales")]),
        (
            {"assignees": [{"role": "sales"}], "same_as_submitter": "skip"},
            ALL,
            [Asked("opal", role="operations")],
        ),
        # Whoever is away is asked through their delegate, one hop and no further.
        ({}, {**ALL, "gina": away(GINA, "mia")}, [Asked("mia", "gina", "gm")]),
        ({}, {**ALL, "gina": away(GINA, "mia"), "mia": away(MIA, "vera")}, [Asked("mia", "gina", "gm")]),
        ({"delegation": "ignore"}, {**ALL, "gina": away(GINA, "mia")}, [Asked("gina", role="gm")]),
        ({}, {**ALL, "gina": away(GINA, "nobody")}, [Asked("gina", role="gm")]),
        # A delegate whose own order it is does not stand in.
        ({}, {**ALL, "gina": away(GINA, "sally")}, [Asked("gina", role="gm")]),
        # Asked in their own right, nobody is asked again for somebody else.
        (
            {"assignees": [{"role": "gm"}, {"user": "mia"}]},
            {**ALL, "gina": away(GINA, "mia")},
            [Asked("mia")],
        ),
        # Nobody has the role, or the person has left.
        ({"assignees": [{"role": "warehouse"}]}, ALL, [Asked("opal", role="operations")]),
        ({"assignees": [{"user": "gone"}]}, ALL, [Asked("opal", role="operations")]),
        ({"assignees": [{"user": "gone"}], "on_no_assignee": {"user": "cora"}}, ALL, [Asked("cora")]),
        ({}, {}, []),
    ],
)
def test_first_level_asks(changes: dict[str, Any], people: dict[str, Colleague], asked: list[Asked]) -> None:
    assert list(first_round(gm_approval(**changes), people, CASE).asked) == asked


@pytest.mark.parametrize(
    ("cc", "told"),
    [
        ([{"role": "ceo"}], [Asked("cora", role="ceo")]),
        ([{"user": "gone"}], []),
        # Who is asked knows it anyway; whose order it is may be told.
        ([{"role": "gm"}, {"role": "sales"}], [Asked("sally", role="sales")]),
        ([{"superior_of": "assignee"}, {"superior_of": "submitter"}], [Asked("mia"), Asked("vera")]),
    ],
)
def test_others_are_told(cc: list[dict[str, str]], told: list[Asked]) -> None:
    node = gm_approval(cc=cc)
    assert list(told_of(node, first_round(node, ALL, CASE), ALL, CASE)) == told


def test_superiors_follow_whose_decision_it_was_and_not_who_stood_in() -> None:
    found = next_round(gm_approval(), 0, [Asked("opal", "gina", "gm")], ALL, CASE)
    assert found is not None
    assert (found.level, found.asked, found.passed) == (1, (Asked("vera"),), ())


def test_level_without_anybody_is_passed_over_at_once() -> None:
    alone = {**ALL, "gina": Colleague("gina", frozenset({"gm"}))}
    found = next_round(gm_approval(), 0, [Asked("gina", role="gm")], alone, CASE)
    assert found is not None
    assert (found.level, found.asked, found.passed) == (2, (Asked("cora", role="ceo"),), (1,))


def test_level_of_those_who_are_asked_already_gives_them_its_time() -> None:
    under_the_top = {**ALL, "gina": Colleague("gina", frozenset({"gm"}), superior="cora")}
    levels: list[dict[str, Any]] = [{"to": [{"superior_of": "assignee"}]}, {"to": [{"role": "ceo"}]}]
    node = gm_approval(escalate=[level | {"keep_previous": True} for level in levels])
    second = next_round(node, 0, [Asked("gina", role="gm")], under_the_top, CASE)
    assert second is not None
    assert (second.level, second.asked) == (1, (Asked("cora"),))
    third = next_round(node, 1, second.asked, under_the_top, CASE)
    assert third is not None
    assert (third.level, third.asked, third.passed) == (2, (Asked("cora", role="ceo"),), ())


def test_nobody_is_left_after_the_last_level() -> None:
    assert next_round(gm_approval(), 2, [Asked("cora", role="ceo")], ALL, CASE) is None


def test_submitter_is_not_asked_as_a_superior_either() -> None:
    ring = staff(GINA, Colleague("vera", superior="cora"), CORA)
    found = next_round(gm_approval(), 0, [Asked("gina")], ring, Case("vera", frozenset({"vera"})))
    assert found is not None
    assert found.asked == (Asked("cora"),)


def test_ring_of_superiors_ends_nowhere() -> None:
    ring = staff(Colleague("a", superior="b"), Colleague("b", superior="a"))
    found = first_round(gm_approval(assignees=[{"user": "a"}]), ring, Case("a", frozenset({"a", "b"})))
    assert found.asked == ()


def standing(state: str = "open", mode: Mode = "any", *asked: tuple[int, str, str], returns: bool = False) -> Standing:
    listed = tuple(Assignment(level, person, word, seat) for seat, (level, person, word) in enumerate(asked))
    return Standing(ApprovalState(state), mode, listed, returns)


G, V = (0, "gina", "asked"), (1, "vera", "asked")
GIVEN_UP, GOES_ON = (0, "gina", "dropped"), ("effective", "open")
YES, NO, BACK = Decision.APPROVE, Decision.REJECT, Decision.RETURN


@pytest.mark.parametrize(
    ("at", "person", "decision", "outcome", "state"),
    [
        (standing("open", "any", G), "gina", YES, "effective", "approved"),
        (standing("open", "any", G), "gina", NO, "effective", "rejected"),
        (standing("open", "any", G, V), "gina", YES, "effective", "approved"),
        (standing("open", "any", G), "vera", YES, "not_assignee", "open"),
        (standing("open", "any", (0, "gina", "dropped")), "gina", YES, "not_assignee", "open"),
        (standing("open", "any", (0, "gina", "transferred")), "gina", YES, "not_assignee", "open"),
        (standing("approved", "any", G), "gina", NO, "superseded", "approved"),
        (standing("rejected", "any", G), "vera", YES, "superseded", "rejected"),
        (standing("returned", "any", G), "gina", YES, "superseded", "returned"),
        (standing("timed_out", "any", G), "gina", YES, "too_late", "timed_out"),
        (standing("voided", "any", G), "gina", YES, "too_late", "voided"),
        (standing("withdrawn", "any", G), "gina", YES, "too_late", "withdrawn"),
        (standing("open", "any", G), "gina", BACK, "not_assignee", "open"),
        (standing("open", "any", G, returns=True), "gina", BACK, "effective", "returned"),
        (standing("open", "all", G, (0, "mia", "asked")), "gina", YES, "effective", "open"),
        (standing("open", "all", G, (0, "mia", "approved")), "gina", YES, "effective", "approved"),
        (standing("open", "all", G, (0, "mia", "asked")), "gina", NO, "effective", "rejected"),
        (standing("open", "all", G, (0, "mia", "approved")), "mia", NO, "superseded", "open"),
        (standing("open", "all", G, (0, "mia", "transferred")), "gina", YES, "effective", "approved"),
        # What is left of a level that was given up is not all of it.
        (standing("open", "all", GIVEN_UP, (0, "mia", "approved"), V, (1, "cora", "asked")), "vera", YES, *GOES_ON),
        # Everybody of any one level is enough: the superior alone, or all of those who were asked first.
        (standing("open", "all", G, (0, "mia", "asked"), V), "vera", YES, "effective", "approved"),
        (standing("open", "all", G, (0, "mia", "asked"), V), "gina", YES, "effective", "open"),
        (standing("open", "all", G, (0, "mia", "approved"), V), "gina", YES, "effective", "approved"),
    ],
)
def test_first_valid_word_wins(at: Standing, person: str, decision: Decision, outcome: str, state: str) -> None:
    verdict = judge(at, person, decision)
    assert (verdict.outcome.value, verdict.state.value) == (outcome, state)


def test_word_counts_on_the_highest_level_that_asks_the_person() -> None:
    assert judge(standing("open", "any", G, (1, "gina", "asked")), "gina", YES).level == 1
    assert judge(standing("open", "any", G), "vera", YES).level is None
    assert judge(standing("open", "any", G), "vera", YES).outcome is Outcome.NOT_ASSIGNEE


def test_reminders_count_from_the_beginning_or_back_from_the_end() -> None:
    start = datetime(2026, 11, 23, 2, 0, tzinfo=UTC)
    times = schedule(gm_approval(remind=["-PT5M", "PT10M", "PT25M"]), 0, start, BUILT_IN)
    assert [(moment - start) / timedelta(minutes=1) for moment in times.reminders] == [10, 25]
    assert times.deadline == start + timedelta(minutes=30)
    assert schedule(gm_approval(), 2, start, BUILT_IN).deadline == start + timedelta(hours=1)


def test_reminders_and_deadline_go_by_the_working_calendar() -> None:
    evening = datetime(2026, 11, 27, 9, 50, tzinfo=UTC)  # Friday 17:50 in Shanghai
    hours = {"calendar": {"kind": "working_hours", "id": "cn-default"}, "remind": ["PT5M", "-PT15M"]}
    times = schedule(gm_approval(**hours), 0, evening, BUILT_IN)
    monday = datetime(2026, 11, 30, 1, 0, tzinfo=UTC)
    assert times.reminders == (evening + timedelta(minutes=5), monday + timedelta(minutes=5))
    assert times.deadline == monday + timedelta(minutes=20)


def test_what_timed_out_goes_as_the_flow_says_and_nothing_else_does() -> None:
    assert outcome_of("timed_out", "rejected") == "rejected"
    assert outcome_of("timed_out", "approved") == "approved"
    assert outcome_of("withdrawn", "approved") == "withdrawn"
