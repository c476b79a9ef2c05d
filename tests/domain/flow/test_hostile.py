"""What is meant to hurt is refused, small and early."""

import tracemalloc
from typing import Any

import pytest

from domain.flow.checks import check_document, check_yaml
from domain.flow.document import MAX_BYTES, read_document
from domain.flow.problems import FlowRefused
from tests.factories.flows import sound_document

_LAUGHS = "a: &a [x, x]\n" + "".join(
    f"{name}: &{name} [*{before}, *{before}]\n" for before, name in zip("abcdefgh", "bcdefghi", strict=True)
)
_FIFTY_MB = 50 * 1024 * 1024


def deep(levels: int) -> dict[str, Any]:
    document: dict[str, Any] = {}
    for _ in range(levels):
        document = {"a": document}
    return document


@pytest.mark.parametrize(
    "text",
    [_LAUGHS, "a: " * 5000 + "1", "[" * 100_000, "x" * (MAX_BYTES + 1), "nodes: {<<: {a: 1}}", "--- 1\n--- 2\n"],
    ids=["billion laughs", "deep keys", "deep lists", "large", "merge", "two documents"],
)
def test_hostile_text_is_refused_within_its_means(text: str) -> None:
    tracemalloc.start()
    try:
        problems = check_yaml(text)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert [one.code for one in problems] == ["document"]
    assert peak < _FIFTY_MB


@pytest.mark.parametrize(
    "document",
    [deep(5000), {"a": "x" * MAX_BYTES}, {"a": float("nan")}, {"a": "\ud800"}, {"a\x00": 1}, [1]],
    ids=["deep", "large", "nan", "surrogate", "nul", "list"],
)
def test_hostile_data_is_refused(document: Any) -> None:
    with pytest.raises(FlowRefused):
        read_document(document)


@pytest.mark.parametrize(
    "when",
    [
        "order.skus.all(a, order.skus.all(b, a == b))",
        "(" * 500 + "true" + ")" * 500,
        "order.skus == [" + "'a'," * 600 + "]",
        "order.type.matches('(a+)+$')",
        "[1,2,3].map(x, x).size() > 0",
    ],
)
def test_hostile_condition_is_refused_on_its_node(when: str) -> None:
    route = {"kind": "branch", "cases": [{"label": "x", "when": when, "next": "reserve"}], "default": "reserve"}
    problems = check_document(sound_document(route=route) | {"start": "route"})
    assert [(one.node) for one in problems] == ["route"]


def test_more_nodes_than_a_flow_may_have_are_refused() -> None:
    nodes = {f"n{at}": {"kind": "timer", "duration": "PT1M", "next": "reserve"} for at in range(600)}
    assert [one.code for one in check_document(sound_document(**nodes))][:1] == ["schema"]
