"""Node kinds that shape a flow: several things at the same time, a flow called in a flow, and a word for later."""

from collections.abc import Iterator, Mapping
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from domain.flow.parts import FlowKey, FlowPart, Link, Name, NodeBase, NodeId, Reference, Registry, Text, named_in

OutcomeName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,63}$")]
SetValue = (
    Annotated[bool, Field(strict=True)]
    | Annotated[str, Field(max_length=120)]
    | Annotated[tuple[Annotated[str, Field(max_length=120)], ...], Field(max_length=50)]
)


class ParallelBranch(FlowPart):
    label: Text
    start: NodeId


class ParallelNode(NodeBase):
    """Follow all branches at the same time, and go on at ``next`` when every one of them has come there.

    A branch that leaves for an ``end`` or a ``compensate`` node takes the order with it, and the others are given up.
    One that comes to an exception lane holds the order once the others have come as far as they can; a retry goes on
    in the branches that were not finished, where they stood.
    """

    kind: Literal["parallel"]
    branches: Annotated[tuple[ParallelBranch, ...], Field(min_length=2, max_length=8)]
    next: NodeId

    def links(self) -> Iterator[Link]:
        for index, branch in enumerate(self.branches):
            yield Link(f"branches[{index}].start", branch.start)
        yield Link("next", self.next)

    @model_validator(mode="after")
    def _labels_differ(self) -> Self:
        if len({branch.label for branch in self.branches}) < len(self.branches):
            raise ValueError("labels of branches should differ from each other")
        return self


class SubflowNode(NodeBase):
    """Follow another flow from its start to its end; the result it ends with says where to go on here.

    ``version`` pins what is called: the flow that calls it stays what it is when a newer version is published.
    """

    kind: Literal["subflow"]
    flow: FlowKey
    version: Annotated[int, Field(strict=True, ge=1, le=2**31 - 1)] | None = None
    outcomes: Annotated[Mapping[OutcomeName, NodeId], Field(min_length=1, max_length=20)]

    def links(self) -> Iterator[Link]:
        for outcome, target in self.outcomes.items():
            yield Link(f"outcomes.{outcome}", target)


class SetNode(NodeBase):
    """Say something of the order for conditions further on. What records tell (money, customers) cannot be set."""

    kind: Literal["set"]
    values: Annotated[
        Mapping[Annotated[Name, named_in(Registry.SETTABLE)], SetValue], Field(min_length=1, max_length=20)
    ]
    next: NodeId

    def links(self) -> Iterator[Link]:
        yield Link("next", self.next)

    def references(self) -> Iterator[Reference]:
        for name in self.values:
            yield Reference(f"values.{name}", Registry.SETTABLE, name)
