"""The whole local stack: which parts there are, in which order, with which environment."""

import asyncio
import http.client
import os
import sys
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import psutil
from temporalio.client import Client

from cli.local_stack import LocalStackError
from cli.local_stack.children import Child, Program
from cli.local_stack.layout import DataDir, tell
from cli.local_stack.postgres import LocalPostgres
from cli.local_stack.supervisor import Say, StopRequested, StopSignals, Supervisor
from cli.local_stack.temporal import LocalTemporal, TemporalPorts, is_free
from runtime.database import ensure_database
from runtime.temporal import set_retention
from workflows.search_attributes import SEARCH_ATTRIBUTES

RETENTION_DAYS: Final = 30
_READY_TIMEOUT_S: Final = 90.0
_STOP_TIMEOUT_S: Final = 10.0

# Brings the database at the address up to date and returns the tokens of the local users.
Prepare = Callable[[str, Path], Awaitable[dict[str, str]]]


def orderflow_command(name: str) -> tuple[str, ...]:
    """How a command of ours is started as a process of its own."""
    return (sys.executable, "-P", "-m", "cli.main", name)


@dataclass(frozen=True)
class StackOptions:
    data_dir: Path
    port_base: int
    prepare: Prepare
    worker: tuple[str, ...] = field(default_factory=lambda: orderflow_command("worker"))
    api: tuple[str, ...] = field(default_factory=lambda: orderflow_command("api"))
    temporal_synchronous: str = "FULL"
    # Whether payloads are encrypted, so that the Web UI needs somebody who opens them.
    sealed: bool = False
    postgres_settings: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class StackReport:
    """What a ready stack tells; `tokens` are secrets."""

    api: str
    console: str
    temporal_address: str
    temporal_ui: str
    database_url: str
    pids: dict[str, int | None]
    tokens: dict[str, str]

    def as_json(self) -> dict[str, Any]:
        return {
            "api": self.api,
            "console": self.console,
            "temporal_address": self.temporal_address,
            "temporal_ui": self.temporal_ui,
            "database_url": self.database_url,
            "pids": self.pids,
            "tokens": self.tokens,
        }


class ApiPart:
    """Ready when it says so itself at /readyz."""

    name = "api"

    def __init__(self, program: Program, pid_file: Path, port: int) -> None:
        self.child = Child(program, pid_file)
        self._port = port

    def prepare(self) -> None:
        if self.child.pid is None:
            self.child.stop_leftover(_STOP_TIMEOUT_S)

    def is_ready(self) -> bool:
        if self.child.pid is None:
            return False
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=5)
        try:
            connection.request("GET", "/readyz")
            return connection.getresponse().status == 200
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()


class WorkerPart:
    """Ready when it has touched its ready file, which it does once its pollers are at work."""

    name = "worker"

    def __init__(self, program: Program, pid_file: Path, ready_file: Path) -> None:
        self.child = Child(program, pid_file)
        self._ready_file = ready_file

    def prepare(self) -> None:
        if self.child.pid is None:
            self.child.stop_leftover(_STOP_TIMEOUT_S)
            self._ready_file.unlink(missing_ok=True)

    def is_ready(self) -> bool:
        return self.child.pid is not None and self._ready_file.exists()


class LocalStack:
    """PostgreSQL and Temporal, then worker and API, on one data folder and three ports: N API, N+1 Temporal, N+2 UI."""

    def __init__(self, options: StackOptions, say: Say) -> None:
        self._options = options
        self._say = say
        self._data = DataDir(options.data_dir.absolute())
        self._tokens: dict[str, str] = {}

    def run(self, on_ready: Callable[[StackReport], None]) -> None:
        """Returns when somebody asked to stop and everything is gone. LocalStackError if it could not start."""
        signals = StopSignals()
        signals.listen()
        self._data.open()
        with self._data.hold() as lock:
            tell(lock, {"supervisor": os.getpid(), "api": self._api_url})
            self._make_parts()
            supervisor = Supervisor(signals, self._say)
            try:
                self._start(supervisor)
                tell(lock, self._facts())
                on_ready(self._report())
                supervisor.watch(lambda: tell(lock, self._facts()))
            except StopRequested:
                self._say("stopping")
            finally:
                supervisor.stop([[self._api, self._worker], [self._temporal, self._postgres]], _STOP_TIMEOUT_S)
                self._postgres.stop()
                tell(lock, {})

    @property
    def _api_url(self) -> str:
        return f"http://127.0.0.1:{self._options.port_base}"

    def _make_parts(self) -> None:
        data, base = self._data, self._options.port_base
        settings = self._options.postgres_settings
        self._postgres = LocalPostgres(data.postgres, log=data.log("postgres"), settings=settings)
        self._temporal = LocalTemporal(
            TemporalPorts(base + 1, base + 2, f"{self._api_url}/console/codec" if self._options.sealed else None),
            SEARCH_ATTRIBUTES,
            data.log("temporal"),
            data.temporal_file,
            data.pid_file("temporal"),
            self._options.temporal_synchronous,
        )
        environment = self._environment()
        worker = self._program("worker", self._options.worker, environment)
        self._worker = WorkerPart(worker, data.pid_file("worker"), data.worker_ready)
        api = self._program("api", self._options.api, environment)
        self._api = ApiPart(api, data.pid_file("api"), base)

    def _start(self, supervisor: Supervisor) -> None:
        # What an earlier supervisor left behind goes first, users before what they use, and before ports are looked at.
        for part in (self._api, self._worker, self._temporal):
            part.prepare()
        self._refuse_taken_ports()
        supervisor.start([self._temporal, self._postgres])
        supervisor.wait_ready(_READY_TIMEOUT_S)
        self._tokens = asyncio.run(self._prepare())
        supervisor.start([self._worker, self._api])
        supervisor.wait_ready(_READY_TIMEOUT_S)

    async def _prepare(self) -> dict[str, str]:
        url = self._postgres.url()
        ensure_database(url)
        client: Client = await self._temporal.client()
        await set_retention(client, RETENTION_DAYS)
        return await self._options.prepare(url, self._data.root)

    def _refuse_taken_ports(self) -> None:
        names = {0: "API", 1: "Temporal", 2: "Temporal Web UI"}
        for offset, name in names.items():
            port = self._options.port_base + offset
            if not is_free(port):
                raise LocalStackError(
                    f"port {port} ({name}) is taken{_holder_of(port)}. Stop that program, or choose another --port-base"
                )

    def _program(self, name: str, argv: tuple[str, ...], environment: dict[str, str]) -> Program:
        # The working folder stays the user's: a `.env` file there counts for worker and API too.
        return Program(name, argv, environment, self._data.log(name), marker=argv[-1], cwd=str(Path.cwd()))

    def _environment(self) -> dict[str, str]:
        # The user's own TEMPORAL_* and PG* variables speak of other servers.
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("TEMPORAL_", "PG"))}
        ours = {
            "ORDERFLOW_DATABASE_URL": self._postgres.url(),
            "ORDERFLOW_API_HOST": "127.0.0.1",
            "ORDERFLOW_API_PORT": str(self._options.port_base),
            "ORDERFLOW_READY_FILE": str(self._data.worker_ready),
            "TEMPORAL_ADDRESS": self._temporal.address,
            # And so do profiles in a file.
            "TEMPORAL_CONFIG_FILE": os.devnull,
        }
        own_machine = {
            "ORDERFLOW_SIMULATOR_DIR": str(self._data.simulators),
            "ORDERFLOW_ANCHOR_DIR": str(self._data.anchors),
            # Destinations on this very machine are what one tries a local stack with.
            "ORDERFLOW_WEBHOOK_ALLOW_PRIVATE": "1",
            "ORDERFLOW_TEMPORAL_UI_URL": f"http://127.0.0.1:{self._options.port_base + 2}",
        }
        return own_machine | kept | ours

    def _report(self) -> StackReport:
        parts: Sequence[Any] = (self._api, self._worker, self._temporal, self._postgres)
        return StackReport(
            api=self._api_url,
            console=f"{self._api_url}/console/",
            temporal_address=self._temporal.address,
            temporal_ui=f"http://127.0.0.1:{self._options.port_base + 2}",
            database_url=self._postgres.url(),
            pids={part.name: part.child.pid for part in parts},
            tokens=self._tokens,
        )

    def _facts(self) -> dict[str, Any]:
        told = self._report().as_json()
        return {"supervisor": os.getpid()} | {name: value for name, value in told.items() if name != "tokens"}


def _holder_of(port: int) -> str:
    try:
        for connection in psutil.net_connections("tcp"):
            if connection.laddr and connection.laddr.port == port and connection.status == psutil.CONN_LISTEN:
                name = psutil.Process(connection.pid).name() if connection.pid else "a program"
                return f" by {name}" + (f" (process {connection.pid})" if connection.pid else "")
    except (psutil.AccessDenied, psutil.NoSuchProcess):
        return ""
    return ""
