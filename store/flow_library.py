"""The published flows that other flows call, read from the database as far as one flow needs them."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from sqlmodel.ext.asyncio.session import AsyncSession

from domain.flow.definition import FlowDefinition
from domain.flow.releases import Release
from domain.flow.resolve import MAX_DEPTH, Library, calls
from domain.flow.resolve import resolved as inlined
from models.flow import FlowVersion

Called = tuple[str, int]
_MOST = 50


async def library_for(session: AsyncSession, called: Iterable[Called]) -> Library:
    """Every flow that is called, and those that they call in turn."""
    found: dict[Called, FlowDefinition] = {}
    wanted = set(called)
    for _ in range(MAX_DEPTH):
        known = [row for one in sorted(wanted)[:_MOST] if (row := await session.get(FlowVersion, one)) is not None]
        flows = [FlowDefinition.model_validate(row.definition) for row in known]
        found |= {(flow.key, flow.version): flow for flow in flows}
        wanted = {one for flow in flows for one in calls_of(flow)} - found.keys()
    return lambda key, version: found.get((key, version))


def calls_of(flow: FlowDefinition) -> set[Called]:
    """The flows that this one calls."""
    return {(node.flow, node.version) for _, node in calls(flow) if node.version is not None}


def called_in(document: Mapping[str, Any]) -> set[Called]:
    """The flows that a document calls, whatever else is wrong with it."""
    nodes = document.get("nodes")
    steps = [node for node in nodes.values() if isinstance(node, dict)] if isinstance(nodes, dict) else []
    named = ((step.get("flow"), step.get("version")) for step in steps if step.get("kind") == "subflow")
    return {
        (key, version)
        for key, version in named
        if isinstance(key, str) and type(version) is int and 0 < version < 2**31
    }


async def resolved(session: AsyncSession, flow: FlowDefinition) -> FlowDefinition:
    """The flow with the flows that it calls written into it. Raises FlowRefused."""
    return inlined(flow, await library_for(session, calls_of(flow)))


async def resolved_releases(session: AsyncSession, releases: Sequence[Release]) -> list[Release]:
    """The releases, each with its flow resolved."""
    return [replace(release, flow=await resolved(session, release.flow)) for release in releases]
