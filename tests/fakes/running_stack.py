"""A local stack as its user sees it: a process that prints one line, answers to signals, and leaves nothing behind."""

import json
import random
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import psutil

from cli.local_stack.children import wait_until
from cli.local_stack.temporal import is_free

PLACEHOLDER = Path(__file__).with_name("placeholder_stack.py")
ROOT = Path(__file__).parents[2]


def free_port_base() -> int:
    """The first of three neighbouring ports that are free."""
    while True:
        base = random.randrange(20_000, 30_000)
        if all(map(is_free, range(base, base + 3))):
            return base


def placeholder_command(data_dir: Path, port_base: int) -> list[str]:
    return [sys.executable, str(PLACEHOLDER), str(data_dir), str(port_base)]


class RunningStack:
    """The process started by `command`; `facts` is the line it printed when ready."""

    def __init__(self, command: Sequence[str], env: Mapping[str, str]) -> None:
        self.process = subprocess.Popen(
            command, cwd=ROOT, env=env, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE, process_group=0
        )
        self.facts: dict[str, Any] = {}

    def wait_ready(self, timeout: float) -> "RunningStack":
        assert self.process.stdout is not None
        watchdog = threading.Timer(timeout, self.process.kill)
        watchdog.start()
        line = self.process.stdout.readline()
        watchdog.cancel()
        assert line, self.process.communicate()[1]
        self.facts = json.loads(line)
        return self

    def pids(self) -> dict[str, int]:
        """The pids of the parts now, read from the process tree."""
        words = {"postgres": "postgres", "temporal": "start-dev", "api": "api", "worker": "worker"}
        found = {}
        for child in psutil.Process(self.process.pid).children():
            line = _command_line(child)
            names = [name for name, word in words.items() if line and (Path(line[0]).name == word or word in line[1:])]
            found.update(dict.fromkeys(names, child.pid))
        return found

    def processes(self) -> list[psutil.Process]:
        """The supervisor and everything below it."""
        supervisor = psutil.Process(self.process.pid)
        return [supervisor, *supervisor.children(recursive=True)]

    def end(self, number: signal.Signals = signal.SIGTERM, timeout: float = 12) -> tuple[int, str]:
        """Sends the signal and waits; returns exit status and what was said on stderr."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        _, said = self.process.communicate(timeout=timeout)
        return self.process.returncode, said


def _command_line(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except psutil.NoSuchProcess:  # also a zombie
        return []


def all_gone(processes: Sequence[psutil.Process], timeout: float) -> bool:
    def gone(process: psutil.Process) -> bool:
        try:
            return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE
        except psutil.NoSuchProcess:
            return True

    return wait_until(lambda: all(map(gone, processes)), timeout)
