"""Is a flow sound? Everything that is checked before a flow may be used, all problems at once."""

from collections.abc import Collection, Iterator, Mapping

from pydantic import TypeAdapter, ValidationError

from domain.flow.conditions import ConditionRefused, compile_condition
from domain.flow.decision_table import DecisionTable, faults
from domain.flow.definition import FlowDefinition
from domain.flow.document import parse_definition, read_yaml
from domain.flow.graph import FlowGraph
from domain.flow.nodes import ActionNode, BranchNode, EndNode, Node, Result
from domain.flow.parallel import check_parallel
from domain.flow.parts import NodeBase, Registry
from domain.flow.path_checks import check_paths
from domain.flow.problems import FlowRefused, Problem
from domain.flow.resolve import Library, check_calls, empty_library, resolved
from domain.flow.structure_nodes import ParallelNode, SetNode
from domain.flow.vocabulary import (
    ACTIONS,
    AUDIENCES,
    COMPENSATIONS,
    EVENTS,
    FACTS,
    HOLD_REASONS,
    MOMENTS,
    NOTICES,
    QUEUES,
    ROLES,
    SETTABLE,
    FactKind,
    compensation_of,
)
from domain.working_calendar import BUILT_IN

_NAMES: Mapping[Registry, Collection[str]] = {
    Registry.ACTION: ACTIONS,
    Registry.COMPENSATION: COMPENSATIONS,
    Registry.EVENT: EVENTS,
    Registry.NOTICE: NOTICES,
    Registry.AUDIENCE: AUDIENCES,
    Registry.QUEUE: QUEUES,
    Registry.MOMENT: MOMENTS,
    Registry.ROLE: ROLES,
    Registry.HOLD_REASON: HOLD_REASONS,
    Registry.FACT: FACTS,
    Registry.SETTABLE: SETTABLE,
}

_FAULTS = {
    "overlap": "fits together with an earlier row",
    "gap": "no row fits",
    "unreachable": "no order ever comes to this row",
    "too_large": "too many combinations to be checked",
}

_NODE: TypeAdapter[NodeBase] = TypeAdapter(Node)


def check_flow(
    flow: FlowDefinition, library: Library = empty_library, calendars: Collection[str] = BUILT_IN.keys()
) -> tuple[Problem, ...]:
    """Every problem of the flow, ordered by node; empty when it may be used.

    `library`: the flows that it calls; `calendars`: those that it may name.
    """
    problems = {*_check_head(flow), *check_parallel(flow.nodes), *check_calls(flow, library)}
    for node_id, node in flow.nodes.items():
        problems.update(_check_node(node_id, node, flow.nodes, calendars))
    problems.update(_check_paths(flow, library))
    return tuple(sorted(problems))


def _check_paths(flow: FlowDefinition, library: Library) -> Iterator[Problem]:
    """Of the flow with all that it calls; calls that cannot be followed are reported as such and left as they are."""
    try:
        whole = resolved(flow, library)
    except FlowRefused:
        whole = flow
    parallel = any(isinstance(node, ParallelNode) for node in whole.nodes.values())
    for backwards in (False, True) if parallel else (False,):
        for problem in check_paths(FlowGraph(whole, backwards=backwards), takes_orders=flow.match is not None):
            caller, _, inner = problem.node.partition(".")
            yield Problem(caller, problem.code, f"{inner}: {problem.detail}" if inner else problem.detail)


def check_document(
    document: object, library: Library = empty_library, calendars: Collection[str] = BUILT_IN.keys()
) -> tuple[Problem, ...]:
    """Every problem of a flow given as plain data.

    A fault of form hides none of the faults inside the other nodes; only the paths stay unchecked until the form is
    right.
    """
    try:
        return check_flow(parse_definition(document), library, calendars)
    except FlowRefused as refused:
        return tuple(sorted([*refused.problems, *_check_readable_nodes(document, calendars)]))


def check_yaml(
    text: str, library: Library = empty_library, calendars: Collection[str] = BUILT_IN.keys()
) -> tuple[Problem, ...]:
    """Every problem of a flow given as YAML text."""
    try:
        return check_document(read_yaml(text), library, calendars)
    except FlowRefused as refused:
        return refused.problems


def require_sound(flow: FlowDefinition, library: Library = empty_library) -> None:
    """Return when the flow may be used, otherwise raise `FlowRefused` with every problem."""
    problems = check_flow(flow, library)
    if problems:
        raise FlowRefused(problems)


def _check_readable_nodes(document: object, calendars: Collection[str]) -> Iterator[Problem]:
    nodes = document.get("nodes") if isinstance(document, dict) else None
    if not isinstance(nodes, dict):
        return
    for node_id, content in nodes.items():
        try:
            node = _NODE.validate_python(content)
        except ValidationError:
            continue
        yield from _check_node(str(node_id)[:64], node, nodes, calendars)


def _check_head(flow: FlowDefinition) -> Iterator[Problem]:
    if flow.start not in flow.nodes:
        yield Problem("", "dangling_link", f"start: there is no node {flow.start}")
    if flow.match is None:
        return
    yield from _check_condition("", "match.when", flow.match.when)
    for node_id, node in flow.nodes.items():
        if isinstance(node, EndNode) and not isinstance(node.result, Result):
            yield Problem(node_id, "unknown_result", f"result: an order never ends {node.result}")


def _check_node(node_id: str, node: NodeBase, nodes: Collection[str], calendars: Collection[str]) -> Iterator[Problem]:
    if "." in node_id:
        yield Problem(node_id, "schema", "a name with a dot belongs to a node of a flow that is called")
    yield from _check_names(node_id, node, nodes, calendars)
    for field, text in node.conditions():
        yield from _check_condition(node_id, field, text)
    for code, detail in node.faults():
        yield Problem(node_id, code, detail)
    match node:
        case ActionNode():
            yield from _check_action(node_id, node)
        case SetNode():
            yield from _check_values(node_id, node)
        case BranchNode(table=DecisionTable() as table):
            yield from _check_table(node_id, table)


def _check_names(node_id: str, node: NodeBase, nodes: Collection[str], calendars: Collection[str]) -> Iterator[Problem]:
    for link in node.links():
        if link.target not in nodes:
            yield Problem(node_id, "dangling_link", f"{link.field}: there is no node {link.target}")
    for reference in node.references():
        known = calendars if reference.registry is Registry.CALENDAR else _NAMES[reference.registry]
        if reference.name not in known:
            code = f"unknown_{reference.registry}"
            yield Problem(node_id, code, f"{reference.field}: there is no {reference.registry} {reference.name}")


def _check_values(node_id: str, node: SetNode) -> Iterator[Problem]:
    kinds = {FactKind.BOOL: bool, FactKind.TEXT: str, FactKind.TEXTS: tuple}
    for name, value in node.values.items():
        fact = FACTS.get(name)
        if fact is not None and fact.settable and not isinstance(value, kinds[fact.kind]):
            yield Problem(node_id, "wrong_type", f"values.{name}: should be {fact.kind.value}")


def _check_table(node_id: str, table: DecisionTable) -> Iterator[Problem]:
    for fault in faults(table):
        row = "table" if fault.row is None else f"table.rows[{fault.row}]"
        yield Problem(node_id, f"table_{fault.code}", f"{row}: {_FAULTS[fault.code]}: {fault.example}")


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
