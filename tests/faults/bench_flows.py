"""Flows of the bench: the built-in ones, chosen by the order's store, with clocks that stories can wait for."""

from collections.abc import Callable
from typing import Any, Final

from domain.flow.definition import FlowDefinition
from domain.flow.document import parse_definition
from flows import builtin_flows

# Orders of these stores: pay at once or never; are asked about, or nobody answers in time; bring a deposit at once.
IMPATIENT: Final = "impatient"
ASKED: Final = "asked"
ASKED_BRIEFLY: Final = "asked-briefly"
PRESOLD_BRIEFLY: Final = "presold-briefly"

Document = dict[str, Any]


def bench_flows() -> list[FlowDefinition]:
    """All flows that stories follow."""
    return [
        *builtin_flows(),
        _of_store(IMPATIENT, "normal", lambda nodes: nodes["pay"].update(timeout="PT1S", remind=[])),
        _of_store(ASKED, "normal_big", lambda _: None),
        _of_store(ASKED_BRIEFLY, "normal_big", _hurry_people),
        _of_store(PRESOLD_BRIEFLY, "presale", lambda nodes: nodes["deposit"].update(timeout="PT1S", remind=[])),
    ]


def _hurry_people(nodes: Document) -> None:
    for node in nodes.values():
        if node["kind"] == "approval":
            node.pop("calendar", None)
            node.update(timeout="PT1S", remind=[])
            for level in node["escalate"]:
                level.update(timeout="PT1S", remind=[])


def _of_store(store: str, like: str, change: Callable[[Document], None]) -> FlowDefinition:
    """The built-in flow with another clock, for orders of this store alone."""
    document = next(flow for flow in builtin_flows() if flow.key == like).model_dump(
        mode="json", by_alias=True, exclude_none=True
    )
    document |= {"key": store.replace("-", "_"), "version": 1}
    document["match"] = {"priority": 900, "when": f'order.store == "{store}"'}
    change(document["nodes"])
    return parse_definition(document)
