"""Approvals of an order that is tried: the real rules, with people who are made up and say what the script says."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from temporalio import activity

from activities.approvals import ApprovalInput, ApprovalMoment, ApprovalResult
from activities.step import StepResult
from domain.approval import ApprovalState, People, outcome_of
from domain.flow.acting import Part
from domain.flow.script import ScriptedEvent
from domain.rehearsal import Rehearsal
from domain.working_calendar import Calendars
from sandbox.story import Story

Clock = Callable[[], Awaitable[datetime]]
_A_SECOND = timedelta(seconds=1)
Send = Callable[[ScriptedEvent], Awaitable[None]]


@dataclass
class Open:
    """One visit of an approval node, and what the script has for it."""

    asked: ApprovalInput
    played: Rehearsal
    part: Part


@dataclass(frozen=True, slots=True)
class Around:
    """Who works here, and when."""

    people: People
    calendars: Calendars


class Desk:
    """Every approval that was opened, by its id."""

    def __init__(self, around: Around, story: Story, send: Send, clock: Clock) -> None:
        self.clock = clock
        self._around, self._story, self._send = around, story, send
        self._opened: dict[str, Open] = {}
        self._changed: Callable[..., StepResult] = _unbound

    @property
    def still_open(self) -> tuple[str, ...]:
        """The approvals that nobody has decided yet."""
        return tuple(name for name, one in self._opened.items() if one.played.is_open)

    @property
    def has_approved(self) -> bool:
        """Whether people have agreed to anything."""
        return any(one.played.state is ApprovalState.APPROVED for one in self._opened.values())

    def activities(self, changed: Callable[..., StepResult]) -> Sequence[Callable[..., Any]]:
        """The activities of approvals; `changed` is how the order comes to stand otherwise."""
        self._changed = changed
        return [self.open_approval, self.remind_approval, self.escalate_approval]

    @activity.defn
    async def open_approval(self, asked: ApprovalInput) -> ApprovalResult:
        approval_id = f"{asked.node}/{asked.visit}"
        if approval_id not in self._opened:
            now = await self.clock()
            part = self._story.part(asked.node, now)
            people, calendars = self._around.people, self._around.calendars
            played = Rehearsal.opened(asked.approval, people, now, calendars=calendars)
            self._opened[approval_id] = Open(asked, played, part)
            # One second after the other, so that they come in the order in which they are written.
            at = self._story.since(now)
            for event in part.coming:
                at = max(at + _A_SECOND, event.after or at)
                await self._send(event.model_copy(update={"node": asked.node, "after": at}))
            if part.smoothly:
                after = self._story.since(now) + _A_SECOND * (len(part.pressing) + 1)
                await self._send(ScriptedEvent(event="approved", node=asked.node, after=after))
        return self._result(approval_id)

    @activity.defn
    async def remind_approval(self, moment: ApprovalMoment) -> ApprovalResult:
        if (one := self._at(moment)) is not None:
            one.played.reminded += 1
        return self._result(moment.approval_id)

    @activity.defn
    async def escalate_approval(self, moment: ApprovalMoment) -> ApprovalResult:
        if (one := self._at(moment)) is not None:
            now = await self.clock()
            one.played.escalate(now)
            one.part.go_along(one.played, now)
        return self._result(moment.approval_id)

    def _at(self, moment: ApprovalMoment) -> Open | None:
        one = self._opened[moment.approval_id]
        return one if one.played.is_at(moment.level, moment.clock) else None

    async def hear(self, said: ScriptedEvent) -> None:
        """Afterwards it has happened at the node, and everybody who agrees with everything has agreed."""
        now = await self.clock()
        for one in self._opened.values():
            if one.asked.node == said.node and one.played.is_open:
                scripted = next((event for event in one.part.coming if _is_same(event, said)), None)
                if scripted is not None:
                    one.part.play(one.played, scripted, now)
                one.part.go_along(one.played, now)

    def _result(self, approval_id: str) -> ApprovalResult:
        one = self._opened[approval_id]
        return answer(approval_id, one.asked, one.played, self._changed(open_approvals=self.still_open))


def answer(approval_id: str, asked: ApprovalInput, played: Rehearsal, result: StepResult) -> ApprovalResult:
    """What the workflow is told of an approval that is played."""
    times = played.times
    due = [*times.reminders[played.reminded :], times.deadline]
    return ApprovalResult(
        result=result,
        approval_id=approval_id,
        state=played.state,
        outcome=outcome_of(played.state, asked.approval.on_exhausted),
        level=played.level,
        deadline=times.deadline,
        next_at=due[0],
        reminds=len(due) > 1,
        clock=played.clock,
    )


def _is_same(scripted: ScriptedEvent, said: ScriptedEvent) -> bool:
    return scripted.model_copy(update={"node": said.node, "after": said.after}) == said


def _unbound(**_changes: Any) -> StepResult:
    raise RuntimeError("the desk belongs to no order yet")
