"""The flow definitions that come with the product, one YAML file each."""

from functools import cache
from importlib.resources import files

from domain.flow.definition import FlowDefinition
from domain.flow.document import load_yaml


@cache
def builtin_flows() -> tuple[FlowDefinition, ...]:
    """Every built-in flow, ordered by key; `FlowRefused` when a file is not well formed."""
    texts = [entry.read_text(encoding="utf-8") for entry in files("flows").iterdir() if entry.name.endswith(".yaml")]
    return tuple(sorted((load_yaml(text) for text in texts), key=lambda flow: flow.key))
