"""The real `orderflow dev` as a process, with nothing of the machine's own settings in it."""

import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from tests.fakes.running_stack import ROOT, RunningStack, free_port_base

READY_WITHIN_S = 120.0
ENDED_WITHIN_S = 30.0


def dev_command(data_dir: Path, port_base: int) -> list[str]:
    stack = ["dev", "--data", str(data_dir), "--port-base", str(port_base), "--json"]
    return [sys.executable, "-P", "-m", "cli.main", *stack]


def settings_of(**settings: str) -> dict[str, str]:
    """The environment of a stack: `carrier_autopilot="1"` sets ORDERFLOW_CARRIER_AUTOPILOT."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("ORDERFLOW_", "TEMPORAL_"))}
    return kept | {"PYTHONPATH": "."} | {f"ORDERFLOW_{name.upper()}": value for name, value in settings.items()}


def start_stack(data_dir: Path, port_base: int | None = None, **settings: str) -> RunningStack:
    """A stack on this folder that is ready; whoever starts it ends it."""
    command = dev_command(data_dir, port_base or free_port_base())
    return RunningStack(command, settings_of(**settings)).wait_ready(READY_WITHIN_S)


@contextlib.contextmanager
def live_stack(data_dir: Path, **settings: str) -> Iterator[RunningStack]:
    """A stack for the length of the block; it ends cleanly, or the block fails with what it said."""
    stack = start_stack(data_dir, None, **settings)
    try:
        yield stack
    finally:
        status, said = stack.end(signal.SIGTERM, timeout=ENDED_WITHIN_S)
    assert status == 0, said


def recover(data_dir: Path) -> dict[str, int]:
    """What `orderflow recover` says that it did for the stack on this folder."""
    command = [sys.executable, "-P", "-m", "cli.main", "recover", "--data", str(data_dir), "--json"]
    told = subprocess.run(command, cwd=ROOT, env=settings_of(), capture_output=True, text=True, check=True, timeout=60)
    counts: dict[str, int] = json.loads(told.stdout)
    return counts
