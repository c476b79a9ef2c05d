"""What an approval in a flow must say, and where it may stand."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from domain.approval import schedule
from domain.flow.approval_node import ApprovalNode
from domain.flow.checks import check_document
from domain.flow.document import parse_definition
from domain.flow.problems import FlowRefused
from domain.flow.staffing import Staff, unstaffed
from domain.working_calendar import BUILT_IN
from tests.factories.flows import Document, sound_document

WORK = {"kind": "working_hours", "id": "cn-default"}
GM: Document = {
    "kind": "approval",
    "assignees": [{"role": "gm"}],
    "outcomes": {"approved": "reserve", "rejected": "no"},
}


def asking(**changes: Any) -> Document:
    """A flow that begins with an approval."""
    return sound_document(gm=GM | changes, no={"kind": "end", "result": "rejected"}) | {"start": "gm"}


def problems_of(document: Document) -> list[tuple[str, str]]:
    return [(problem.node, problem.code) for problem in check_document(document)]


def test_an_approval_with_the_defaults_is_sound_and_can_finish() -> None:
    assert problems_of(asking()) == []
    node = parse_definition(asking()).nodes["gm"].model_dump(mode="json")
    assert (node["timeout"], node["on_exhausted"], node["same_as_submitter"]) == ("PT30M", "rejected", "superior")
    assert node["on_no_assignee"]["role"] == "operations"


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"assignees": [{"role": "emperor"}]}, "unknown_role"),
        ({"on_no_assignee": {"role": "emperor"}}, "unknown_role"),
        ({"escalate": [{"to": [{"role": "emperor"}]}]}, "unknown_role"),
        ({"calendar": {"kind": "working_hours", "id": "mars"}}, "unknown_calendar"),
        ({"escalate": [{"to": [{"role": "ceo"}], "calendar": WORK | {"id": "mars"}}]}, "unknown_calendar"),
        ({"cc": [{"role": "finance"}, {"role": "emperor"}]}, "unknown_role"),
        ({"mode": {"vote": 3}, "assignees": [{"user": "ada"}, {"user": "ben"}]}, "vote_out_of_reach"),
        ({"mode": {"vote": 0.6}, "assignees": [{"user": "ada"}, {"user": "ada"}]}, "asked_twice"),
        ({"mode": "sequence", "assignees": [{"user": "ada"}, {"user": "ada"}]}, "asked_twice"),
        ({"hold_reason": "bad_mood"}, "unknown_hold_reason"),
        ({"outcomes": {"approved": "reserve", "rejected": "no", "returned": "nowhere"}}, "dangling_link"),
    ],
)
def test_names_that_are_not_there_are_named(changes: dict[str, Any], code: str) -> None:
    assert problems_of(asking(**changes)) == [("gm", code)]


@pytest.mark.parametrize(
    "changes",
    [
        {"assignees": []},
        {"assignees": [{}]},
        {"assignees": [{"role": "gm", "user": "gina"}]},
        {"assignees": [{"superior_of": "assignee"}]},
        {"on_no_assignee": {"superior_of": "submitter"}},
        {"on_exhausted": "forgotten"},
        {"grants": "credit", "on_exhausted": "approved"},
        {"grants": "everything"},
        {"mode": "vote"},
        {"mode": {"vote": 0}},
        {"mode": {"vote": 0.3}},
        {"mode": {"vote": 1.0}},
        {"mode": {"vote": True}},
        {"mode": {"vote": "2"}},
        {"mode": {"vote": 2, "quorum": 3}},
        {"mode": "sequence", "assignees": []},
        {"remind": ["PT30M"]},
        {"escalate": [{"to": [{"role": "ceo"}], "timeout": "PT5M", "remind": ["-PT5M"]}]},
        {"calendar": {"kind": "working_hours"}},
        {"calendar": {"kind": "always", "id": "cn-default"}},
        {"outcomes": {"approved": "reserve"}},
        {"comment_required": ["timed_out"]},
    ],
)
def test_approval_that_cannot_be_carried_out_is_no_flow(changes: dict[str, Any]) -> None:
    with pytest.raises(FlowRefused) as refused:
        parse_definition(asking(**changes))
    assert {problem.node for problem in refused.value.problems} == {"gm"}


@pytest.mark.parametrize("mode", ["all", "sequence", {"vote": 2}, {"vote": 0.6}])
def test_every_way_of_agreeing_is_sound_and_stays_what_it_is(mode: Any) -> None:
    document = asking(mode=mode, assignees=[{"role": "gm"}, {"user": "ada"}], cc=[{"superior_of": "assignee"}])
    assert problems_of(document) == []
    flow = parse_definition(document)
    assert parse_definition(json.loads(flow.canonical_json)).fingerprint == flow.fingerprint
    assert json.loads(flow.canonical_json)["nodes"]["gm"]["mode"] == mode


def test_fault_of_a_mode_is_told_once() -> None:
    found = [problem.detail for problem in check_document(asking(mode={"vote": 0.3}))]
    assert found == [
        "mode: should be any, all, sequence, {vote: 3} for so many people, or {vote: 0.6} for a half or more"
    ]


def test_level_goes_by_its_own_calendar_where_it_has_one() -> None:
    levels = [{"to": [{"role": "ceo"}]}, {"to": [{"role": "ceo"}], "calendar": {"kind": "always"}}]
    node = parse_definition(asking(calendar=WORK, escalate=levels)).nodes["gm"]
    assert isinstance(node, ApprovalNode)
    friday = datetime(2026, 11, 27, 9, 50, tzinfo=UTC)  # 17:50 in Shanghai
    monday = datetime(2026, 11, 30, 1, 20, tzinfo=UTC)
    ends = [schedule(node, level, friday, BUILT_IN).deadline for level in range(3)]
    assert ends == [monday, monday, friday + timedelta(minutes=30)]


@pytest.mark.parametrize(
    ("people", "short"), [({"gm": {"ada", "ben"}}, False), ({"gm": {"ada"}}, True), ({"ceo": {"cai"}}, True)]
)
def test_vote_needs_as_many_people_as_have_to_agree(people: dict[str, set[str]], short: bool) -> None:
    roles = {role: frozenset(names) for role, names in {"operations": {"opal"}, **people}.items()}
    staff = Staff(frozenset().union(*roles.values()), roles)
    flow = parse_definition(asking(mode={"vote": 2}))
    assert [node for node, _ in unstaffed(flow, staff)] == (["gm"] if short else [])


def test_returning_to_an_earlier_node_is_a_cycle_with_a_pause() -> None:
    look = {"kind": "action", "action": "order.check", "next": "gm"}
    outcomes = {"approved": "reserve", "rejected": "no", "returned": "look"}
    document = asking(outcomes=outcomes)
    document["nodes"]["look"] = look
    assert problems_of(document) == []


def test_nobody_stands_between_delivery_and_revenue() -> None:
    review = GM | {"outcomes": {"approved": "revenue", "rejected": "lane"}}
    document = sound_document(review=review)
    document["nodes"]["signed"]["next"] = "review"
    assert problems_of(document) == [("review", "approval_before_posting")]


def test_review_of_what_was_posted_is_allowed() -> None:
    review = GM | {"outcomes": {"approved": "done", "rejected": "lane"}}
    document = sound_document(review=review)
    document["nodes"]["invoice"]["next"] = "review"
    assert problems_of(document) == []
