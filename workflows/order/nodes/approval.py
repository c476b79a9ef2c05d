"""Ask people, and go where their answer leads."""

import asyncio

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from activities.approvals import ApprovalInput
    from domain.approval import ApprovalState
    from domain.flow.approval_node import ApprovalNode
    from domain.flow.nodes import ExceptionNode

from workflows.approval import decided
from workflows.order.course import Course
from workflows.order.trouble import Trouble


async def run(course: Course, node: ApprovalNode) -> str:
    """The node that the outcome leads to. An approval that is void is asked for again, as a visit of its own."""
    flow = course.flow
    asked = ApprovalInput(course.order_no, course.at, course.visit, flow.key, flow.version, node)
    found = await decided(course, asked)
    if found.state == ApprovalState.VOIDED:
        if course.standing.cancelling or course.ended_unseen:
            # The frame takes the story down; until it does there is nothing left to ask.
            await asyncio.Event().wait()
        return course.at
    following = node.leads_to(found.outcome)
    if isinstance(course.flow.nodes[following], ExceptionNode):
        course.trouble = Trouble(course.at, node.hold_reason)
    return following
