"""A box in the wire before a real server: what is sent to it passes, waits, gets lost or comes back as nonsense."""

import asyncio
import contextlib
import re
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field

from tests.fakes.http_server import misbehaving, reset

_CONNECTION = re.compile(rb"(?i)\r\nconnection: [^\r]*")


@dataclass
class Exchange:
    """One request on its way through the box, and the way back to whoever sent it."""

    request: bytes
    writer: asyncio.StreamWriter
    server: tuple[str, int]
    reply: bytes = b""

    async def pass_on(self) -> bytes:
        """The server's whole reply; by now it has done what it was asked to."""
        reader, upstream = await asyncio.open_connection(*self.server)
        head, _, body = self.request.partition(b"\r\n\r\n")
        upstream.write(_CONNECTION.sub(b"", head) + b"\r\nconnection: close\r\n\r\n" + body)
        self.reply = await reader.read(-1)
        upstream.close()
        return self.reply

    async def give_back(self, reply: bytes) -> None:
        self.writer.write(reply)
        await self.writer.drain()

    @property
    def body(self) -> bytes:
        """The body of the server's reply."""
        return self.reply.partition(b"\r\n\r\n")[2]


Mishap = Callable[[Exchange], Awaitable[None]]


async def nothing_wrong(exchange: Exchange) -> None:
    await exchange.give_back(await exchange.pass_on())


async def lost_before(exchange: Exchange) -> None:
    """Cut off before the server hears anything."""
    reset(exchange.writer)


async def lost_after(exchange: Exchange) -> None:
    """The server has done it and answered; the caller is cut off before it hears so."""
    await exchange.pass_on()
    reset(exchange.writer)


async def garbage_after(exchange: Exchange) -> None:
    """The server has done it; what the caller hears is a 200 that makes no sense."""
    await exchange.pass_on()
    await exchange.give_back(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\nconnection: close\r\n\r\n<html>ok!")


async def overloaded(exchange: Exchange) -> None:
    """Refused with 500 before the server hears anything."""
    await exchange.give_back(b"HTTP/1.1 500 Oops\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")


async def no_answer(_: Exchange) -> None:
    """Neither passed on nor ever answered."""
    await asyncio.Event().wait()


def slow(seconds: float) -> Mishap:
    """Done at once, answered late."""

    async def answer(exchange: Exchange) -> None:
        reply = await exchange.pass_on()
        await asyncio.sleep(seconds)
        await exchange.give_back(reply)

    return answer


@dataclass
class Gate:
    """Stops one exchange, before the server hears of it or after it has answered, for as long as a test wants."""

    reached: asyncio.Event = field(default_factory=asyncio.Event)
    opened: asyncio.Event = field(default_factory=asyncio.Event)

    async def before(self, exchange: Exchange) -> None:
        self.reached.set()
        await self.opened.wait()
        await nothing_wrong(exchange)

    async def after(self, exchange: Exchange) -> None:
        reply = await exchange.pass_on()
        self.reached.set()
        await self.opened.wait()
        await exchange.give_back(reply)


@dataclass
class Middlebox:
    """Passes everything on, except where something was agreed; `url` is where it listens while it is `open`."""

    server_url: str
    url: str = ""
    seen: list[Exchange] = field(default_factory=list)
    _mishaps: dict[bytes, deque[Mishap]] = field(default_factory=dict)

    def upset(self, marker: str, *mishaps: Mishap) -> None:
        """The next requests that mention `marker` meet these, one each, in this order."""
        self._mishaps.setdefault(marker.encode(), deque()).extend(mishaps)

    def calm(self, marker: str) -> None:
        """Whatever was agreed for `marker` and has not happened will not."""
        self._mishaps.pop(marker.encode(), None)

    def about(self, marker: str) -> list[Exchange]:
        """The exchanges whose request mentions `marker`, oldest first."""
        return [exchange for exchange in self.seen if marker.encode() in exchange.request]

    @contextlib.asynccontextmanager
    async def open(self) -> AsyncIterator["Middlebox"]:
        async with misbehaving(self._meet) as self.url:
            yield self

    async def _meet(self, request: bytes, writer: asyncio.StreamWriter) -> None:
        host, _, port = self.server_url.removeprefix("http://").partition(":")
        exchange = Exchange(request, writer, (host, int(port)))
        self.seen.append(exchange)
        await self._next(request)(exchange)

    def _next(self, request: bytes) -> Mishap:
        for marker, mishaps in self._mishaps.items():
            if mishaps and marker in request:
                return mishaps.popleft()
        return nothing_wrong
