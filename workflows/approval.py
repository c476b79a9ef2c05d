"""Waiting for people: reminders, escalation and the end of an approval, for any workflow that asks for one."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any, Protocol

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from activities.approvals import ApprovalActivities, ApprovalInput, ApprovalMoment, ApprovalResult
    from activities.step import StepResult
    from domain.order import Standing

from workflows import search_attributes
from workflows.order.shown import moment, people_in_words


class Asker(Protocol):
    """What the waiting needs of the workflow it happens in, which hears `approval_decided` and applies it."""

    standing: Standing
    words_heard: int

    async def local(self, method: Callable[[Any, Any], Any], payload: Any, summary: str) -> Any:
        """A database step."""

    def saw(self, result: StepResult) -> StepResult:
        """Takes over how the order stands."""

    def tell(self, what: str) -> None:
        """Says so on the workflow's page."""

    def tell_wait(self, what: str, until: datetime | None = None) -> None:
        """Says on the workflow's page what it waits for."""

    def show(self, *updates: Any) -> None:
        """Shows these attributes."""


async def decided(asker: Asker, asked: ApprovalInput) -> ApprovalResult:
    """The approval once it is over, however: decided, timed out, withdrawn or void.

    A word that comes with the last second of a level is heard before that level ends, because the database hears
    everything that was committed before it escalates. So nothing depends on which of two signals comes first here.
    """
    # Counted before it is asked: a word that comes meanwhile may be missing in the answer.
    heard = asker.words_heard
    found = await _ask(asker, ApprovalActivities.open_approval, asked, f"Ask for the approval {asked.node}")
    if found.is_open:
        _show(asker, asked, found)
    while found.is_open:
        in_time = await _something_said(asker, asked, found, heard)
        heard, before = asker.words_heard, found
        found = await (_look_again if in_time else _next_moment)(asker, asked, found)
        if found.is_open and (found.level, found.clock) != (before.level, before.clock):
            _show(asker, asked, found)
    asker.tell(f"Approval {asked.node}: {found.state}")
    return found


async def _something_said(asker: Asker, asked: ApprovalInput, found: ApprovalResult, heard: int) -> bool:
    """Whether anybody has said anything before the next moment of the approval has come."""
    try:
        await workflow.wait_condition(
            lambda: found.approval_id not in asker.standing.open_approvals or asker.words_heard != heard,
            timeout=max(found.next_at - workflow.now(), timedelta(0)),
            timeout_summary=f"{_waits_for(asked, found)}; {_what_is_next(found)} {moment(found.next_at)}",
        )
    except TimeoutError:
        return False
    return True


async def _look_again(asker: Asker, asked: ApprovalInput, found: ApprovalResult) -> ApprovalResult:
    following = await _ask(asker, ApprovalActivities.open_approval, asked, f"How the approval {asked.node} stands")
    if following.is_open and following.clock != found.clock:
        asker.tell(f"Approval {asked.node}: it is the turn of others")
    return following


async def _next_moment(asker: Asker, asked: ApprovalInput, found: ApprovalResult) -> ApprovalResult:
    due = ApprovalMoment(asked.order_no, found.approval_id, found.level, found.clock)
    method = ApprovalActivities.remind_approval if found.reminds else ApprovalActivities.escalate_approval
    following = await _ask(asker, method, due, f"Approval {asked.node}: {_what_is_next(found)}")
    if following.is_open and following.level != found.level:
        asker.tell(f"Approval {asked.node}: nobody has answered, asked level {following.level}")
    return following


async def _ask(asker: Asker, method: Callable[[Any, Any], Any], payload: Any, summary: str) -> ApprovalResult:
    found: ApprovalResult = await asker.local(method, payload, summary)
    asker.saw(found.result)
    return found


def _show(asker: Asker, asked: ApprovalInput, found: ApprovalResult) -> None:
    waits_for = _waits_for(asked, found)
    asker.tell(waits_for)
    asker.tell_wait(waits_for, found.deadline)
    asker.show(
        search_attributes.WAITING_FOR.value_set(f"approval.{asked.node}"),
        search_attributes.DEADLINE.value_set(found.deadline),
    )


def _waits_for(asked: ApprovalInput, found: ApprovalResult) -> str:
    return f"Wait for approval ({asked.node}) by {people_in_words(asked.approval, found.level)}"


def _what_is_next(found: ApprovalResult) -> str:
    return "reminder" if found.reminds else "end of the level"
