"""One request to the API, repeated until it is answered: whatever is away for a while only delays the import."""

import asyncio
import random
import time
from collections.abc import Mapping
from typing import Any, Final

import httpx

PATIENCE_S: Final = 600.0
_FIRST_PAUSE_S: Final = 0.2
_LONGEST_PAUSE_S: Final = 10.0
_LONGEST_WISH_S: Final = 60.0
# 500 too: a database that dies in the middle of a statement need not look like one that is away.
_PASSING: Final = frozenset({408, 425, 429, 500, 502, 503, 504})


class GivenUp(Exception):
    """The API cannot be used: it stayed away for too long, or refuses us altogether. The text says which."""


class Door:
    """The API at one address, asked with one token.

    Every request carries what makes it the same request when it comes again, so repeating is always safe.
    """

    def __init__(self, client: httpx.AsyncClient, token: str, patience: float = PATIENCE_S) -> None:
        self._client = client
        self._headers = {"Authorization": f"Bearer {token}"}
        self._patience = patience

    async def post(self, path: str, body: Mapping[str, Any]) -> httpx.Response:
        """The first answer that is not a passing failure. Raises GivenUp after `patience` seconds without one."""
        deadline = time.monotonic() + self._patience
        pause = _FIRST_PAUSE_S
        while True:
            wished = 0.0
            try:
                answer = await self._client.post(path, json=body, headers=self._headers)
            except httpx.TransportError as failed:
                reason = f"{self._client.base_url} does not answer ({type(failed).__name__})"
            else:
                if answer.status_code not in _PASSING:
                    return _checked(answer)
                reason = f"{self._client.base_url} answers {said_by(answer)}"
                wished = _wished_pause(answer)
            # Half of the pause is random, so that requests that failed together do not all come back together.
            wait = max(wished, pause * (0.5 + random.random() / 2))  # noqa: S311 - no secret
            if time.monotonic() + wait > deadline:
                raise GivenUp(f"{reason}, for {self._patience:.0f} s now")
            await asyncio.sleep(wait)
            pause = min(pause * 2, _LONGEST_PAUSE_S)


def _checked(answer: httpx.Response) -> httpx.Response:
    """Raises GivenUp for what no other item would be spared either."""
    if answer.status_code in (401, 403) or answer.is_redirect:
        raise GivenUp(f"{answer.request.url} answers {said_by(answer)}")
    if answer.status_code in (404, 405) or (answer.is_success and not is_json(answer)):
        raise GivenUp(f"{answer.request.url} is no API of ours: it answers {said_by(answer)}")
    return answer


def _wished_pause(answer: httpx.Response) -> float:
    wish = answer.headers.get("Retry-After", "")
    return min(float(wish), _LONGEST_WISH_S) if wish.isascii() and wish.isdecimal() else 0.0


def is_json(answer: httpx.Response) -> bool:
    """Whether the body says that it is JSON, a problem included."""
    media: str = answer.headers.get("content-type", "")
    return media.partition(";")[0].strip().endswith("json")


def problem_in(answer: httpx.Response) -> dict[str, Any]:
    """The problem of a refusal, empty where it has another form."""
    try:
        told = answer.json() if is_json(answer) else {}
    except ValueError:
        return {}
    return told if isinstance(told, dict) else {}


def said_by(answer: httpx.Response) -> str:
    """The status and the reason that came with it."""
    problem = problem_in(answer)
    detail = problem.get("detail") or problem.get("title") or answer.reason_phrase
    return f"{answer.status_code} ({detail})" if detail else str(answer.status_code)
