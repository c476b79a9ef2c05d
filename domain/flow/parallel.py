"""Which nodes belong to a branch of a parallel node, and where such a branch is left."""

from collections.abc import Iterator, Mapping
from dataclasses import replace

from domain.flow.nodes import CompensateNode, EndNode, ExceptionNode
from domain.flow.parts import Link, NodeBase
from domain.flow.problems import Problem
from domain.flow.structure_nodes import ParallelNode

_LEAVING = (CompensateNode, EndNode, ExceptionNode, ParallelNode)


def leaves(node: NodeBase | None) -> bool:
    """Whether a branch that comes to this node has left its parallel node."""
    return node is None or isinstance(node, _LEAVING)


def branch_nodes(nodes: Mapping[str, NodeBase], start: str, join: str) -> set[str]:
    """The nodes that a branch may pass before it comes to the join or leaves."""
    found: set[str] = set()
    pending = [start]
    while pending:
        at = pending.pop()
        node = nodes.get(at)
        if at == join or at in found or node is None or leaves(node):
            continue
        found.add(at)
        pending.extend(link.target for link in node.links())
    return found


def one_after_the_other(nodes: Mapping[str, NodeBase], *, backwards: bool) -> dict[str, list[Link]]:
    """The links of parallel nodes and of nodes in their branches, as if each branch began where the one before ends."""
    found: dict[str, list[Link]] = {}
    for node_id, node in nodes.items():
        if not isinstance(node, ParallelNode):
            continue
        numbered = list(enumerate(node.branches))
        ordered = numbered[::-1] if backwards else numbered
        starts = [branch.start for _, branch in ordered]
        found[node_id] = [Link(f"branches[{ordered[0][0]}].start", starts[0])]
        for start, after in zip(starts, [*starts[1:], node.next], strict=True):
            for inner in branch_nodes(nodes, start, node.next):
                found[inner] = [
                    replace(link, target=after) if link.target == node.next else link for link in nodes[inner].links()
                ]
    return found


def check_parallel(nodes: Mapping[str, NodeBase]) -> Iterator[Problem]:
    """Branches share no node, nobody enters one from outside, and each of them can come to the join."""
    for node_id, node in nodes.items():
        if isinstance(node, ParallelNode):
            yield from _check_branches(node_id, node, nodes)


def _check_branches(node_id: str, node: ParallelNode, nodes: Mapping[str, NodeBase]) -> Iterator[Problem]:
    if isinstance(nodes.get(node.next), ParallelNode | None):
        return
    taken: dict[str, int] = {}
    for index, branch in enumerate(node.branches):
        inside = branch_nodes(nodes, branch.start, node.next)
        if not any(link.target == node.next for inner in inside for link in nodes[inner].links()):
            detail = f"branches[{index}]: no path of it comes to {node.next}"
            yield Problem(node_id, "branch_without_join", detail)
        for inner in sorted(inside):
            if inner in taken:
                yield Problem(inner, "branches_share_node", f"two branches of {node_id} pass here")
            taken[inner] = index
    for other_id, other in nodes.items():
        for link in other.links():
            entered = taken.get(link.target)
            if entered is None or other_id == node_id or taken.get(other_id) == entered:
                continue
            yield Problem(other_id, "branch_entered", f"{link.field}: {link.target} lies in a branch of {node_id}")
