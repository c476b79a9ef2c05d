"""Which way an order takes: the flow it follows, and the case of a branch. Pure; the caller records the answer."""

from collections.abc import Iterable
from dataclasses import dataclass

from domain.errors import DomainError
from domain.flow.conditions import compile_condition
from domain.flow.definition import FlowDefinition
from domain.flow.nodes import BranchNode
from domain.flow.vocabulary import Facts

DEFAULT = "default"


class NoFlowMatches(DomainError):
    """None of the flows in force takes an order with these facts."""

    code = "no_flow_matches"


@dataclass(frozen=True, slots=True)
class Decision:
    """The case taken: its label, the condition that held (empty for the default) and the node that comes next."""

    label: str
    when: str
    next: str


def decide(branch: BranchNode, facts: Facts) -> Decision:
    """The first case whose condition holds, otherwise the default.

    Raises `ConditionFailed` when a condition cannot be decided; a later case or the default is never taken instead.
    """
    for way in branch.ways:
        if compile_condition(way.when).holds(facts):
            return Decision(way.label, way.when, way.next)
    return Decision(DEFAULT, "", branch.default)


def match_flow(definitions: Iterable[FlowDefinition], facts: Facts) -> FlowDefinition:
    """The flow of highest priority whose condition holds; equal priorities go by key, then by the newer version.

    Raises `NoFlowMatches`, or `ConditionFailed` when a condition that comes before the answer cannot be decided.
    """
    ranked = sorted(
        ((definition.match, definition) for definition in definitions if definition.match is not None),
        key=lambda pair: (-pair[0].priority, pair[1].key, -pair[1].version),
    )
    for match, definition in ranked:
        if compile_condition(match.when).holds(facts):
            return definition
    raise NoFlowMatches("no flow in force takes this order")
