"""For machines that watch: whether the process lives, whether it can work, and its figures."""

import asyncio
from collections.abc import Awaitable
from typing import Annotated, Any

import structlog
from fastapi import APIRouter, Request
from prometheus_client import CONTENT_TYPE_LATEST
from starlette.responses import JSONResponse, Response
from temporalio.api.workflowservice.v1 import GetSystemInfoRequest

from api.dependencies import ClientDep, SessionsDep, public, requires
from api.errors import RETRY_AFTER, request_id_of
from api.problem import Answer, problem_response
from api.system.figures import Figures
from api.system.overview import overview
from api.system.schemas import SystemView
from domain.access import Permission, Principal
from migrations.upgrade import is_at_head

_CHECK_TIMEOUT_S = 1.0
_log = structlog.get_logger(__name__)

_MACHINES = [public("load balancers and monitors have no key; no business data")]

router = APIRouter(tags=["system"])


@router.get("/v1/system", summary="The parts, who works, what waits")
async def show_system(request: Request, _caller: Annotated[Principal, requires(Permission.SYSTEM_READ)]) -> SystemView:
    state = request.app.state
    return await overview(state.engine, state.sessions, state.temporal)


@router.get("/healthz", summary="Whether the process answers", dependencies=_MACHINES)
async def healthz() -> dict[str, str]:
    return {"status": "alive"}


@router.get(
    "/readyz",
    summary="Whether the database, its schema and Temporal are there",
    responses={503: {}},
    dependencies=_MACHINES,
)
async def readyz(request: Request) -> Response:
    checks = {"database": "ok", "temporal": "ok"}
    found = await asyncio.gather(_checked(_database(request)), _checked(_temporal(request)))
    checks.update(zip(checks, found, strict=True))
    if set(checks.values()) == {"ok"}:
        return JSONResponse({"status": "ready", "checks": checks})
    answer = Answer(503, "not_ready", "Not everything this process needs is there.", checks=checks, headers=RETRY_AFTER)
    return problem_response(request_id_of(request), answer)


@router.get("/metrics", summary="Figures in the format of Prometheus", response_class=Response, dependencies=_MACHINES)
async def metrics(request: Request, sessions: SessionsDep, temporal: ClientDep) -> Response:
    figures: Figures = request.app.state.figures
    return Response(await figures.exposition(sessions, temporal), media_type=CONTENT_TYPE_LATEST)


async def _checked(check: Awaitable[str]) -> str:
    try:
        async with asyncio.timeout(_CHECK_TIMEOUT_S):
            return await check
    except TimeoutError:
        return "timeout"
    except Exception as error:  # noqa: BLE001 - a check that fails in whatever way says that we are not ready
        _log.warning("not ready", error=type(error).__name__)
        return "unreachable"


async def _database(request: Request) -> str:
    # The schema's version is itself a query: it proves the connection as well.
    return "ok" if await is_at_head(request.app.state.engine) else "schema_differs"


async def _temporal(request: Request) -> str:
    client: Any = request.app.state.temporal
    await client.workflow_service.get_system_info(GetSystemInfoRequest())
    return "ok"
