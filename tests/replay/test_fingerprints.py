"""What a replay cannot see: durations, time-outs and the arguments of local activities, compared with what was agreed.

A difference that is meant goes behind `workflow.patched`, and `uv run python -m tests.replay.record` agrees on it.
"""

import pytest
from temporalio.client import Client

from tests.replay import recorded
from tests.replay.commands import ARGUMENTS, commands_of, without_local_arguments
from tests.replay.scenarios import SCENARIOS
from tests.replay.stage import perform

AGREED = recorded.load_fingerprints()


@pytest.mark.parametrize("name", SCENARIOS)
async def test_workflow_asks_for_what_was_agreed(name: str, server: Client) -> None:
    performance = await perform(SCENARIOS[name], server)
    assert performance.commands == AGREED[name]


@pytest.mark.parametrize("name", SCENARIOS)
def test_newest_history_is_the_way_that_was_agreed(name: str) -> None:
    newest = recorded.load(recorded.files_of(name)[-1])
    assert commands_of(newest) == without_local_arguments(AGREED[name])


def test_nothing_is_agreed_for_scenarios_that_are_gone() -> None:
    assert AGREED.keys() == SCENARIOS.keys()


def test_arguments_of_every_local_activity_that_was_called_are_agreed() -> None:
    asked = {line for lines in AGREED.values() for line in lines if line.startswith("local ")}
    assert {line for line in asked if ARGUMENTS not in line} == {"local advance said Activity cancelled"}
