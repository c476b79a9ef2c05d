"""What `orderflow doctor` looks at. Nothing is changed by looking."""

import locale
import os
import platform
import pwd
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError
from temporalio.service import RPCError

from cli.local_stack import LocalStackError
from cli.local_stack.accounts import OPEN_HOME, Account, closed_parent, postgres_binaries, system_account
from cli.local_stack.layout import DataDir
from cli.local_stack.temporal import is_free, temporal_binary
from migrations.upgrade import is_at_head
from runtime.database import create_unpooled_engine
from runtime.settings import UnusableSettings, load_settings, unknown_variables
from runtime.temporal import connect, missing_search_attributes
from workflows.search_attributes import SEARCH_ATTRIBUTES

_NEEDED_BYTES: Final = 1_000_000_000


@dataclass(frozen=True)
class Finding:
    """One thing looked at; `remedy` says what to do when it is not ok."""

    subject: str
    ok: bool
    found: str
    remedy: str = ""

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


def examine_machine(data_dir: Path, port_base: int) -> list[Finding]:
    return [
        _python(),
        _binary("PostgreSQL", lambda: postgres_binaries(None) / "postgres"),
        _binary("Temporal", temporal_binary),
        _locale(),
        _user(data_dir),
        _disk(data_dir),
        *_ports(data_dir, port_base),
    ]


def examine_settings() -> list[Finding]:
    unknown = unknown_variables()
    misspelt = Finding(
        "Variables",
        not unknown,
        ", ".join(unknown) + ": unknown" if unknown else "every ORDERFLOW_ variable is known",
        "correct or unset them; `orderflow config show` lists what there is",
    )
    try:
        settings = load_settings()
    except UnusableSettings as refused:
        return [misspelt, *(Finding("Settings", False, problem, "set the variable") for problem in refused.problems)]
    return [misspelt, Finding("Settings", True, f"usable, env={settings.env}")]


async def examine_servers(data_dir: Path) -> list[Finding]:
    """Database and Temporal that the settings name, or else those of the stack that runs on the folder."""
    try:
        settings = load_settings()
    except UnusableSettings:
        return []
    running = DataDir(data_dir).running() or {}
    url = settings.database_url.get_secret_value() if settings.database_url else running.get("database_url")
    address = running.get("temporal_address") if settings.database_url is None else None
    if url is None:
        return [Finding("Servers", True, f"no stack runs on {data_dir}; `orderflow dev` starts one")]
    return [await _database(url), await _temporal(address)]


async def _database(url: str) -> Finding:
    engine = create_unpooled_engine(url)
    try:
        async with engine.connect() as connection:
            version = (await connection.execute(text("SHOW server_version"))).scalar_one()
            number = (await connection.execute(text("SHOW server_version_num"))).scalar_one()
        if int(number) < 150_000:
            return Finding("Database", False, f"PostgreSQL {version}", "use PostgreSQL 15 or newer")
        at_head = await is_at_head(engine)
    except (SQLAlchemyError, OSError) as away:
        return Finding("Database", False, _first_line(away), "start it, or correct ORDERFLOW_DATABASE_URL")
    finally:
        await engine.dispose()
    state = "at the newest schema" if at_head else "behind this release's schema"
    return Finding("Database", at_head, f"PostgreSQL {version}, {state}", "run `orderflow migrate`")


async def _temporal(address: str | None) -> Finding:
    try:
        client = await connect(address=address)
        missing = await missing_search_attributes(client, SEARCH_ATTRIBUTES)
    except (RuntimeError, RPCError) as away:
        return Finding("Temporal server", False, _first_line(away), "start it, or correct TEMPORAL_ADDRESS")
    if missing:
        names = ", ".join(key.name for key in missing)
        return Finding("Temporal server", False, f"lacks the search attributes {names}", "start a worker: it adds them")
    return Finding("Temporal server", True, f"{client.service_client.config.target_host} serves {client.namespace}")


def _python() -> Finding:
    found = f"{platform.python_version()} on {platform.system()} {platform.machine()}"
    return Finding("Python", sys.version_info >= (3, 11), found, "use Python 3.11 or newer")


def _binary(subject: str, locate: Callable[[], Path]) -> Finding:
    try:
        path = locate()
        answer = subprocess.run([path, "--version"], capture_output=True, text=True, check=True, timeout=20)  # noqa: S603
    except (LocalStackError, OSError, subprocess.SubprocessError) as missing:
        return Finding(subject, False, _first_line(missing), "run `uv sync`")
    return Finding(subject, True, f"{answer.stdout.strip()} in {path}")


def _locale() -> Finding:
    named = next((os.environ[name] for name in ("LC_ALL", "LC_CTYPE", "LANG") if os.environ.get(name)), "none")
    before = locale.setlocale(locale.LC_CTYPE)
    try:
        locale.setlocale(locale.LC_CTYPE, "")
    except locale.Error:
        return Finding("Locale", True, f"{named} is not installed here; PostgreSQL runs with its own all the same")
    finally:
        locale.setlocale(locale.LC_CTYPE, before)
    return Finding("Locale", True, named)


def _user(data_dir: Path) -> Finding:
    if os.geteuid() != 0:
        if not _has_name(os.geteuid()):
            unnamed = f"uid {os.geteuid()} has no name here, and PostgreSQL refuses to run as such a user"
            return Finding("User", False, unnamed, "give the user an entry in /etc/passwd, or run as another one")
        writable = os.access(next(parent for parent in (data_dir, *data_dir.parents) if parent.exists()), os.W_OK)
        return Finding("User", writable, f"uid {os.geteuid()}", f"{data_dir} cannot be written: choose another --data")
    account = system_account()
    if account is None:
        return Finding("User", True, "root; PostgreSQL will run as a system user that `orderflow dev` makes")
    return Finding("User", True, f"root; PostgreSQL runs as {account.name}{_closed_paths(data_dir, account)}")


def _has_name(uid: int) -> bool:
    try:
        pwd.getpwuid(uid)
    except KeyError:
        return False
    return True


def _closed_paths(data_dir: Path, account: Account) -> str:
    paths = {"data": DataDir(data_dir).postgres, "programs": postgres_binaries(None) / "postgres"}
    closed = {name: closed_parent(path, account) for name, path in paths.items()}
    return "".join(
        f"; {folder} is closed to it, so its {name} lie in {OPEN_HOME}" for name, folder in closed.items() if folder
    )


def _disk(data_dir: Path) -> Finding:
    place = next(parent for parent in (data_dir, *data_dir.parents) if parent.exists())
    free = shutil.disk_usage(place).free
    return Finding(
        "Disk", free > _NEEDED_BYTES, f"{free / 1e9:.1f} GB free at {place}", "free some space: 1 GB or more"
    )


def _ports(data_dir: Path, port_base: int) -> list[Finding]:
    if DataDir(data_dir).running() is not None:
        return [Finding("Ports", True, f"in use by the stack that runs on {data_dir}")]
    taken = [str(port) for port in range(port_base, port_base + 3) if not is_free(port)]
    found = f"{', '.join(taken)} taken" if taken else f"{port_base} to {port_base + 2} are free"
    return [Finding("Ports", not taken, found, "stop what uses them, or choose another --port-base")]


def _first_line(problem: Exception) -> str:
    return (str(getattr(problem, "orig", None) or problem).strip().splitlines() or [type(problem).__name__])[0]
