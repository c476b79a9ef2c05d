"""A running system of its own for each test, to be killed in every way."""

import asyncio
import contextlib
import itertools
import signal
import uuid
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest

from tests.fakes.caller import Caller
from tests.fakes.live_stack import ENDED_WITHIN_S, start_stack
from tests.fakes.running_stack import RunningStack, free_port_base
from tests.faults.laboratory import Lab
from tests.faults.outside_world import outside_world

_numbers = itertools.count(1)
Start = Callable[..., RunningStack]


@pytest.fixture
def data_dir(open_dir: Path) -> Path:
    return open_dir / f"faults-{next(_numbers)}"


@pytest.fixture
def start(data_dir: Path) -> Iterator[Start]:
    """Starts a stack on the test's folder, at the same ports every time. What still runs at the end is ended."""
    port_base = free_port_base()
    with contextlib.ExitStack() as running:

        def begin(**settings: str) -> RunningStack:
            stack = start_stack(data_dir, port_base, **settings)
            running.callback(stack.end, signal.SIGTERM, ENDED_WITHIN_S)
            return stack

        yield begin


@pytest.fixture(scope="session")
async def lab(open_dir: Path) -> AsyncIterator[Lab]:
    """One system for all tests that leave it in order. Its parties are in the test's hands, and so are its parts."""
    folder = open_dir / "laboratory"
    async with outside_world(folder / "parties") as world:
        settings = world.settings | {"sweep_interval_s": "1"}
        stack = await asyncio.to_thread(lambda: start_stack(folder / "data", None, **settings))
        caller = Caller(stack)
        yield Lab(folder / "data", stack, world, caller)
        await caller.http.aclose()
        status, said = await asyncio.to_thread(stack.end, signal.SIGTERM, ENDED_WITHIN_S)
    assert status == 0, said


@pytest.fixture
def sku() -> str:
    """Goods that no other test has."""
    return f"SKU-{uuid.uuid4().hex[:10]}"
