"""Undo everything that was registered, last first."""

from collections.abc import Awaitable, Callable
from functools import partial

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from activities.orders import OrderActivities, ResolveInput
    from activities.step import StepResult
    from domain.flow.nodes import CompensateNode

from workflows import options, search_attributes
from workflows.order.contract import ResolveRequest
from workflows.order.course import Course, StepFailed, Trouble


async def run(course: Course, node: CompensateNode) -> str:
    """The next node; nothing is registered any more."""
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
    """Afterwards the step has succeeded; while it does not, the order is held, and a person may hurry the next try."""
    while True:
        try:
            result = await step()
        except StepFailed as failed:
            trouble = Trouble(course.at, failed.reason)
            await course.open_hold(trouble)
        else:
            if result.held is None:
                return
            trouble = Trouble(course.at, result.held, opened=True)
        await _pause(course, trouble)


async def _pause(course: Course, trouble: Trouble) -> None:
    """Until somebody chooses `retry`, or for half an hour: money that is owed is owed without a click, too."""
    course.trouble, course.held = trouble, True
    course.show(search_attributes.HOLD.value_set([trouble.reason]))
    try:
        await workflow.wait_condition(
            lambda: course.resolution is not None,
            timeout=options.UNDO_PAUSE,
            timeout_summary=f"{trouble.reason}: next try",
        )
    except TimeoutError:
        settled = ResolveInput(course.order_no, "retried", "orderflow")
    else:
        chosen = course.resolution or ResolveRequest("", "orderflow", "retry")
        settled = ResolveInput(course.order_no, "retried", chosen.actor, chosen.inbox_id)
    course.resolution, course.trouble, course.held = None, None, False
    await course.insist(OrderActivities.resolve_holds, settled, "resolve hold")
    course.show(search_attributes.HOLD.value_set([]))
