"""The API as a process: it serves until it is asked to stop, and then says so before it stops listening."""

import asyncio
import socket
import sys
from collections.abc import Callable
from typing import Any, Final

import uvicorn
from starlette.types import ASGIApp, Receive, Scope, Send

from api.errors import RETRY_AFTER
from api.problem import Answer, problem_response
from runtime.settings import Settings
from runtime.settling import settle
from runtime.tracing import flush_traces, start_tracing

# As long as whoever shares out requests takes to notice that this process wants no more.
_FAREWELL_S: Final = 1.0
# An open event stream would otherwise keep the server from ever ending.
_DRAIN_S: Final = 3
_NOT_STARTED: Final = 3


class Farewell:
    """Passes requests on until it has `begun`; from then on new ones are told to go elsewhere, and to hang up."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self.begun = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if not self.begun or scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        answer = Answer(
            503, "shutting_down", "This process is stopping; ask again.", headers={**RETRY_AFTER, "Connection": "close"}
        )
        await problem_response("", answer)(scope, receive, send)


class _Server(uvicorn.Server):
    def __init__(self, config: uvicorn.Config, farewell: Farewell) -> None:
        super().__init__(config)
        self._farewell = farewell

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """What is under way is finished, what still comes gets 503, and only then nobody listens any more."""
        self._farewell.begun = True
        await asyncio.sleep(_FAREWELL_S)
        await super().shutdown(sockets)


def serve(create_app: Callable[[Settings], ASGIApp], settings: Settings) -> None:
    """Makes the application and serves it until SIGTERM or SIGINT."""
    start_tracing(settings, "orderflow-api")
    farewell = Farewell(create_app(settings))
    options: dict[str, Any] = {"host": settings.api_host, "port": settings.api_port, "log_config": None}
    options |= {"access_log": False, "server_header": False, "timeout_graceful_shutdown": _DRAIN_S}
    server = _Server(uvicorn.Config(farewell, **options), farewell)
    settle()
    server.run()
    flush_traces()
    if not server.started:
        sys.exit(_NOT_STARTED)
