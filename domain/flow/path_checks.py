"""What must hold on every path through a flow: that it ends, pays once, undoes what fails, and skips no core step.

Paths are never listed. Each rule asks what can be reached when certain links are closed: if ``completed`` can be
reached with every successful exit of a step closed, then some path gets there without that step.
"""

from collections.abc import Iterator

from domain.flow.approval_node import ApprovalNode
from domain.flow.graph import FlowGraph, Passable
from domain.flow.nodes import Choice, CompensateNode, EndNode, ExceptionNode, Result
from domain.flow.parts import Link, Outcome
from domain.flow.problems import Problem
from domain.flow.vocabulary import CORE_STEPS, CoreStep, compensation_of, takes_money


def check_paths(graph: FlowGraph, *, takes_orders: bool = True) -> Iterator[Problem]:
    """Every fault of the paths. A flow that only others call may end in any way: the rest is asked of the callers."""
    yield from _unreachable(graph)
    yield from _endless(graph)
    yield from _restless_cycles(graph)
    yield from _money_taken_twice(graph)
    if takes_orders:
        yield from _uncompensated_failures(graph)
        yield from _missing_core_steps(graph)
        yield from _approvals_before_posting(graph)


def may_jump(graph: FlowGraph, lane: str, target: str) -> bool:
    """Whether the lane offers this target, and no core step is passed by on the way that it opens."""
    node = graph.nodes.get(lane)
    if not isinstance(node, ExceptionNode) or target not in node.targets:
        return False
    starts = _fresh_starts(graph)
    past = (_passed_by(graph, core, starts) for core in CORE_STEPS)
    return not any((lane, target) == (node_id, link.target) for links in past for node_id, link in links)


def _unreachable(graph: FlowGraph) -> Iterator[Problem]:
    for node_id in graph.nodes.keys() - graph.reachable:
        yield Problem(node_id, "unreachable", "no path from the start comes here")


def _endless(graph: FlowGraph) -> Iterator[Problem]:
    """A person's retry or skip goes on from the node that failed, so a lane ends if one of those does."""
    ends = {node_id for node_id, node in graph.nodes.items() if isinstance(node, EndNode)}
    ends |= {node_id for node_id, _ in graph.dangling}  # reported as such; where it was meant to lead is not known
    lanes = {node_id: node for node_id, node in graph.nodes.items() if isinstance(node, ExceptionNode)}
    ends |= {node_id for node_id, lane in lanes.items() if Choice.CANCEL in lane.choices}
    ending = graph.leading_to(ends)
    returning = {node_id for node_id, lane in lanes.items() if {Choice.RETRY, Choice.SKIP} & set(lane.choices)}
    while new := {lane for lane in returning - ending if graph.sources[lane] & ending}:
        ending = graph.leading_to(ending | new)
    for node_id in graph.reachable - ending:
        yield Problem(node_id, "no_end", "no path from here reaches an end")


def _restless_cycles(graph: FlowGraph) -> Iterator[Problem]:
    restless = (node_id for node_id, node in graph.nodes.items() if not node.pauses and node.max_visits is None)
    for cycle in graph.cycles(restless):
        names = " -> ".join([*cycle, cycle[0]])[:300]
        yield Problem(min(cycle), "endless_cycle", f"{names} has neither a wait nor max_visits")


def _uncompensated_failures(graph: FlowGraph) -> Iterator[Problem]:
    """Undoing is registered before the step, so failing exits count as much as the successful one."""
    failing = {n for n, node in graph.nodes.items() if isinstance(node, EndNode) and node.result != Result.COMPLETED}
    undoing = {node_id for node_id, node in graph.nodes.items() if isinstance(node, CompensateNode)}
    doomed = graph.leading_to(failing, barred=undoing)
    for node_id in graph.reachable - undoing:
        step = graph.nodes[node_id].step
        compensation = compensation_of(step) if step else None
        if compensation and any(link.target in doomed for link in graph.links[node_id]):
            detail = f"a path from here fails without a compensate node, which leaves {compensation} undone"
            yield Problem(node_id, "uncompensated_failure", detail)


def _money_taken_twice(graph: FlowGraph) -> Iterator[Problem]:
    takers = {n: step for n in graph.reachable if (step := graph.nodes[n].step) is not None and takes_money(step)}
    for node_id, step in takers.items():
        afterwards = graph.reach(link.target for link in graph.links[node_id] if link.outcome is Outcome.DONE)
        if any(takers.get(other) == step for other in afterwards):
            yield Problem(node_id, "money_twice", f"after {step} is done here, a path comes to {step} again")


def _missing_core_steps(graph: FlowGraph) -> Iterator[Problem]:
    """Undoing takes a core step back, so walks start anew behind every compensate node."""
    completed = _completed(graph)
    starts = _fresh_starts(graph)
    missing: set[str] = set()
    for core in CORE_STEPS:
        without = graph.reach(starts, _closing(graph, core, jumps=False))
        for end in sorted(completed & without):
            missing.add(core.name)
            steps = " or ".join(sorted(core.steps))
            yield Problem(end, "core_step_missing", f"a path completes the order without {core.name} ({steps})")
        if core.name not in missing:
            yield from _jumps_past(graph, core, starts)
    yield from _core_steps_out_of_order(graph, starts, missing)


def _jumps_past(graph: FlowGraph, core: CoreStep, starts: set[str]) -> Iterator[Problem]:
    for node_id, link in _passed_by(graph, core, starts):
        detail = f"{link.field}: a jump to {link.target} goes past the core step {core.name}"
        yield Problem(node_id, "core_step_jumped", detail)


def _passed_by(graph: FlowGraph, core: CoreStep, starts: set[str]) -> Iterator[tuple[str, Link]]:
    """Jumps, by the lane they start from, after which an order could complete without the core step."""
    completed = _completed(graph)
    undone = graph.reach(starts, _closing(graph, core, jumps=True))
    for node_id in undone:
        for link in graph.links[node_id]:
            if link.outcome is Outcome.JUMPED and graph.reach([link.target], _closing(graph, core)) & completed:
                yield node_id, link


def _completed(graph: FlowGraph) -> set[str]:
    return {n for n, node in graph.nodes.items() if isinstance(node, EndNode) and node.result == Result.COMPLETED}


def _core_steps_out_of_order(graph: FlowGraph, starts: set[str], missing: set[str]) -> Iterator[Problem]:
    """A predecessor that is missing altogether has been reported already."""
    by_name = {core.name: core for core in CORE_STEPS}
    for core in CORE_STEPS:
        if core.after is None or core.after in missing:
            continue
        without = graph.reach(starts, _closing(graph, by_name[core.after], jumps=False))
        for node_id in without:
            if graph.nodes[node_id].step in core.steps:
                yield Problem(node_id, "core_step_order", f"{core.name} can start before {core.after} is done")


def _approvals_before_posting(graph: FlowGraph) -> Iterator[Problem]:
    """Delivered goods are revenue, whether or not anybody agrees: people review what was posted, and hold back none."""
    by_name = {core.name: core for core in CORE_STEPS}
    delivered, revenue = by_name["delivery"].steps, by_name["revenue"]
    starts = [
        link.target
        for node_id in graph.reachable
        if graph.nodes[node_id].step in delivered
        for link in graph.links[node_id]
        if link.outcome is Outcome.DONE
    ]
    for node_id in graph.reach(starts, _closing(graph, revenue)):
        if isinstance(graph.nodes[node_id], ApprovalNode):
            yield Problem(node_id, "approval_before_posting", "an approval stands between delivery and revenue")


def _fresh_starts(graph: FlowGraph) -> set[str]:
    behind = {
        link.target for n in graph.reachable if isinstance(graph.nodes[n], CompensateNode) for link in graph.links[n]
    }
    return behind | graph.start


def _closing(graph: FlowGraph, core: CoreStep, jumps: bool = True) -> Passable:
    def passable(node_id: str, link: Link) -> bool:
        if link.outcome is Outcome.JUMPED:
            return jumps
        return link.outcome is not Outcome.DONE or graph.nodes[node_id].step not in core.steps

    return passable
