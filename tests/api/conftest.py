"""The application on a database of its own, called as each of the roles."""

import contextlib
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from sqlmodel.ext.asyncio.session import AsyncSession
from temporalio.client import Client
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.service import RPCError

from api.app import create_app
from api.inbox.door import report_scan
from api.inbox.hand_over import HandOver
from domain.flow.vocabulary import Role
from flows import builtin_flows
from integrations.carrier.port import CarrierEvent
from models.access import Person
from runtime.settings import Settings
from store import access, flows
from store.access import Grant
from store.defaults import ensure_defaults
from tests.conftest import Database, Temporal
from workers.main import build_workers
from workers.wiring import wire

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
    async with opened(database, create_app) as api:
        yield api


@contextlib.asynccontextmanager
async def opened(database: Database, factory: Callable[..., FastAPI], **settings: Any) -> AsyncIterator[Api]:
    """The application that the factory makes, without Temporal, with a key for each role."""
    async with database.sessions() as session, session.begin():
        await ensure_defaults(session)
        await flows.publish(session, builtin_flows())
        tokens = {role.value: await _give_key(session, role.value, [role.value], Grant()) for role in Role}
    # Nobody listens there: what is placed stays in the inbox, as when Temporal is away.
    nobody = await Client.connect("127.0.0.1:1", lazy=True, data_converter=pydantic_data_converter)
    in_force: dict[str, Any] = {"temporal_ui_url": "http://ui.test", "metrics_interval_s": 0} | settings
    app = factory(Settings(**in_force), engine=database.engine, temporal=nobody)
    async with app.router.lifespan_context(app):
        yield Api(app, database, tokens)


@pytest.fixture
async def running(api: Api, temporal: Temporal) -> AsyncIterator[Api]:
    """The same application with Temporal and workers: orders go their way. What is left of them is terminated."""
    async with at_work(api, temporal.client):
        yield api


@contextlib.asynccontextmanager
async def at_work(api: Api, client: Client) -> AsyncIterator[None]:
    """The application and workers on this Temporal until the block ends; what is left of orders is terminated."""
    sessions = api.database.sessions
    hand_over = HandOver(sessions, client)
    await hand_over.start()
    api.app.state.temporal, api.app.state.hand_over = client, hand_over

    async def report(event: CarrierEvent) -> None:
        await report_scan(sessions, hand_over, event)

    able = wire(api.app.state.settings, api.database.engine, sessions, report)
    async with AsyncExitStack() as workers:
        workers.push_async_callback(hand_over.stop)
        for worker in build_workers(client, able):
            await workers.enter_async_context(worker)
        yield
        async for order in client.list_workflows("ExecutionStatus = 'Running'"):
            with contextlib.suppress(RPCError):
                await client.get_workflow_handle(order.id).terminate()


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
