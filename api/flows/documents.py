"""A flow as it is sent: JSON or YAML, bounded before anything is built from it."""

from typing import Any, Final

import yaml
from sqlmodel.ext.asyncio.session import AsyncSession

from api.flows.schemas import FlowSent
from api.problem import FieldProblem, in_body, unprocessable
from domain.flow.checks import check_document
from domain.flow.definition import FlowDefinition
from domain.flow.document import parse_definition, read_document
from domain.flow.problems import FlowRefused, Problem
from store import calendars
from store.flow_drafts import Drawn
from store.flow_library import called_in, library_for

_POINTERS: Final = {True: "#/yaml", False: "#/definition"}


def document_of(sent: FlowSent) -> dict[str, Any]:
    """The flow as plain data. Raises Refused (422) for what is no flow at all: too large, too deep, no mapping."""
    try:
        found = read_document(sent.definition if sent.yaml is None else sent.yaml)
    except FlowRefused as refused:
        pointer = _POINTERS[sent.yaml is not None]
        raise unprocessable([in_body(pointer, one.code, one.detail) for one in refused.problems]) from None
    return found


async def drawn(session: AsyncSession, document: dict[str, Any]) -> Drawn:
    """The flow with its hash, if its form is right, and everything that is wrong with it."""
    library, known = await library_for(session, called_in(document)), await calendars.ids(session)
    problems = check_document(document, library, known)
    try:
        sha256: str | None = parse_definition(document).fingerprint
    except FlowRefused:
        sha256 = None
    return Drawn(document, sha256, problems)


def definition_of(document: dict[str, Any]) -> FlowDefinition:
    """The definition. Raises Refused (422) naming every fault of its form, each on its node."""
    try:
        return parse_definition(document)
    except FlowRefused as refused:
        raise unprocessable([_on_node(one) for one in refused.problems]) from None


def _on_node(problem: Problem) -> FieldProblem:
    pointer = f"#/definition/nodes/{problem.node}" if problem.node else "#/definition"
    return in_body(pointer, problem.code, problem.detail)


def as_yaml(definition: dict[str, Any]) -> str:
    """The definition as people keep it in git."""
    return str(yaml.dump(definition, Dumper=yaml.CSafeDumper, allow_unicode=True, sort_keys=False, width=120))
