"""The node kinds of ``orderflow/1``: one class per kind, joined in the closed union `Node`.

A kind says here everything that the rest of the system may ask about it in general: where it leads (`links`), which
registry names it uses (`references`), which conditions it evaluates (`conditions`), which step of the vocabulary it
performs (`step`) and whether it stands still until something outside happens (`pauses`). The flow's
checks ask nothing else, so a new kind is one class and its entry in `Node`.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from domain.flow.approval_node import ApprovalNode
from domain.flow.decision_table import DecisionTable
from domain.flow.parts import (
    ConditionText,
    Duration,
    FlowPart,
    Link,
    Name,
    NodeBase,
    NodeId,
    Outcome,
    Reference,
    Registry,
    Reminder,
    Text,
    named_in,
)
from domain.flow.structure_nodes import OutcomeName, ParallelNode, SetNode, SubflowNode


class Retry(FlowPart):
    max_attempts: Annotated[int, Field(strict=True, ge=1, le=1000)]


class ActionNode(NodeBase):
    """Do one action. Without ``on_error`` a failure holds the order at this very node (retry or cancel)."""

    kind: Literal["action"]
    action: Annotated[Name, named_in(Registry.ACTION)]
    compensate: Annotated[Name, named_in(Registry.COMPENSATION)] | None = None
    retry: Retry | None = None
    next: NodeId
    on_error: NodeId | None = None
    skippable: Annotated[bool, Field(strict=True)] = False

    @property
    def step(self) -> str | None:
        return self.action

    def links(self) -> Iterator[Link]:
        yield Link("next", self.next)
        if self.on_error is not None:
            yield Link("on_error", self.on_error, Outcome.FAILED)

    def references(self) -> Iterator[Reference]:
        yield Reference("action", Registry.ACTION, self.action)
        if self.compensate is not None:
            yield Reference("compensate", Registry.COMPENSATION, self.compensate)


class Case(FlowPart):
    label: Text
    when: ConditionText
    next: NodeId


@dataclass(frozen=True, slots=True)
class Way:
    """A way out of a branch: the label under which it is recorded, its condition, and the field that names its node."""

    label: str
    when: str
    next: str
    field: str


class BranchNode(NodeBase):
    """Take the first case whose condition holds, otherwise the default. The cases may be the rows of a table."""

    kind: Literal["branch"]
    cases: Annotated[tuple[Case, ...], Field(max_length=50)] = ()
    table: DecisionTable | None = None
    default: NodeId

    @property
    def ways(self) -> Iterator[Way]:
        """Every case or row, in the order in which they are asked."""
        for index, case in enumerate(self.cases):
            yield Way(case.label, case.when, case.next, f"cases[{index}]")
        if self.table is not None:
            for index, row in enumerate(self.table.rows):
                yield Way(row.label, self.table.condition(row), row.next, f"table.rows[{index}]")

    def links(self) -> Iterator[Link]:
        for way in self.ways:
            yield Link(f"{way.field}.next", way.next)
        yield Link("default", self.default)

    def references(self) -> Iterator[Reference]:
        for index, name in enumerate(self.table.inputs if self.table else ()):
            yield Reference(f"table.inputs[{index}]", Registry.FACT, name)

    def conditions(self) -> Iterator[tuple[str, str]]:
        for way in self.ways:
            yield (f"{way.field}.when" if self.table is None else way.field), way.when

    @model_validator(mode="after")
    def _labels_differ(self) -> Self:
        if bool(self.cases) == (self.table is not None):
            raise ValueError("should have either cases or a table")
        labels = [way.label for way in self.ways]
        if "default" in labels or len(set(labels)) < len(labels):
            raise ValueError("labels of cases should differ from each other and from 'default'")
        return self


class WaitNode(NodeBase):
    """Wait for a fact from outside, until the deadline: ``timeout`` after entering, or the moment of a fact.

    A reminder counts from entering the node, a negative one back from the deadline. ``on_error`` is where a fact leads
    that came but holds the order, such as a payment in another currency; without it the order is held at this node.
    """

    kind: Literal["wait"]
    event: Annotated[Name, named_in(Registry.EVENT)]
    timeout: Duration | None = None
    timeout_at: Annotated[Name, named_in(Registry.MOMENT)] | None = None
    remind: Annotated[tuple[Reminder, ...], Field(max_length=20)] = ()
    next: NodeId
    on_timeout: NodeId
    on_error: NodeId | None = None

    @property
    def pauses(self) -> bool:
        return True

    @property
    def step(self) -> str | None:
        return self.event

    def links(self) -> Iterator[Link]:
        yield Link("next", self.next)
        yield Link("on_timeout", self.on_timeout, Outcome.FAILED)
        if self.on_error is not None:
            yield Link("on_error", self.on_error, Outcome.FAILED)

    def references(self) -> Iterator[Reference]:
        yield Reference("event", Registry.EVENT, self.event)
        if self.timeout_at is not None:
            yield Reference("timeout_at", Registry.MOMENT, self.timeout_at)

    @model_validator(mode="after")
    def _one_deadline(self) -> Self:
        if (self.timeout is None) == (self.timeout_at is None):
            raise ValueError("should have either timeout or timeout_at")
        if self.timeout is not None and any(abs(reminder) >= self.timeout for reminder in self.remind):
            raise ValueError("every reminder should lie within the timeout")
        return self


class TimerNode(NodeBase):
    """Go on after a while, or at the moment of a fact; a moment that has passed goes on at once."""

    kind: Literal["timer"]
    duration: Duration | None = None
    until: Annotated[Name, named_in(Registry.MOMENT)] | None = None
    next: NodeId

    @property
    def pauses(self) -> bool:
        return self.duration is not None

    def links(self) -> Iterator[Link]:
        yield Link("next", self.next)

    def references(self) -> Iterator[Reference]:
        if self.until is not None:
            yield Reference("until", Registry.MOMENT, self.until)

    @model_validator(mode="after")
    def _one_end(self) -> Self:
        if (self.duration is None) == (self.until is None):
            raise ValueError("should have either duration or until")
        return self


class NotifyNode(NodeBase):
    """Tell the audience. Delivery is the relay's business: the flow goes on at once and never fails here."""

    kind: Literal["notify"]
    event: Annotated[Name, named_in(Registry.NOTICE)]
    audience: Annotated[tuple[Annotated[Name, named_in(Registry.AUDIENCE)], ...], Field(min_length=1, max_length=20)]
    template: Name | None = None
    next: NodeId

    def links(self) -> Iterator[Link]:
        yield Link("next", self.next)

    def references(self) -> Iterator[Reference]:
        yield Reference("event", Registry.NOTICE, self.event)
        for index, audience in enumerate(self.audience):
            yield Reference(f"audience[{index}]", Registry.AUDIENCE, audience)


class CompensateNode(NodeBase):
    """Undo everything registered so far, last first; afterwards nothing is registered."""

    kind: Literal["compensate"]
    next: NodeId

    def links(self) -> Iterator[Link]:
        yield Link("next", self.next)


class Choice(StrEnum):
    RETRY = "retry"
    SKIP = "skip"
    CANCEL = "cancel"
    JUMP = "jump"


class ExceptionNode(NodeBase):
    """Hold the order until a person chooses.

    ``retry`` enters the node again that failed; ``skip`` goes to that node's ``next`` and is open for nodes marked
    skippable only; ``cancel`` undoes everything and ends the order as cancelled; ``jump`` goes to one of ``targets``.
    """

    kind: Literal["exception"]
    reason_required: Annotated[bool, Field(strict=True)] = True
    queue: Annotated[Name, named_in(Registry.QUEUE)] = "ops"
    choices: Annotated[tuple[Choice, ...], Field(min_length=1, max_length=len(Choice))]
    sla: Duration | None = None
    targets: Annotated[tuple[NodeId, ...], Field(max_length=50)] = ()

    @property
    def pauses(self) -> bool:
        return True

    def links(self) -> Iterator[Link]:
        for index, target in enumerate(self.targets):
            yield Link(f"targets[{index}]", target, Outcome.JUMPED)

    def references(self) -> Iterator[Reference]:
        yield Reference("queue", Registry.QUEUE, self.queue)

    @model_validator(mode="after")
    def _jumps_have_targets(self) -> Self:
        if (Choice.JUMP in self.choices) != bool(self.targets):
            raise ValueError("targets belong to the choice jump, and it needs at least one")
        return self


class Result(StrEnum):
    COMPLETED = "completed"
    CANCELLED = "cancelled"
    REJECTED = "rejected"
    EXPIRED = "expired"


class EndNode(NodeBase):
    """The flow has ended. One that takes orders ends with a `Result`; one that others call, with a word of its own."""

    kind: Literal["end"]
    result: Annotated[Result | OutcomeName, Field(union_mode="left_to_right")]


Node = Annotated[
    ActionNode
    | ApprovalNode
    | BranchNode
    | WaitNode
    | TimerNode
    | NotifyNode
    | ParallelNode
    | SubflowNode
    | SetNode
    | CompensateNode
    | ExceptionNode
    | EndNode,
    Field(discriminator="kind"),
]
