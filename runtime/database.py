"""The engine and the session factory: one place for the driver, the pool and the time-outs."""

import contextlib
from types import MappingProxyType
from typing import Any, Final

import psycopg
from psycopg import sql
from sqlalchemy import URL, event, make_url
from sqlalchemy.exc import InvalidatePoolError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.pool import NullPool
from sqlalchemy.sql.compiler import SQLCompiler

from runtime.connection import PREPARED_AT, ImpatientConnection
from runtime.sessions import PlainAsyncSession, Sessions

CONNECT_TIMEOUT_S = 2
# All connections may be at work for that long in a crowd; a database that is away is noticed by other means.
POOL_TIMEOUT_S = 10.0
__all__ = ["Sessions"]
# For a textual statement whose answer nobody reads: it goes out with the next one that is waited for, or the commit.
LATER: Final = MappingProxyType({"later": True})
# For a statement that has nothing to do with rows that the session may have changed: they need not go out before it.
APART: Final = MappingProxyType({"apart": True})


def with_driver(url: str | URL) -> URL:
    """The same address with our driver, for the spellings operators use (`postgres://`, `postgresql://`)."""
    parsed = make_url(url)
    if parsed.get_backend_name() not in {"postgres", "postgresql"}:
        raise ValueError("the database must be PostgreSQL")
    return parsed.set(drivername="postgresql+psycopg")


def create_engine(
    url: str | URL, *, pool_size: int = 20, patience_s: float = POOL_TIMEOUT_S, application_name: str = "orderflow"
) -> AsyncEngine:
    """A lazy engine: no connection is made yet.

    Times come back in UTC. A database that is away, cut off or frozen is an OperationalError within two seconds; it is
    a TimeoutError after `patience_s` where all connections were in use at that moment.
    """
    engine = create_async_engine(
        with_driver(url),
        pool_size=pool_size,
        max_overflow=0,
        pool_timeout=patience_s,
        # Errors say which statement failed and not with which values: those may be people's names.
        hide_parameters=True,
        connect_args=_connect_args(url, application_name) | {"async_creator_fn": ImpatientConnection.take},
        # The connection that was used last is the surest to be alive.
        pool_use_lifo=True,
    )
    event.listen(engine.sync_engine, "checkout", _check_alive)
    event.listen(engine.sync_engine, "do_execute", _keep_back)
    # Rows are changed by those who hold them locked, so nobody has to count what an UPDATE has met.
    engine.dialect.supports_sane_rowcount = False
    engine.dialect.supports_sane_multi_rowcount = False
    return engine


def _check_alive(connection: Any, _record: object, _proxy: object) -> None:
    # The pool's own pre-ping would wait for a frozen server for ever.
    try:
        connection.run_async(ImpatientConnection.ping)
    except psycopg.Error as lost:
        raise InvalidatePoolError from lost


def _keep_back(_cursor: object, statement: str, parameters: Any, context: Any) -> bool:
    """Whether the statement was kept back: it changes rows and returns nothing, or says itself that it can wait."""
    connection = context.root_connection.connection.driver_connection
    if connection.autocommit or not (
        context.execution_options.get("later") or _only_changes(context.compiled, statement)
    ):
        return False
    connection.keep_back(statement, parameters)
    return True


def _only_changes(compiled: Any, statement: str) -> bool:
    # The compiler knows of columns that are returned, not of texts; textual statements are not compiled at all.
    changes = isinstance(compiled, SQLCompiler) and (compiled.isinsert or compiled.isupdate)
    return changes and "RETURNING" not in statement


def create_unpooled_engine(url: str | URL) -> AsyncEngine:
    """An engine that keeps no connection open between uses: for commands that end, and for template databases."""
    return create_async_engine(
        with_driver(url), poolclass=NullPool, connect_args=_connect_args(url, "orderflow"), hide_parameters=True
    )


def create_sessions(engine: AsyncEngine) -> Sessions:
    """Sessions whose rows stay readable after the commit, without a further query."""
    return Sessions(engine, class_=PlainAsyncSession, expire_on_commit=False)


def ensure_database(url: str | URL) -> None:
    """Afterwards the database that `url` names exists; the server's own `postgres` database must be reachable."""
    wanted = with_driver(url)
    maintenance = wanted.set(drivername="postgresql", database="postgres").render_as_string(hide_password=False)
    with psycopg.connect(maintenance, autocommit=True, connect_timeout=CONNECT_TIMEOUT_S) as connection:
        found = connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [wanted.database]).fetchone()
        if found is None:
            with contextlib.suppress(psycopg.errors.DuplicateDatabase, psycopg.errors.UniqueViolation):
                connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(wanted.database or "")))


def _connect_args(url: str | URL, application_name: str) -> dict[str, Any]:
    ours = {
        "connect_timeout": str(CONNECT_TIMEOUT_S),
        "application_name": application_name,
        "prepare_threshold": PREPARED_AT,
        "options": "-c timezone=UTC -c idle_in_transaction_session_timeout=60000",
    }
    return {key: value for key, value in ours.items() if key not in make_url(url).query}
