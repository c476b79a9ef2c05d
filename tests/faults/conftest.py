"""A running system of its own for each test, to be killed in every way."""

import contextlib
import itertools
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.fakes.live_stack import ENDED_WITHIN_S, start_stack
from tests.fakes.running_stack import RunningStack, free_port_base

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
