"""What the parts of a flow are made of: names, texts and durations, links and references, and the base of all nodes."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

_NODE_ID = r"^[a-z][a-z0-9_]{0,63}(\.[a-z][a-z0-9_]{0,63}){0,3}$"
NodeId = Annotated[str, Field(pattern=_NODE_ID, max_length=200, json_schema_extra={"x-link": True})]
"""A node of the flow, or with dots one of a flow that is called in it."""

FlowKey = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,63}$")]
Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*(\.[a-z][a-z0-9_]*)*$", max_length=64)]
Text = Annotated[str, Field(min_length=1, max_length=120, pattern=r"^[^\x00-\x1f\x7f]+$")]
ConditionText = Annotated[
    str,
    Field(
        min_length=1,
        max_length=2000,
        pattern=r"^[^\x00-\x08\x0b-\x1f\x7f]+$",
        json_schema_extra={"x-condition": True},
    ),
]

_ISO_DURATION = re.compile(r"-?P(?=\d|T\d)(\d{1,5}W)?(\d{1,5}D)?(T(?=\d)(\d{1,5}H)?(\d{1,6}M)?(\d{1,8}S)?)?", re.ASCII)
_LONGEST = timedelta(days=400)


def read_duration(value: object) -> object:
    """The value, if it is a duration or a text that says one. Raises ValueError."""
    if isinstance(value, timedelta) or (isinstance(value, str) and _ISO_DURATION.fullmatch(value)):
        return value
    raise ValueError("should be an ISO 8601 duration in whole weeks, days, hours, minutes or seconds, like PT30M")


def _positive(value: timedelta) -> timedelta:
    if timedelta(0) < value <= _LONGEST:
        return value
    raise ValueError("should be longer than zero and at most 400 days")


def _not_zero(value: timedelta) -> timedelta:
    if value and abs(value) <= _LONGEST:
        return value
    raise ValueError("should not be zero, and at most 400 days either way")


Duration = Annotated[timedelta, BeforeValidator(read_duration), AfterValidator(_positive)]
Reminder = Annotated[timedelta, BeforeValidator(read_duration), AfterValidator(_not_zero)]


class Outcome(StrEnum):
    """How a node is left along a link."""

    DONE = "done"
    FAILED = "failed"
    JUMPED = "jumped"


@dataclass(frozen=True, slots=True)
class Link:
    field: str
    target: str
    outcome: Outcome = Outcome.DONE


class Registry(StrEnum):
    """What a name in a node refers to; the registries themselves are in `domain.flow.vocabulary`."""

    ACTION = "action"
    COMPENSATION = "compensation"
    EVENT = "event"
    NOTICE = "notice"
    AUDIENCE = "audience"
    QUEUE = "queue"
    MOMENT = "moment"
    ROLE = "role"
    CALENDAR = "calendar"
    HOLD_REASON = "hold_reason"
    FACT = "fact"
    SETTABLE = "settable"


def named_in(registry: Registry) -> Any:
    """Marks a field of a node whose value is a name of this registry, for whoever draws a form of it."""
    return Field(json_schema_extra={"x-registry": registry.value})


@dataclass(frozen=True, slots=True)
class Reference:
    field: str
    registry: Registry
    name: str


class FlowPart(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class NodeBase(FlowPart):
    """What all kinds share. Entering a node more than ``max_visits`` times holds the order instead."""

    max_visits: Annotated[int, Field(strict=True, ge=1, le=1000)] | None = None

    @property
    def pauses(self) -> bool:
        """Whether the node stands still until time passes or something outside happens."""
        return False

    @property
    def step(self) -> str | None:
        """The action or awaited event of the vocabulary that this node performs."""
        return None

    def links(self) -> Iterator[Link]:
        yield from ()

    def references(self) -> Iterator[Reference]:
        yield from ()

    def conditions(self) -> Iterator[tuple[str, str]]:
        """Field and text of every condition."""
        yield from ()

    def faults(self) -> Iterator[tuple[str, str]]:
        """Code and detail of what cannot work, though each field is well formed."""
        yield from ()
