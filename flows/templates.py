"""Ready flows from real trade, each with its description and the stories that it has to pass in the sandbox."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

from domain.flow.definition import FlowDefinition
from domain.flow.document import read_yaml
from domain.flow.script import Script
from flows import builtin_flows

_SMOOTH = (Script(),)


@dataclass(frozen=True, slots=True)
class Template:
    """A flow to begin with: what it is for, and the stories that show it."""

    name: str
    description: Mapping[str, str]
    flow: FlowDefinition
    scripts: tuple[Script, ...]


@cache
def templates() -> tuple[Template, ...]:
    """Every template, ordered by name."""
    flows = {flow.key: flow for flow in builtin_flows()}
    texts = [one.read_text(encoding="utf-8") for one in files("flows").joinpath("catalogue").iterdir()]
    return tuple(sorted((_read(read_yaml(text), flows) for text in texts), key=lambda one: one.name))


def scripts_of(key: str) -> Sequence[Script]:
    """The stories of the template of this flow; for any other flow one in which all goes well."""
    return next((one.scripts for one in templates() if one.flow.key == key), _SMOOTH)


def _read(document: Any, flows: Mapping[str, FlowDefinition]) -> Template:
    scripts = tuple(Script.model_validate(script) for script in document["sandbox"])
    return Template(document["name"], document["description"], flows[document["flow"]], scripts)
