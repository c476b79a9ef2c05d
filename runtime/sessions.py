"""Sessions, and transactions that follow each other made one: until somebody outside is asked, or all of it is done.

Within a go whoever asks for a session gets the one that is open. What would have been a transaction of its own ends
without a commit; if it fails, everything since the last commit is lost with it.
"""

import contextlib
from collections.abc import AsyncIterator, Callable
from contextvars import ContextVar
from typing import Any, Final

from sqlalchemy import event
from sqlalchemy import orm as sqlalchemy_orm
from sqlalchemy.ext import asyncio as sqlalchemy_asyncio
from sqlalchemy.ext.asyncio import async_sessionmaker
from sqlmodel import Session
from sqlmodel.ext.asyncio.session import AsyncSession

WRITTEN: Final = "written"


class _PlainSession(Session):
    execute = sqlalchemy_orm.Session.execute


@event.listens_for(_PlainSession, "pending_to_persistent")
def _keep_written(session: Session, written: object) -> None:
    # Sessions forget what nobody else holds on to; who looks for an order's rows in them must find the new ones too.
    session.info.setdefault(WRITTEN, []).append(written)


class PlainAsyncSession(AsyncSession):
    """SQLModel calls `execute` deprecated in favour of `exec`, which takes no textual SQL; most of ours is textual."""

    sync_session_class = _PlainSession

    async def execute(self, statement: Any, params: Any = None, **how: Any) -> Any:
        """The answer to any kind of SQL. What it asks about sees what the session's rows have become, unless it says
        that it can wait, or that it has nothing to do with them.
        """
        options = how.get("execution_options", {})
        if options.get("later") or options.get("apart"):
            with self.no_autoflush:
                return await sqlalchemy_asyncio.AsyncSession.execute(self, statement, params, **how)
        return await sqlalchemy_asyncio.AsyncSession.execute(self, statement, params, **how)


class _SharedSession(PlainAsyncSession):
    """Whoever is within neither ends its transaction nor closes it; `is_broken` once one of them has failed."""

    is_broken = False

    async def __aexit__(self, kind: Any, error: Any, trace: Any) -> None:
        self.is_broken = self.is_broken or error is not None

    def begin(self) -> Any:
        return self._within()

    @contextlib.asynccontextmanager
    async def _within(self) -> AsyncIterator[None]:
        if self.is_broken:
            raise RuntimeError("an earlier step of this go has failed")
        # What has changed goes out when somebody asks about it, or with the commit: each row once.
        try:
            yield
        except BaseException:
            self.is_broken = True
            raise


class OneGo:
    """What is done within it. `on_commit` is called whenever something has become final."""

    def __init__(self, on_commit: Callable[[], None]) -> None:
        self._on_commit = on_commit
        self._shared: _SharedSession | None = None

    def session(self, factory: async_sessionmaker[Any], how: dict[str, Any]) -> _SharedSession:
        """The session that is open."""
        if self._shared is None:
            self._shared = _SharedSession(**factory.kw, **how)
        return self._shared

    async def commit(self) -> None:
        """Afterwards all that was done is final. Raises RuntimeError where a part of it has failed."""
        shared = self._shared
        if shared is not None:
            if shared.is_broken:
                raise RuntimeError("a step of this go has failed")
            await shared.commit()
            await self.close()
        self._on_commit()

    async def close(self) -> None:
        """Afterwards what was not committed is undone."""
        if self._shared is not None:
            shared, self._shared = self._shared, None
            await shared.close()


_GOING: ContextVar[OneGo | None] = ContextVar("one go", default=None)


@contextlib.asynccontextmanager
async def one_go(on_commit: Callable[[], None]) -> AsyncIterator[OneGo]:
    """Within the block all sessions are one. What nobody commits is undone at its end."""
    going = OneGo(on_commit)
    token = _GOING.set(going)
    try:
        yield going
    finally:
        _GOING.reset(token)
        await going.close()


async def before_asking_others() -> None:
    """To be awaited before an outside party is asked: afterwards no transaction is open over its answer."""
    going = _GOING.get()
    if going is not None:
        await going.commit()


class Sessions(async_sessionmaker[PlainAsyncSession]):
    """Sessions of one database; within a go always the same one."""

    def __call__(self, **how: Any) -> PlainAsyncSession:
        going = _GOING.get()
        return super().__call__(**how) if going is None else going.session(self, how)
