"""A flow definition as a value, its canonical form and hash, and the snapshot that an order carries.

Importing this module costs little and needs pydantic only, because workflows load it.
"""

from collections.abc import Mapping
from functools import cached_property
from types import MappingProxyType
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    WrapSerializer,
    model_serializer,
)

from domain.fingerprint import canonical
from domain.fingerprint import fingerprint as fingerprint_of
from domain.flow.nodes import Node
from domain.flow.parts import ConditionText, FlowKey, FlowPart, NodeId, Text

MAX_NODES = 500


def _as_plain_dict(nodes: Mapping[str, Node], handler: SerializerFunctionWrapHandler) -> Any:
    return handler(dict(nodes))


Nodes = Annotated[
    Mapping[NodeId, Node],
    Field(min_length=1, max_length=MAX_NODES),
    AfterValidator(MappingProxyType),
    WrapSerializer(_as_plain_dict),
]


class Title(FlowPart):
    zh: Text
    en: Text


class Match(FlowPart):
    """Which orders take the flow: among those whose condition holds, the one with the highest priority."""

    priority: Annotated[int, Field(strict=True, ge=-1_000_000, le=1_000_000)]
    when: ConditionText


class FlowDefinition(FlowPart):
    """One immutable version of a flow.

    Being well formed says nothing about being sound: `domain.flow.checks.check_flow` does that.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", serialize_by_alias=True)

    schema_id: Literal["orderflow/1"] = Field(alias="schema")
    key: FlowKey
    version: Annotated[int, Field(strict=True, ge=1, le=2**31 - 1)]
    title: Title
    match: Match | None = None
    start: NodeId
    nodes: Nodes

    @cached_property
    def canonical_json(self) -> str:
        """The same text for every spelling of the same flow: keys sorted, defaults left out, durations normalised."""
        content = self.model_dump(mode="json", exclude_defaults=True)
        return canonical(content)

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 of the canonical JSON without the version, as 64 lower-case hexadecimal digits.

        The version is a label that publishing gives: the same content is the same flow under any number.
        """
        content = self.model_dump(mode="json", exclude_defaults=True, exclude={"version"})
        return fingerprint_of(content)


class FlowSnapshot(FlowPart):
    """The flow as an order carries it from start to end: the definition and the hash it had when it was pinned.

    In JSON it is compact, with every default left out. The hash is kept as pinned and never computed anew, so an order
    stays readable after the format has gained fields.
    """

    flow: FlowDefinition
    fingerprint: str

    @classmethod
    def of(cls, flow: FlowDefinition) -> Self:
        return cls(flow=flow, fingerprint=flow.fingerprint)

    @model_serializer
    def _compact(self) -> dict[str, Any]:
        return {
            "flow": self.flow.model_dump(mode="json", exclude_defaults=True),
            "fingerprint": self.fingerprint,
        }
