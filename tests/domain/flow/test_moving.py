"""Where an order that is parked goes on in another version of its flow: as a whole, and branch by branch."""

from collections.abc import Mapping
from dataclasses import replace

import pytest

from domain.errors import DomainError
from domain.flow.checks import check_flow
from domain.flow.definition import FlowDefinition
from domain.flow.document import parse_definition
from domain.flow.moving import Parked, Place, place_in
from domain.order import Standing
from tests.factories.flows import Document, sound_document

START = Standing()


def timer(after: str) -> Document:
    return {"kind": "timer", "duration": "PT1M", "next": after}


def forked(*branches: tuple[str, ...], version: int = 1, start: str = "together", **nodes: Document) -> FlowDefinition:
    """The plain flow behind branches, each a chain of timers of these names; `nodes` are others, or replace them."""
    inner = {
        node: nodes.get(node) or timer(after)
        for chain in branches
        for node, after in zip(chain, (*chain[1:], "reserve"), strict=True)
    }
    together = {
        "kind": "parallel",
        "branches": [{"label": f"b{at}", "start": chain[0]} for at, chain in enumerate(branches)],
        "next": "reserve",
    }
    document = sound_document(**{start: together}, **inner, **{name: nodes[name] for name in nodes.keys() - inner})
    flow = parse_definition(document | {"start": start, "version": version})
    assert check_flow(flow) == ()
    return flow


OLD = forked(("a1", "a2"), ("b1", "b2"), ("c1",))
# The third branch is finished.
PARKED = Parked(OLD, "together", {0: "a2", 1: "b1"})


def placed(flow: FlowDefinition, parked: Parked = PARKED, **nodes: str) -> Place:
    return place_in(flow, parked, nodes, START)


def code_of(flow: FlowDefinition, nodes: Mapping[str, str] | None = None, parked: Parked = PARKED) -> str:
    with pytest.raises(DomainError) as refused:
        place_in(flow, parked, nodes or {}, START)
    return refused.value.code


def test_each_token_goes_on_at_the_node_of_its_name() -> None:
    newer = forked(("a1", "a2", "a3"), ("b0", "b1"), ("c1",), version=2)
    assert placed(newer) == Place("together", {0: "a2", 1: "b1"}, {"a2": "a2", "b1": "b1"})


def test_branches_are_known_by_their_nodes_and_not_by_their_place() -> None:
    newer = forked(("c1",), ("b1", "b2"), ("a1", "a2"), version=2)
    assert placed(newer).branches == {1: "b1", 2: "a2"}


def test_tokens_and_their_parallel_node_may_be_mapped() -> None:
    newer = forked(("x1", "x2"), ("b1", "b2"), ("c1",), version=2, start="side_by_side")
    found = placed(newer, together="side_by_side", a1="x1", a2="x2")
    assert found == Place("side_by_side", {0: "x2", 1: "b1"}, {"a2": "x2", "b1": "b1"})


def test_new_branch_begins_and_a_finished_one_never_again() -> None:
    newer = forked(("a1", "a2"), ("b1",), ("c1", "c2"), ("d1",), version=2)
    assert placed(newer).branches == {0: "a2", 1: "b1", 3: "d1"}


def test_finished_branch_that_is_gone_needs_no_other() -> None:
    assert placed(forked(("a2",), ("b1",), version=2)).branches == {0: "a2", 1: "b1"}


def test_token_may_be_mapped_to_the_join_and_all_of_them_go_on_behind_it() -> None:
    newer = forked(("a1",), ("b1",), version=2)
    assert placed(newer, a2="reserve").branches == {1: "b1"}
    behind = placed(forked(("a1",), ("b2",), version=2), a2="reserve", b1="reserve")
    assert (behind.node, dict(behind.branches)) == ("reserve", {})


@pytest.mark.parametrize(
    ("chains", "nodes", "code"),
    [
        # A token whose node is not there.
        ([("a1",), ("b1",)], {}, "node_map_incomplete"),
        # A branch that became two.
        ([("a1",), ("a2",), ("b1",)], {}, "branches_unclear"),
        # Two that became one.
        ([("a1", "a2", "b1"), ("c1",)], {}, "branches_unclear"),
        # A finished one and one under way that became one.
        ([("a1", "a2"), ("b1", "c1")], {}, "branches_unclear"),
        # A token that would stand outside.
        ([("a1",), ("b1",)], {"a2": "pay"}, "branches_unclear"),
        ([("a1",), ("b1",)], {"a2": "done"}, "branches_unclear"),
        # The whole in a branch of its own.
        ([("a1", "a2"), ("b1",)], {"together": "a1"}, "node_map_incomplete"),
        ([("a1", "a2"), ("b1",)], {"together": "reserve"}, "branches_unclear"),
    ],
)
def test_what_is_not_clear_is_refused(chains: list[tuple[str, ...]], nodes: dict[str, str], code: str) -> None:
    assert code_of(forked(*chains, version=2), nodes) == code


def test_order_outside_branches_does_not_come_into_one() -> None:
    single = Parked(OLD, "reserve")
    assert place_in(forked(("a1",), ("b1",), version=2), single, {}, START) == Place("reserve")
    assert code_of(forked(("a1",), ("b1",), version=2), {"reserve": "a1"}, single) == "node_map_incomplete"


def test_another_flow_is_no_version() -> None:
    other = OLD.model_copy(update={"key": "other"})
    assert code_of(other) == "node_map_incomplete"


def test_no_token_passes_a_core_step() -> None:
    """The reservation lies in a branch of the newer version, before where the token would go on."""
    reserve = {"kind": "action", "action": "stock.reserve", "compensate": "stock.release", "next": "a2"}
    document = sound_document(
        together={
            "kind": "parallel",
            "branches": [{"label": "a", "start": "lock"}, {"label": "b", "start": "b1"}],
            "next": "pay",
        },
        lock=reserve | {"on_error": "lane"},
        a2=timer("pay"),
        b1=timer("pay"),
    )
    del document["nodes"]["reserve"]
    newer = parse_definition(document | {"start": "together", "version": 2})
    assert check_flow(newer) == ()
    assert code_of(newer) == "core_step_passed"
    assert place_in(newer, PARKED, {"a2": "lock", "a1": "lock"}, START).branches == {0: "lock", 1: "b1"}
    reserved = replace(START, fulfilment="allocated")
    assert place_in(newer, PARKED, {}, reserved).branches == {0: "a2", 1: "b1"}
    # A branch that is finished is not gone through again, whatever it has there.
    finished = Parked(OLD, "together", {1: "b1"})
    assert code_of(newer, parked=finished) == "core_step_passed"
