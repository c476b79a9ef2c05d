"""Hold the order until a person chooses, or until what was missing has come."""

import asyncio
from dataclasses import replace

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from activities.orders import OrderActivities, ResolveInput
    from domain.flow.nodes import Choice, ExceptionNode

from workflows import search_attributes
from workflows.order.contract import CancelRequest, ResolveRequest
from workflows.order.course import Course, Trouble

# Goods that come in are an answer by themselves: the order tries again without anybody's click.
_ANSWERED_BY_GOODS = frozenset({"out_of_stock", "unknown_sku"})


async def run(course: Course) -> str:
    """The node that the choice leads to. The choice `cancel` never returns: the order is taken down instead."""
    trouble = course.trouble or Trouble(course.at, "step_failed")
    course.trouble = trouble
    if not trouble.opened:
        await course.open_hold(trouble)
        course.trouble = trouble = replace(trouble, opened=True)
    course.tell(f"held: {trouble.reason}")
    course.show(search_attributes.HOLD.value_set([trouble.reason]), search_attributes.WAITING_FOR.value_set("a person"))
    course.held = True
    await workflow.wait_condition(lambda: course.resolution is not None or _is_answered(course, trouble))
    chosen, course.resolution, course.woken = course.resolution, None, False
    course.held = False
    leads_to = trouble.node if chosen is None else await _go_on(course, trouble, chosen)
    # Not before: a lane that cannot be left, or whose cancellation is refused, is entered again with this trouble.
    course.trouble = None
    course.show(search_attributes.HOLD.value_set([]), search_attributes.WAITING_FOR.value_unset())
    if leads_to == trouble.node:
        course.sent_back[leads_to] = course.sent_back.get(leads_to, 0) + 1
    return leads_to


def offers(course: Course, node: ExceptionNode, choice: str) -> bool:
    """Whether the lane lets people choose this for what went wrong."""
    if choice == Choice.SKIP and course.trouble and course.next_after(course.trouble.node) is None:
        return False
    return choice in {offered.value for offered in node.choices} - {Choice.JUMP.value}


def _is_answered(course: Course, trouble: Trouble) -> bool:
    return course.woken and trouble.reason in _ANSWERED_BY_GOODS


async def _go_on(course: Course, trouble: Trouble, chosen: ResolveRequest) -> str:
    skipped_to = course.next_after(trouble.node) if chosen.choice == Choice.SKIP else None
    settled = ResolveInput(course.order_no, chosen.choice, chosen.actor, chosen.inbox_id)
    if chosen.choice == Choice.CANCEL:
        course.cancel = CancelRequest(chosen.request_id, chosen.actor, chosen.inbox_id)
        # The frame takes the story down; until it does there is nothing left to do here.
        await asyncio.Event().wait()
    await course.insist(OrderActivities.resolve_holds, settled, f"resolve: {chosen.choice}")
    course.tell(f"{chosen.choice} by {chosen.actor}")
    return skipped_to or trouble.node
