"""Waiting for people: reminders, escalation and the end of an approval, for any workflow that asks for one."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any, Protocol

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from activities.approvals import ApprovalActivities, ApprovalInput, ApprovalMoment, ApprovalResult
    from activities.step import StepResult
    from domain.order import Standing

from workflows import search_attributes


class Asker(Protocol):
    """What the waiting needs of the workflow it happens in, which hears `approval_decided` and applies it."""

    standing: Standing
    words_heard: int

    async def local(self, method: Callable[[Any, Any], Any], payload: Any, summary: str = "") -> Any:
        """A database step."""

    def saw(self, result: StepResult) -> StepResult:
        """Takes over how the order stands."""

    def tell(self, what: str) -> None:
        """Says so on the workflow's page."""

    def show(self, *updates: Any) -> None:
        """Shows these attributes."""


async def decided(asker: Asker, asked: ApprovalInput) -> ApprovalResult:
    """The approval once it is over, however: decided, timed out, withdrawn or void.

    A word that comes with the last second of a level is heard before that level ends, because the database hears
    everything that was committed before it escalates. So nothing depends on which of two signals comes first here.
    """
    # Counted before it is asked: a word that comes meanwhile may be missing in the answer.
    heard = asker.words_heard
    found = await _ask(asker, ApprovalActivities.open_approval, asked, f"approval {asked.node}")
    if found.is_open:
        _show(asker, asked.node, found)
    while found.is_open:
        in_time = await _something_said(asker, asked, found, heard)
        heard, before = asker.words_heard, found
        found = await (_look_again if in_time else _next_moment)(asker, asked, found)
        if found.is_open and (found.level, found.clock) != (before.level, before.clock):
            _show(asker, asked.node, found)
    asker.tell(f"approval {asked.node}: {found.state}")
    return found


async def _something_said(asker: Asker, asked: ApprovalInput, found: ApprovalResult, heard: int) -> bool:
    """Whether anybody has said anything before the next moment of the approval has come."""
    try:
        await workflow.wait_condition(
            lambda: found.approval_id not in asker.standing.open_approvals or asker.words_heard != heard,
            timeout=max(found.next_at - workflow.now(), timedelta(0)),
            timeout_summary=f"approval {asked.node}, level {found.level}: {_what_is_next(found)}",
        )
    except TimeoutError:
        return False
    return True


async def _look_again(asker: Asker, asked: ApprovalInput, found: ApprovalResult) -> ApprovalResult:
    following = await _ask(asker, ApprovalActivities.open_approval, asked, f"approval {asked.node}: how it stands")
    if following.is_open and following.clock != found.clock:
        asker.tell(f"approval {asked.node}: it is the turn of others")
    return following


async def _next_moment(asker: Asker, asked: ApprovalInput, found: ApprovalResult) -> ApprovalResult:
    moment = ApprovalMoment(asked.order_no, found.approval_id, found.level, found.clock)
    method = ApprovalActivities.remind_approval if found.reminds else ApprovalActivities.escalate_approval
    following = await _ask(asker, method, moment, f"approval {asked.node}: {_what_is_next(found)}")
    if following.is_open and following.level != found.level:
        asker.tell(f"approval {asked.node}: nobody has answered, asked level {following.level}")
    return following


async def _ask(asker: Asker, method: Callable[[Any, Any], Any], payload: Any, summary: str) -> ApprovalResult:
    found: ApprovalResult = await asker.local(method, payload, summary)
    asker.saw(found.result)
    return found


def _show(asker: Asker, node: str, found: ApprovalResult) -> None:
    asker.show(
        search_attributes.WAITING_FOR.value_set(f"approval.{node}"),
        search_attributes.DEADLINE.value_set(found.deadline),
    )


def _what_is_next(found: ApprovalResult) -> str:
    return "reminder" if found.reminds else "end of the level"
