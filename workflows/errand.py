"""Steps of a workflow beside the order's own: each is repeated until it succeeds, and holds the order meanwhile."""

from collections.abc import Awaitable, Callable

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from activities.orders import OrderActivities, ResolveInput
    from activities.step import StepResult

from workflows import options
from workflows.order.course import Course, StepFailed, Trouble


async def carry_out(course: Course, step: Callable[[], Awaitable[StepResult]]) -> StepResult:
    """Afterwards the step has succeeded; while it does not, the order is held for its reason, and for that alone.

    Nobody has to act: what is owed is tried again every half hour, for as long as it takes.
    """
    while True:
        try:
            result = await step()
        except StepFailed as failed:
            reason = failed.reason
            await course.open_hold(Trouble(course.at, reason))
        else:
            if result.held is None:
                return result
            reason = result.held
        await workflow.sleep(options.UNDO_PAUSE, summary=f"{reason}: next try")
        settled = ResolveInput(course.order_no, "retried", "orderflow", reasons=(reason,))
        await course.insist(OrderActivities.resolve_holds, settled, f"resolve hold: {reason}")
