"""The same flow in another time: minutes that pass as seconds, for demonstrations and tests."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any, TypeVar

from pydantic import BaseModel

from domain.flow.approval_node import Clock

Part = TypeVar("Part", bound=BaseModel)
_SECOND = timedelta(seconds=1)


def scaled(part: Part, factor: float) -> Part:
    """A flow, or a node, with every span `factor` times as long, in whole seconds and one at least; working hours count
    always.

    1.0 is the flow itself. A reminder that would fall on its deadline is left out.
    """
    return part if factor == 1.0 else _part(part, factor)


def _part(part: Part, factor: float) -> Part:
    changes = {name: _value(getattr(part, name), factor) for name in type(part).model_fields}
    timeout = changes.get("timeout")
    if timeout is not None and "remind" in changes:
        changes["remind"] = tuple(reminder for reminder in changes["remind"] if abs(reminder) < timeout)
    return part.model_copy(update=changes)


def _value(value: Any, factor: float) -> Any:
    match value:
        case timedelta():
            return _span(value, factor)
        case Clock():
            return Clock()
        case BaseModel():
            return _part(value, factor)
        case tuple():
            return tuple(_value(one, factor) for one in value)
        case Mapping():
            return {name: _value(one, factor) for name, one in value.items()}
        case _:
            return value


def _span(span: timedelta, factor: float) -> timedelta:
    seconds = max(round(abs(span) * factor / _SECOND), 1) * _SECOND
    return seconds if span > timedelta(0) else -seconds
