"""Where an order that is parked goes on in another version of its flow, if it may; in its branches, too."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from domain.errors import DomainError
from domain.flow.definition import FlowDefinition
from domain.flow.graph import FlowGraph
from domain.flow.nodes import ExceptionNode
from domain.flow.parallel import branch_nodes
from domain.flow.path_checks import completes_without
from domain.flow.structure_nodes import ParallelNode
from domain.flow.vocabulary import CORE_STEPS
from domain.order import Standing, has_happened

Branches = Mapping[int, str]
"""Where each branch of a parallel node stands that is not finished, by its number."""


class NodeMapIncomplete(DomainError):
    """Nothing says which node of that version the order goes on at."""

    code = "node_map_incomplete"


class BranchesUnclear(DomainError):
    """A branch of the order's own version is none, or more than one, of that version, or two of them are the same."""

    code = "branches_unclear"


class CoreStepPassed(DomainError):
    """There the order could complete without a step that no order completes without."""

    code = "core_step_passed"


@dataclass(frozen=True, slots=True)
class Parked:
    """Where an order stands: at a node, and in its branches if that is a parallel one."""

    flow: FlowDefinition
    node: str
    branches: Branches = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Place:
    """Where it goes on. `tokens`: from which node to which in each branch that had been under way."""

    node: str
    branches: Branches = field(default_factory=dict)
    tokens: Mapping[str, str] = field(default_factory=dict)


def place_in(flow: FlowDefinition, parked: Parked, nodes: Mapping[str, str], standing: Standing) -> Place:
    """Where the order goes on in this version: at the node mapped to its own, else at the one of its name.

    In branches each token goes on in the branch that stands for its own. What is finished stays so, and a branch that
    is new there begins. Raises NodeMapIncomplete, BranchesUnclear, CoreStepPassed.
    """
    entered = _stands_for(flow, parked.node, nodes)
    if entered is None or flow.key != parked.flow.key or entered in _inside(flow):
        raise NodeMapIncomplete(node=parked.node)
    place = _place_of_branches(flow, parked, entered, nodes) if parked.branches else Place(entered)
    _require_core_steps(flow, place, standing)
    return place


def _stands_for(flow: FlowDefinition, node: str, nodes: Mapping[str, str]) -> str | None:
    found = nodes.get(node, node)
    target = flow.nodes.get(found)
    return None if target is None or isinstance(target, ExceptionNode) else found


def _inside(flow: FlowDefinition) -> dict[str, tuple[str, int]]:
    """Every node of a branch, with its parallel node and the number of the branch."""
    return {
        inner: (node_id, number)
        for node_id, node in flow.nodes.items()
        if isinstance(node, ParallelNode)
        for number, branch in enumerate(node.branches)
        for inner in branch_nodes(flow.nodes, branch.start, node.next)
    }


def _place_of_branches(flow: FlowDefinition, parked: Parked, entered: str, nodes: Mapping[str, str]) -> Place:
    own, there = parked.flow.nodes[parked.node], flow.nodes[entered]
    if not isinstance(own, ParallelNode) or not isinstance(there, ParallelNode):
        raise BranchesUnclear("Branches go on in branches.", node=parked.node)
    inside, tokens = _inside(flow), dict[str, str]()
    going_on = {number: branch.start for number, branch in enumerate(there.branches)}
    taken = set[int]()
    for number, branch in enumerate(own.branches):
        at = parked.branches.get(number)
        passed = branch_nodes(parked.flow.nodes, branch.start, own.next)
        same = _branches_of(passed, entered, inside, flow, nodes)
        target = None if at is None else _stands_for(flow, at, nodes)
        if at is not None and target is None:
            raise NodeMapIncomplete(node=at)
        # One that is finished, and of which nothing is left there, needs no branch.
        if len(same) > 1 or same & taken or (at is not None and not same):
            raise BranchesUnclear(branch=branch.label)
        taken |= same
        for found in same:
            del going_on[found]
            if at is not None and target is not None and target != there.next:
                if inside.get(target) != (entered, found):
                    raise BranchesUnclear(branch=branch.label)
                going_on[found] = tokens[at] = target
    return Place(entered, going_on, tokens) if going_on else Place(there.next, {}, tokens)


def _branches_of(
    passed: Collection[str],
    entered: str,
    inside: Mapping[str, tuple[str, int]],
    flow: FlowDefinition,
    nodes: Mapping[str, str],
) -> set[int]:
    """The branches of the parallel node there that have nodes which stand for these."""
    targets = (_stands_for(flow, node, nodes) for node in passed)
    places = (inside.get(target) for target in targets if target is not None)
    return {place[1] for place in places if place is not None and place[0] == entered}


def _require_core_steps(flow: FlowDefinition, place: Place, standing: Standing) -> None:
    """What lies before where a branch goes on, and what is finished, happens no more: it counts as left out."""
    at = flow.nodes[place.node]
    if place.branches and isinstance(at, ParallelNode):
        left = [at.branches[n].model_copy(update={"start": start}) for n, start in sorted(place.branches.items())]
        begun = at.model_copy(update={"branches": tuple(left)})
        flow = flow.model_copy(update={"nodes": {**flow.nodes, place.node: begun}})
    graph, done = FlowGraph(flow), _done(standing)
    for core in CORE_STEPS:
        if core.name not in done and completes_without(graph, core, place.node):
            raise CoreStepPassed(step=core.name)


def _done(standing: Standing) -> Collection[str]:
    steps = {
        "reservation": standing.fulfilment != "unallocated",
        "payment": has_happened("payment.full", standing),
        "shipment": standing.fulfilment not in ("unallocated", "allocated"),
        "delivery": has_happened("shipment.delivered", standing),
        "revenue": standing.revenue == "full",
        "invoice": standing.invoice == "full",
    }
    return {name for name, is_done in steps.items() if is_done}
