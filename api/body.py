"""Refuses what no route could use, before any route sees it: too large, not JSON, or not storable as text."""

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, NoReturn

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.problem import Answer, FieldProblem, Refused, in_body, pointer, problem_response, unprocessable

_DEEPEST: Final = 32
# Read and thrown away, because many clients read the answer only once they have sent everything.
_DRAINED_BYTES: Final = 64 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class BodyLimits:
    """How many bytes a body may have: `usual`, and what single paths take instead.

    A body at a path under `signed` is left unread: its route checks the signature on the bytes before anything else.
    """

    usual: int
    larger: Mapping[str, int] = field(default_factory=dict)
    signed: tuple[str, ...] = ()

    def of(self, path: str) -> int:
        return max(self.usual, self.larger.get(path, 0))


class BodyGuard:
    """Lets a request pass with its body read, within the limit and, where it says it is JSON, strictly so."""

    def __init__(self, app: ASGIApp, *, limits: BodyLimits) -> None:
        self._app = app
        self._limits = limits

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        try:
            _check_address(scope)
            body = await _read(headers, receive, self._limits.of(scope["path"]))
            if body and is_json(headers.get("content-type", "")) and not scope["path"].startswith(self._limits.signed):
                check_json(body)
        except Refused as refused:
            answer = Answer(refused.status, refused.code, refused.detail, errors=refused.errors)
            await problem_response(scope["request_id"], answer)(scope, receive, send)
            return
        if body is not None:
            await self._app(scope, _replay(body, receive), send)


def is_json(content_type: str) -> bool:
    """Whether a Content-Type names JSON, `application/json` or a type built on it."""
    media = content_type.partition(";")[0].strip().lower()
    return media == "application/json" or (media.startswith("application/") and media.endswith("+json"))


def check_json(body: bytes) -> Any:
    """The parsed body. Raises Refused (400) for what is not strict JSON, (422) for strings that cannot be stored."""
    try:
        parsed = json.loads(body.decode("utf-8"), parse_constant=_no_constant, object_pairs_hook=_distinct)
    except (ValueError, RecursionError):
        raise Refused(400, "malformed_json", "The body is not strict JSON in UTF-8.") from None
    problems = list(_unusable(parsed, ()))
    if problems:
        raise unprocessable(problems)
    return parsed


async def _read(headers: Headers, receive: Receive, max_bytes: int) -> bytes | None:
    """The whole body, or None when the client has gone."""
    declared = headers.get("content-length", "0")
    too_large = declared.isdecimal() and int(declared[:20]) > max_bytes
    parts: list[bytes] = []
    size, more = 0, True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        part = message.get("body", b"")
        size, more = size + len(part), message.get("more_body", False)
        too_large = too_large or size > max_bytes
        if not too_large:
            parts.append(part)
        elif size > _DRAINED_BYTES:
            break
    if too_large:
        raise Refused(413, "content_too_large", f"A request may have {max_bytes} bytes.")
    return b"".join(parts)


def _no_constant(_name: str) -> NoReturn:
    raise ValueError("NaN and Infinity are not JSON")


def _distinct(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a name occurs twice in one object")
    return found


def _unusable(value: Any, path: tuple[str | int, ...]) -> Iterator[FieldProblem]:
    if len(path) > _DEEPEST:
        yield in_body(pointer(path[:3]), "too_deep", f"More than {_DEEPEST} levels deep")
    elif isinstance(value, str):
        if not _is_storable(value):
            yield in_body(pointer(path), "unstorable_text", "The text has characters that no text may have")
    elif isinstance(value, dict):
        for name, item in value.items():
            if not _is_storable(name):
                yield in_body(pointer(path), "unstorable_text", "A name has characters that no text may have")
            yield from _unusable(item, (*path, name))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _unusable(item, (*path, index))
    elif isinstance(value, float) and not math.isfinite(value):
        yield in_body(pointer(path), "finite_number", "The number is too large")


def _is_storable(text: str) -> bool:
    return "\x00" not in text and (text.isascii() or not _has_surrogates(text))


def _has_surrogates(text: str) -> bool:
    return any("\ud800" <= character <= "\udfff" for character in text)


def _check_address(scope: Scope) -> None:
    if "\x00" in scope["path"] or b"%00" in scope["query_string"]:
        raise Refused(400, "malformed_address", "The address of the request has a NUL character.")


def _replay(body: bytes, receive: Receive) -> Receive:
    given = False

    async def replayed() -> Message:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return replayed
