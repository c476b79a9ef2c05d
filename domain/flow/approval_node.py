"""The node kind `approval`: who is asked, for how long, who comes next, and what each answer leads to."""

from collections.abc import Iterator, Sequence
from datetime import timedelta
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

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
    """Who is asked next when nobody has answered in time. Whoever was asked before may answer still, if kept."""

    to: Approvers
    timeout: Duration = HALF_AN_HOUR
    keep_previous: Annotated[bool, Field(strict=True)] = False
    remind: Reminders = ()

    @model_validator(mode="after")
    def _reminders_in_time(self) -> Self:
        _within(self.timeout, self.remind)
        return self


class Outcomes(FlowPart):
    """Where each answer leads. `returned` is offered where it is named; `withdrawn` left out goes as `rejected`."""

    approved: NodeId
    rejected: NodeId
    returned: NodeId | None = None
    withdrawn: NodeId | None = None


class ApprovalNode(NodeBase):
    """Ask people to decide, one level after another; nobody decides about an order of their own unless it says so.

    `any`: the first answer counts. `all`: one rejection rejects, and everybody of one level has to approve. When no
    level has answered, `on_exhausted` says which way the order goes; it is on record as timed out, never as approved.
    Where a rejection leads to an exception lane, `hold_reason` is what the order is held for there. What an approval
    `grants` beyond letting the order go on: `credit`, that it may exceed its customer's. Only people grant that.
    """

    kind: Literal["approval"]
    mode: Literal["any", "all"] = "any"
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
    outcomes: Outcomes

    @property
    def pauses(self) -> bool:
        return True

    @property
    def levels(self) -> Sequence[Level]:
        """Every level from the first one on."""
        return (Level(to=self.assignees, timeout=self.timeout, remind=self.remind), *self.escalate)

    def leads_to(self, outcome: str) -> str:
        """The node that this outcome (approved, rejected, returned, withdrawn) leads to."""
        ways = self.outcomes.model_dump(exclude_none=True)
        return str(ways.get(outcome, self.outcomes.rejected))

    def links(self) -> Iterator[Link]:
        for outcome, target in self.outcomes.model_dump(exclude_none=True).items():
            yield Link(f"outcomes.{outcome}", target)

    def references(self) -> Iterator[Reference]:
        yield Reference("hold_reason", Registry.HOLD_REASON, self.hold_reason)
        if self.calendar.id is not None:
            yield Reference("calendar.id", Registry.CALENDAR, self.calendar.id)
        named = [("on_no_assignee", self.on_no_assignee)]
        named += [(f"assignees[{at}]", one) for at, one in enumerate(self.assignees)]
        named += [
            (f"escalate[{n}].to[{at}]", one) for n, lv in enumerate(self.escalate) for at, one in enumerate(lv.to)
        ]
        for field, approver in named:
            if approver.role is not None:
                yield Reference(f"{field}.role", Registry.ROLE, approver.role)

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
