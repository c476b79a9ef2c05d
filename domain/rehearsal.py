"""An approval that is played without a database: the rules of real ones, with people and a clock that are made up."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Self

from domain.approval import (
    ApprovalState,
    Case,
    Decision,
    Outcome,
    People,
    Schedule,
    first_round,
    next_round,
    schedule,
)
from domain.flow.approval_node import ApprovalNode
from domain.signers import Joining, Signers
from domain.working_calendar import BUILT_IN, Calendars


@dataclass
class Rehearsal:
    """One visit of an approval node. Every act says when it happens."""

    node: ApprovalNode
    people: People
    signers: Signers
    since: datetime
    case: Case
    calendars: Calendars
    state: ApprovalState = ApprovalState.OPEN
    level: int = 0
    reminded: int = 0
    clock: int = 0

    @classmethod
    def opened(
        cls,
        node: ApprovalNode,
        people: People,
        at: datetime,
        case: Case | None = None,
        calendars: Calendars = BUILT_IN,
    ) -> Self:
        """The approval with its first level asked."""
        case = case or Case(None)
        signers = Signers(node, people, case.interested).opened(first_round(node, people, case), keep=True)
        return cls(node, people, signers, at, case, calendars)

    @property
    def is_open(self) -> bool:
        return self.state is ApprovalState.OPEN

    @property
    def times(self) -> Schedule:
        """When people of the level are reminded, and when it is over."""
        return schedule(self.node, self.level, self.since, self.calendars)

    def is_at(self, level: int, clock: int) -> bool:
        """Whether it is open and still at the moment that somebody has in mind."""
        return self.is_open and (self.level, self.clock) == (level, clock)

    def say(self, person: str, decision: Decision, at: datetime) -> Outcome:
        """What becomes of a person's word; afterwards it has had its effect."""
        verdict = self.signers.judged(self.state, person, decision)
        if verdict.outcome is Outcome.EFFECTIVE:
            self._become(self.signers.said(person, decision), at)
        return verdict.outcome

    def all_say(self, decision: Decision, at: datetime, besides: Collection[str] = ()) -> None:
        """Afterwards everybody else whose turn it was or came has said the same, until that has decided."""
        outcome = Outcome.EFFECTIVE
        while self.is_open and outcome is Outcome.EFFECTIVE:
            person = next((one.person for one in self.signers.asked if one.person not in besides), None)
            if person is None:
                return
            outcome = self.say(person, decision, at)

    def withdraw(self) -> None:
        """Afterwards nobody needs to decide."""
        self.state = ApprovalState.WITHDRAWN if self.is_open else self.state

    def add(self, by: str, joins: Joining, at: datetime) -> None:
        """Afterwards somebody more signs, if it is open. Raises what `Signers.joined` raises."""
        if self.is_open:
            self._become(self.signers.joined(by, joins, self.level, keeps=self._keeps(by)), at)

    def remove(self, by: str, person: str, at: datetime) -> None:
        """Afterwards somebody who was added does not sign, if it is open. Raises what `Signers.removed` raises."""
        if self.is_open:
            self._become(self.signers.removed(by, person, keeps=self._keeps(by)), at)

    def _keeps(self, by: str) -> bool:
        """Whether it is not one of those who sign, but somebody above them."""
        return all(one.person != by for one in self.signers.listed)

    def escalate(self, at: datetime) -> None:
        """Afterwards the next level is asked, or the approval has timed out."""
        following = next_round(self.node, self.level, self.signers.silent, self.people, self.case)
        if following is None:
            self.state = ApprovalState.TIMED_OUT
            return
        keep = self.node.levels[following.level].keep_previous
        self.signers = self.signers.opened(following, keep=keep)
        self._start_clock(at, following.level)

    def _become(self, signers: Signers, at: datetime) -> None:
        before, self.signers = self.signers, signers
        self.state = signers.state or ApprovalState.OPEN
        came, alone = signers.awaited_since(before)
        if came and alone:
            self._start_clock(at, self.level)

    def _start_clock(self, at: datetime, level: int) -> None:
        self.clock = self.clock + 1 if level == self.level else 0
        self.since, self.reminded, self.level = at, 0, level
