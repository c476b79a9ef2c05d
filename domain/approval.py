"""Approvals: who is asked at a level, in what order, who is told, and when a level is over. Values in, values out."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum

from domain.errors import DomainError
from domain.flow.approval_node import ApprovalNode, Approver, Level
from domain.working_calendar import Calendars, Due, due_after


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


class AbstentionNotOffered(DomainError):
    """Only in a vote may a person abstain."""

    code = "abstention_not_offered"


class CannotBeAsked(DomainError):
    """The person does not work here, has an interest in the order, is on the list already, or was taken off it."""

    code = "cannot_be_asked"


class NotASigner(DomainError):
    """The person does not sign here, has decided already, or was not added by anybody."""

    code = "not_a_signer"


class TooManySigners(DomainError):
    """So many people were added that no more are."""

    code = "too_many_signers"


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
    ABSTAIN = "abstain"


class Outcome(StrEnum):
    """What became of a decision."""

    EFFECTIVE = "effective"
    SUPERSEDED = "superseded"
    NOT_ASSIGNEE = "not_assignee"
    TOO_LATE = "too_late"


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


def told_of(node: ApprovalNode, opened: Round, people: People, case: Case) -> tuple[Asked, ...]:
    """Those who are told of the approval and of its outcome, and are not asked on its first level."""
    known = {one.person for one in opened.asked}
    found: dict[str, str | None] = {}
    for approver in node.cc:
        for person in _named(approver, opened.asked, people, case):
            if person in people and person not in known:
                found.setdefault(person, approver.role)
    return tuple(Asked(person, None, role) for person, role in sorted(found.items()))


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
    if node.mode == "sequence":
        # In the order of the flow. Who stands in for whom is found out when it is their turn.
        return tuple(Asked(person, None, role) for person, role in named.items())
    follow = node.delegation == "follow"
    asked = [standing_in(people, person, role, barred, follow=follow) for person, role in named.items()]
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


def standing_in(people: People, person: str, role: str | None, barred: frozenset[str], *, follow: bool) -> Asked:
    """One hop: a delegate who is away, too, is asked all the same. Where nobody stands in, the person is asked."""
    delegate = people[person].delegate
    if follow and delegate is not None and delegate in people and delegate not in barred:
        return Asked(delegate, person, role)
    return Asked(person, None, role)


@dataclass(frozen=True, slots=True)
class Schedule:
    """The moments of a level: reminders in their order, and its end; and the calendar that they were counted on."""

    deadline: datetime
    reminders: tuple[datetime, ...] = ()
    guessed_years: tuple[int, ...] = field(default=())
    calendar: str | None = None
    calendar_revision: int | None = None


def schedule(node: ApprovalNode, level: int, start: datetime, calendars: Calendars) -> Schedule:
    """When people of this level are reminded and when it is over; reminders are counted on the same calendar.

    A calendar that is not there leaves every minute to count: so the level ends sooner, and never by itself with a yes.
    """
    clock = node.clock_of(level)
    calendar = calendars.get(clock.id) if clock.id is not None else None
    wanted: Level = node.levels[level]
    due = due_after(calendar, start, wanted.timeout)
    moments = {_offset(wanted, reminder) for reminder in wanted.remind}
    reminders: list[Due] = [due_after(calendar, start, moment) for moment in sorted(moments)]
    known = (clock.id, calendar.revision) if calendar else (None, None)
    return Schedule(due.at, tuple(reminder.at for reminder in reminders), due.guessed_years, *known)


def _offset(level: Level, reminder: timedelta) -> timedelta:
    return reminder if reminder > timedelta(0) else level.timeout + reminder


def outcome_of(state: str, on_exhausted: str) -> str:
    """Which of a node's outcomes an approval in this state leads to; what ran out goes as the flow has said."""
    return on_exhausted if state == ApprovalState.TIMED_OUT else state
