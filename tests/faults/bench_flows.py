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
# Of these, three people decide together: each in turn, all of them, so many, or a share of those who do not abstain.
SEVERAL: Final[dict[str, Any]] = {
    "in-turn": "sequence",
    "all-of-them": "all",
    "voted": {"vote": 2},
    "voted-by-share": {"vote": 0.6},
}
BRIEFLY: Final = "-briefly"
PRESOLD_BRIEFLY: Final = "presold-briefly"

Document = dict[str, Any]


def _key(store: str) -> str:
    return store.replace("-", "_")


ASKING: Final = [_key(store) for one in (ASKED, *SEVERAL) for store in (one, f"{one}{BRIEFLY}")]
"""The flows whose orders are not accepted before people have agreed."""


def bench_flows() -> list[FlowDefinition]:
    """All flows that stories follow."""
    return [
        *builtin_flows(),
        _of_store(IMPATIENT, "normal", lambda nodes: nodes["pay"].update(timeout="PT1S", remind=[])),
        _of_store(ASKED, "normal_big", lambda _: None),
        _of_store(ASKED_BRIEFLY, "normal_big", _hurry_people),
        *(_of_store(store, "normal_big", _ask_several(mode)) for store, mode in SEVERAL.items()),
        *(
            _of_store(f"{store}{BRIEFLY}", "normal_big", _ask_several(mode, briefly=True))
            for store, mode in SEVERAL.items()
        ),
        _of_store(PRESOLD_BRIEFLY, "presale", lambda nodes: nodes["deposit"].update(timeout="PT1S", remind=[])),
    ]


def _ask_several(mode: Any, *, briefly: bool = False) -> Callable[[Document], None]:
    """Three people are asked before the order is accepted, and by the same rule finance and the ceo after it."""

    def change(nodes: Document) -> None:
        nodes["gm"].update(mode=mode, assignees=[{"role": role} for role in ("manager", "gm", "finance")])
        nodes["review"].update(
            mode=mode, assignees=[{"role": role} for role in ("finance", "ceo")], cc=[{"role": "gm"}]
        )
        if briefly:
            _hurry_people(nodes)

    return change


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
    document |= {"key": _key(store), "version": 1}
    document["match"] = {"priority": 900, "when": f'order.store == "{store}"'}
    change(document["nodes"])
    return parse_definition(document)
