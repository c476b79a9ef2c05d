"""Recorded histories and fingerprints on disk. They name no machine, no folder and no user.

A scenario's first history is `<workflow>/<scenario>.json`. Those of later ways to do the same thing are numbered from
2; earlier ones stay, because orders that began that way are still open.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from temporalio.client import WorkflowHistory

FOLDER: Final = Path(__file__).parent
HISTORIES: Final = FOLDER / "histories"
FINGERPRINTS: Final = FOLDER / "fingerprints.json"

# What tells where it was recorded, and is no part of what a replay looks at.
_NORMALISED: Final = {"identity": "recorded", "stackTrace": "", "buildId": "", "binaryChecksum": ""}


def files() -> list[Path]:
    """Every recorded history."""
    return sorted(HISTORIES.rglob("*.json"))


def scenario_of(file: Path) -> str:
    """The scenario whose history lies in the file."""
    return f"{file.parent.name}/{file.name.partition('.')[0]}"


def files_of(scenario: str) -> list[Path]:
    """The scenario's histories, the newest last."""
    workflow, _, happens = scenario.partition("/")
    later = (HISTORIES / workflow).glob(f"{happens}.*.json")
    first = HISTORIES / workflow / f"{happens}.json"
    return [file for file in (first, *sorted(later, key=_number)) if file.exists()]


def load(file: Path) -> WorkflowHistory:
    """The history as it was recorded."""
    return WorkflowHistory.from_json(scenario_of(file), file.read_text(encoding="utf-8"))


def save(scenario: str, history: WorkflowHistory) -> Path:
    """Afterwards the history is the scenario's newest; earlier ones are as they were. Returns its file."""
    known = files_of(scenario)
    ending = f".{_number(known[-1]) + 1}.json" if known else ".json"
    file = HISTORIES / f"{scenario}{ending}"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(_portable(history), encoding="utf-8")
    return file


def load_fingerprints() -> dict[str, list[str]]:
    """The commands of each scenario as they were last agreed on; none before the first recording."""
    if not FINGERPRINTS.exists():
        return {}
    found: dict[str, list[str]] = json.loads(FINGERPRINTS.read_text(encoding="utf-8"))
    return found


def save_fingerprints(fingerprints: Mapping[str, Sequence[str]]) -> None:
    """Afterwards these are the agreed ones, one command a line, so that a change reads well."""
    text = json.dumps(fingerprints, ensure_ascii=False, indent=1, sort_keys=True)
    FINGERPRINTS.write_text(text + "\n", encoding="utf-8")


def _number(file: Path) -> int:
    ending = file.name.split(".")[1]
    return int(ending) if ending.isdecimal() else 1


def _portable(history: WorkflowHistory) -> str:
    events = [json.dumps(_normalised(event), separators=(",", ":")) for event in history.to_json_dict()["events"]]
    return '{"events":[\n' + ",\n".join(events) + "\n]}\n"


def _normalised(part: Any) -> Any:
    if isinstance(part, dict):
        return {key: _NORMALISED.get(key, _normalised(value)) for key, value in part.items()}
    if isinstance(part, list):
        return [_normalised(item) for item in part]
    return part
