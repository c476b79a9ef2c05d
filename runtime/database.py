"""The engine and the session factory: one place for the driver, the pool and the time-outs."""

import asyncio
import contextlib
import time
from typing import Any, ClassVar, Self, TypeVar

import psycopg
from psycopg import errors, sql
from psycopg.abc import PQGen
from sqlalchemy import URL, event, make_url
from sqlalchemy import orm as sqlalchemy_orm
from sqlalchemy.exc import InvalidatePoolError
from sqlalchemy.ext import asyncio as sqlalchemy_asyncio
from sqlalchemy.ext.asyncio import AsyncEngine, async_sessionmaker, create_async_engine
from sqlalchemy.pool import NullPool
from sqlmodel import Session
from sqlmodel.ext.asyncio.session import AsyncSession

CONNECT_TIMEOUT_S = 2
# Whoever asks while the database is away hears so within two seconds: a connection that is lost is found out by a ping,
# and a server that has just not answered one gets less time to take a new connection.
TAKE_TIMEOUT_S = 1.8
TAKE_AGAIN_TIMEOUT_S = 0.7
_SILENT_FOR_S = 5.0
# All connections may be at work for that long in a crowd; a database that is away is noticed by other means.
POOL_TIMEOUT_S = 10.0
# A server that is frozen or cut off answers nothing and closes nothing: only these end the wait for it.
PING_TIMEOUT_S = 1.0
ANSWER_TIMEOUT_S = 30.0

T = TypeVar("T")
Sessions = async_sessionmaker[AsyncSession]


class _ImpatientConnection(psycopg.AsyncConnection[Any]):
    """Lost once the server has not answered for `patience_s`, however alive the socket looks."""

    patience_s = ANSWER_TIMEOUT_S
    silent_until: ClassVar[float] = 0.0

    @classmethod
    async def take(cls, *args: Any, **kwargs: Any) -> Self:
        """A connection. Raises OperationalError unless the server takes it soon, within milliseconds normally."""
        patience_s = TAKE_AGAIN_TIMEOUT_S if time.monotonic() < cls.silent_until else TAKE_TIMEOUT_S
        try:
            async with asyncio.timeout(patience_s):
                return await cls.connect(*args, **kwargs)
        except TimeoutError:
            raise psycopg.OperationalError(f"no connection within {patience_s:.1f} s") from None

    async def wait(self, gen: PQGen[T], interval: float = 0.1, timeout: float | None = None) -> T:
        try:
            return await super().wait(gen, interval, self.patience_s if timeout is None else timeout)
        except errors._WaitTimeout:
            if timeout is not None:
                raise
            self.pgconn.finish()
            _ImpatientConnection.silent_until = time.monotonic() + _SILENT_FOR_S
            raise psycopg.OperationalError(f"no answer within {self.patience_s:.0f} s") from None

    async def ping(self) -> None:
        """Raises OperationalError unless the server answers within a second. Must not be within a transaction."""
        self.patience_s = PING_TIMEOUT_S
        await self.set_autocommit(True)
        await self.execute("")
        await self.set_autocommit(False)
        self.patience_s = ANSWER_TIMEOUT_S


class _PlainSession(Session):
    execute = sqlalchemy_orm.Session.execute


class _PlainAsyncSession(AsyncSession):
    """SQLModel calls `execute` deprecated in favour of `exec`, which takes no textual SQL; most of ours is textual."""

    sync_session_class = _PlainSession
    execute = sqlalchemy_asyncio.AsyncSession.execute


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
        connect_args=_connect_args(url, application_name) | {"async_creator_fn": _ImpatientConnection.take},
    )
    event.listen(engine.sync_engine, "checkout", _check_alive)
    return engine


def _check_alive(connection: Any, _record: object, _proxy: object) -> None:
    # The pool's own pre-ping would wait for a frozen server for ever.
    try:
        connection.run_async(_ImpatientConnection.ping)
    except psycopg.Error as lost:
        raise InvalidatePoolError from lost


def create_unpooled_engine(url: str | URL) -> AsyncEngine:
    """An engine that keeps no connection open between uses: for commands that end, and for template databases."""
    return create_async_engine(
        with_driver(url), poolclass=NullPool, connect_args=_connect_args(url, "orderflow"), hide_parameters=True
    )


def create_sessions(engine: AsyncEngine) -> Sessions:
    """Sessions whose rows stay readable after the commit, without a further query."""
    return async_sessionmaker(engine, class_=_PlainAsyncSession, expire_on_commit=False)


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
        "options": "-c timezone=UTC -c idle_in_transaction_session_timeout=60000",
    }
    return {key: value for key, value in ours.items() if key not in make_url(url).query}
