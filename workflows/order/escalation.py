"""Holds that nobody has settled in time go up to the next role, whether or not anybody looks."""

from datetime import timedelta

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from activities.lane import LaneActivities

from workflows.order.course import Course
from workflows.order.shown import moment


async def escalate_overdue(course: Course) -> None:
    """Never returns: whatever the order does meanwhile, each hold goes up when its deadline passes."""
    while True:
        await workflow.wait_condition(lambda: course.standing.escalates_at is not None)
        due = course.standing.escalates_at
        if due is None:
            continue
        try:
            await workflow.wait_condition(
                lambda due=due: course.standing.escalates_at != due,  # type: ignore[misc]
                timeout=max(due - workflow.now(), timedelta(0)),
                timeout_summary=f"A hold goes up to the next role, unless settled by {moment(due)}",
            )
        except TimeoutError:
            result = await course.insist(
                LaneActivities.escalate_holds, course.order_no, "A hold goes up to the next role"
            )
            if result.standing.escalates_at == due:
                # Our clock is a little ahead of the one that the deadline was set by.
                await workflow.sleep(timedelta(seconds=1), summary="A hold is about to be overdue")
