"""Around every request: its id, the security headers, and the last catch of what nobody caught."""

import re
import secrets
import time
from typing import Final

import structlog
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.problem import internal_error, problem_response

_REQUEST_ID: Final = re.compile(r"[A-Za-z0-9._-]{1,64}")
_TRACE_PARENT: Final = re.compile(r"[0-9a-f]{2}-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}")
_READING: Final = frozenset({"GET", "HEAD", "OPTIONS"})
# What the caller took for an order number may be anything.
_NOT_OURS: Final = frozenset({401, 403, 404, 422})
_SECURITY: Final = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Cache-Control": "no-store",
}
# The documentation page loads its script from a public host and starts it inline.
_DOCS_POLICY: Final = (
    "default-src 'none'; script-src https://cdn.jsdelivr.net 'unsafe-inline'; "
    "style-src https://cdn.jsdelivr.net 'unsafe-inline'; img-src data: https://fastapi.tiangolo.com; connect-src 'self'"
)
_log = structlog.get_logger(__name__)


class RequestFrame:
    """Gives every request an id, every answer its headers, and every fault of ours a 500 without a trace in it."""

    def __init__(self, app: ASGIApp, *, strict_transport: bool) -> None:
        self._app = app
        self._headers = _SECURITY | (
            {"Strict-Transport-Security": "max-age=31536000; includeSubDomains"} if strict_transport else {}
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        request_id = scope["request_id"] = _id_of(headers)
        started, began = False, time.perf_counter()

        async def send_with_headers(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                self._complete(MutableHeaders(scope=message), scope["path"], request_id)
                _tell(scope, message["status"], began)
            await send(message)

        with structlog.contextvars.bound_contextvars(request_id=request_id, **_trace_of(headers)):
            try:
                await self._app(scope, receive, send_with_headers)
            except Exception as error:
                _log.error("request failed", path=scope["path"], exc_info=error)
                if started:
                    raise
                response = problem_response(request_id, internal_error())
                await response(scope, receive, send_with_headers)

    def _complete(self, headers: MutableHeaders, path: str, request_id: str) -> None:
        headers["X-Request-Id"] = request_id
        for name, value in self._headers.items():
            headers.setdefault(name, value)
        if path == "/docs":
            headers["Content-Security-Policy"] = _DOCS_POLICY


def _tell(scope: Scope, status: int, began: float) -> None:
    """One line for a request that may have changed something, and for others where everything is told.

    The route stands for the path: what callers put into paths is theirs.
    """
    log = _log.debug if scope["method"] in _READING else _log.info
    order_no = scope.get("path_params", {}).get("order_no")
    named = {"order_no": order_no} if order_no and status not in _NOT_OURS else {}
    route = getattr(scope.get("route"), "path_format", "")
    spent_ms = round(1000 * (time.perf_counter() - began), 1)
    log("request", method=scope["method"], route=route, status=status, ms=spent_ms, **named)


def _trace_of(headers: Headers) -> dict[str, str]:
    """The caller's own trace, so that lines can be found by it also where nobody traces here."""
    given = _TRACE_PARENT.fullmatch(headers.get("traceparent", ""))
    return {"trace_id": given[1]} if given else {}


def _id_of(headers: Headers) -> str:
    given = headers.get("x-request-id", "")
    return given if _REQUEST_ID.fullmatch(given) else secrets.token_hex(12)
