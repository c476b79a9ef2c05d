"""Tell somebody; delivery is the relay's business."""

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from activities.orders import NotifyInput, OrderActivities
    from domain.flow.nodes import NotifyNode

from workflows.order.course import Course


async def run(course: Course, node: NotifyNode) -> str:
    """The next node; the notice is queued."""
    note = NotifyInput(course.order_no, course.at, course.visit, node.event, node.audience, node.template)
    course.saw(await course.local(OrderActivities.notify, note, f"Notify: {node.event}"))
    return node.next
