"""The application on a database of its own, called as each of the roles."""

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass

import httpx
import pytest
from fastapi import FastAPI
from sqlmodel.ext.asyncio.session import AsyncSession

from api.app import create_app
from domain.flow.vocabulary import Role
from flows import builtin_flows
from models.access import Person
from runtime.settings import Settings
from store import access, flows
from store.access import Grant
from store.defaults import ensure_defaults
from tests.conftest import Database

PROBLEM = "application/problem+json"
As = Callable[..., httpx.AsyncClient]


@dataclass(frozen=True)
class Api:
    """The running application; `tokens` has one per role, each of a person of that name."""

    app: FastAPI
    database: Database
    tokens: dict[str, str]


async def give_key(database: Database, person_id: str, roles: list[str], grant: Grant | None = None) -> str:
    """A token of the person, who is created if need be."""
    async with database.sessions() as session, session.begin():
        return await _give_key(session, person_id, roles, grant or Grant())


async def _give_key(session: AsyncSession, person_id: str, roles: list[str], grant: Grant) -> str:
    await session.merge(Person(person_id=person_id, name=person_id.title(), roles=roles))
    await session.flush()
    token = access.new_token()
    await access.add_key(session, person_id, token, grant)
    return token


@pytest.fixture
async def api(database: Database) -> AsyncIterator[Api]:
    async with database.sessions() as session, session.begin():
        await ensure_defaults(session)
        await flows.publish(session, builtin_flows())
        tokens = {role.value: await _give_key(session, role.value, [role.value], Grant()) for role in Role}
    app = create_app(Settings(), engine=database.engine)
    async with app.router.lifespan_context(app):
        yield Api(app, database, tokens)


@pytest.fixture
async def as_role(api: Api) -> AsyncIterator[As]:
    """A client for a role, a token of one's own, or nobody: `as_role("admin")`, `as_role(token=...)`, `as_role()`."""
    opened: list[httpx.AsyncClient] = []

    def client(role: str | None = None, *, token: str | None = None) -> httpx.AsyncClient:
        bearer = token or (api.tokens[role] if role else None)
        opened.append(
            httpx.AsyncClient(
                transport=httpx.ASGITransport(api.app, raise_app_exceptions=False),
                base_url="http://orderflow.test",
                headers={"Authorization": f"Bearer {bearer}"} if bearer else {},
            )
        )
        return opened[-1]

    yield client
    for one in opened:
        await one.aclose()


@pytest.fixture
def admin(as_role: As) -> httpx.AsyncClient:
    return as_role("admin")
