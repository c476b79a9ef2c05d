"""The two languages: everything that is said has its Chinese, and nothing is kept that nobody says."""

import ast
import re
from collections.abc import Iterator

from console.words import Words, catalogue
from domain.approval import ApprovalState, Outcome
from domain.flow.nodes import Choice
from domain.flow.vocabulary import Role
from domain.order import FulfilmentStatus, Lifecycle, PaymentStatus
from domain.shipping import ParcelStatus
from tests.architecture.source_tree import ROOT, sources

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


def _said() -> set[str]:
    pages = (ROOT / "console/templates").rglob("*.html")
    return {one or other for page in pages for one, other in _SAID_BY_TEMPLATES.findall(page.read_text("utf-8"))}


def _constants() -> Iterator[str]:
    for source in sources("console", "api", "domain", "activities"):
        for node in ast.walk(source.tree):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                yield node.value


def test_every_text_of_a_page_has_its_chinese() -> None:
    assert _said() - catalogue()["texts"].keys() == set()


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
