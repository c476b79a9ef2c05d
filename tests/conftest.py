"""The real parts that tests run on: PostgreSQL, Temporal and the servers with a clock that skips."""

import contextlib
import itertools
import os
import shutil
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest
from psycopg import sql
from sqlalchemy.ext.asyncio import AsyncEngine
from temporalio.client import Client
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.testing import WorkflowEnvironment

from cli.local_stack.postgres import LocalPostgres
from cli.local_stack.temporal import LocalTemporal, TemporalPorts, free_port, temporal_binary
from migrations.upgrade import migrate
from runtime.database import Sessions, create_engine, create_sessions, create_unpooled_engine, ensure_database
from runtime.temporal import ensure_search_attributes
from workflows.search_attributes import SEARCH_ATTRIBUTES

TEMPLATE = "template_orderflow"
_numbers = itertools.count(1)


@dataclass(frozen=True)
class Database:
    """A database of its own for one test, at the newest schema and empty."""

    url: str
    engine: AsyncEngine
    sessions: Sessions


@dataclass(frozen=True)
class Temporal:
    """A real Temporal server with our search attributes; its time is the machine's."""

    address: str
    client: Client


# Their tests take minutes and start whole stacks.
_LONGEST_FIRST = ("faults", "journeys", "cli")


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Folder by folder, in whatever order within each: so processes that share the tests start few stacks twice, and
    none of them is left with a long test at the end. First of all stories, which need nothing that others share."""

    def turn(item: pytest.Item) -> tuple[int, str]:
        folder = item.path.relative_to(Path(__file__).parent).parts[0]
        turn_of = _LONGEST_FIRST.index(folder) if folder in _LONGEST_FIRST else len(_LONGEST_FIRST)
        return turn_of, folder

    items.sort(key=lambda item: (item.path.name != "test_state_machine.py", *turn(item)))


StartClock = Callable[[], Awaitable[WorkflowEnvironment]]


@pytest.fixture(scope="session")
def open_dir() -> Iterator[Path]:
    """A folder that PostgreSQL's own user can enter, which pytest's `tmp_path` is not."""
    folder = Path(tempfile.mkdtemp(prefix="orderflow-tests-"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture(scope="session")
def postgres(open_dir: Path) -> Iterator[LocalPostgres]:
    server = LocalPostgres(open_dir / "postgres", durable=False)
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="session")
async def template(postgres: LocalPostgres) -> str:
    """The database that every test's own is a copy of: migrated once, never connected to again."""
    ensure_database(postgres.url(TEMPLATE))
    engine = create_unpooled_engine(postgres.url(TEMPLATE))
    await migrate(engine)
    await engine.dispose()
    return TEMPLATE


@pytest.fixture
async def database(postgres: LocalPostgres, template: str) -> AsyncIterator[Database]:
    name = f"test_{os.getpid()}_{next(_numbers)}"
    administer(postgres, "CREATE DATABASE {} TEMPLATE {} STRATEGY file_copy", name, template)
    engine = create_engine(postgres.url(name))
    yield Database(postgres.url(name), engine, create_sessions(engine))
    await engine.dispose()
    administer(postgres, "DROP DATABASE {} WITH (FORCE)", name)


@pytest.fixture(scope="session")
async def temporal(open_dir: Path) -> AsyncIterator[Temporal]:
    server = LocalTemporal(TemporalPorts(free_port()), SEARCH_ATTRIBUTES, open_dir / "temporal.log")
    server.start()
    yield Temporal(server.address, await server.client())
    server.stop()


@pytest.fixture
async def time_skipping() -> AsyncIterator[StartClock]:
    """Starts servers whose clock jumps to the next timer while someone waits for a result.

    One clock for all workflows of a server: start one server for each order whose time matters.
    """
    async with contextlib.AsyncExitStack() as running:

        async def start() -> WorkflowEnvironment:
            environment = await WorkflowEnvironment.start_time_skipping(
                data_converter=pydantic_data_converter,
                test_server_existing_path=str(temporal_binary("temporal-test-server")),
            )
            await running.enter_async_context(environment)
            await ensure_search_attributes(environment.client, SEARCH_ATTRIBUTES)
            return environment

        yield start


def administer(postgres: LocalPostgres, statement: str, *names: str) -> None:
    """Runs one statement about whole databases; `{}` stands for their names."""
    address = postgres.url("postgres").replace("+psycopg", "", 1)
    with psycopg.connect(address, autocommit=True) as connection:
        connection.execute(sql.SQL(statement).format(*map(sql.Identifier, names)))
