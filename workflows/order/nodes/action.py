"""Do one action of the vocabulary."""

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from domain.flow.nodes import ActionNode
    from domain.flow.vocabulary import compensation_of

from workflows.order.course import Course
from workflows.order.trouble import StepFailed, Trouble


async def run(course: Course, node: ActionNode) -> str:
    """The next node, or the exception lane when the step could not proceed."""
    course.register_undo(node.compensate or compensation_of(node.action))
    try:
        result = await course.perform(node.action)
    except StepFailed as failed:
        return course.to_lane(node.on_error, Trouble(course.at, failed.reason))
    if result.held is not None:
        return course.to_lane(node.on_error, Trouble(course.at, result.held, opened=True))
    return node.next
