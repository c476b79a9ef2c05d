"""Steps of a workflow beside the order's own: each is repeated until it succeeds, and a hold says so meanwhile."""

from collections.abc import Awaitable, Callable
from typing import TypeVar

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from activities.orders import OrderActivities, ResolveInput
    from activities.step import StepResult

from workflows import options
from workflows.order.course import Course, StepFailed, Trouble

Result = TypeVar("Result", bound=StepResult)


async def carry_out(course: Course, step: Callable[[], Awaitable[Result]]) -> Result:
    """Afterwards the step has succeeded; while it does not, a hold says why, and the order goes on beside it.

    Nobody has to act: what is owed is tried again every half hour, for as long as it takes.
    """
    while True:
        try:
            result = await step()
        except StepFailed as failed:
            reason = failed.reason
            await course.open_hold(Trouble(course.at, reason, blocking=False))
        else:
            if result.held is None:
                return result
            reason = result.held
        await workflow.sleep(options.UNDO_PAUSE, summary=f"{reason}: next try")
        settled = ResolveInput(course.order_no, "retried", "orderflow", reasons=(reason,))
        await course.insist(OrderActivities.resolve_holds, settled, f"resolve hold: {reason}")
