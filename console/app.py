"""The API with the console beside it: the same process, the same reads and the same commands, for people."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

import psycopg
import structlog
from fastapi import Depends, FastAPI, Request
from fastapi.exceptions import RequestValidationError
from sqlalchemy.exc import DBAPIError, DisconnectionError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncEngine
from starlette.exceptions import HTTPException
from starlette.responses import RedirectResponse, Response
from starlette.staticfiles import StaticFiles
from starlette.types import Scope
from temporalio.client import Client, WorkflowUpdateRPCTimeoutOrCancelledError
from temporalio.service import RPCError

from api.app import create_app as create_api
from api.errors import is_temporal_away, request_id_of
from api.problem import Refused
from console.approvals import routes as approvals
from console.calendars import routes as calendars
from console.cancelling import routes as cancelling
from console.changing import routes as changing
from console.codec import create_codec
from console.customs import routes as customs
from console.flows import routes as flows
from console.flows.door import create_door
from console.guard import HOME, NotEntered, PasswordDue, no_forgery, refuse_undeclared_pages
from console.home import routes as home
from console.imports import routes as imports
from console.imports.placing import Placings
from console.lane import routes as lane
from console.login import routes as login
from console.login.doorkeeper import Doorkeeper
from console.moving import routes as moving
from console.orders import routes as orders
from console.pages import Page
from console.refunding import routes as refunding
from console.returning import routes as returning
from domain.errors import DomainError
from runtime.sealing import sealing
from runtime.settings import Settings, load_settings

ROUTERS: Final = (
    *(home.router, login.router, orders.router, approvals.router, lane.router, flows.router, calendars.router),
    *(changing.router, cancelling.router, refunding.router, returning.router, moving.router),
    *(imports.router, customs.router),
)
Lifespan = Callable[[Any], AbstractAsyncContextManager[Any]]
_STATIC: Final = Path(__file__).parent / "static"
_log = structlog.get_logger(__name__)


def create_app(
    settings: Settings | None = None, *, engine: AsyncEngine | None = None, temporal: Client | None = None
) -> FastAPI:
    """The API, and under `/console` the pages for people unless the settings switch them off."""
    settings = settings or load_settings()
    app = create_api(settings, engine=engine, temporal=temporal)
    if settings.console:
        app.state.placings = Placings()
        app.router.lifespan_context = _placing_until_the_end(app.router.lifespan_context)
        app.mount("/console", create_pages(app))
        app.add_route("/console", _to_home, include_in_schema=False)
        app.add_route("/", _to_home, include_in_schema=False)
    return app


def _placing_until_the_end(inner: Lifespan) -> Lifespan:
    """The application's own life; what it does beside requests ends before what that needs."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with inner(app):
            try:
                yield
            finally:
                await app.state.placings.stop()

    return lifespan


def create_pages(api: FastAPI) -> FastAPI:
    """The pages, on the database and the Temporal of the API that they lie beside."""
    pages = FastAPI(openapi_url=None, redirect_slashes=False, dependencies=[Depends(no_forgery)])
    pages.state = api.state
    pages.state.doorkeeper = Doorkeeper()
    pages.exception_handler(NotEntered)(_to_login)
    pages.exception_handler(PasswordDue)(_to_password)
    for refused in (Refused, DomainError, HTTPException, RequestValidationError):
        pages.exception_handler(refused)(_refused)
    # RuntimeError: what the first call of a lazy client raises when there is no server.
    for away in (DBAPIError, DisconnectionError, PoolTimeout, psycopg.OperationalError, psycopg.InterfaceError):
        pages.exception_handler(away)(_away)
    for unreached in (RPCError, WorkflowUpdateRPCTimeoutOrCancelledError, RuntimeError):
        pages.exception_handler(unreached)(_temporal_away)
    pages.exception_handler(Exception)(_failed)
    for router in ROUTERS:
        pages.include_router(router)
    refuse_undeclared_pages(pages)
    pages.mount("/door", create_door(api))
    settings: Settings = api.state.settings
    if (codec := sealing(settings)) is not None:
        pages.mount("/codec", create_codec(api, codec, settings.temporal_ui_url))
    pages.mount("/static", _Kept(directory=_STATIC))
    return pages


class _Kept(StaticFiles):
    """Files that a browser keeps, and asks whether they have changed."""

    async def get_response(self, path: str, scope: Scope) -> Response:
        response = await super().get_response(path, scope)
        response.headers["Cache-Control"] = "no-cache"
        return response


async def _to_home(_request: Request) -> Response:
    return RedirectResponse(HOME, 303)


async def _to_login(request: Request, _error: Exception) -> Response:
    here = request.url.path + (f"?{request.url.query}" if request.url.query else "")
    where = f"{HOME}login" + (f"?next={quote(here)}" if request.method == "GET" and here != HOME else "")
    return _elsewhere(request, where)


async def _to_password(request: Request, _error: Exception) -> Response:
    return _elsewhere(request, f"{HOME}password")


def _elsewhere(request: Request, where: str) -> Response:
    # Part of a page cannot become another page: the whole of it goes there.
    if "hx-request" in request.headers:
        return Response(status_code=401, headers={"HX-Redirect": HOME})
    if "text/html" not in request.headers.get("accept", "text/html") and "*/*" not in request.headers["accept"]:
        return Response(status_code=401)
    return RedirectResponse(where, 303)


async def _refused(request: Request, error: Exception) -> Response:
    page = Page(request)
    if isinstance(error, HTTPException):
        status, words = error.status_code, page.words.text("There is no such page.")
    elif isinstance(error, RequestValidationError):
        status, words = 404, page.words.text("There is no such page.")
    else:
        status, words = page.refusal(error)
    return page.show("error.html", None, status, words=words)


async def _away(request: Request, error: Exception) -> Response:
    _log.warning("a page could not be shown", path=request.url.path, error=type(error).__name__)
    page = Page(request)
    words = page.words.text("Something this page needs cannot be reached at the moment. Try again in a minute.")
    return page.show("error.html", None, 503, words=words)


async def _temporal_away(request: Request, error: Exception) -> Response:
    return await (_away if is_temporal_away(error) else _failed)(request, error)


async def _failed(request: Request, error: Exception) -> Response:
    _log.error("request failed", path=request.url.path, exc_info=error)
    page = Page(request)
    number = request_id_of(request)
    words = page.words.text("Something went wrong on our side. Its number is {number}.", number=number)
    return page.show("error.html", None, 500, words=words)
