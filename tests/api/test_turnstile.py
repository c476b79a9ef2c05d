"""Turns for requests: as many at once as there are connections, the others in the order in which they came."""

import asyncio

from starlette.types import Message, Receive, Scope, Send

from api.turnstile import Turnstile, end_turn


class _Slow:
    """An application whose requests each end when told to; `working` and `done` name them by path."""

    def __init__(self) -> None:
        self.working: list[str] = []
        self.done: list[str] = []
        self.go_on: dict[str, asyncio.Event] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = scope["path"]
        self.working.append(path)
        if path.startswith("/elsewhere"):
            end_turn()
        if path.startswith("/stream"):
            await send({"type": "http.response.start", "status": 200, "headers": []})
        await self.go_on.setdefault(path, asyncio.Event()).wait()
        if path.startswith("/broken"):
            raise RuntimeError("broken")
        self.done.append(path)

    async def until_working(self, *paths: str) -> None:
        for _ in range(100):
            await asyncio.sleep(0)
        assert self.working == list(paths)


async def _receive() -> Message:
    return {"type": "http.disconnect"}


async def _send(message: Message) -> None:
    """Nobody looks at the answers."""


def _ask(turnstile: Turnstile, path: str) -> asyncio.Task[None]:
    scope = {"type": "http", "path": path, "request_id": "r"}
    return asyncio.create_task(turnstile(scope, _receive, _send))


async def _end(app: _Slow, *requests: asyncio.Task[None]) -> None:
    while not all(request.done() for request in requests):
        for event in app.go_on.values():
            event.set()
        await asyncio.sleep(0)
    await asyncio.gather(*requests, return_exceptions=True)


async def test_crowd_waits_in_line_and_nobody_is_refused() -> None:
    app = _Slow()
    turnstile = Turnstile(app, connections=2)
    requests = [_ask(turnstile, f"/{number}") for number in range(5)]
    await app.until_working("/0", "/1")
    app.go_on["/1"].set()
    await app.until_working("/0", "/1", "/2")
    assert app.done == ["/1"]
    await _end(app, *requests)
    assert app.working == ["/0", "/1", "/2", "/3", "/4"]


async def test_stream_keeps_its_turn_only_until_it_begins_to_answer() -> None:
    app = _Slow()
    turnstile = Turnstile(app, connections=1)
    requests = [_ask(turnstile, path) for path in ("/stream", "/next")]
    await app.until_working("/stream", "/next")
    await _end(app, *requests)


async def test_request_that_waits_for_something_else_gives_up_its_turn_once() -> None:
    app = _Slow()
    turnstile = Turnstile(app, connections=1)
    requests = [_ask(turnstile, path) for path in ("/elsewhere", "/1", "/2")]
    await app.until_working("/elsewhere", "/1")
    app.go_on["/elsewhere"].set()
    await asyncio.gather(requests[0])
    # Its end brought no second turn back.
    assert app.working == ["/elsewhere", "/1"]
    await _end(app, *requests)


async def test_broken_request_gives_its_turn_back() -> None:
    app = _Slow()
    turnstile = Turnstile(app, connections=1)
    requests = [_ask(turnstile, path) for path in ("/broken", "/next")]
    await app.until_working("/broken")
    app.go_on["/broken"].set()
    await app.until_working("/broken", "/next")
    await _end(app, *requests)


async def test_monitors_need_no_turn() -> None:
    app = _Slow()
    turnstile = Turnstile(app, connections=1)
    requests = [_ask(turnstile, path) for path in ("/1", "/2", "/healthz", "/readyz", "/metrics")]
    await app.until_working("/1", "/healthz", "/readyz", "/metrics")
    await _end(app, *requests)
