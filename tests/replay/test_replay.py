"""Orders that began yesterday go on today: every recorded history is replayed by the workflows as they are now."""

import base64
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.worker import Replayer

from tests.replay import recorded
from tests.replay.scenarios import SCENARIOS
from workers.local_first import LocalFirst
from workers.main import WORKFLOWS

# Folders of a machine, traces of its code, and the `pid@host` by which clients name themselves.
_OF_A_MACHINE = re.compile(r"/(home|root|Users|work|tmp|usr|opt|private)/|File \\?\"|\b\d+@\w")


@pytest.mark.parametrize("file", recorded.files(), ids=lambda file: f"{file.parent.name}/{file.stem}")
async def test_recorded_history_is_replayed_without_a_difference(file: Path) -> None:
    replayer = Replayer(workflows=WORKFLOWS, data_converter=pydantic_data_converter, workflow_runner=LocalFirst())
    await replayer.replay_workflow(recorded.load(file))


def test_every_scenario_has_a_history_and_every_history_its_scenario() -> None:
    assert {recorded.scenario_of(file) for file in recorded.files()} == SCENARIOS.keys()


def test_every_workflow_has_a_history() -> None:
    first = [recorded.load(file).events[0] for file in recorded.files()]
    begun = {event.workflow_execution_started_event_attributes.workflow_type.name for event in first}
    assert begun == {workflow.__name__ for workflow in WORKFLOWS}


@pytest.mark.parametrize("file", recorded.files(), ids=lambda file: f"{file.parent.name}/{file.stem}")
def test_history_names_no_machine(file: Path) -> None:
    texts = list(_texts(json.loads(file.read_text(encoding="utf-8"))))
    assert [text for text in texts if _OF_A_MACHINE.search(text)] == []


def _texts(part: Any) -> Iterator[str]:
    """Every text in the history, payloads decoded."""
    if isinstance(part, dict):
        for key, value in part.items():
            if key == "data" and isinstance(value, str):
                yield base64.b64decode(value).decode()
            else:
                yield from _texts(value)
    elif isinstance(part, list):
        for item in part:
            yield from _texts(item)
    elif isinstance(part, str):
        yield part
