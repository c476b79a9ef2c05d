"""Temporal's development server, file-backed for a laptop, in memory for tests."""

import asyncio
import os
import socket
import sysconfig
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from temporalio.client import Client
from temporalio.common import SearchAttributeIndexedValueType, SearchAttributeKey
from temporalio.service import RPCError

from cli.local_stack import LocalStackError
from cli.local_stack.children import Child, Program
from runtime.temporal import connect, missing_search_attributes

_TYPE_NAMES: Final = {
    SearchAttributeIndexedValueType.TEXT: "Text",
    SearchAttributeIndexedValueType.KEYWORD: "Keyword",
    SearchAttributeIndexedValueType.INT: "Int",
    SearchAttributeIndexedValueType.DOUBLE: "Double",
    SearchAttributeIndexedValueType.BOOL: "Bool",
    SearchAttributeIndexedValueType.DATETIME: "Datetime",
    SearchAttributeIndexedValueType.KEYWORD_LIST: "KeywordList",
}
_STOP_TIMEOUT_S: Final = 10.0


@dataclass(frozen=True)
class TemporalPorts:
    """`codec`: where the Web UI asks for what is encrypted, if anywhere."""

    server: int
    ui: int | None = None
    codec: str | None = None


class LocalTemporal:
    """One server with the namespace `default` and our search attributes. `data_file=None` keeps nothing.

    It ends when the process that started it ends, however that ends (on Linux), and finds its data again.
    `synchronous` FULL: what it has acknowledged survives a power cut, not only a crash.
    """

    name = "temporal"

    def __init__(
        self,
        ports: TemporalPorts,
        search_attributes: Sequence[SearchAttributeKey[Any]],
        log: Path,
        data_file: Path | None = None,
        pid_file: Path | None = None,
        synchronous: str = "FULL",
    ) -> None:
        self._synchronous = synchronous
        self._ports = ports
        self._search_attributes = search_attributes
        self._data_file = data_file
        self.address = f"127.0.0.1:{ports.server}"
        self.child = Child(self._program(log), pid_file)

    @property
    def pid(self) -> int | None:
        return self.child.pid

    def start(self, timeout: float = 30.0) -> None:
        """Afterwards the server listens; `client` says when it serves. Raises LocalStackError with the reason."""
        self.prepare()
        self.child.spawn()
        deadline = time.monotonic() + timeout
        while not self.is_ready():
            if self.child.exit_code is not None or time.monotonic() > deadline:
                raise LocalStackError(f"Temporal does not start: {self.child.output()}")
            time.sleep(0.03)

    def prepare(self) -> None:
        """Afterwards nothing of an earlier server holds the file or the port."""
        if self._data_file is not None:
            self._data_file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        if self.pid is None:
            self.child.stop_leftover(_STOP_TIMEOUT_S)

    def is_ready(self) -> bool:
        """Whether our process runs and its port is open."""
        return self.pid is not None and is_listening(self._ports.server)

    async def client(self, timeout: float = 20.0) -> Client:
        """A client of this server, once it serves and knows the search attributes."""
        deadline = time.monotonic() + timeout
        while True:
            try:
                client = await connect(address=self.address)
                if not await missing_search_attributes(client, self._search_attributes):
                    return client
                reason = "its search attributes are missing"
            except (RuntimeError, RPCError) as not_yet:
                reason = str(not_yet)
            if time.monotonic() > deadline:
                raise LocalStackError(f"Temporal does not serve after {timeout:.0f} s: {reason}")
            await asyncio.sleep(0.05)

    def stop(self, timeout: float = _STOP_TIMEOUT_S) -> None:
        """Afterwards the server is gone; running workflows go on at the next start if it has a file."""
        self.child.stop(timeout)

    def _program(self, log: Path) -> Program:
        ports = ["--ip", "127.0.0.1", "--port", str(self._ports.server)]
        screen = ["--headless"] if self._ports.ui is None else ["--ui-port", str(self._ports.ui)]
        if self._ports.codec is not None:
            screen += ["--ui-codec-endpoint", self._ports.codec]
        attributes = [
            part
            for key in self._search_attributes
            for part in ("--search-attribute", f"{key.name}={_TYPE_NAMES[key.indexed_value_type]}")
        ]
        return Program(
            name=self.name,
            argv=(
                str(temporal_binary()),
                *("server", "start-dev", *ports, *screen, *self._storage(), *attributes, "--log-level", "error"),
            ),
            # The user's own TEMPORAL_* settings speak of another server.
            env={name: value for name, value in os.environ.items() if not name.startswith("TEMPORAL_")},
            log=log,
            marker=str(self._data_file or self._ports.server),
        )

    def _storage(self) -> list[str]:
        if self._data_file is None:
            return []
        pragmas = ["--sqlite-pragma", "journal_mode=WAL", "--sqlite-pragma", f"synchronous={self._synchronous}"]
        return ["--db-filename", str(self._data_file), *pragmas]


def temporal_binary(name: str = "temporal") -> Path:
    """The server that came with our packages; it is never downloaded."""
    found = Path(sysconfig.get_path("scripts")) / name
    if not found.exists():
        raise LocalStackError(f"{found} is missing: run `uv sync`")
    return found


def is_listening(port: int) -> bool:
    """Whether something accepts connections on the port of this machine."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def is_free(port: int) -> bool:
    """Whether a server could listen on the port of this machine now."""
    # macOS lets us bind beside a server that listens on all addresses.
    if is_listening(port):
        return False
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def free_port() -> int:
    """A port that was free a moment ago."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
