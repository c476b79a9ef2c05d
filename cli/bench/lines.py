"""Connections to the API, each with a client of its own."""

import contextlib
import ssl
from collections.abc import AsyncIterator
from typing import Final

import httpx

# Sooner than the API hangs up on who says nothing, which is after five seconds.
_KEPT: Final = httpx.Limits(max_connections=1, keepalive_expiry=3)


class Lines:
    """As many connections to one API as are asked for at a time.

    A client looks through all of its connections at every request, which takes more than all the rest of it when there
    are many, and is paid with the cores that are measured.
    """

    def __init__(self, api: str, timeout_s: float) -> None:
        self._api = api
        self._timeout_s = timeout_s
        self._idle: list[httpx.AsyncClient] = []
        self._closing = contextlib.AsyncExitStack()
        # Made once: reading the certificates that there are takes longer than a request.
        self._tls = ssl.create_default_context()

    async def __aenter__(self) -> "Lines":
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._closing.aclose()

    @contextlib.asynccontextmanager
    async def one(self) -> AsyncIterator[httpx.AsyncClient]:
        """A client that nobody else asks for the length of the block."""
        client = self._idle.pop() if self._idle else await self._open()
        try:
            yield client
        finally:
            self._idle.append(client)

    async def _open(self) -> httpx.AsyncClient:
        client = httpx.AsyncClient(
            base_url=self._api, timeout=self._timeout_s, limits=_KEPT, trust_env=False, verify=self._tls
        )
        return await self._closing.enter_async_context(client)
