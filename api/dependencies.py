"""What routes ask for: the caller with a permission, a database session, the settings, the Temporal client."""

import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from typing import Annotated, Any, Final

import structlog
from fastapi import Depends, FastAPI, Request
from fastapi.dependencies.models import Dependant
from fastapi.routing import RouteContext, iter_route_contexts
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from sqlmodel.ext.asyncio.session import AsyncSession
from temporalio.client import Client

from api.problem import Refused
from domain.access import Permission, Principal
from runtime.database import Sessions
from runtime.keyring import KeyRing
from runtime.settings import Settings
from store import access

# Short enough that a revoked key dies within a minute, long enough to spare most requests a query.
_CACHE_S: Final = 30.0
_CACHE_SIZE: Final = 2000
# Where whoever lets callers in by other means than a key says who they are; a client cannot reach it.
ENTERED: Final = "orderflow.entered"
_bearer = HTTPBearer(auto_error=False, description="API key `ofk_<id>_<secret>`", scheme_name="apiKey")


class PrincipalCache:
    """Callers whose keys were checked less than half a minute ago, by the hash of the key."""

    def __init__(self) -> None:
        self._known: dict[str, tuple[float, Principal]] = {}

    def get(self, token_hash: str) -> Principal | None:
        until, principal = self._known.get(token_hash, (0.0, None))
        return principal if time.monotonic() < until else None

    def put(self, token_hash: str, principal: Principal, expires_at: datetime | None) -> None:
        if len(self._known) >= _CACHE_SIZE:
            self._known.clear()
        left = (expires_at - datetime.now(UTC)).total_seconds() if expires_at else _CACHE_S
        self._known[token_hash] = (time.monotonic() + min(left, _CACHE_S), principal)

    def forget(self) -> None:
        """Afterwards every key is checked anew; called in the process that revokes one."""
        self._known.clear()


@dataclass(frozen=True)
class Requires:
    """A route's demand: a valid key whose roles have the permission."""

    permission: Permission

    async def __call__(
        self, request: Request, credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)]
    ) -> Principal:
        principal = await _principal(request, credentials)
        if not principal.may(self.permission):
            raise Refused(403, "forbidden", f"This needs the permission {self.permission.value}.")
        structlog.contextvars.bind_contextvars(actor=principal.actor)
        return principal


@dataclass(frozen=True)
class Public:
    """A route without a key, and the reason why that is right."""

    reason: str

    async def __call__(self) -> None:
        """Nothing to check."""


def requires(permission: Permission) -> Any:
    """Dependency that yields the Principal: 401 without a valid key, 403 when its roles lack the permission.

    Use: `principal: Annotated[Principal, requires(Permission.ORDERS_READ)]`.
    """
    return Depends(Requires(permission))


def public(reason: str) -> Any:
    """Dependency that declares a route open, for `dependencies=[public("...")]`."""
    return Depends(Public(reason))


async def _session(request: Request) -> AsyncIterator[AsyncSession]:
    async with request.app.state.sessions() as session:
        yield session


async def _snapshot(request: Request) -> AsyncIterator[AsyncSession]:
    async with request.app.state.sessions() as session:
        await session.connection(execution_options={"isolation_level": "REPEATABLE READ", "postgresql_readonly": True})
        yield session


async def _sessions(request: Request) -> Any:
    return request.app.state.sessions


async def _settings(request: Request) -> Any:
    return request.app.state.settings


async def _keys(request: Request) -> Any:
    return request.app.state.keyring


async def _client(request: Request) -> Any:
    return request.app.state.temporal


# Closed before the answer is sent, so that a slow reader holds no connection; whoever writes commits.
SessionDep = Annotated[AsyncSession, Depends(_session, scope="function")]
# For a view that takes several queries: all of them see the same moment, and none may write.
SnapshotDep = Annotated[AsyncSession, Depends(_snapshot, scope="function")]
SessionsDep = Annotated[Sessions, Depends(_sessions)]
SettingsDep = Annotated[Settings, Depends(_settings)]
KeysDep = Annotated[KeyRing, Depends(_keys)]
ClientDep = Annotated[Client | None, Depends(_client)]


def access_of(route: RouteContext) -> Requires | Public | None:
    """What the route declares about its caller; None: nothing, which `refuse_undeclared` does not let pass."""
    found = [call for call in _calls(route.dependant) if isinstance(call, Requires | Public)]
    return found[0] if found else None


def refuse_undeclared(app: FastAPI) -> None:
    """Raises RuntimeError naming every route that declares neither a permission nor why it is public."""
    ours = (route for route in iter_route_contexts(app.routes) if hasattr(route, "dependant"))
    bare = sorted(f"{route.path}" for route in ours if access_of(route) is None)
    if bare:
        raise RuntimeError(f"routes without a declared permission: {', '.join(bare)}")


def _calls(dependant: Dependant) -> Iterator[Any]:
    yield dependant.call
    for inner in dependant.dependencies:
        yield from _calls(inner)


async def _principal(request: Request, credentials: HTTPAuthorizationCredentials | None) -> Principal:
    entered = request.scope.get(ENTERED)
    if isinstance(entered, Principal):
        return entered
    if credentials is None:
        raise _unauthorized("This needs an API key: Authorization: Bearer ofk_...", "Bearer")
    cache: PrincipalCache = request.app.state.principals
    token_hash = sha256(credentials.credentials.encode("utf-8", "surrogateescape")).hexdigest()
    known = cache.get(token_hash)
    if known is not None:
        return known
    async with request.app.state.sessions() as session:
        found = await access.authenticate(session, credentials.credentials)
    if found is None:
        raise _unauthorized("The API key is unknown, expired or revoked.", 'Bearer error="invalid_token"')
    cache.put(token_hash, found.principal, found.expires_at)
    return found.principal


def _unauthorized(detail: str, challenge: str) -> Refused:
    return Refused(401, "unauthorized", detail, headers={"WWW-Authenticate": challenge})
