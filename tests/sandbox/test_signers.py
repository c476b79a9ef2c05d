"""Stories of several people, played by the real workflow and followed on paper: both come to the same end."""

from typing import Any

import pytest

from domain.flow.definition import FlowDefinition
from domain.flow.document import parse_definition
from domain.flow.script import Script
from domain.flow.simulate import simulate
from sandbox.run import try_all
from tests.factories.approvals import gm_approval
from tests.factories.flows import sound_document

THREE = [{"role": "manager"}, {"role": "finance"}, {"role": "gm"}]
Story = tuple[Any, list[dict[str, Any]], str]
EXPERT = {"event": "signer_added", "person": "expert"}
STORIES: dict[str, Story] = {
    "everybody agrees in turn": ("sequence", [], "completed"),
    "the second one says no": ("sequence", [{"event": "rejected", "by": "finance", "after": "PT20M"}], "rejected"),
    "the last one has a clock of their own": (
        "sequence",
        [
            {"event": "approved", "by": "finance", "after": "PT25M"},
            {"event": "approved", "by": "gm", "after": "PT50M"},
        ],
        "completed",
    ),
    "the last one is silent": ("sequence", [{"event": "silence", "by": "gm"}], "rejected"),
    "two of three are enough": ({"vote": 2}, [{"event": "rejected", "by": "gm"}], "completed"),
    "two say no": (
        {"vote": 2},
        [{"event": "rejected", "by": "gm"}, {"event": "rejected", "by": "finance"}],
        "rejected",
    ),
    "all abstain": ({"vote": 0.5}, [{"event": "abstained"}], "rejected"),
    "a tie": (
        {"vote": 0.5},
        [{"event": "abstained", "by": "gm"}, {"event": "rejected", "by": "finance"}],
        "rejected",
    ),
    "an expert is asked first and says no": (
        "all",
        [EXPERT | {"by": "gm", "where": "before"}, {"event": "rejected", "by": "expert", "after": "PT5M"}],
        "rejected",
    ),
    "an expert is asked first and is taken off": (
        "all",
        [
            EXPERT | {"by": "gm", "where": "before"},
            {"event": "silence", "by": "expert"},
            {"event": "signer_removed", "by": "gm", "person": "expert", "after": "PT10M"},
        ],
        "completed",
    ),
    "nobody may add whom they like": (
        "all",
        [EXPERT | {"by": "gm", "where": "before", "of": "finance"}, {"event": "rejected", "by": "expert"}],
        "completed",
    ),
}


def asking(mode: Any) -> FlowDefinition:
    gm = gm_approval(mode=mode, assignees=THREE, escalate=[], remind=[]).model_dump(mode="json", exclude_defaults=True)
    rejected = {"undo": {"kind": "compensate", "next": "rejected"}, "rejected": {"kind": "end", "result": "rejected"}}
    return parse_definition(sound_document(gm=gm, **rejected) | {"start": "gm"})


@pytest.mark.parametrize("name", STORIES)
async def test_story_ends_the_same_in_the_sandbox_and_on_paper(name: str) -> None:
    mode, events, result = STORIES[name]
    flow, script = asking(mode), Script.model_validate({"events": events, "expect": {"result": result}})
    trial = simulate(flow, {}, script)
    assert (trial.result, script.unmet(trial.result, trial.path)) == (result, [])
    [tried] = await try_all(flow, [script])
    assert (tried.result, tried.unmet, tried.error) == (result, (), None)


def test_paper_says_when_it_was_decided_and_how() -> None:
    script = Script.model_validate({"events": [{"event": "rejected", "by": "finance", "after": "PT20M"}]})
    step = next(one for one in simulate(asking("sequence"), {}, script).steps if one.node == "gm")
    assert (step.outcome, step.left_after.total_seconds(), step.detail) == ("rejected", 1200, "rejected on level 0")


def test_somebody_silent_takes_their_own_time_only() -> None:
    events = [{"event": "approved", "by": "manager", "after": "PT10M"}, {"event": "silence", "by": "finance"}]
    step = next(one for one in simulate(asking("sequence"), {}, Script.model_validate({"events": events})).steps)
    assert (step.outcome, step.left_after.total_seconds(), step.detail) == (
        "rejected",
        2400,
        "timed out after 1 levels",
    )
