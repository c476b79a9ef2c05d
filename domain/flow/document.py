"""From a flow's text to its definition. Hostile text is refused before it costs memory or time."""

import json
from collections.abc import Iterable
from typing import Any

import yaml
from pydantic import ValidationError

from domain.flow.definition import FlowDefinition
from domain.flow.problems import FlowRefused, Problem

MAX_BYTES = 256 * 1024
MAX_DEPTH = 20

_OPENING = (yaml.MappingStartEvent, yaml.SequenceStartEvent)
_CLOSING = (yaml.MappingEndEvent, yaml.SequenceEndEvent)


class _Refusal(Exception):
    """Why a text is no flow document."""


def _at(mark: Any) -> str:
    return f"line {mark.line + 1}: " if mark is not None else ""


class _Loader(yaml.CSafeLoader):
    """Safe YAML in which a key is a text, stands once per mapping, and means what it looks like."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[str] = set()
        for key, _ in node.value:
            line = _at(key.start_mark)
            if not isinstance(key, yaml.ScalarNode) or key.tag == "tag:yaml.org,2002:merge":
                raise _Refusal(f"{line}a key should be a plain name")
            if key.tag != "tag:yaml.org,2002:str":
                kind = key.tag.rpartition(":")[2]
                raise _Refusal(f"{line}YAML reads the key {key.value[:40]!r} as {kind}; put it in quotes")
            if key.value in seen:
                raise _Refusal(f"{line}the key {key.value[:40]!r} is there twice")
            seen.add(key.value)
        return super().construct_mapping(node, deep=deep)


def _refuse_hostile_structure(text: str) -> None:
    """Aliases are refused altogether: a few of them can stand for billions of values, and a flow needs none."""
    depth = 0
    for event in yaml.parse(text, Loader=yaml.CSafeLoader):
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None):
            raise _Refusal(f"{_at(event.start_mark)}anchors and aliases are not allowed")
        depth += isinstance(event, _OPENING) - isinstance(event, _CLOSING)
        if depth > MAX_DEPTH:
            raise _Refusal(f"{_at(event.start_mark)}nested deeper than {MAX_DEPTH} levels")


def read_yaml(text: str) -> object:
    """The plain data of one YAML document of at most 256 KB.

    Raises `FlowRefused` for anything else: several documents, aliases, duplicate keys, keys that are not text (the
    word ``on`` is a boolean in YAML), deep nesting, tags that would build other objects.
    """
    try:
        if len(text.encode()) > MAX_BYTES:
            raise _Refusal(f"larger than {MAX_BYTES // 1024} KB")
        _refuse_hostile_structure(text)
        return yaml.load(text, Loader=_Loader)  # noqa: S506 - a subclass of the safe loader
    except _Refusal as refusal:
        detail = str(refusal)
    except yaml.MarkedYAMLError as fault:
        detail = f"{_at(fault.problem_mark)}{fault.problem}"
    except (yaml.YAMLError, ValueError):
        detail = "not readable as YAML"
    raise FlowRefused((Problem("", "document", detail),))


def read_document(sent: object) -> dict[str, Any]:
    """The mapping that YAML text says, or that plain data is, if it is no larger and no deeper than a flow may be.

    Raises `FlowRefused`.
    """
    if isinstance(sent, str):
        sent = read_yaml(sent)
    try:
        if not isinstance(sent, dict):
            raise _Refusal("should be a mapping of names")
        _refuse_deep(sent)
        if len(json.dumps(sent, ensure_ascii=False, allow_nan=False).encode()) > MAX_BYTES:
            raise _Refusal(f"larger than {MAX_BYTES // 1024} KB")
    except _Refusal as refusal:
        detail = str(refusal)
    except (ValueError, TypeError):
        # Lone surrogates, what is no number, and what YAML reads as a day.
        detail = "contains what JSON cannot say"
    else:
        return sent
    raise FlowRefused((Problem("", "document", detail),))


def _refuse_deep(document: dict[str, Any]) -> None:
    """Without recursion, level by level; a text that the database could not keep is refused, too."""
    level: list[object] = [document]
    for _ in range(MAX_DEPTH + 1):
        level = [inner for one in level for inner in _inside(one)]
        if not level:
            return
    raise _Refusal(f"nested deeper than {MAX_DEPTH} levels")


def _inside(value: object) -> Iterable[object]:
    if isinstance(value, str) and "\x00" in value:
        raise _Refusal("contains a NUL character")
    if isinstance(value, dict):
        return [*value, *value.values()]
    return value if isinstance(value, list) else ()


def schema_problems(fault: ValidationError) -> tuple[Problem, ...]:
    """Every finding of the validation, each on its node."""
    problems = []
    for finding in fault.errors(include_url=False, include_context=False, include_input=False):
        location = [str(step)[:64] for step in finding["loc"]]
        node = ""
        if location[:1] == ["nodes"] and len(location) > 1:
            # nodes, id, kind, field...: the kind is pydantic's own step into the union.
            node, location = location[1], location[3:]
        message = finding["msg"].removeprefix("Value error, ")[:300]
        problems.append(Problem(node, "schema", f"{'.'.join(location)}: {message}" if location else message))
    return tuple(problems)


def parse_definition(document: object) -> FlowDefinition:
    """The definition that plain data describes; `FlowRefused` with every fault of form at once."""
    try:
        return FlowDefinition.model_validate(document)
    except ValidationError as fault:
        problems = schema_problems(fault)
    raise FlowRefused(problems)


def load_yaml(text: str) -> FlowDefinition:
    """The definition that the YAML text describes; `FlowRefused` when it is not well formed."""
    return parse_definition(read_yaml(text))
