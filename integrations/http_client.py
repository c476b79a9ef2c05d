"""The one place that builds an HTTP client, and the rules for listening to outside parties.

What comes back is not trusted: limited in size and in time, never redirected, never decompressed, and of the expected
shape before anyone sees it.
"""

import asyncio
import re
import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import Annotated, TypeVar
from urllib.parse import quote

import httpx
from pydantic import BaseModel, StringConstraints, ValidationError

from integrations.failure import PartyFailure

REPLY_LIMIT_BYTES = 64 * 1024
_RETRY_AFTER_LIMIT_SECONDS = 24 * 3600.0

# Text that may go into records and onto paper: bounded, one line, no control characters.
ReplyText = Annotated[str, StringConstraints(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f]+$")]
ReplyUrl = Annotated[str, StringConstraints(max_length=2000, pattern=r"^https?://[!-~]+$")]
ReplyCode = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_.-]{0,59}$")]

M = TypeVar("M", bound=BaseModel)


class NoReply(Exception):
    """Nothing usable came back in time; whether the request had its effect is unknown."""


class ReplyTooLarge(Exception):
    """More bytes came back than anyone should listen to, under this status."""

    def __init__(self, status: int) -> None:
        super().__init__(f"status {status}")
        self.status = status


@dataclass(frozen=True)
class Reply:
    """A complete reply within its limits."""

    status: int
    headers: httpx.Headers
    body: bytes


class Refusal(BaseModel):
    """Why a party said no; the code is the party's own."""

    code: ReplyCode


def build_client(*, timeout_seconds: float = 10.0, verify: ssl.SSLContext | bool = True) -> httpx.AsyncClient:
    """A client that follows no redirect, obeys no proxy from the environment and keeps no cookies."""
    return httpx.AsyncClient(
        timeout=httpx.Timeout(timeout_seconds, connect=min(5.0, timeout_seconds)),
        follow_redirects=False,
        trust_env=False,
        verify=verify,
        limits=httpx.Limits(max_connections=100, max_keepalive_connections=20),
        cookies=CookieJar(policy=DefaultCookiePolicy(allowed_domains=[])),
        # A compressed reply could grow without limit after its size was checked.
        headers={"user-agent": "orderflow", "accept-encoding": "identity"},
    )


async def read_limited(response: httpx.Response, limit: int = REPLY_LIMIT_BYTES) -> bytes:
    """The body as sent, or ReplyTooLarge as soon as it is known to exceed the limit."""
    declared = response.headers.get("content-length", "")
    if re.fullmatch(r"[0-9]{1,20}", declared) and int(declared) > limit:
        raise ReplyTooLarge(response.status_code)
    body = bytearray()
    async for chunk in response.aiter_raw():
        body += chunk
        if len(body) > limit:
            raise ReplyTooLarge(response.status_code)
    return bytes(body)


async def send_limited(
    client: httpx.AsyncClient, request: httpx.Request, *, deadline_seconds: float, limit: int = REPLY_LIMIT_BYTES
) -> Reply:
    """Send and read the whole reply within the deadline; NoReply or ReplyTooLarge otherwise."""
    try:
        async with asyncio.timeout(deadline_seconds):
            response = await client.send(request, stream=True)
            try:
                body = await read_limited(response, limit)
            finally:
                await response.aclose()
    except (httpx.HTTPError, httpx.StreamError, TimeoutError, OSError) as problem:
        raise NoReply(type(problem).__name__) from problem
    return Reply(response.status_code, response.headers, body)


def retry_after_seconds(headers: Mapping[str, str], now: datetime) -> float | None:
    """The pause a Retry-After header asks for, at most a day; None without a header that makes sense."""
    value = headers.get("retry-after", "").strip()
    if re.fullmatch(r"[0-9]{1,9}", value):
        return min(float(value), _RETRY_AFTER_LIMIT_SECONDS)
    try:
        until = parsedate_to_datetime(value)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    if until.tzinfo is None:
        until = until.replace(tzinfo=UTC)
    return min(max((until - now).total_seconds(), 0.0), _RETRY_AFTER_LIMIT_SECONDS)


@dataclass(frozen=True)
class PartyApi:
    """The HTTP interface of one outside party; every trouble with it becomes that party's own retryable error.

    `unavailable` makes that error; codes are `<party>_unavailable`, `<party>_denied` (our credentials) and
    `<party>_bad_reply`.
    """

    party: str
    base_url: str
    client: httpx.AsyncClient
    token: str = field(repr=False)
    unavailable: Callable[..., PartyFailure]
    deadline_seconds: float = 20.0

    async def call(
        self,
        method: str,
        path: str,
        *,
        key: str | None = None,
        content: bytes | None = None,
        limit: int = REPLY_LIMIT_BYTES,
    ) -> Reply:
        """The reply, if it is one that the party gave on purpose: 2xx, or 4xx about what was asked."""
        headers = {"authorization": f"Bearer {self.token}", "accept": "application/json"}
        if key is not None:
            headers["idempotency-key"] = wire_key(key)
        if content is not None:
            headers["content-type"] = "application/json"
        try:
            url = f"{self.base_url.rstrip('/')}{path}"
            request = self.client.build_request(method, url, headers=headers, content=content)
            reply = await send_limited(self.client, request, deadline_seconds=self.deadline_seconds, limit=limit)
        except (NoReply, httpx.InvalidURL) as problem:
            raise self.unavailable(f"{self.party}_unavailable", f"no reply ({problem})") from problem
        except ReplyTooLarge as problem:
            raise self.bad_reply("too large") from problem
        self._refuse_unusable(reply)
        return reply

    def read(self, reply: Reply, shape: type[M]) -> M:
        """The body of a reply in its expected shape; anything else is a bad reply."""
        try:
            return shape.model_validate_json(reply.body)
        except ValidationError as problem:
            raise self.bad_reply(f"status {reply.status}, body is not a {shape.__name__}") from problem

    def refusal(self, reply: Reply) -> str:
        """The party's code for its refusal; a refusal without one is a bad reply."""
        return self.read(reply, Refusal).code

    def is_unknown(self, reply: Reply) -> bool:
        """Whether the party says that it knows no such thing; a 404 in nobody's words may come from a wrong URL."""
        return reply.status == 404 and bool(self.refusal(reply))

    def bad_reply(self, detail: str) -> PartyFailure:
        """The error for a reply that makes no sense."""
        return self.unavailable(f"{self.party}_bad_reply", detail)

    def _refuse_unusable(self, reply: Reply) -> None:
        status = reply.status
        if status in (401, 403):
            raise self.unavailable(f"{self.party}_denied", f"status {status}")
        if status in (408, 425, 429) or status >= 500:
            pause = retry_after_seconds(reply.headers, datetime.now(UTC))
            raise self.unavailable(f"{self.party}_unavailable", f"status {status}", retry_after_seconds=pause)
        if status < 200 or 300 <= status < 400:
            raise self.bad_reply(f"status {status}")
        if reply.headers.get("content-encoding", "identity").lower() != "identity":
            raise self.bad_reply("compressed though we asked for plain")


def path_part(text: str) -> str:
    """The text as one segment of a path, whatever it contains."""
    return quote(text, safe="")


def wire_key(key: str) -> str:
    """The key as a party sees it, in header and path alike: as it is, or escaped where a header could not hold it."""
    return key if re.fullmatch("[!-~]([ -~]*[!-~])?", key) else quote(key, safe="")
