"""Who is at the console: whoever their session stands for. And no other page speaks in their name."""

import hmac
import secrets
from collections.abc import AsyncIterator
from dataclasses import dataclass
from hashlib import sha256
from typing import Annotated, Any, Final

import structlog
from fastapi import Depends, FastAPI, Request
from fastapi.routing import iter_route_contexts
from starlette.responses import Response

from api.problem import Refused
from domain.access import Permission, Principal
from store import logins

HOME: Final = "/console/"
SESSION: Final = "orderflow_session"
# Stands in for a session on the page where one logs in.
VISIT: Final = "orderflow_visit"
_OUTDATED: Final = "This page is out of date. Go back, load it again, and repeat what you did."
_READING: Final = frozenset({"GET", "HEAD"})


class NotEntered(Exception):
    """Nobody is logged in, or not any more."""


class PasswordDue(Exception):
    """The one who is logged in needs a password of their own first."""


@dataclass(frozen=True, slots=True)
class Visitor:
    """Somebody at the console, and the token of their session."""

    caller: Principal
    name: str
    token: str
    must_change: bool

    def may(self, permission: str) -> bool:
        """Whether one of their roles has the permission of this name."""
        return self.caller.may(Permission(permission))


@dataclass(frozen=True)
class Allowed:
    """A page's demand: somebody who is logged in, with the permission where it names one."""

    permission: Permission | None = None
    with_first_password: bool = False

    async def __call__(self, request: Request) -> Visitor:
        visitor = await _visitor(request)
        if visitor.must_change and not self.with_first_password:
            raise PasswordDue
        if self.permission is not None and not visitor.caller.may(self.permission):
            raise Refused(403, "forbidden", f"This needs the permission {self.permission.value}.")
        structlog.contextvars.bind_contextvars(actor=visitor.caller.actor)
        return visitor


@dataclass(frozen=True)
class Open:
    """A page for everybody, and the reason why that is right."""

    reason: str

    async def __call__(self) -> None:
        """Nothing to check."""


def allowed(permission: Permission | None = None, *, with_first_password: bool = False) -> Any:
    """Dependency that yields the Visitor; without one the page leads to where one logs in."""
    return Depends(Allowed(permission, with_first_password))


def open_to_all(reason: str) -> Any:
    """Dependency that declares a page open, for `dependencies=[open_to_all("...")]`."""
    return Depends(Open(reason))


def refuse_undeclared_pages(app: FastAPI) -> None:
    """Raises RuntimeError naming every page that declares neither a demand nor why it is open."""
    pages = (page for page in iter_route_contexts(app.routes) if hasattr(page, "dependant"))
    bare = sorted(
        f"{page.path}"
        for page in pages
        if not any(isinstance(one.call, Allowed | Open) for one in page.dependant.dependencies)
    )
    if bare:
        raise RuntimeError(f"pages without a declared demand: {', '.join(bare)}")


async def no_forgery(request: Request) -> AsyncIterator[None]:
    """Refuses (403) whatever would change something and was not sent by a page of ours to this very browser."""
    try:
        if request.method not in _READING:
            await _refuse_forged(request)
        yield
    finally:
        # What the form brought along, such as a file, is gone with the request.
        await request.close()


async def _refuse_forged(request: Request) -> None:
    sent = request.headers.get("x-csrf-token") or str((await request.form()).get("csrf", ""))
    expected = csrf_of(request)
    elsewhere = request.headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none")
    if elsewhere or not expected or not hmac.compare_digest(sent.encode(), expected.encode()):
        raise Refused(403, "page_outdated", _OUTDATED)


def csrf_of(request: Request) -> str:
    """What forms of this browser carry; empty for one that has no session and has not asked for one."""
    own = request.cookies.get(SESSION) or request.cookies.get(VISIT) or getattr(request.state, "visit", "")
    return sha256(f"csrf/{own}".encode()).hexdigest() if own else ""


def begin_visit(request: Request) -> str:
    """What the browser keeps until it has a session, so that only our own page logs it in."""
    request.state.visit = request.cookies.get(VISIT) or secrets.token_urlsafe(24)
    return str(request.state.visit)


def keep(request: Request, response: Response, name: str, value: str, *, seconds: int | None = None) -> None:
    """The browser keeps the value and shows it to nobody but us; over TLS alone where the console has that."""
    secure = request.url.scheme == "https" or request.app.state.settings.env == "prod"
    response.set_cookie(name, value, max_age=seconds, path="/console", secure=secure, httponly=True, samesite="lax")


async def _visitor(request: Request) -> Visitor:
    token = request.cookies.get(SESSION, "")
    if not token:
        raise NotEntered
    async with request.app.state.sessions() as session, session.begin():
        found = await logins.entered(session, token)
    if found is None:
        raise NotEntered
    return Visitor(found.principal, found.name, token, found.must_change)


OpenlyVisited = Annotated[Visitor, allowed(with_first_password=True)]
"""Somebody who is logged in, be it with a first password."""
