"""The nodes and links of a flow as a graph. Every question costs one walk over the links, however large the flow."""

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping
from graphlib import CycleError, TopologicalSorter

from domain.flow.definition import FlowDefinition
from domain.flow.parallel import one_after_the_other
from domain.flow.parts import Link, NodeBase

Passable = Callable[[str, Link], bool]


def anywhere(_node_id: str, _link: Link) -> bool:
    return True


class FlowGraph:
    """Links that lead nowhere are left out of the walks and named in ``dangling`` as (node, link).

    Branches that run at the same time are walked one after the other: whoever is past the join has been through all of
    them. `backwards` walks them in the other order, because no step of one may count on a step of another.
    """

    def __init__(self, flow: FlowDefinition, *, backwards: bool = False) -> None:
        self.nodes: Mapping[str, NodeBase] = flow.nodes
        self.links: dict[str, list[Link]] = {node_id: [] for node_id in flow.nodes}
        self.sources: dict[str, set[str]] = defaultdict(set)
        self.dangling: list[tuple[str, Link]] = []
        in_turn = one_after_the_other(flow.nodes, backwards=backwards)
        for node_id, node in flow.nodes.items():
            for link in in_turn.get(node_id) or node.links():
                if link.target not in flow.nodes:
                    self.dangling.append((node_id, link))
                    continue
                self.links[node_id].append(link)
                self.sources[link.target].add(node_id)
        self.start: set[str] = {flow.start} & flow.nodes.keys()
        self.reachable = self.reach(self.start)

    def reach(self, starts: Iterable[str], passable: Passable = anywhere) -> set[str]:
        """The starts and every node that a walk over passable links comes to."""
        found = {start for start in starts if start in self.nodes}
        pending = list(found)
        while pending:
            node_id = pending.pop()
            for link in self.links[node_id]:
                if link.target not in found and passable(node_id, link):
                    found.add(link.target)
                    pending.append(link.target)
        return found

    def leading_to(self, ends: Iterable[str], barred: Collection[str] = ()) -> set[str]:
        """The ends and every node from which one of them can be reached without passing a barred node."""
        found = set(ends)
        pending = list(found)
        while pending:
            new = {source for source in self.sources[pending.pop()] if source not in found and source not in barred}
            found |= new
            pending.extend(new)
        return found

    def cycles(self, within: Iterable[str]) -> list[list[str]]:
        """Cycles that stay within the given nodes, no two of them sharing a node; none left out that shares none."""
        remaining = set(within)
        found: list[list[str]] = []
        while True:
            order = TopologicalSorter({node_id: self._targets(node_id, remaining) for node_id in sorted(remaining)})
            try:
                order.prepare()
            except CycleError as fault:
                cycle = list(reversed(fault.args[1][1:]))
                found.append(cycle)
                remaining -= set(cycle)
            else:
                return found

    def _targets(self, node_id: str, within: set[str]) -> list[str]:
        return sorted({link.target for link in self.links[node_id]} & within)
