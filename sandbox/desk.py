"""Approvals of an order that is tried: the real rules, with people who are made up and say what the script says."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from temporalio import activity

from activities.approvals import ApprovalInput, ApprovalMoment, ApprovalResult
from activities.step import StepResult
from domain.approval import (
    ApprovalState,
    Assignment,
    Case,
    Decision,
    People,
    Round,
    Standing,
    first_round,
    judge,
    next_round,
    outcome_of,
    schedule,
)
from domain.flow.script import ScriptedEvent
from sandbox.story import Story

Clock = Callable[[], Awaitable[datetime]]
_DECISIONS = {"approved": Decision.APPROVE, "rejected": Decision.REJECT, "returned": Decision.RETURN}


@dataclass
class Open:
    """One visit of an approval node."""

    asked: ApprovalInput
    at: Round
    since: datetime
    state: ApprovalState = ApprovalState.OPEN
    reminded: int = 0
    signed: dict[str, str] = field(default_factory=dict)


class Desk:
    """Every approval that was opened, by its id."""

    def __init__(self, people: People, story: Story, send: Callable[[ScriptedEvent], Awaitable[None]], clock: Clock):
        self.clock = clock
        self._people, self._story, self._send = people, story, send
        self._opened: dict[str, Open] = {}
        self._changed: Callable[..., StepResult] = _unbound

    @property
    def still_open(self) -> tuple[str, ...]:
        """The approvals that nobody has decided yet."""
        return tuple(name for name, one in self._opened.items() if one.state is ApprovalState.OPEN)

    @property
    def has_approved(self) -> bool:
        """Whether people have agreed to anything."""
        return any(one.state is ApprovalState.APPROVED for one in self._opened.values())

    def activities(self, changed: Callable[..., StepResult]) -> Sequence[Callable[..., Any]]:
        """The activities of approvals; `changed` is how the order comes to stand otherwise."""
        self._changed = changed
        return [self.open_approval, self.remind_approval, self.escalate_approval]

    @activity.defn
    async def open_approval(self, asked: ApprovalInput) -> ApprovalResult:
        approval_id = f"{asked.node}/{asked.visit}"
        if approval_id not in self._opened:
            at = first_round(asked.approval, self._people, Case(None))
            self._opened[approval_id] = Open(asked, at, await self.clock())
            answer = self._story.answer(asked.node)
            if answer is not None:
                await self._send(answer.model_copy(update={"node": asked.node}))
        return self._result(approval_id)

    @activity.defn
    async def remind_approval(self, moment: ApprovalMoment) -> ApprovalResult:
        self._opened[moment.approval_id].reminded += 1
        return self._result(moment.approval_id)

    @activity.defn
    async def escalate_approval(self, moment: ApprovalMoment) -> ApprovalResult:
        one = self._opened[moment.approval_id]
        if one.state is ApprovalState.OPEN and one.at.level == moment.level:
            following = next_round(one.asked.approval, one.at.level, one.at.asked, self._people, Case(None))
            if following is None:
                one.state = ApprovalState.TIMED_OUT
            else:
                one.at, one.reminded, one.since = following, 0, await self.clock()
        return self._result(moment.approval_id)

    def hear(self, answer: ScriptedEvent) -> None:
        """Afterwards everybody who is asked at the node has said it, until one word has decided."""
        for one in self._opened.values():
            if one.asked.node == answer.node and one.state is ApprovalState.OPEN:
                self._say(one, answer.event)

    def _say(self, one: Open, event: str) -> None:
        if event == "withdrawn":
            one.state = ApprovalState.WITHDRAWN
            return
        node = one.asked.approval
        for asked in one.at.asked:
            listed = tuple(
                Assignment(one.at.level, other.person, one.signed.get(other.person, "asked")) for other in one.at.asked
            )
            standing = Standing(one.state, node.mode, listed, returns=node.outcomes.returned is not None)
            one.state = judge(standing, asked.person, _DECISIONS[event]).state
            one.signed[asked.person] = "approved"
            if one.state is not ApprovalState.OPEN:
                return

    def _result(self, approval_id: str) -> ApprovalResult:
        one = self._opened[approval_id]
        times = schedule(one.asked.approval, one.at.level, one.since)
        due = [*times.reminders[one.reminded :], times.deadline]
        return ApprovalResult(
            result=self._changed(open_approvals=self.still_open),
            approval_id=approval_id,
            state=one.state,
            outcome=outcome_of(one.state, one.asked.approval.on_exhausted),
            level=one.at.level,
            deadline=times.deadline,
            next_at=due[0],
            reminds=len(due) > 1,
        )


def _unbound(**_changes: Any) -> StepResult:
    raise RuntimeError("the desk belongs to no order yet")
