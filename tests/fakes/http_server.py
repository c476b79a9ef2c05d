"""Real HTTP servers on localhost: well-behaved ones from an ASGI application, misbehaving ones from raw sockets."""

import asyncio
import contextlib
import socket
import ssl
import struct
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator

import uvicorn
from starlette.types import ASGIApp

Misbehave = Callable[[bytes, asyncio.StreamWriter], Awaitable[None]]


class _Server(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        # Ctrl-C belongs to the test run.
        yield


@contextlib.asynccontextmanager
async def serving(app: ASGIApp) -> AsyncIterator[str]:
    """The base URL at which the application answers until the block ends."""
    listener = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(app, lifespan="off", ws="none", log_config=None, timeout_graceful_shutdown=1)
    server = _Server(config)
    running = asyncio.create_task(server.serve(sockets=[listener]))
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        await running
        listener.close()


@contextlib.asynccontextmanager
async def misbehaving(misbehave: Misbehave, tls: ssl.SSLContext | None = None) -> AsyncIterator[str]:
    """The base URL of a server that reads a whole request and hands it, with the open connection, to `misbehave`."""
    connections: set[asyncio.Task[None]] = set()

    async def converse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        connections.add(task)
        with contextlib.suppress(OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            await misbehave(await _request(reader), writer)
        writer.transport.abort()

    server = await asyncio.start_server(converse, "127.0.0.1", 0, ssl=tls)
    scheme = "http" if tls is None else "https"
    try:
        yield f"{scheme}://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()
        for task in connections:
            task.cancel()
        await asyncio.gather(*connections)
        await server.wait_closed()


async def _request(reader: asyncio.StreamReader) -> bytes:
    head = await reader.readuntil(b"\r\n\r\n")
    lengths = [line.split(b":")[1] for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
    return head + await reader.readexactly(int(lengths[0]) if lengths else 0)


def reset(writer: asyncio.StreamWriter) -> None:
    """Cut the connection the hard way, as a crashed peer or a broken middlebox does."""
    connection = writer.get_extra_info("socket")
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


def saying(*parts: bytes) -> Misbehave:
    """A server that says exactly these bytes and hangs up."""

    async def say(_: bytes, writer: asyncio.StreamWriter) -> None:
        for part in parts:
            writer.write(part)
            await writer.drain()

    return say


def replying(body: bytes, status: str = "200 OK", *headers: str) -> Misbehave:
    """A server that gives one complete reply."""
    lines = [f"HTTP/1.1 {status}", f"content-length: {len(body)}", "connection: close", *headers, "", ""]
    return saying("\r\n".join(lines).encode(), body)


def relaying_but_cutting(base_url: str) -> Misbehave:
    """A middlebox that passes the request on to the real server, and cuts the caller off once that has answered."""
    host, _, port = base_url.removeprefix("http://").partition(":")

    async def relay(request: bytes, writer: asyncio.StreamWriter) -> None:
        reader, upstream = await asyncio.open_connection(host, int(port))
        upstream.write(request)
        await reader.readuntil(b"\r\n\r\n")
        upstream.close()
        await upstream.wait_closed()
        reset(writer)

    return relay


async def hang(_: bytes, writer: asyncio.StreamWriter) -> None:
    """Never answer."""
    await asyncio.Event().wait()


async def drip(_: bytes, writer: asyncio.StreamWriter) -> None:
    """Answer so slowly that every single read succeeds and the whole never ends."""
    writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n")
    while True:
        writer.write(b" ")
        await writer.drain()
        await asyncio.sleep(0.01)


async def flood(_: bytes, writer: asyncio.StreamWriter) -> None:
    """Answer with 100 MB, without saying so beforehand."""
    writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close\r\n\r\n")
    megabyte = b" " * 2**20
    for _count in range(100):
        writer.write(megabyte)
        await writer.drain()
