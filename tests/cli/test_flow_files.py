"""Flows kept as files: what is wrong with one is named without any server."""

import json
from pathlib import Path

from typer.testing import CliRunner

from cli.main import app

NORMAL = Path(__file__).parents[2] / "flows" / "normal.yaml"


def test_sound_file_has_no_problem() -> None:
    done = CliRunner().invoke(app, ["flow", "validate", str(NORMAL)])
    assert (done.exit_code, done.output) == (0, "normal.yaml: nothing is wrong\n")


def test_every_problem_is_named_on_its_node(tmp_path: Path) -> None:
    broken = tmp_path / "broken.yaml"
    text = NORMAL.read_text(encoding="utf-8").replace("next: reserve", "next: nowhere").replace("PT24H", "PT24X")
    broken.write_text(text, encoding="utf-8")
    done = CliRunner().invoke(app, ["flow", "validate", str(broken), "--json"])
    assert done.exit_code == 3
    assert [(one["node"], one["code"]) for one in json.loads(done.output)] == [
        ("check", "dangling_link"),
        ("pay", "schema"),
    ]


def test_own_calendar_has_to_be_named(tmp_path: Path) -> None:
    own = tmp_path / "own.yaml"
    text = NORMAL.with_name("normal_big.yaml").read_text(encoding="utf-8")
    own.write_text(text.replace("cn-default", "berlin"), encoding="utf-8")
    refused = CliRunner().invoke(app, ["flow", "validate", str(own), "--json"])
    assert [(one["node"], one["code"]) for one in json.loads(refused.output)] == [("review", "unknown_calendar")]
    known = CliRunner().invoke(app, ["flow", "validate", str(own), "--calendar", "berlin"])
    assert (known.exit_code, known.output) == (0, "own.yaml: nothing is wrong\n")


def test_publishing_needs_an_api(tmp_path: Path) -> None:
    asked = ["flow", "publish", str(NORMAL), "--reason", "try", "--data", str(tmp_path / "none")]
    done = CliRunner().invoke(app, asked)
    assert done.exit_code == 1
    assert "no API" in done.output
