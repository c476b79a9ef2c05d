"""Made-up people: somebody in every role, somebody above everybody, and whoever a flow names."""

from domain.approval import Colleague, People
from domain.flow.approval_node import ApprovalNode
from domain.flow.definition import FlowDefinition
from domain.flow.vocabulary import Role

_TOP = "top"


def staff_for(flow: FlowDefinition) -> People:
    """People whom every approval of the flow can ask."""
    named = {
        approver.user
        for node in flow.nodes.values()
        if isinstance(node, ApprovalNode)
        for approver in (node.on_no_assignee, *(one for level in node.levels for one in level.to))
        if approver.user is not None
    }
    people = {role.value: Colleague(role.value, frozenset({role.value}), superior=_TOP) for role in Role}
    people |= {person: Colleague(person, superior=_TOP) for person in named}
    return people | {_TOP: Colleague(_TOP)}
