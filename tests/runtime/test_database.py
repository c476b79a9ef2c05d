"""The engine against a server that is there, gone, and frozen: the last is what a cut cable looks like."""

import contextlib
import signal
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import psutil
import pytest
from sqlalchemy import text
from sqlalchemy.exc import OperationalError
from sqlalchemy.ext.asyncio import AsyncEngine

from cli.local_stack.postgres import LocalPostgres
from runtime.connection import ANSWER_TIMEOUT_S
from runtime.database import create_engine
from tests.fakes.running_stack import all_gone


@pytest.fixture
def server(open_dir: Path) -> Iterator[LocalPostgres]:
    """A server of this test's own, which nobody else misses."""
    server = LocalPostgres(open_dir / "own", durable=False)
    server.start()
    yield server
    server.stop()


@pytest.fixture
async def engine(server: LocalPostgres) -> AsyncIterator[AsyncEngine]:
    engine = create_engine(server.url("postgres"))
    yield engine
    await engine.dispose()


@contextlib.contextmanager
def frozen(server: LocalPostgres) -> Iterator[None]:
    """Every process of the server stands still."""
    processes = _processes(server)
    for process in processes:
        process.send_signal(signal.SIGSTOP)
    try:
        yield
    finally:
        for process in processes:
            process.send_signal(signal.SIGCONT)


def _processes(server: LocalPostgres) -> list[psutil.Process]:
    postmaster = psutil.Process(server.pid)
    return [postmaster, *postmaster.children(recursive=True)]


async def _backend(engine: AsyncEngine) -> int:
    async with engine.connect() as connection:
        pid: int = (await connection.execute(text("SELECT pg_backend_pid()"))).scalar_one()
    return pid


async def test_frozen_server_is_an_error_within_seconds_and_forgotten_when_it_moves_again(
    server: LocalPostgres, engine: AsyncEngine
) -> None:
    before = await _backend(engine)
    with frozen(server):
        began = time.monotonic()
        with pytest.raises(OperationalError):
            await _backend(engine)
        assert time.monotonic() - began < 5
    assert await _backend(engine) != before


async def test_server_that_was_started_again_is_not_noticed_by_those_who_were_idle(
    server: LocalPostgres, engine: AsyncEngine
) -> None:
    before = await _backend(engine)
    # All of them: a backend outlives the death of the postmaster by a moment.
    processes = _processes(server)
    for process in processes:
        process.kill()
    assert all_gone(processes, 5)
    began = time.monotonic()
    with pytest.raises(OperationalError):
        await _backend(engine)
    assert time.monotonic() - began < 1
    server.start()
    assert await _backend(engine) != before


async def test_check_costs_no_connection_and_leaves_no_transaction_open(engine: AsyncEngine) -> None:
    first = await _backend(engine)
    assert await _backend(engine) == first
    async with engine.connect() as connection:
        raw = (await connection.get_raw_connection()).driver_connection
        assert raw is not None
        assert (raw.autocommit, raw.info.transaction_status.name, raw.patience_s) == (False, "IDLE", ANSWER_TIMEOUT_S)
