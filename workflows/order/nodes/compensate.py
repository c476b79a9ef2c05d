"""Undo everything that was registered, last first."""

import contextlib
from collections.abc import Awaitable, Callable
from datetime import timedelta
from functools import partial

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from activities.step import StepResult
    from domain.flow.nodes import CompensateNode

from workflows import options, search_attributes
from workflows.order.course import Course
from workflows.order.shown import hold_in_words
from workflows.order.trouble import StepFailed, Trouble


async def run(course: Course, node: CompensateNode) -> str:
    """The next node; nothing is registered any more."""
    await course.unchanging()
    await undo_all(course)
    return node.next


async def undo_all(course: Course) -> None:
    """Afterwards every registered compensation has succeeded. One that fails is repeated until it does, as a hold."""
    course.unwinding = True
    while course.undo:
        compensation = course.undo[-1]
        await repeat(course, partial(course.perform, compensation))
        course.undo.remove(compensation)


async def repeat(course: Course, step: Callable[[], Awaitable[StepResult]]) -> None:
    """Afterwards the step has succeeded; while it does not, the order is held, and a person may hurry the next try.

    The hold stays open over all tries, so that it says since when, how often, and when next.
    """
    tries, held = 0, None
    while True:
        try:
            result = await step()
        except StepFailed as failed:
            trouble = Trouble(course.at, failed.reason)
        else:
            if result.held is None:
                break
            trouble = Trouble(course.at, result.held, opened=True)
        tries, held = tries + 1, trouble
        await _pause(course, trouble, options.pause_before(tries))
    if held is not None and course.is_open(held.reason):
        await course.settle(held, "retried")
        course.show(search_attributes.HOLD.value_set([]))


async def _pause(course: Course, trouble: Trouble, pause: timedelta) -> None:
    """Until somebody chooses `retry`, or for a while: money that is owed is owed without a click, too."""
    await course.open_hold(trouble, try_after=pause)
    course.trouble, course.held = trouble, True
    course.show(search_attributes.HOLD.value_set([trouble.reason]))
    with contextlib.suppress(TimeoutError):
        await workflow.wait_condition(
            lambda: course.resolution is not None or not course.is_open(trouble.reason),
            timeout=pause,
            timeout_summary=f"{hold_in_words(trouble.reason)}: next try",
        )
    chosen, course.resolution, course.trouble, course.held = course.resolution, None, None, False
    if chosen is not None:
        await course.settle(trouble, "retried", chosen.actor, chosen.inbox_id)
        course.show(search_attributes.HOLD.value_set([]))
