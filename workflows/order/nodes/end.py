"""The order has come to its end."""

from dataclasses import dataclass

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from activities.advance import CLOSE
    from activities.orders import CloseInput, OrderActivities
    from activities.step import StepResult
    from domain.flow.nodes import EndNode

from workflows import search_attributes
from workflows.order.course import Course
from workflows.order.trouble import StepFailed, Trouble


@dataclass(frozen=True)
class Ended:
    """The story is over, with this result."""

    result: str


async def run(course: Course, node: EndNode) -> Ended | str:
    """The end; or the lane, when the order may not end this way yet."""
    # A fact that is being applied may turn out not to be bookable, and an order does not end over it.
    await workflow.wait_condition(lambda: not course.facts_under_way and not course.book_again)
    course.heed()
    if course.unbooked:
        return course.to_lane(None, Trouble(course.at, course.unbooked[0], opened=True))
    try:
        await close(course, str(node.result))
    except StepFailed as failed:
        return course.to_lane(None, Trouble(course.at, failed.reason))
    return Ended(str(node.result))


async def close(course: Course, result: str) -> StepResult:
    """Afterwards the order's row is closed and operators see how it ended. Raises StepFailed."""
    closed, course.closing = CloseInput(course.order_no, result, course.standing.version), True
    found = course.ahead.take(CLOSE, course.at, course.visits.get(course.at, 1))
    try:
        if found is not None:
            done = course.found(found)
        else:
            done = course.saw(await course.local(OrderActivities.close_order, closed, f"Close the order: {result}"))
    except StepFailed:
        course.closing = False
        raise
    course.tell_wait("Ended")
    course.tell(f"Ended: {result}")
    course.show(
        search_attributes.WAITING_FOR.value_unset(),
        search_attributes.DEADLINE.value_unset(),
        search_attributes.HOLD.value_set([]),
    )
    return done
