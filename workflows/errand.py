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

    Nobody has to act: what is owed is tried again for as long as it takes. The hold stays open over all tries, so that
    it says since when, how often, and when next.
    """
    tries, held = 0, ""
    while True:
        try:
            result = await step()
        except StepFailed as failed:
            trouble = Trouble(course.at, failed.reason, blocking=False)
        else:
            if result.held is None:
                break
            trouble = Trouble(course.at, result.held, opened=True, blocking=False)
        if held and held != trouble.reason:
            await _settle(course, held)
        tries, held = tries + 1, trouble.reason
        pause = options.pause_before(tries)
        await course.open_hold(trouble, try_after=pause)
        await workflow.sleep(pause, summary=f"{held}: next try")
    if held:
        await _settle(course, held)
    return result


async def _settle(course: Course, reason: str) -> None:
    settled = ResolveInput(course.order_no, "retried", "orderflow", reasons=(reason,))
    await course.insist(OrderActivities.resolve_holds, settled, f"resolve hold: {reason}")
