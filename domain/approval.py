"""Approvals: who is asked at a level, what a person's answer does, and when a level is over. Values in, values out."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum

from domain.errors import DomainError
from domain.flow.approval_node import ApprovalNode, Approver, Level
from domain.working_calendar import CALENDARS, Due, due_after


class ApprovalNotOpen(DomainError):
    """The approval was decided, has timed out, was withdrawn, or is void."""

    code = "approval_not_open"


class NotAssignee(DomainError):
    """Others are asked, or the act belongs to the submitter or operations."""

    code = "not_assignee"


class AlreadyDecided(DomainError):
    """The person has said their word; others of the same level still have to."""

    code = "already_decided"


class ReturnNotOffered(DomainError):
    """The approval's flow has nowhere to send the order back to."""

    code = "return_not_offered"


class ApprovalState(StrEnum):
    """Open until it is decided, runs out, is given up, or what it was about has changed."""

    OPEN = "open"
    APPROVED = "approved"
    REJECTED = "rejected"
    RETURNED = "returned"
    TIMED_OUT = "timed_out"
    VOIDED = "voided"
    WITHDRAWN = "withdrawn"


class Decision(StrEnum):
    APPROVE = "approve"
    REJECT = "reject"
    RETURN = "return"


class Outcome(StrEnum):
    """What became of a decision."""

    EFFECTIVE = "effective"
    SUPERSEDED = "superseded"
    NOT_ASSIGNEE = "not_assignee"
    TOO_LATE = "too_late"


_DECIDED = frozenset({ApprovalState.APPROVED, ApprovalState.REJECTED, ApprovalState.RETURNED})
STATE_OF = {
    Decision.APPROVE: ApprovalState.APPROVED,
    Decision.REJECT: ApprovalState.REJECTED,
    Decision.RETURN: ApprovalState.RETURNED,
}


@dataclass(frozen=True, slots=True)
class Colleague:
    """Somebody who may be asked; `delegate` stands in for them now."""

    person_id: str
    roles: frozenset[str] = frozenset()
    superior: str | None = None
    delegate: str | None = None


People = Mapping[str, Colleague]
"""Everybody who works here now, by id. Who is not in it is never asked."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A person who is asked, in whose place if not their own, and the role in which, if in one."""

    person: str
    on_behalf_of: str | None = None
    role: str | None = None

    @property
    def principal(self) -> str:
        """Whose decision it is."""
        return self.on_behalf_of or self.person


@dataclass(frozen=True, slots=True)
class Case:
    """Whose order it is, and who has an interest in it: they do not decide unless the flow says so."""

    submitter: str | None
    interested: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Round:
    """A level that is opened, and who is asked on it; `passed`: levels left out because they had nobody to ask."""

    level: int
    asked: tuple[Asked, ...]
    passed: tuple[int, ...] = ()


def first_round(node: ApprovalNode, people: People, case: Case) -> Round:
    """The first level. Where it has nobody, those of `on_no_assignee` are asked, if there is anybody."""
    asked = _ask(node, node.levels[0].to, (), people, case)
    return Round(0, asked or _ask(node, (node.on_no_assignee,), (), people, case))


def next_round(node: ApprovalNode, level: int, before: Sequence[Asked], people: People, case: Case) -> Round | None:
    """The next level that has somebody to ask; None when the approval is exhausted.

    A level without anybody is passed over at once: waiting for nobody helps nobody. One that has only people who are
    asked already is not: its time is theirs as well, so that a chief executive who is also somebody's superior has the
    time of both levels. Superiors are those of the last people who were asked, so a chain of superiors goes on from
    where it ended.
    """
    passed: list[int] = []
    for at in range(level + 1, len(node.levels)):
        asked = _ask(node, node.levels[at].to, before, people, case)
        if asked:
            return Round(at, asked, tuple(passed))
        passed.append(at)
    return None


def _ask(
    node: ApprovalNode, approvers: Iterable[Approver], before: Sequence[Asked], people: People, case: Case
) -> tuple[Asked, ...]:
    barred = frozenset() if node.same_as_submitter == "self" else case.interested
    named: dict[str, str | None] = {}
    for approver in approvers:
        for person in _named(approver, before, people, case):
            found = _not_barred(person, people, barred, climb=node.same_as_submitter == "superior")
            if found is not None:
                named.setdefault(found, approver.role)
    follow = node.delegation == "follow"
    asked = [_standing_in(people, person, role, barred, follow=follow) for person, role in named.items()]
    # Who is asked in their own right is not asked a second time for somebody else.
    by_person: dict[str, Asked] = {}
    for one in sorted(asked, key=lambda one: one.on_behalf_of is not None):
        by_person.setdefault(one.person, one)
    return tuple(by_person[person] for person in sorted(by_person))


def _named(approver: Approver, before: Sequence[Asked], people: People, case: Case) -> Iterator[str]:
    if approver.user is not None:
        yield approver.user
    elif approver.role is not None:
        yield from sorted(person for person, one in people.items() if approver.role in one.roles)
    else:
        below = [one.principal for one in before] if approver.superior_of == "assignee" else [case.submitter or ""]
        yield from (superior for one in below if (superior := _superior(one, people)) is not None)


def _superior(person: str, people: People) -> str | None:
    known = people.get(person)
    return known.superior if known else None


def _not_barred(person: str, people: People, barred: frozenset[str], *, climb: bool) -> str | None:
    """The person, or the first superior who may decide; None when there is none."""
    seen: set[str] = set()
    at: str | None = person
    while at in barred and climb and at not in seen:
        seen.add(at)
        at = _superior(at, people)
    return at if at in people and at not in barred else None


def _standing_in(people: People, person: str, role: str | None, barred: frozenset[str], *, follow: bool) -> Asked:
    """One hop: a delegate who is away, too, is asked all the same. Where nobody stands in, the person is asked."""
    delegate = people[person].delegate
    if follow and delegate is not None and delegate in people and delegate not in barred:
        return Asked(delegate, person, role)
    return Asked(person, None, role)


@dataclass(frozen=True, slots=True)
class Assignment:
    """A person on the list of one level, and what they have said: asked, approved, or neither any more."""

    level: int
    person: str
    state: str = "asked"


@dataclass(frozen=True, slots=True)
class Standing:
    """How an approval stands when somebody's decision comes to its turn."""

    state: ApprovalState
    mode: str
    assignments: tuple[Assignment, ...] = ()
    returns: bool = False


@dataclass(frozen=True, slots=True)
class Verdict:
    """What becomes of a decision: its outcome, on which level it counts, and the state that the approval takes."""

    outcome: Outcome
    level: int | None = None
    state: ApprovalState = ApprovalState.OPEN


def judge(standing: Standing, person: str, decision: Decision) -> Verdict:
    """The one place where a decision is found effective: the first valid one wins, whatever comes at its side."""
    if standing.state is not ApprovalState.OPEN:
        late = Outcome.SUPERSEDED if standing.state in _DECIDED else Outcome.TOO_LATE
        return Verdict(late, state=standing.state)
    own = [one for one in standing.assignments if one.person == person and one.state in ("asked", "approved")]
    open_to = [one for one in own if one.state == "asked"]
    if not own or (decision is Decision.RETURN and not standing.returns):
        return Verdict(Outcome.NOT_ASSIGNEE)
    if not open_to:
        return Verdict(Outcome.SUPERSEDED)
    level = max(one.level for one in open_to)
    if standing.mode == "all" and decision is Decision.APPROVE and not _all_of_a_level(standing, person):
        return Verdict(Outcome.EFFECTIVE, level)
    return Verdict(Outcome.EFFECTIVE, level, STATE_OF[decision])


def _all_of_a_level(standing: Standing, person: str) -> bool:
    """Whether with this person's word everybody of one level has approved."""
    silent: dict[int, bool] = {}
    for one in standing.assignments:
        if one.state in ("asked", "approved"):
            silent[one.level] = silent.get(one.level, False) or (one.state == "asked" and one.person != person)
    return any(not waiting for waiting in silent.values())


@dataclass(frozen=True, slots=True)
class Schedule:
    """The moments of a level: reminders in their order, and its end."""

    deadline: datetime
    reminders: tuple[datetime, ...] = ()
    guessed_years: tuple[int, ...] = field(default=())


def schedule(node: ApprovalNode, level: int, start: datetime) -> Schedule:
    """When people of this level are reminded and when it is over; reminders are counted on the same calendar."""
    calendar = CALENDARS[node.calendar.id] if node.calendar.id is not None else None
    wanted: Level = node.levels[level]
    due = due_after(calendar, start, wanted.timeout)
    moments = {_offset(wanted, reminder) for reminder in wanted.remind}
    reminders: list[Due] = [due_after(calendar, start, moment) for moment in sorted(moments)]
    return Schedule(due.at, tuple(reminder.at for reminder in reminders), due.guessed_years)


def _offset(level: Level, reminder: timedelta) -> timedelta:
    return reminder if reminder > timedelta(0) else level.timeout + reminder


def outcome_of(state: str, on_exhausted: str) -> str:
    """Which of a node's outcomes an approval in this state leads to; what ran out goes as the flow has said."""
    return on_exhausted if state == ApprovalState.TIMED_OUT else state
