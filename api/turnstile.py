"""Turns for requests, so that a crowd is answered a little later and not refused for want of a database connection."""

import asyncio
from collections.abc import Callable
from contextvars import ContextVar
from typing import Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.errors import RETRY_AFTER
from api.problem import Answer, problem_response

_PATIENCE_S: Final = 120.0
# Who watches us must get an answer above all when we are busy.
_AT_ONCE: Final = frozenset({"/healthz", "/readyz", "/metrics"})
_end_of_turn: ContextVar[Callable[[], None]] = ContextVar("end_of_turn", default=lambda: None)


def end_turn() -> None:
    """Afterwards the next request may work: the one that calls this now waits for something else than the database."""
    _end_of_turn.get()()


class Turnstile:
    """Lets as many requests work at the same time as there are connections; the others wait in line, first come first.

    A turn ends where the answer begins, so that a long stream keeps nobody waiting. Who waits for two minutes gets 503.
    """

    def __init__(self, app: ASGIApp, *, connections: int) -> None:
        self._app = app
        self._turns = asyncio.Semaphore(connections)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] in _AT_ONCE:
            await self._app(scope, receive, send)
            return
        try:
            async with asyncio.timeout(_PATIENCE_S):
                await self._turns.acquire()
        except TimeoutError:
            answer = Answer(503, "overloaded", "Too many requests are waiting; try again later.", headers=RETRY_AFTER)
            await problem_response(scope["request_id"], answer)(scope, receive, send)
            return
        await self._in_turn(scope, receive, send)

    async def _in_turn(self, scope: Scope, receive: Receive, send: Send) -> None:
        over = False

        def end() -> None:
            nonlocal over
            if not over:
                over = True
                self._turns.release()

        async def send_and_end(message: Message) -> None:
            if message["type"] == "http.response.start":
                end()
            await send(message)

        _end_of_turn.set(end)
        try:
            await self._app(scope, receive, send_and_end)
        finally:
            end()
