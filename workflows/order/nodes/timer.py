"""Go on after a while, or at the moment of a fact."""

from datetime import timedelta

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from domain.flow.nodes import TimerNode

from workflows.order.course import Course
from workflows.order.shown import moment


async def run(course: Course, node: TimerNode) -> str:
    """The next node, once the time has come; a moment that has passed goes on at once."""
    pause = node.duration if node.duration is not None else course.until(node.until or "")
    if pause > timedelta(0):
        until = workflow.now() + pause
        course.tell_wait(f"Pause ({course.at})", until)
        await workflow.sleep(pause, summary=f"Pause ({course.at}), until {moment(until)}")
    return node.next
