"""Take the first case whose condition holds; what was decided, and on which facts, is on record."""

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from activities.orders import BranchInput, OrderActivities
    from domain.flow.nodes import BranchNode
    from domain.flow.words import title_of

from workflows.order.course import Course
from workflows.order.trouble import StepFailed, Trouble


async def run(course: Course, node: BranchNode) -> str:
    """The node that the decision leads to, or the exception lane when a condition cannot be decided."""
    flow = course.flow
    facts = course.order.facts | course.said
    asked = BranchInput(course.order_no, course.at, course.visit, flow.key, flow.version, node, facts)
    try:
        decided = await course.local(OrderActivities.decide_branch, asked, title_of(course.at, node))
    except StepFailed as failed:
        return course.to_lane(None, Trouble(course.at, failed.reason))
    course.tell(f"Decided: {decided.label}")
    leads_to: str = decided.next
    return leads_to
