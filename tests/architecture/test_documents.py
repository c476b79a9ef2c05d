"""Documents that name something of the code: what they name exists, and nothing is left out."""

import ast
import re
import sys
from functools import cache
from pathlib import Path

import pytest
from typer.main import get_command

from cli.main import app
from domain.flow.vocabulary import HOLD_REASONS
from runtime.settings import PREFIX, Settings
from tests.architecture.source_tree import ROOT

DOCUMENTS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
_LINK = re.compile(r"\]\(([^)\s]+)\)")
_NAMED = re.compile(r"`([\w./-]+\.py)::([\w.]+)`")
_HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)
_SCRIPTS = re.compile(r"uv run (\w[\w-]*)")


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_every_link_leads_somewhere(document: Path) -> None:
    missing = []
    for link in _LINK.findall(document.read_text(encoding="utf-8")):
        path, _, anchor = link.partition("#")
        target = (document.parent / path).resolve() if path else document
        if re.match(r"[a-z]+:", link):
            continue
        if not target.exists() or (anchor and anchor not in _anchors(target)):
            missing.append(link)
    assert missing == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_every_name_in_the_code_exists(document: Path) -> None:
    named = _NAMED.findall(document.read_text(encoding="utf-8"))
    assert [f"{file}::{name}" for file, name in named if not _defines(file, name)] == []


def test_readme_tells_every_setting() -> None:
    told = set(re.findall(rf"^\| `({PREFIX}\w+)`", _readme(), re.MULTILINE))
    assert told == {f"{PREFIX}{name.upper()}" for name in Settings.model_fields} | {f"{PREFIX}SECRETS_DIR"}


def test_readme_tells_every_command() -> None:
    told = set(re.findall(r"^\| `orderflow (\w+)", _readme(), re.MULTILINE))
    commands: dict[str, object] = getattr(get_command(app), "commands", {})
    assert told == set(commands)


def test_every_word_of_the_checks_is_a_program() -> None:
    texts = ((ROOT / name).read_text(encoding="utf-8") for name in ("README.md", "CONTRIBUTING.md"))
    programs = {word for text in texts for word in _SCRIPTS.findall(text)}
    assert {word for word in programs if not (Path(sys.executable).parent / word).exists()} == set()


def test_the_runbook_knows_only_reasons_that_exist() -> None:
    text = (ROOT / "docs/runbooks/order-held.md").read_text(encoding="utf-8")
    rows = dict(re.findall(r"^\| `(\w+)` \| (\w+) \|", text, re.MULTILINE))
    assert rows.keys() - HOLD_REASONS.keys() == set()
    assert {reason: HOLD_REASONS[reason].owner.value for reason in rows} == rows


def test_decisions_are_numbered_without_a_gap() -> None:
    names = sorted(file.name for file in (ROOT / "docs/decisions").glob("*.md"))
    assert [name[:5] for name in names] == [f"{number:04}-" for number in range(1, len(names) + 1)]
    for name in names:
        text = (ROOT / "docs/decisions" / name).read_text(encoding="utf-8")
        assert text.startswith(f"# {int(name[:4])}. ")
        assert _HEADING.findall(text)[1:] == ["Context", "Decision", "Consequences"]


def _readme() -> str:
    return (ROOT / "README.md").read_text(encoding="utf-8")


@cache
def _anchors(document: Path) -> set[str]:
    headings = _HEADING.findall(document.read_text(encoding="utf-8"))
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def _defines(file: str, name: str) -> bool:
    """Whether the file has the class, function, method or constant of this dotted name."""
    path = ROOT / file
    if not path.is_file():
        return False
    body: list[ast.stmt] = ast.parse(path.read_text(encoding="utf-8")).body
    for part in name.split("."):
        found = next((one for one in body if _name_of(one) == part), None)
        if found is None:
            return False
        body = getattr(found, "body", [])
    return True


def _name_of(statement: ast.stmt) -> str | None:
    if isinstance(statement, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
        return statement.name
    if isinstance(statement, ast.AnnAssign):
        return ast.unparse(statement.target)
    return ast.unparse(statement.targets[0]) if isinstance(statement, ast.Assign) else None
