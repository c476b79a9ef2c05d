"""One file per node kind; this is the only list of them."""

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from domain.flow.approval_node import ApprovalNode
    from domain.flow.nodes import (
        ActionNode,
        BranchNode,
        Choice,
        CompensateNode,
        EndNode,
        ExceptionNode,
        Node,
        NotifyNode,
        TimerNode,
        WaitNode,
    )

from workflows.order.course import LANE, Course
from workflows.order.nodes import action, approval, branch, compensate, end, exception, notify, timer, wait
from workflows.order.nodes.end import Ended

_OWN_LANE = ExceptionNode(kind="exception", choices=(Choice.RETRY, Choice.CANCEL))


def node_at(course: Course) -> Node:
    """The node that the order is at; nodes without an exception lane of their own share a built-in one."""
    return _OWN_LANE if course.at == LANE else course.flow.nodes[course.at]


async def run_node(course: Course) -> str | Ended:
    """Does what the node says; returns the next node's id, or the end."""
    match node_at(course):
        case ActionNode() as node:
            return await action.run(course, node)
        case ApprovalNode() as node:
            return await approval.run(course, node)
        case BranchNode() as node:
            return await branch.run(course, node)
        case WaitNode() as node:
            return await wait.run(course, node)
        case TimerNode() as node:
            return await timer.run(course, node)
        case NotifyNode() as node:
            return await notify.run(course, node)
        case CompensateNode() as node:
            return await compensate.run(course, node)
        case ExceptionNode() as node:
            return await exception.run(course, node)
        case EndNode() as node:
            return await end.run(course, node)
