"""Server-sent events on a real server: what happened, what happens, and the end."""

import asyncio
import json
import socket
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from typing import Any

import httpx
import pytest
import uvicorn

from domain.order import Lifecycle
from domain.order_number import order_number
from models.columns import now
from store import access, events, orders
from store.events import Event
from tests.api.conftest import PROBLEM, Api, As, give_key
from tests.factories.requests import an_order
from tests.fakes.patience import eventually

NUMBER = order_number("web", "T-1001")
EVENTS = f"/v1/orders/{NUMBER}/events"
Told = dict[str, str]


@pytest.fixture
async def server(api: Api) -> AsyncIterator[str]:
    """The application behind a real socket; its address."""
    config = uvicorn.Config(api.app, lifespan="off", log_config=None, timeout_graceful_shutdown=1)
    running = uvicorn.Server(config)
    listening = socket.create_server(("127.0.0.1", 0))
    serving = asyncio.create_task(running._serve([listening]))
    yield f"http://127.0.0.1:{listening.getsockname()[1]}"
    running.should_exit = True
    await serving


async def happen(api: Api, kind: str, *, closes: bool = False) -> None:
    """The order's next event, which may be its last."""
    async with api.database.sessions() as session, session.begin():
        order = await orders.lock(session, NUMBER)
        if closes:
            order.lifecycle, order.closed_at = Lifecycle.COMPLETED, now()
        await events.record(session, order, Event(kind, {"total_minor": 1}))


async def listen(server: str, token: str, **headers: str) -> AsyncGenerator[Told]:
    """The events of the stream as they come: id, event, data, retry."""
    async with (
        httpx.AsyncClient(base_url=server, timeout=20, headers={"Authorization": f"Bearer {token}"}) as client,
        client.stream("GET", EVENTS, headers=headers) as answer,
    ):
        assert (answer.status_code, answer.headers["Content-Type"]) == (200, "text/event-stream; charset=utf-8")
        assert answer.headers["Cache-Control"] == "no-cache"
        told: Told = {}
        async for line in answer.aiter_lines():
            name, _, value = line.partition(": ")
            if line:
                told[name] = value
            elif told:
                yield told
                told = {}


async def heard(stream: AsyncIterator[Told]) -> list[tuple[str, str]]:
    return [(told["id"], told["event"]) async for told in stream]


@pytest.fixture
async def token(api: Api, as_role: As) -> str:
    assert (await as_role("channel").post("/v1/orders", json=an_order())).status_code == 202
    return api.tokens["channel"]


async def test_stream_tells_what_was_and_what_comes_and_ends_with_the_order(api: Api, server: str, token: str) -> None:
    async with aclosing(listen(server, token)) as stream:
        first = await anext(stream)
        shown: dict[str, Any] = json.loads(first["data"])
        assert (first["id"], first["event"], first["retry"]) == ("1", "order.received", "3000")
        assert (shown["seq"], shown["kind"], shown["actor"]) == (1, "order.received", "channel")
        await happen(api, "order.accepted")
        second = await anext(stream)
        assert (second["id"], second["event"]) == ("2", "order.accepted")
        await happen(api, "order.completed", closes=True)
        assert await heard(stream) == [("3", "order.completed")]


async def test_stream_goes_on_behind_the_last_event_heard(api: Api, server: str, token: str) -> None:
    await happen(api, "order.accepted")
    await happen(api, "order.completed", closes=True)
    assert await heard(listen(server, token, **{"Last-Event-ID": "1"})) == [
        ("2", "order.accepted"),
        ("3", "order.completed"),
    ]
    assert await heard(listen(server, token, **{"Last-Event-ID": "3"})) == []


async def test_stream_shows_no_money_to_who_must_not_see_it(api: Api, server: str, token: str) -> None:
    await happen(api, "order.completed", closes=True)
    for role, shown in (("channel", {"total_minor": 1}), ("warehouse", {})):
        told = [json.loads(event["data"]) async for event in listen(server, api.tokens[role])]
        assert told[-1]["data"] == shown, role


async def test_stream_is_refused_as_a_problem(api: Api, server: str, token: str) -> None:
    async with httpx.AsyncClient(base_url=server, headers={"Authorization": f"Bearer {token}"}) as client:
        unknown = await client.get("/v1/orders/SO0000000000000000/events")
        assert (unknown.status_code, unknown.headers["Content-Type"]) == (404, PROBLEM)
        malformed = await client.get(EVENTS, headers={"Last-Event-ID": "first"})
        assert (malformed.status_code, malformed.headers["Content-Type"]) == (422, PROBLEM)
        api.app.state.streams.limit = 0
        full = await client.get(EVENTS)
    assert (full.status_code, full.json()["code"], full.headers["Retry-After"]) == (503, "too_many_streams", "30")
    async with httpx.AsyncClient(base_url=server) as nobody:
        assert (await nobody.get(EVENTS)).status_code == 401


async def test_place_is_given_back_when_a_listener_leaves(api: Api, server: str, token: str) -> None:
    streams = api.app.state.streams
    async with aclosing(listen(server, token)) as stream:
        await anext(stream)
        assert streams.open == 1

    async def still_open() -> int:
        taken: int = streams.open
        return taken

    await eventually(still_open, lambda taken: taken == 0)


async def test_stream_ends_when_its_key_is_revoked(
    api: Api, server: str, token: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("api.orders.streams._CHECK_KEY_EVERY_S", 0.0)
    other = await give_key(api.database, "shop", ["channel"])
    async with aclosing(listen(server, other)) as stream:
        await anext(stream)
        async with api.database.sessions() as session, session.begin():
            await access.revoke_key(session, "shop", other.split("_")[1])
        assert await heard(stream) == []
