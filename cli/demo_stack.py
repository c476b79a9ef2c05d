"""A local stack of a command's own, as a child process that goes when the command goes, however that ends."""

import contextlib
import os
import shutil
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

from cli.local_stack import LocalStackError
from cli.local_stack.children import Child, Program
from cli.local_stack.layout import DataDir
from cli.local_stack.stack import orderflow_command
from cli.local_stack.temporal import is_free

_READY_TIMEOUT_S: Final = 120.0
_STOP_TIMEOUT_S: Final = 40.0
_FIRST_PORT: Final = 8080
# Long enough to call an order off between the booking of its parcel and the carrier's pick-up, on a slow machine too.
CARRIER_DELAY_S: Final = 3.0
# Thirty minutes that somebody has to answer, or to pay a deposit, are twelve seconds.
TIME_SCALE: Final = 1 / 150
_DEMO_SETTINGS: Final = MappingProxyType(
    {
        "ORDERFLOW_CARRIER_AUTOPILOT": "1",
        "ORDERFLOW_CARRIER_AUTOPILOT_DELAY_S": str(CARRIER_DELAY_S),
        "ORDERFLOW_TIME_SCALE": str(TIME_SCALE),
    }
)


@dataclass(frozen=True)
class RunningDemo:
    """The stack that runs: what it told of itself, and the process that keeps it."""

    facts: dict[str, Any]
    data_dir: Path
    child: Child


def free_port_base() -> int:
    """The first port from 8080 up, in steps of ten, that is free together with the two after it."""
    for base in range(_FIRST_PORT, 65_000, 10):
        if all(map(is_free, range(base, base + 3))):
            return base
    raise LocalStackError("no three neighbouring ports are free")


@contextmanager
def running(
    data_dir: Path | None,
    port_base: int,
    settings: Mapping[str, str] = _DEMO_SETTINGS,
    command: tuple[str, ...] | None = None,
) -> Iterator[RunningDemo]:
    """A ready stack with these settings; afterwards all of it is gone, and without `data_dir` its data too.

    `command` starts it: `orderflow dev`, or what takes the same options. Raises LocalStackError.
    """
    with contextlib.ExitStack() as left_behind:
        if data_dir is None:
            data_dir = left_behind.enter_context(_fresh_folder())
        data = DataDir(data_dir.absolute())
        data.open()
        child = Child(_program(data, port_base, settings, command or orderflow_command("dev")))
        left_behind.callback(child.stop, _STOP_TIMEOUT_S)
        child.spawn()
        yield RunningDemo(_wait_ready(child, data), data.root, child)


@contextmanager
def _fresh_folder() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="orderflow-"))
    # PostgreSQL of a stack that root started runs as another user, who has to get there.
    folder.chmod(0o755)
    data = DataDir(folder / "data")
    try:
        yield data.root
    finally:
        # For root under a closed folder the cluster lies elsewhere, behind a link.
        if data.postgres.is_symlink():
            shutil.rmtree(data.postgres.resolve(), ignore_errors=True)
        shutil.rmtree(folder, ignore_errors=True)


def _program(data: DataDir, port_base: int, settings: Mapping[str, str], command: tuple[str, ...]) -> Program:
    # An operator's settings are for an operator's stack.
    kept = {name: value for name, value in os.environ.items() if not name.startswith("ORDERFLOW_")}
    argv = (*command, "--data", str(data.root), "--port-base", str(port_base), "--json")
    return Program("stack", argv, kept | dict(settings), data.log("stack"), marker=str(data.root), cwd=str(data.root))


def _wait_ready(child: Child, data: DataDir) -> dict[str, Any]:
    deadline = time.monotonic() + _READY_TIMEOUT_S
    while True:
        told = data.running()
        if told is not None and "database_url" in told:
            return told
        if child.exit_code is not None or time.monotonic() > deadline:
            raise LocalStackError(f"the local stack does not start: {child.output() or 'it says nothing'}")
        time.sleep(0.05)
