"""The three doors that an import uses, taking every item once, with a script of what goes wrong on the way."""

import asyncio
import json
from collections import deque
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

from tests.fakes.http_server import reset

Json = dict[str, Any]


@dataclass
class BatchApi:
    """`mishaps` happen to the next requests, in this order, one each; afterwards everything goes well.

    `reset`: cut off before anything is taken. `lost`: taken, but the answer never arrives. A number: answered with
    this status. `refusals` are the problems of items, by external, payment or receipt id. Nothing is answered before
    `crowd` requests have been under way together.
    """

    mishaps: deque[str | int] = field(default_factory=deque)
    refusals: dict[str, Json] = field(default_factory=dict)
    headers: tuple[str, ...] = ()
    largest_batch: int = 500
    crowd: int = 1
    taken: dict[str, Json] = field(default_factory=dict)
    requests: list[tuple[str, int]] = field(default_factory=list)
    tokens: set[str] = field(default_factory=set)
    crowded: asyncio.Event = field(default_factory=asyncio.Event)
    in_flight: int = 0
    most_in_flight: int = 0

    async def __call__(self, request: bytes, writer: asyncio.StreamWriter) -> None:
        """Handles one request; to be given to `misbehaving`."""
        self.in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self.in_flight)
        try:
            if self.in_flight >= self.crowd:
                self.crowded.set()
            await self.crowded.wait()
            await self._answer(request, writer)
        finally:
            self.in_flight -= 1

    async def _answer(self, request: bytes, writer: asyncio.StreamWriter) -> None:
        head, _, raw = request.partition(b"\r\n\r\n")
        path = head.split(b" ")[1].decode()
        self.tokens |= {line.split()[-1].decode() for line in head.splitlines() if line.startswith(b"Authorization")}
        body = json.loads(raw)
        items = body.get("orders") or body.get("payments") or [body]
        self.requests.append((path, len(items)))
        mishap = self.mishaps.popleft() if self.mishaps else None
        if mishap == "reset":
            reset(writer)
        elif isinstance(mishap, int):
            await _say(writer, mishap, _problem("passing", "not now"), self.headers)
        elif len(items) > self.largest_batch:
            await _say(writer, 413, _problem("content_too_large", "too much"))
        else:
            fates = [self._take(index, item) for index, item in enumerate(items)]
            if mishap == "lost":
                reset(writer)
            elif items == [body]:
                await self._say_one(writer, fates[0])
            else:
                await _say(writer, 200, {"accepted": len(fates), "refused": 0, "results": fates})

    def _take(self, index: int, item: Json) -> Json:
        key = next(item[name] for name in ("payment_id", "external_id", "receipt_id") if name in item)
        if key in self.refusals:
            return {"index": index, "status": 422, "order_no": None, "replayed": False, "problem": self.refusals[key]}
        replayed = key in self.taken
        self.taken.setdefault(key, item)
        return {"index": index, "status": 202, "order_no": f"SO{key}", "replayed": replayed, "problem": None}

    async def _say_one(self, writer: asyncio.StreamWriter, fate: Json) -> None:
        if fate["problem"] is not None:
            await _say(writer, fate["status"], fate["problem"])
        elif fate["replayed"]:
            await _say(writer, 200, {}, ("idempotent-replayed: true",))
        else:
            await _say(writer, 201, {})


def _problem(code: str, detail: str) -> Json:
    return {"code": code, "detail": detail}


async def _say(writer: asyncio.StreamWriter, status: int, body: Json, headers: tuple[str, ...] = ()) -> None:
    raw = json.dumps(body).encode()
    media = "application/json" if status < 400 else "application/problem+json"
    lines = [
        f"HTTP/1.1 {status} {HTTPStatus(status).phrase}",
        f"content-length: {len(raw)}",
        f"content-type: {media}",
        "connection: close",
        *headers,
        "",
        "",
    ]
    writer.write("\r\n".join(lines).encode() + raw)
    await writer.drain()
