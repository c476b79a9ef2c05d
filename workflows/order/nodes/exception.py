"""Hold the order until a person chooses, or until what was missing has come."""

import asyncio
from dataclasses import replace

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from domain.flow.graph import FlowGraph
    from domain.flow.nodes import Choice, ExceptionNode, WaitNode
    from domain.flow.path_checks import may_jump
    from domain.order import has_happened

from workflows import search_attributes
from workflows.order.contract import CancelRequest, ResolveRequest
from workflows.order.course import LANE, Course
from workflows.order.shown import hold_in_words
from workflows.order.trouble import Trouble

# Goods that come in are an answer by themselves: the order tries again without anybody's click.
_ANSWERED_BY_GOODS = frozenset({"out_of_stock", "unknown_sku"})
# So is what was awaited, when it comes after all.
_ANSWERED_BY_COMING = frozenset({"delivery_overdue", "wait_overdue"})


async def run(course: Course, node: ExceptionNode) -> str:
    """The node that the choice leads to. The choice `cancel` never returns: the order is taken down instead."""
    if course.ended_unseen:
        # Nothing is to be held any more; the frame takes the story down.
        await asyncio.Event().wait()
    trouble = course.trouble or Trouble(course.at, "step_failed")
    course.trouble = trouble
    if not trouble.opened or node.sla is not None:
        await course.open_hold(trouble, node.sla)
        course.trouble = trouble = replace(trouble, opened=True)
    course.tell(f"Held: {hold_in_words(trouble.reason)}")
    course.tell_wait(f"Held: {hold_in_words(trouble.reason, course.standing.escalates_at)}")
    course.show(search_attributes.HOLD.value_set([trouble.reason]), search_attributes.WAITING_FOR.value_set("a person"))
    course.held = True
    await workflow.wait_condition(lambda: course.resolution is not None or _is_answered(course, trouble))
    chosen, course.resolution, course.woken = course.resolution, None, False
    course.held = False
    leads_to = await _go_on(course, trouble, chosen)
    # Not before: a lane that cannot be left, or whose cancellation is refused, is entered again with this trouble.
    course.trouble = None
    course.show(search_attributes.HOLD.value_set([]), search_attributes.WAITING_FOR.value_unset())
    if chosen is None or chosen.choice != Choice.SKIP:
        course.sent_back[leads_to] = course.sent_back.get(leads_to, 0) + 1
    return leads_to


def objection(course: Course, node: ExceptionNode, asked: ResolveRequest) -> str | None:
    """What speaks against the choice here: the lane does not offer it, or it is for another role to make."""
    if course.trouble and asked.reasons and course.trouble.reason not in asked.reasons:
        return "not_the_owner"
    return None if _offers(course, node, asked) else "choice_not_offered"


def _offers(course: Course, node: ExceptionNode, asked: ResolveRequest) -> bool:
    if asked.choice not in {offered.value for offered in node.choices}:
        return False
    match asked.choice:
        case Choice.SKIP:
            return course.trouble is not None and course.next_after(course.trouble.node) is not None
        case Choice.JUMP:
            # Checked when the flow was saved as well; a core step is never passed by, whatever was saved.
            return course.at != LANE and may_jump(FlowGraph(course.flow), course.at, asked.target)
        case _:
            return True


def _is_answered(course: Course, trouble: Trouble) -> bool:
    """Whether the order need not wait for a choice: goods came, what was awaited came, or the hold was settled."""
    return (
        (course.woken and trouble.reason in _ANSWERED_BY_GOODS)
        or _came_late(course, trouble)
        or not course.is_open(trouble.reason)
    )


def _came_late(course: Course, trouble: Trouble) -> bool:
    node = course.flow.nodes.get(trouble.node)
    awaited = isinstance(node, WaitNode) and has_happened(node.event, course.standing)
    return awaited and trouble.reason in _ANSWERED_BY_COMING


async def _go_on(course: Course, trouble: Trouble, chosen: ResolveRequest | None) -> str:
    if chosen is None:
        if _came_late(course, trouble):
            await course.settle(trouble, "arrived")
        return trouble.node
    if chosen.choice == Choice.CANCEL:
        course.cancel = CancelRequest(chosen.request_id, chosen.actor, chosen.inbox_id)
        # The frame takes the story down; until it does there is nothing left to do here.
        await asyncio.Event().wait()
    await course.settle(trouble, chosen.choice, chosen.actor, chosen.inbox_id)
    course.tell(f"Hold settled: {chosen.choice}, by {chosen.actor}")
    match chosen.choice:
        case Choice.SKIP:
            return course.next_after(trouble.node) or trouble.node
        case Choice.JUMP:
            return chosen.target
        case _:
            return trouble.node
