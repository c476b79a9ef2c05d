"""One file per node kind; this is the only list of them."""

from collections.abc import Awaitable, Callable

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
    from domain.flow.structure_nodes import ParallelNode, SetNode

from workflows.order.advancing import look_ahead
from workflows.order.course import LANE, Course
from workflows.order.nodes import (
    action,
    approval,
    branch,
    compensate,
    end,
    exception,
    notify,
    parallel,
    set_fact,
    timer,
    wait,
)
from workflows.order.nodes.end import Ended
from workflows.order.trouble import StepFailed, Trouble

_OWN_LANE = ExceptionNode(kind="exception", choices=(Choice.RETRY, Choice.CANCEL))


def node_at(course: Course) -> Node:
    """The node that the order is at; nodes without an exception lane of their own share a built-in one."""
    return _OWN_LANE if course.at == LANE else course.flow.nodes[course.at]


async def take_step(course: Course) -> str | Ended:
    """Enters the node that the order is at and does what it says; returns the next node's id, or the end."""
    return await _enter(course, look_ahead)


async def _take_beside_others(course: Course) -> str | Ended:
    """The same in a branch that is followed beside others: behind the join nothing may happen before all have come."""
    return await _enter(course)


async def _enter(course: Course, prepare: Callable[[Course], Awaitable[None]] | None = None) -> str | Ended:
    course.heed()
    course.enter()
    try:
        lane = _visited_too_often(course)
        if lane is not None:
            return lane
        if prepare is not None:
            await prepare(course)
        return await _run_node(course)
    except StepFailed as failed:
        return course.to_lane(None, Trouble(course.at, failed.reason))


def _visited_too_often(course: Course) -> str | None:
    """The lane, for a node entered more often than the flow allows; being sent back allows one visit more."""
    limit = node_at(course).max_visits
    if limit is None or course.visit <= limit + course.sent_back.get(course.at, 0):
        return None
    course.visits[course.at] -= 1
    return course.to_lane(None, Trouble(course.at, "visits_exhausted"))


async def _run_node(course: Course) -> str | Ended:
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
        case ParallelNode() as node:
            return await parallel.run(course, node, _take_beside_others)
        case ExceptionNode() as node:
            return await exception.run(course, node)
        case EndNode() as node:
            return await end.run(course, node)
        case NotifyNode() | SetNode() | TimerNode() | CompensateNode() as node:
            return await _pass(course, node)
    # What an order carries has the nodes of the flows that it calls in it, and no call.
    raise RuntimeError(f"no node is of this kind in an order: {course.at}")


async def _pass(course: Course, node: NotifyNode | SetNode | TimerNode | CompensateNode) -> str:
    """Nodes from which there is one way on."""
    match node:
        case NotifyNode():
            return await notify.run(course, node)
        case SetNode():
            return await set_fact.run(course, node)
        case TimerNode():
            return await timer.run(course, node)
        case CompensateNode():
            return await compensate.run(course, node)
