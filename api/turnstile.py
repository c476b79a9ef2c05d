"""Turns for requests, so that a crowd is answered a little later and not refused for want of a database connection."""

import asyncio
from typing import Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.errors import RETRY_AFTER
from api.problem import Answer, problem_response

# A few more than there are connections: some requests wait for Temporal, others for the disk.
_PER_CONNECTION: Final = 3
_PATIENCE_S: Final = 60.0
# Who watches us must get an answer above all when we are busy.
_AT_ONCE: Final = frozenset({"/healthz", "/readyz", "/metrics"})


class Turnstile:
    """Lets some requests work at the same time; the others wait in line, in the order in which they came.

    A turn ends where the answer begins, so that a long stream keeps nobody waiting. Who waits for a minute gets 503.
    """

    def __init__(self, app: ASGIApp, *, connections: int) -> None:
        self._app = app
        self._turns = asyncio.Semaphore(_PER_CONNECTION * connections)

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

        try:
            await self._app(scope, receive, send_and_end)
        finally:
            end()
