"""The console on a database of its own, and browsers without a screen for each of its people."""

from collections.abc import AsyncIterator, Callable

import pytest

from console.app import create_app
from domain.flow.vocabulary import Role
from store import logins
from tests.api.conftest import Api, as_role, opened, running
from tests.conftest import Database
from tests.fakes.browser import CHEAP_HASH, Browser

__all__ = ["as_role", "running"]

Visit = Callable[..., Browser]


@pytest.fixture
async def api(database: Database) -> AsyncIterator[Api]:
    async with opened(database, create_app) as api:
        async with database.sessions() as session, session.begin():
            for role in Role:
                await logins.set_password(session, role.value, CHEAP_HASH, must_change=False)
        yield api


@pytest.fixture
async def visit(api: Api) -> AsyncIterator[Visit]:
    """A browser at the console: `await visit("gm").log_in()`."""
    open_ones: list[Browser] = []

    def one(person: str = "") -> Browser:
        open_ones.append(Browser(api.app, person))
        return open_ones[-1]

    yield one
    for browser in open_ones:
        await browser.http.aclose()
