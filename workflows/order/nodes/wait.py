"""Wait for a fact from outside, until the deadline."""

from datetime import datetime, timedelta

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from activities.orders import NotifyInput, OrderActivities
    from domain.flow.nodes import WaitNode
    from domain.flow.vocabulary import HOLD_REASONS, compensation_of
    from domain.flow.words import said
    from domain.order import has_happened

from workflows.order import shown
from workflows.order.course import Course
from workflows.order.trouble import Trouble

_OVERDUE = {"shipment.delivered": "delivery_overdue", "shipment.handed_over": "delivery_overdue"}


async def run(course: Course, node: WaitNode) -> str:
    """The next node once it has happened; `on_timeout` after the deadline; the lane when a fact holds the order."""
    course.register_undo(compensation_of(node.event))
    if not _moves_on(course, node):
        deadline = await course.open_wait(node)
        course.awaiting = node.event
        try:
            in_time = await _in_time(course, node, deadline)
        finally:
            course.awaiting = ""
        if not in_time:
            course.trouble = Trouble(course.at, _OVERDUE.get(node.event, "wait_overdue"))
            return node.on_timeout
    stopping = _stopping(course)
    if stopping:
        return course.to_lane(node.on_error, Trouble(course.at, stopping[0], opened=True))
    return node.next


def _moves_on(course: Course, node: WaitNode) -> bool:
    return has_happened(node.event, course.standing) or bool(_stopping(course))


def _stopping(course: Course) -> list[str]:
    """Holds that end the wait. What only keeps the order from shipping lets money come in meanwhile."""
    return [reason for reason in course.standing.blocking_holds if not HOLD_REASONS[reason].at_gate]


async def _in_time(course: Course, node: WaitNode, deadline: datetime) -> bool:
    """Whether it happened before the deadline; reminders go out on the way."""
    for moment in [*_reminders(node, deadline), deadline]:
        pause = max(moment - workflow.now(), timedelta(0))
        try:
            await workflow.wait_condition(
                lambda: _moves_on(course, node),
                timeout=pause,
                timeout_summary=_named(node, moment, deadline),
            )
        except TimeoutError:
            if moment != deadline:
                note = NotifyInput(course.order_no, course.at, course.visit, f"reminder.{node.event}")
                course.saw(await course.local(OrderActivities.notify, note, f"Remind: {said(node.event)}"))
        else:
            return True
    # A fact that is being applied may be the one, and does at once what it was waited for: nothing is undone beside it.
    await workflow.wait_condition(lambda: _moves_on(course, node) or not course.facts_under_way)
    return _moves_on(course, node)


def _named(node: WaitNode, moment: datetime, deadline: datetime) -> str:
    what = f"Wait for: {said(node.event)}, until {shown.moment(deadline)}"
    return what if moment == deadline else f"{what}; reminder {shown.moment(moment)}"


def _reminders(node: WaitNode, deadline: datetime) -> list[datetime]:
    entered = workflow.now()
    moments = (entered + pause if pause > timedelta(0) else deadline + pause for pause in node.remind)
    return sorted(moment for moment in moments if entered < moment < deadline)
