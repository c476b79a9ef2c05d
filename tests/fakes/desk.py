"""The approvals of a shop without a database: the real rules, on people who are made up."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Protocol

from temporalio import activity

from activities.approvals import ApprovalInput, ApprovalMoment, ApprovalResult
from activities.step import StepResult
from domain.approval import (
    ApprovalState,
    Assignment,
    Case,
    Colleague,
    Decision,
    Round,
    Standing,
    first_round,
    judge,
    next_round,
    outcome_of,
    schedule,
)
from store.approvals import approval_id_of

STAFF: Mapping[str, Colleague] = {
    one.person_id: one
    for one in (
        Colleague("gina", frozenset({"gm"}), superior="vera"),
        Colleague("vera"),
        Colleague("sven", frozenset({"service"}), superior="mona"),
        Colleague("mona", frozenset({"manager"}), superior="gina"),
        Colleague("cora", frozenset({"ceo"})),
        Colleague("fred", frozenset({"finance"}), superior="cora"),
    )
}


@dataclass
class Word:
    """What a person says to the latest approval: approve, reject, return, withdraw or change (of the order)."""

    person: str
    action: str


@dataclass
class Open:
    """An approval of the one order that the shop has."""

    asked: ApprovalInput
    at: Round
    since: datetime
    state: ApprovalState = ApprovalState.OPEN
    reminded: int = 0
    signed: dict[str, str] = field(default_factory=dict)


class Standpoint(Protocol):
    """How the shop's order stands, and how it changes."""

    def now(self, **changes: Any) -> StepResult:
        """The order with these changes, one version later."""


Clock = Callable[[], Awaitable[datetime]]


async def _machine_time() -> datetime:
    return datetime.now(UTC)


@dataclass
class Desk:
    """Every approval that was opened, by its id, and what was asked of the desk."""

    shop: Standpoint
    calls: list[str]
    people: Mapping[str, Colleague] = field(default_factory=lambda: dict(STAFF))
    opened: dict[str, Open] = field(default_factory=dict)
    outcomes: list[str] = field(default_factory=list)
    # Whoever skips time gives the server's clock: an activity knows the machine's alone.
    clock: Clock = _machine_time

    def activities(self) -> Sequence[Callable[..., Any]]:
        return [self.open_approval, self.remind_approval, self.escalate_approval]

    @activity.defn
    async def open_approval(self, asked: ApprovalInput) -> ApprovalResult:
        self.calls.append(f"open_approval {asked.node}")
        approval_id = approval_id_of(asked.order_no, asked.node, asked.visit)
        if approval_id not in self.opened:
            at = first_round(asked.approval, self.people, Case(None))
            self.opened[approval_id] = Open(asked, at, await self.clock())
        return self._result(approval_id)

    @activity.defn
    async def remind_approval(self, moment: ApprovalMoment) -> ApprovalResult:
        self.calls.append(f"remind_approval {moment.level}")
        self.opened[moment.approval_id].reminded += 1
        return self._result(moment.approval_id)

    @activity.defn
    async def escalate_approval(self, moment: ApprovalMoment) -> ApprovalResult:
        self.calls.append(f"escalate_approval {moment.level}")
        one = self.opened[moment.approval_id]
        if one.state is ApprovalState.OPEN and one.at.level == moment.level:
            following = next_round(one.asked.approval, one.at.level, one.at.asked, self.people, Case(None))
            if following is None:
                one.state = ApprovalState.TIMED_OUT
            else:
                one.at, one.reminded = following, 0
                one.since = await self.clock()
        return self._result(moment.approval_id)

    def hear(self, word: Word) -> str:
        """What becomes of the word."""
        one = next(reversed(self.opened.values()))
        if word.action in ("withdraw", "change"):
            one.state = ApprovalState.WITHDRAWN if word.action == "withdraw" else ApprovalState.VOIDED
            outcome = "effective"
        else:
            listed = tuple(
                Assignment(one.at.level, asked.person, one.signed.get(asked.person, "asked")) for asked in one.at.asked
            )
            node = one.asked.approval
            standing = Standing(one.state, node.mode, listed, returns=node.outcomes.returned is not None)
            verdict = judge(standing, word.person, Decision(word.action))
            outcome, one.state = verdict.outcome.value, verdict.state
            if outcome == "effective":
                one.signed[word.person] = "approved"
        self.outcomes.append(outcome)
        return outcome

    def void_open(self) -> None:
        """Afterwards no approval is open."""
        for one in self.opened.values():
            one.state = ApprovalState.VOIDED if one.state is ApprovalState.OPEN else one.state

    def still_open(self) -> tuple[str, ...]:
        return tuple(name for name, one in self.opened.items() if one.state is ApprovalState.OPEN)

    def _result(self, approval_id: str) -> ApprovalResult:
        one = self.opened[approval_id]
        times = schedule(one.asked.approval, one.at.level, one.since)
        due = [*times.reminders[one.reminded :], times.deadline]
        return ApprovalResult(
            result=self.shop.now(open_approvals=self.still_open()),
            approval_id=approval_id,
            state=one.state,
            outcome=outcome_of(one.state, one.asked.approval.on_exhausted),
            level=one.at.level,
            deadline=times.deadline,
            next_at=due[0],
            reminds=len(due) > 1,
        )
