"""A flow with the flows that it calls written into it: what an order carries, and what all rules are asked of.

The nodes of a called flow are named after the node that calls it: `call_big.gm`. Its ends are gone; what led to one of
them leads to where the caller goes on with that result.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType
from typing import Any

from pydantic import TypeAdapter

from domain.flow.definition import MAX_NODES, FlowDefinition
from domain.flow.nodes import EndNode, Node
from domain.flow.parts import NodeBase
from domain.flow.problems import FlowRefused, Problem
from domain.flow.structure_nodes import SubflowNode

Library = Callable[[str, int], FlowDefinition | None]
MAX_DEPTH = 3
_LONGEST_ID = 200
_NODE: TypeAdapter[NodeBase] = TypeAdapter(Node)
_STEP = re.compile(r"([^.\[\]]+)|\[(\d+)\]")


def empty_library(_key: str, _version: int) -> FlowDefinition | None:
    """A library without a flow."""
    return None


def calls(flow: FlowDefinition) -> Iterator[tuple[str, SubflowNode]]:
    """The nodes that call another flow."""
    for node_id, node in flow.nodes.items():
        if isinstance(node, SubflowNode):
            yield node_id, node


def resolved(flow: FlowDefinition, library: Library) -> FlowDefinition:
    """The flow without a call in it; itself when it has none. Raises FlowRefused naming every call that cannot be
    followed."""
    if not any(True for _ in calls(flow)):
        return flow
    problems = tuple(sorted(set(check_calls(flow, library))))
    if problems:
        raise FlowRefused(problems)
    return _inlined(flow, library)


def check_calls(flow: FlowDefinition, library: Library, depth: int = 1) -> Iterator[Problem]:
    """Every call is pinned, there, not too deep, and knows where to go on for each result and for no other."""
    for node_id, node in calls(flow):
        if node.version is None:
            yield Problem(node_id, "subflow_unpinned", f"version: which version of {node.flow} is meant")
            continue
        called = library(node.flow, node.version)
        if called is None:
            yield Problem(node_id, "unknown_subflow", f"flow: there is no {node.flow} version {node.version}")
        elif called.match is not None:
            yield Problem(node_id, "unknown_subflow", f"flow: {node.flow} takes orders of its own, so it is not called")
        elif depth >= MAX_DEPTH:
            yield Problem(node_id, "subflow_too_deep", f"flows call each other more than {MAX_DEPTH} levels deep")
        else:
            yield from _check_outcomes(node_id, node, called)
            inner = check_calls(called, library, depth + 1)
            yield from (Problem(node_id, one.code, f"{node.flow}.{one.node}: {one.detail}") for one in inner)


def _check_outcomes(node_id: str, node: SubflowNode, called: FlowDefinition) -> Iterator[Problem]:
    results = {str(end.result) for end in called.nodes.values() if isinstance(end, EndNode)}
    for missing in sorted(results - node.outcomes.keys()):
        detail = f"outcomes: {node.flow} may end {missing}, and nothing says what follows"
        yield Problem(node_id, "subflow_outcome_missing", detail)
    for unknown in sorted(node.outcomes.keys() - results):
        yield Problem(node_id, "subflow_outcome_unknown", f"outcomes.{unknown}: {node.flow} never ends like this")


def _inlined(flow: FlowDefinition, library: Library) -> FlowDefinition:
    """One call after the other is replaced by the nodes of the flow that it calls."""
    nodes: dict[str, NodeBase] = dict(flow.nodes)
    start = flow.start
    for call, node in calls(flow):
        called = library(node.flow, node.version or 0)
        if called is None:
            raise FlowRefused((Problem(call, "unknown_subflow", node.flow),))
        inner = resolved(called, library)
        names = {one: f"{call}.{one}" for one in inner.nodes}
        entry = names[inner.start]
        ends = {one: str(step.result) for one, step in inner.nodes.items() if isinstance(step, EndNode)}
        names |= {
            one: entry if node.outcomes[result] == call else node.outcomes[result] for one, result in ends.items()
        }
        left = {one: _relinked(step, {call: entry}) for one, step in nodes.items() if one != call}
        nodes = left | {names[one]: _relinked(step, names) for one, step in inner.nodes.items() if one not in ends}
        start = entry if start == call else start
    if len(nodes) > MAX_NODES or any(len(one) > _LONGEST_ID for one in nodes):
        raise FlowRefused((Problem("", "too_large", "too large with the flows that it calls"),))
    return flow.model_copy(update={"nodes": MappingProxyType(nodes), "start": start})


def _relinked(node: NodeBase, names: Mapping[str, str]) -> NodeBase:
    """The node with its links to these nodes leading to where they are found by now."""
    if not any(link.target in names for link in node.links()):
        return node
    document = node.model_dump(mode="json", exclude_defaults=True)
    for link in node.links():
        _put(document, link.field, names.get(link.target, link.target))
    return _NODE.validate_python(document)


def _put(document: Any, field: str, value: str) -> None:
    """Sets a field that is named like `cases[0].next`."""
    steps = [int(index) if index else name for name, index in _STEP.findall(field)]
    for step in steps[:-1]:
        document = document[step]
    document[steps[-1]] = value
