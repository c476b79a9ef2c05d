"""Steps of a workflow beside the order's own: each is repeated until it succeeds, and a hold says so meanwhile."""

import contextlib
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import TypeVar

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from activities.lane import LaneActivities
    from activities.orders import OrderActivities, ResolveInput
    from activities.step import Fact, StepResult
    from domain.flow.words import said

from workflows import options
from workflows.order.contract import FactSignal
from workflows.order.course import Course
from workflows.order.shown import hold_in_words
from workflows.order.trouble import StepFailed, Trouble

Result = TypeVar("Result", bound=StepResult)


async def carry_out(course: Course, step: Callable[[], Awaitable[Result]]) -> Result:
    """Afterwards the step has succeeded; while it does not, a hold says why, and the order goes on beside it.

    Nobody has to act: what is owed is tried again for as long as it takes. The hold stays open over all tries, so that
    it says since when, how often, and when next. Whoever settles it has it tried at once.
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
        await _rest(course, held, pause)
    if held:
        await _settle(course, held)
    return result


async def _rest(course: Course, held: str, pause: timedelta) -> None:
    """Afterwards the pause is over, or somebody has settled the hold."""
    with contextlib.suppress(TimeoutError):
        await workflow.wait_condition(
            lambda: not course.is_open(held), timeout=pause, timeout_summary=f"{hold_in_words(held)}: next try"
        )


async def _settle(course: Course, reason: str) -> None:
    settled = ResolveInput(course.order_no, "retried", "orderflow", reasons=(reason,))
    await course.insist(OrderActivities.resolve_holds, settled, f"Settle the hold: {reason}")


class HearsHolds:
    """The signal by which a decision about a hold of its order reaches an errand; before it ends, it is heard out."""

    _course: Course

    @workflow.signal(description="Somebody has decided about one hold of the order")
    async def hold_decided(self, signal: FactSignal) -> None:
        course, decision = self._course, Fact(self._course.order_no, signal.inbox_id)
        try:
            course.saw(await course.local(LaneActivities.settle_hold, decision, said("hold.decided")))
        except StepFailed as failed:
            # The order itself hears of the decision as well, and holds what it cannot make of it.
            course.tell(f"{said('hold.decided')}: {failed.reason}")
