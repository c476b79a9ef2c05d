"""What an approval in a flow must say, and where it may stand."""

from typing import Any

import pytest

from domain.flow.checks import check_document
from domain.flow.document import parse_definition
from domain.flow.problems import FlowRefused
from tests.factories.flows import Document, sound_document

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
