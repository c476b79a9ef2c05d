"""Is a flow sound? Everything that is checked before a flow may be used, all problems at once."""

from collections.abc import Collection, Iterator, Mapping

from pydantic import TypeAdapter, ValidationError

from domain.flow.conditions import ConditionRefused, compile_condition
from domain.flow.definition import FlowDefinition
from domain.flow.document import parse_definition, read_yaml
from domain.flow.graph import FlowGraph
from domain.flow.nodes import ActionNode, Node
from domain.flow.parts import NodeBase, Registry
from domain.flow.path_checks import check_paths
from domain.flow.problems import FlowRefused, Problem
from domain.flow.vocabulary import (
    ACTIONS,
    AUDIENCES,
    COMPENSATIONS,
    EVENTS,
    HOLD_REASONS,
    MOMENTS,
    NOTICES,
    QUEUES,
    ROLES,
    compensation_of,
)
from domain.working_calendar import CALENDARS

_NAMES: Mapping[Registry, Collection[str]] = {
    Registry.ACTION: ACTIONS,
    Registry.COMPENSATION: COMPENSATIONS,
    Registry.EVENT: EVENTS,
    Registry.NOTICE: NOTICES,
    Registry.AUDIENCE: AUDIENCES,
    Registry.QUEUE: QUEUES,
    Registry.MOMENT: MOMENTS,
    Registry.ROLE: ROLES,
    Registry.CALENDAR: CALENDARS,
    Registry.HOLD_REASON: HOLD_REASONS,
}

_NODE: TypeAdapter[NodeBase] = TypeAdapter(Node)


def check_flow(flow: FlowDefinition) -> tuple[Problem, ...]:
    """Every problem of the flow, ordered by node; empty when it may be used."""
    graph = FlowGraph(flow)
    problems = [*_check_head(flow), *check_paths(graph)]
    for node_id, node in flow.nodes.items():
        problems.extend(_check_node(node_id, node, flow.nodes))
    return tuple(sorted(problems))


def check_document(document: object) -> tuple[Problem, ...]:
    """Every problem of a flow given as plain data.

    A fault of form hides none of the faults inside the other nodes; only the paths stay unchecked until the form is
    right.
    """
    try:
        return check_flow(parse_definition(document))
    except FlowRefused as refused:
        return tuple(sorted([*refused.problems, *_check_readable_nodes(document)]))


def check_yaml(text: str) -> tuple[Problem, ...]:
    """Every problem of a flow given as YAML text."""
    try:
        return check_document(read_yaml(text))
    except FlowRefused as refused:
        return refused.problems


def require_sound(flow: FlowDefinition) -> None:
    """Return when the flow may be used, otherwise raise `FlowRefused` with every problem."""
    problems = check_flow(flow)
    if problems:
        raise FlowRefused(problems)


def _check_readable_nodes(document: object) -> Iterator[Problem]:
    nodes = document.get("nodes") if isinstance(document, dict) else None
    if not isinstance(nodes, dict):
        return
    for node_id, content in nodes.items():
        try:
            node = _NODE.validate_python(content)
        except ValidationError:
            continue
        yield from _check_node(str(node_id)[:64], node, nodes)


def _check_head(flow: FlowDefinition) -> Iterator[Problem]:
    if flow.start not in flow.nodes:
        yield Problem("", "dangling_link", f"start: there is no node {flow.start}")
    if flow.match is not None:
        yield from _check_condition("", "match.when", flow.match.when)


def _check_node(node_id: str, node: NodeBase, nodes: Collection[str]) -> Iterator[Problem]:
    for link in node.links():
        if link.target not in nodes:
            yield Problem(node_id, "dangling_link", f"{link.field}: there is no node {link.target}")
    for reference in node.references():
        if reference.name not in _NAMES[reference.registry]:
            code = f"unknown_{reference.registry}"
            yield Problem(node_id, code, f"{reference.field}: there is no {reference.registry} {reference.name}")
    for field, text in node.conditions():
        yield from _check_condition(node_id, field, text)
    if isinstance(node, ActionNode):
        yield from _check_action(node_id, node)


def _check_condition(node_id: str, field: str, text: str) -> Iterator[Problem]:
    try:
        compile_condition(text)
    except ConditionRefused as refused:
        yield Problem(node_id, "condition", f"{field}: {refused.detail}")


def _check_action(node_id: str, node: ActionNode) -> Iterator[Problem]:
    action = ACTIONS.get(node.action)
    if action is None:
        return
    if action.core and node.skippable:
        yield Problem(
            node_id, "core_step_skippable", f"{node.action} is a core step: it can be retried or cancelled only"
        )
    undoes = compensation_of(node.action)
    if node.compensate in COMPENSATIONS and node.compensate != undoes:
        detail = f"{node.compensate} does not undo {node.action}" + (f", {undoes} does" if undoes else "")
        yield Problem(node_id, "wrong_compensation", detail)
