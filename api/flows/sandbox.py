"""The sandbox run of a draft: the real workflow, by scripts; publishing asks for one that has passed."""

import asyncio
import time
from typing import Annotated, Final

from fastapi import APIRouter
from pydantic import Field

from api.dependencies import SessionDep
from api.fields import Body
from api.flows.documents import definition_of
from api.flows.drafting import Writer
from api.flows.reading import Reader
from api.flows.schemas import FlowKey, SandboxRuns, SandboxRunView
from api.turnstile import end_turn
from domain.flow.script import Script
from flows.templates import scripts_of
from models.flow import FlowSandboxRun
from sandbox.run import Tried, try_all
from store import calendars, flow_drafts, flow_library
from store.flow_publishing import FlowHasProblems

router = APIRouter(tags=["flows"])
# Each run starts a server and workers of its own.
_ONE_AT_A_TIME: Final = asyncio.Semaphore(1)
_SHOWN: Final = 50


class SandboxBody(Body):
    """The stories to try; left out: those of the flow's template, or one in which all goes well."""

    scripts: Annotated[tuple[Script, ...], Field(min_length=1, max_length=10)] | None = None


@router.post("/v1/flows/{key}/draft/sandbox", summary="Run the draft in the sandbox")
async def run_flow_in_sandbox(key: FlowKey, body: SandboxBody, caller: Writer, session: SessionDep) -> SandboxRunView:
    """Nothing of it is ever seen among real orders. It passes when every story ends as its script expects."""
    draft = await flow_drafts.find(session, key)
    if draft.problems or draft.sha256 is None:
        raise FlowHasProblems(key=key, problems=len(draft.problems))
    sha256 = draft.sha256
    flow = await flow_library.resolved(session, definition_of(draft.definition))
    hours = await calendars.of_nodes(session, flow.nodes.values())
    await session.commit()
    end_turn()
    began = time.perf_counter()
    async with _ONE_AT_A_TIME:
        tried = await try_all(flow, body.scripts or scripts_of(key), hours)
    run = FlowSandboxRun(
        key=key,
        sha256=sha256,
        passed=all(one.passed for one in tried),
        scripts=[_told(one) for one in tried],
        took_ms=round((time.perf_counter() - began) * 1000),
        run_by=caller.actor,
    )
    await flow_drafts.add_run(session, run)
    await session.commit()
    await session.refresh(run)
    return SandboxRunView.of(run)


@router.get("/v1/flows/{key}/sandbox-runs", summary="The last sandbox runs of a flow")
async def list_sandbox_runs(key: FlowKey, _caller: Reader, session: SessionDep) -> SandboxRuns:
    rows = await flow_drafts.runs(session, key, _SHOWN)
    return SandboxRuns(data=[SandboxRunView.of(row) for row in rows], next_cursor=None)


def _told(tried: Tried) -> dict[str, object]:
    return {
        "name": tried.name,
        "passed": tried.passed,
        "result": tried.result,
        "path": list(tried.path),
        "unmet": list(tried.unmet),
        "error": tried.error,
    }
