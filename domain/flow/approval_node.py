"""The node kind `approval`: who is asked, for how long, who comes next, and what each answer leads to."""

from collections.abc import Iterator, Sequence
from datetime import timedelta
from fractions import Fraction
from math import ceil
from typing import Annotated, Literal, Self

from pydantic import BeforeValidator, Field, model_validator

from domain.flow.parts import Duration, FlowPart, Link, Name, NodeBase, NodeId, Reference, Registry, Reminder, named_in

PersonId = Annotated[str, Field(min_length=1, max_length=64, pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.:@+~-]*$")]
CalendarId = Annotated[str, Field(max_length=64, pattern=r"^[a-z][a-z0-9-]*$")]
Reminders = Annotated[tuple[Reminder, ...], Field(max_length=20)]
HALF_AN_HOUR = timedelta(minutes=30)


class Approver(FlowPart):
    """Who is asked: a person, everybody with a role, or the superior of those asked before or of the submitter."""

    user: PersonId | None = None
    role: Annotated[Name, named_in(Registry.ROLE)] | None = None
    superior_of: Literal["assignee", "submitter"] | None = None

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if sum(way is not None for way in (self.user, self.role, self.superior_of)) != 1:
            raise ValueError("should have exactly one of user, role and superior_of")
        return self


Approvers = Annotated[tuple[Approver, ...], Field(min_length=1, max_length=20)]


class Clock(FlowPart):
    """`always` counts every minute, `working_hours` those of the calendar `id`."""

    kind: Literal["always", "working_hours"] = "always"
    id: Annotated[CalendarId, named_in(Registry.CALENDAR)] | None = None

    @model_validator(mode="after")
    def _hours_have_a_calendar(self) -> Self:
        if (self.kind == "working_hours") != (self.id is not None):
            raise ValueError("id belongs to working_hours, which needs one")
        return self


class Level(FlowPart):
    """Who is asked next when nobody has answered in time. Whoever was asked before may answer still, if kept.

    Without a `calendar` of its own it goes by the node's.
    """

    to: Approvers
    timeout: Duration = HALF_AN_HOUR
    keep_previous: Annotated[bool, Field(strict=True)] = False
    remind: Reminders = ()
    calendar: Clock | None = None

    @model_validator(mode="after")
    def _reminders_in_time(self) -> Self:
        _within(self.timeout, self.remind)
        return self


class Vote(FlowPart):
    """How many have to agree: so many of them, or at least this share of those who do not abstain.

    A share is a half at least and below one: with less, a minority would decide; that all have to agree is the mode
    `all`. As many for as against is a rejection, and so it is when everybody abstains.
    """

    vote: (
        Annotated[int, Field(strict=True, ge=1, le=100)]
        | Annotated[float, Field(strict=True, ge=0.5, lt=1, allow_inf_nan=False)]
    )

    def needed(self, voters: int, abstained: int) -> int:
        """How many of these voters have to agree. Where fewer are there than were wanted, all of them have to."""
        if isinstance(self.vote, int):
            return max(min(self.vote, voters), 1)
        cast = voters - abstained
        return max(ceil(Fraction(str(self.vote)) * cast), cast // 2 + 1)


def _one_mode(value: object) -> object:
    """The value, if it is a mode: one fault is told once, and not for every shape that it does not have."""
    wanted = value.get("vote") if isinstance(value, dict) and value.keys() == {"vote"} else None
    count = type(wanted) is int and 1 <= wanted <= 100
    share = type(wanted) is float and 0.5 <= wanted < 1
    if value in ("any", "all", "sequence") or isinstance(value, Vote) or count or share:
        return value
    raise ValueError("should be any, all, sequence, {vote: 3} for so many people, or {vote: 0.6} for a half or more")


Mode = Annotated[Literal["any", "all", "sequence"] | Vote, BeforeValidator(_one_mode)]


class Outcomes(FlowPart):
    """Where each answer leads. `returned` is offered where it is named; `withdrawn` left out goes as `rejected`."""

    approved: NodeId
    rejected: NodeId
    returned: NodeId | None = None
    withdrawn: NodeId | None = None


class ApprovalNode(NodeBase):
    """Ask people to decide, one level after another; nobody decides about an order of their own unless it says so.

    `any`: the first answer counts. `all`: one rejection rejects, and everybody of one level has to approve. `sequence`:
    the same one after the other, in the order in which they are named, each with the level's whole time. A vote ends
    as soon as its outcome cannot change any more. When no level has answered, `on_exhausted` says which way the order
    goes; it is on record as timed out, never as approved. `cc` are told of it and how it ends, and never decide.
    Where a rejection leads to an exception lane, `hold_reason` is what the order is held for there. What an approval
    `grants` beyond letting the order go on: `credit`, that it may exceed its customer's. Only people grant that.
    """

    kind: Literal["approval"]
    mode: Mode = "any"
    assignees: Approvers
    on_no_assignee: Approver = Approver(role="operations")
    same_as_submitter: Literal["superior", "self", "skip"] = "superior"
    delegation: Literal["follow", "ignore"] = "follow"
    remind: Reminders = ()
    timeout: Duration = HALF_AN_HOUR
    calendar: Clock = Clock()
    escalate: Annotated[tuple[Level, ...], Field(max_length=20)] = ()
    on_exhausted: Literal["rejected", "approved"] = "rejected"
    comment_required: tuple[Literal["approved", "rejected", "returned"], ...] = ()
    hold_reason: Annotated[Name, named_in(Registry.HOLD_REASON)] = "approval_rejected"
    grants: Literal["credit"] | None = None
    cc: Annotated[tuple[Approver, ...], Field(max_length=20)] = ()
    outcomes: Outcomes

    @property
    def pauses(self) -> bool:
        return True

    @property
    def levels(self) -> Sequence[Level]:
        """Every level from the first one on."""
        return (Level(to=self.assignees, timeout=self.timeout, remind=self.remind), *self.escalate)

    def clock_of(self, level: int) -> Clock:
        """What counts the time of this level."""
        return self.levels[level].calendar or self.calendar

    def leads_to(self, outcome: str) -> str:
        """The node that this outcome (approved, rejected, returned, withdrawn) leads to."""
        ways = self.outcomes.model_dump(exclude_none=True)
        return str(ways.get(outcome, self.outcomes.rejected))

    def links(self) -> Iterator[Link]:
        for outcome, target in self.outcomes.model_dump(exclude_none=True).items():
            yield Link(f"outcomes.{outcome}", target)

    def references(self) -> Iterator[Reference]:
        yield Reference("hold_reason", Registry.HOLD_REASON, self.hold_reason)
        clocks = [("", self.calendar)] + [(f"escalate[{n}].", level.calendar) for n, level in enumerate(self.escalate)]
        for field, clock in clocks:
            if clock is not None and clock.id is not None:
                yield Reference(f"{field}calendar.id", Registry.CALENDAR, clock.id)
        lists = [("assignees", self.assignees), ("cc", self.cc)]
        lists += [(f"escalate[{n}].to", level.to) for n, level in enumerate(self.escalate)]
        named = [("on_no_assignee", self.on_no_assignee)]
        named += [(f"{field}[{at}]", one) for field, several in lists for at, one in enumerate(several)]
        for field, approver in named:
            if approver.role is not None:
                yield Reference(f"{field}.role", Registry.ROLE, approver.role)

    def faults(self) -> Iterator[tuple[str, str]]:
        if self.mode in ("any", "all"):
            return
        lists = [("assignees", self.assignees)] + [(f"escalate[{n}].to", one.to) for n, one in enumerate(self.escalate)]
        for field, approvers in lists:
            users = [one.user for one in approvers if one.user is not None]
            for user in sorted({one for one in users if users.count(one) > 1}):
                yield "asked_twice", f"{field}: {user} is asked twice, and would have one word all the same"
        wanted = self.mode.vote if isinstance(self.mode, Vote) else 0
        named = {one.user for one in self.assignees}
        if None not in named and isinstance(wanted, int) and wanted > len(named):
            yield "vote_out_of_reach", f"mode.vote: {wanted} have to agree, and {len(named)} are asked"

    @model_validator(mode="after")
    def _somebody_to_ask(self) -> Self:
        _within(self.timeout, self.remind)
        if any(one.superior_of == "assignee" for one in self.assignees):
            raise ValueError("nobody is asked before the first level, so it has no superior_of assignee")
        if self.on_no_assignee.superior_of is not None:
            raise ValueError("on_no_assignee should name a user or a role")
        if self.grants is not None and self.on_exhausted == "approved":
            raise ValueError("what is granted is granted by people, so on_exhausted should be rejected")
        return self


def _within(timeout: timedelta, reminders: Sequence[timedelta]) -> None:
    if any(abs(reminder) >= timeout for reminder in reminders):
        raise ValueError("every reminder should lie within the timeout")
