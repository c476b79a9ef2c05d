"""Say something of the order, for conditions further on."""

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from domain.flow.structure_nodes import SetNode

from workflows.order.course import Course


async def run(course: Course, node: SetNode) -> str:
    """The next node. The decisions that it matters to put it on record, as one of their facts."""
    for name, value in node.values.items():
        course.said[name] = list(value) if isinstance(value, tuple) else value
        course.tell(f"{name} = {value}")
    return node.next
