"""Money that an order has no use for goes back beside its story, for as long as that takes."""

import contextlib
from datetime import timedelta

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from activities.payments import PaymentActivities
    from activities.step import Step

from workflows import options
from workflows.order.course import Course
from workflows.order.shown import hold_in_words
from workflows.order.steps import PAYMENT_PROVIDER
from workflows.order.trouble import StepFailed, Trouble


async def give_back_surplus(course: Course) -> None:
    """Never returns: whatever the order does meanwhile, a surplus is asked back until it is gone.

    An order that is being undone gives everything back anyway, so nothing is done beside that.
    """
    tries = 0
    while True:
        await workflow.wait_condition(lambda: _is_due(course))
        trouble = await _try(course)
        if trouble is None:
            tries = 0
            continue
        tries += 1
        await _pause(course, trouble, options.pause_before(tries))


def _is_due(course: Course) -> bool:
    return course.standing.surplus_due and not course.unwinding


async def _try(course: Course) -> Trouble | None:
    step = Step(course.order_no, course.at, course.visits.get(course.at, 1))
    try:
        result = await course.external(PaymentActivities.refund_surplus, step, PAYMENT_PROVIDER, "Refund the surplus")
    except StepFailed as failed:
        return Trouble(course.at, failed.reason, blocking=False)
    held = course.saw(result).held
    return None if held is None else Trouble(course.at, held, opened=True)


async def _pause(course: Course, trouble: Trouble, pause: timedelta) -> None:
    await course.open_hold(trouble, try_after=pause)
    with contextlib.suppress(TimeoutError):
        await workflow.wait_condition(
            lambda: not _is_due(course) or not course.is_open(trouble.reason),
            timeout=pause,
            timeout_summary=f"Surplus, {hold_in_words(trouble.reason)}: next try",
        )
