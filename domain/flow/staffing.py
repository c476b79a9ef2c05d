"""Whether there is anybody whom a flow's approvals and lanes could ask."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

from domain.errors import DomainError
from domain.flow.approval_node import ApprovalNode, Approver, Vote
from domain.flow.definition import FlowDefinition
from domain.flow.nodes import ExceptionNode
from domain.flow.vocabulary import QUEUES, Role


class RoleWithoutPeople(DomainError):
    """A node would ask a role in which nobody is, or too few for its vote, and has no fallback in which anybody is."""

    code = "role_without_people"


@dataclass(frozen=True, slots=True)
class Staff:
    """Who works here now: their ids, and who of them has each role."""

    people: frozenset[str]
    roles: Mapping[str, frozenset[str]]

    def has(self, approver: Approver) -> bool:
        """Whether the approver names anybody. Whose superior is meant is known only when an order is there."""
        if approver.user is not None:
            return approver.user in self.people
        return approver.role is None or approver.role in self.roles

    def can_vote(self, node: ApprovalNode) -> bool:
        """Whether as many people are there as have to agree, where that is a number and all of them are named."""
        wanted = node.mode.vote if isinstance(node.mode, Vote) else 0
        if not isinstance(wanted, int) or any(one.superior_of for one in node.assignees):
            return True
        users = {one.user for one in node.assignees if one.user in self.people}
        return len(users.union(*(self.roles.get(one.role or "", frozenset()) for one in node.assignees))) >= wanted


def require_staffed(flow: FlowDefinition, staff: Staff) -> None:
    """Return when every node that asks people has somebody to ask; raises RoleWithoutPeople otherwise."""
    for node, role in unstaffed(flow, staff):
        raise RoleWithoutPeople(f"{node} asks {role}, and nobody is there, or too few", node=node, role=role)


def unstaffed(flow: FlowDefinition, staff: Staff) -> Iterator[tuple[str, str]]:
    """Each node that would find nobody, or too few for its vote, and whom it asks."""
    for node_id, node in flow.nodes.items():
        if isinstance(node, ApprovalNode):
            anybody = any(map(staff.has, node.assignees)) or staff.has(node.on_no_assignee)
            if not anybody or not staff.can_vote(node):
                yield node_id, _names(node.assignees)
        elif isinstance(node, ExceptionNode):
            owner = QUEUES.get(node.queue, Role.OPERATIONS)
            if not staff.roles.keys() & {owner, Role.OPERATIONS, Role.ADMIN}:
                yield node_id, owner.value


def _names(approvers: Collection[Approver]) -> str:
    return ", ".join(one.role or one.user or "" for one in approvers)
