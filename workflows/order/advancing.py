"""Does what lies ahead of an order in one go, for its story and for the facts that reach it."""

import asyncio

from temporalio import workflow
from temporalio.exceptions import FailureError, is_cancelled_exception

with workflow.unsafe.imports_passed_through():
    from activities.advance import AdvanceActivities, AdvanceInput, AdvanceResult, Ahead
    from activities.step import Fact, StepResult
    from domain.flow.nodes import ActionNode, WaitNode
    from domain.flow.vocabulary import compensation_of
    from domain.order import has_ended

from workflows import options
from workflows.order.ahead import FULFILLING, Outlook, closes, is_worth_it, packs
from workflows.order.course import Course
from workflows.order.shown import in_words
from workflows.order.trouble import known_reason


async def look_ahead(course: Course) -> None:
    """Afterwards the step that the story has come to is done, and those behind it, as far as that went smoothly."""
    node = course.flow.nodes.get(course.at)
    if not isinstance(node, ActionNode) or course.ahead.has(course.at, course.visit):
        return
    ahead = _outlook(course, facts=0).from_node(course.at, entered=True)
    if is_worth_it(ahead):
        await _advance(course, AdvanceInput(course.order_no, ahead))
        course.heed()


async def apply(course: Course, kind: str, fact: Fact) -> StepResult | None:
    """What became of the fact, and done is what the story had been waiting for it to do; None: nothing was done.

    Raises StepFailed when the fact was refused.
    """
    ahead = _behind_the_wait(course) if kind in FULFILLING else ()
    if not ahead:
        return None
    answer = await _advance(course, AdvanceInput(course.order_no, ahead, kind, fact.inbox_id, course.awaiting))
    if answer.fact is None and answer.refused:
        raise known_reason(answer.refused)
    return answer.fact


def _behind_the_wait(course: Course) -> tuple[Ahead, ...]:
    node = course.flow.nodes.get(course.at)
    called_off = course.cancel is not None or course.begins_anew
    if not course.awaiting or called_off or not isinstance(node, WaitNode):
        return ()
    return _outlook(course, facts=1).from_node(node.next, entered=False)


def _outlook(course: Course, *, facts: int) -> Outlook:
    # An order does not end over facts that may turn out not to be bookable; `facts`: of those, this one is at hand.
    settled = not course.unbooked and not course.book_again and course.facts_under_way <= facts
    return Outlook(
        course.order_no,
        course.flow,
        course.visits,
        course.sent_back,
        course.visits_before,
        changing=course.changing or course.packing,
        may_close=settled,
        version=course.standing.version,
    )


async def _advance(course: Course, asked: AdvanceInput) -> AdvanceResult:
    registered = [_register_undo(course, one) for one in asked.ahead]
    # What is being packed is not changed; and who closes the order himself does not take its end for another's.
    course.packing, course.closing = packs(asked.ahead), course.closing or closes(asked.ahead)
    try:
        answer: AdvanceResult = await workflow.execute_local_activity_method(
            AdvanceActivities.advance,
            asked,
            schedule_to_close_timeout=options.ADVANCE_WITHIN,
            retry_policy=options.ONCE,
            summary=in_words(asked),
        )
    except FailureError as failed:
        if is_cancelled_exception(failed):
            raise asyncio.CancelledError from failed
        # Nobody knows how far it came.
        answer = AdvanceResult(tried=tuple(map(str, asked.ahead)))
    finally:
        course.packing = False
    _refuse_others_answer(asked, answer)
    for compensation in filter(None, registered[len(answer.tried) :]):
        if compensation in course.undo:
            course.undo.remove(compensation)
    course.ahead.keep(asked, answer)
    # Where another run has closed it, this one has only heard of that, unless it came as far as its own closing.
    course.closing = closes(asked.ahead[: len(answer.done)]) and has_ended(answer.done[-1].standing.lifecycle)
    return answer


def _refuse_others_answer(asked: AdvanceInput, answer: AdvanceResult) -> None:
    """A replay tells which activity was asked for, not for which steps: an answer about others must stop the order."""
    begun = tuple(map(str, asked.ahead[: len(answer.tried)]))
    if begun != answer.tried:
        raise workflow.NondeterminismError(f"history has {answer.tried}, the workflow asks for {begun}")


def _register_undo(course: Course, one: Ahead) -> str | None:
    """As the node itself does, and before anything is done; returns what was not registered before."""
    node = course.flow.nodes[one.step.node]
    compensation = None
    if isinstance(node, ActionNode):
        compensation = node.compensate or compensation_of(node.action)
    elif isinstance(node, WaitNode):
        compensation = compensation_of(node.event)
    if compensation is None or compensation in course.undo:
        return None
    course.register_undo(compensation)
    return compensation
