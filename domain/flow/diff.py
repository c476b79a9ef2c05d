"""What differs between two definitions of a flow, node by node and field by field."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

_NO_HEAD = frozenset({"nodes", "version"})


@dataclass(frozen=True, slots=True)
class FieldDiff:
    """A field and what stood there before and after; None where there was or is nothing."""

    field: str
    before: Any
    after: Any


@dataclass(frozen=True, slots=True)
class NodeDiff:
    """What became of a node: added, removed, or changed in these fields."""

    node: str
    change: str
    fields: tuple[FieldDiff, ...] = ()


@dataclass(frozen=True, slots=True)
class FlowDiff:
    """Everything that differs; two spellings of the same flow differ in nothing."""

    head: tuple[FieldDiff, ...]
    nodes: tuple[NodeDiff, ...]

    @property
    def same(self) -> bool:
        return not self.head and not self.nodes


def diff(before: Mapping[str, Any], after: Mapping[str, Any]) -> FlowDiff:
    """The difference of two definitions as plain data, whether or not they are sound; versions are no part of it."""
    head = [field for field in _fields(before, after) if field.field.partition(".")[0] not in _NO_HEAD]
    was, now = _nodes(before), _nodes(after)
    return FlowDiff(tuple(head), tuple(_changed(was, now)))


def _changed(was: Mapping[str, Any], now: Mapping[str, Any]) -> Iterator[NodeDiff]:
    for node in sorted(was.keys() | now.keys()):
        if node not in now:
            yield NodeDiff(node, "removed")
        elif node not in was:
            yield NodeDiff(node, "added")
        elif was[node] != now[node]:
            yield NodeDiff(node, "changed", tuple(_fields(was[node], now[node])))


def _nodes(definition: Mapping[str, Any]) -> Mapping[str, Any]:
    nodes = definition.get("nodes")
    return nodes if isinstance(nodes, Mapping) else {}


def _fields(before: Any, after: Any) -> Iterator[FieldDiff]:
    was, now = dict(_leaves("", before, 2)), dict(_leaves("", after, 2))
    for field in sorted(was.keys() | now.keys()):
        if was.get(field) != now.get(field):
            yield FieldDiff(field, was.get(field), now.get(field))


def _leaves(path: str, value: Any, depth: int) -> Iterator[tuple[str, Any]]:
    """Fields two levels deep; what lies deeper is compared as a whole."""
    if not isinstance(value, Mapping) or depth == 0 or not value:
        yield path, value if not isinstance(value, Mapping | list) else json.loads(json.dumps(value))
        return
    for name, inner in value.items():
        if not path and name == "nodes":
            continue
        yield from _leaves(f"{path}.{name}" if path else str(name), inner, depth - 1)
