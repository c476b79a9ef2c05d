"""The approvals of a shop without a database: the real rules, on people who are made up."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Protocol

from temporalio import activity

from activities.approvals import ApprovalInput, ApprovalMoment, ApprovalResult
from activities.step import StepResult
from domain.approval import ApprovalState, Colleague, Decision, Outcome
from domain.rehearsal import Rehearsal
from domain.signers import Joining, Where
from sandbox.desk import Clock, answer
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
    """What a person says to the latest approval: a decision, withdraw, change (of the order), add_signer (`to`, and
    `where`) or remove_signer (`to`)."""

    person: str
    action: str
    to: str = ""
    where: str = "beside"


@dataclass
class Open:
    """An approval of the one order that the shop has."""

    asked: ApprovalInput
    played: Rehearsal

    @property
    def state(self) -> ApprovalState:
        return self.played.state

    @property
    def since(self) -> datetime:
        return self.played.since


class Standpoint(Protocol):
    """How the shop's order stands, and how it changes."""

    def now(self, **changes: Any) -> StepResult:
        """The order with these changes, one version later."""


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
            self.opened[approval_id] = Open(asked, Rehearsal.opened(asked.approval, self.people, await self.clock()))
        return self._result(approval_id)

    @activity.defn
    async def remind_approval(self, moment: ApprovalMoment) -> ApprovalResult:
        self.calls.append(f"remind_approval {moment.level}")
        if self._is_now(moment):
            self.opened[moment.approval_id].played.reminded += 1
        return self._result(moment.approval_id)

    @activity.defn
    async def escalate_approval(self, moment: ApprovalMoment) -> ApprovalResult:
        self.calls.append(f"escalate_approval {moment.level}")
        if self._is_now(moment):
            self.opened[moment.approval_id].played.escalate(await self.clock())
        return self._result(moment.approval_id)

    def _is_now(self, moment: ApprovalMoment) -> bool:
        return self.opened[moment.approval_id].played.is_at(moment.level, moment.clock)

    async def hear(self, word: Word) -> str:
        """What becomes of the word."""
        played, at = next(reversed(self.opened.values())).played, await self.clock()
        outcome = Outcome.EFFECTIVE
        match word.action:
            case "withdraw":
                played.withdraw()
            case "change":
                played.state = ApprovalState.VOIDED
            case "add_signer":
                played.add(word.person, Joining(word.to, Where(word.where)), at)
            case "remove_signer":
                played.remove(word.person, word.to, at)
            case action:
                outcome = played.say(word.person, Decision(action), at)
        self.outcomes.append(outcome.value)
        return outcome.value

    def void_open(self) -> None:
        """Afterwards no approval is open."""
        for one in self.opened.values():
            one.played.state = ApprovalState.VOIDED if one.played.is_open else one.state

    def still_open(self) -> tuple[str, ...]:
        return tuple(name for name, one in self.opened.items() if one.played.is_open)

    def _result(self, approval_id: str) -> ApprovalResult:
        one = self.opened[approval_id]
        return answer(approval_id, one.asked, one.played, self.shop.now(open_approvals=self.still_open()))
