"""The two languages: everything that is said has its Chinese, and nothing is kept that nobody says."""

import ast
import re
from collections.abc import Iterator
from typing import get_args

from console.words import Words, catalogue
from domain.approval import ApprovalState, Outcome
from domain.flow.nodes import Choice, Node
from domain.flow.vocabulary import Role
from domain.order import FulfilmentStatus, Lifecycle, PaymentStatus
from domain.shipping import ParcelStatus
from tests.architecture.source_tree import ROOT, sources

_SAID_BY_SCRIPTS = re.compile(r"""\bt\("([^"]+)"[),]""")
# What pages read with; the rest of `importing` speaks to whoever runs a command.
_OF_PAGES = ("grid", "survey", "workbook", "plain", "reading", "orders", "items", "answers")
_CHINESE = re.compile(r"[\u4e00-\u9fff]")
_SAID_BY_TEMPLATES = re.compile(r"\bt\((?:\"([^\"]*)\"|'([^']*)')")
_KINDS = {
    "lifecycle": Lifecycle,
    "payment": PaymentStatus,
    "fulfilment": FulfilmentStatus,
    "role": Role,
    "choice": Choice,
    "approval": ApprovalState,
    "parcel": ParcelStatus,
}


def _table(script: str, name: str) -> dict[str, str]:
    """A table of texts in a script, English to Chinese."""
    body = re.search(rf"^const {name} = \{{(.*?)^\}};", script, re.DOTALL | re.MULTILINE)
    assert body is not None
    return dict(re.findall(r'"([^"]+)": "([^"]+)"', body[1]))


def _said() -> set[str]:
    pages = (ROOT / "console/templates").rglob("*.html")
    return {one or other for page in pages for one, other in _SAID_BY_TEMPLATES.findall(page.read_text("utf-8"))}


def _constants() -> Iterator[str]:
    for source in sources("console", "importing", "api", "domain", "activities", "store"):
        yield from _texts(source.tree)


def _texts(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value


def _said_of_files() -> Iterator[str]:
    """The constants of the modules that pages read files with, but for parts of other texts and for one command."""
    modules = [source for source in sources("importing") if source.path.split("/")[-1][:-3] in _OF_PAGES]
    for tree in (source.tree for source in modules):
        parts = {id(part) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for part in node.values}
        commands = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef) and node.name == "read_whole"]
        apart = parts | {id(node) for command in commands for node in ast.walk(command)}
        for node in ast.walk(tree):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in apart:
                yield node.value


def test_every_text_of_a_page_has_its_chinese() -> None:
    assert _said() - catalogue()["texts"].keys() == set()


def test_every_problem_of_a_file_has_its_chinese() -> None:
    said = {text for text in _said_of_files() if re.search(r"^[^A-Z\n]\S* \S+ \S+|^\{file\}: ", text)}
    assert len(said) > 40
    assert said - catalogue()["texts"].keys() == set()


def test_every_text_of_the_designer_has_its_chinese() -> None:
    scripts = {path.name: path.read_text("utf-8") for path in (ROOT / "console/static/designer").glob("*.js")}
    table = _table(scripts["speech.js"], "texts")
    said = {said for text in scripts.values() for said in _SAID_BY_SCRIPTS.findall(text)}
    # Words that a script chooses among are constants of it; every one is said by some `t(` of a name.
    chosen = {word for text in scripts.values() for word in re.findall(r'"([^"\n]+)"', text)}
    assert said - table.keys() == set()
    assert len(said) > 60
    assert table.keys() - said - chosen == set()
    assert all(_CHINESE.search(chinese) for chinese in table.values())
    fields = re.search(r"^const fields = \{(.*?)^\};", scripts["speech.js"], re.DOTALL | re.MULTILINE)
    assert fields is not None
    pairs = re.findall(r'(\w+): \["([^"]+)", "([^"]+)"\]', fields[1])
    assert len(pairs) == fields[1].count("[")
    assert [name for name, _english, chinese in pairs if not _CHINESE.search(chinese)] == []


def test_every_word_of_a_flow_that_a_form_shows_has_its_chinese() -> None:
    known = re.findall(r"(\w+): \[", (ROOT / "console/static/designer/speech.js").read_text("utf-8"))
    shown = {field for model in get_args(get_args(Node)[0]) for field in model.model_fields} - {"kind", "on", "layout"}
    assert shown - set(known) == set()


def test_page_script_says_nothing_in_one_language_alone() -> None:
    text = (ROOT / "console/static/console.js").read_text("utf-8")
    assert len(_CHINESE.findall(text)) > 0
    lone = [line for line in text.splitlines() if _CHINESE.search(line) and "chinese ?" not in line]
    assert lone == []


def test_no_translation_is_left_of_something_that_nobody_says() -> None:
    assert catalogue()["texts"].keys() - _said() - set(_constants()) == set()


def test_every_translation_has_the_same_values_in_it() -> None:
    values = re.compile(r"\{\w+\}")
    pairs = catalogue()["texts"].items()
    assert [english for english, chinese in pairs if set(values.findall(english)) != set(values.findall(chinese))] == []


def test_every_status_has_a_name_in_both_languages() -> None:
    known = catalogue()["codes"]
    wanted = {f"{kind}.{one.value}" for kind, words in _KINDS.items() for one in words}
    wanted |= {f"outcome.{one.value}" for one in Outcome if one is not Outcome.EFFECTIVE}
    wanted |= {f"decision.{word}" for word in ("approve", "reject", "return")}
    assert wanted - known.keys() == set()
    assert all(len(both) == 2 and all(both) for both in known.values())


def test_every_event_that_is_recorded_has_a_name() -> None:
    kinds = {
        str(ast.literal_eval(call.args[0]))
        for source in sources("activities", "store")
        for call in source.calls()
        if ast.unparse(call.func) == "Event" and call.args and isinstance(call.args[0], ast.Constant)
    }
    assert len(kinds) > 30
    assert {f"event.{kind}" for kind in kinds} - catalogue()["codes"].keys() == set()


def test_an_unknown_word_is_shown_as_it_is() -> None:
    assert Words("zh").code("event", "moon.has_risen") == "moon has risen"
    assert Words("zh").text("never translated") == "never translated"
