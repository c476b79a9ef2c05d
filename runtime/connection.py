"""Our connection to PostgreSQL: it sends together what need not be waited for, and notices a server that is away.

What changes rows and returns nothing is kept back until something is asked, or until the commit, and then goes out with
that in one pipeline; so does `BEGIN`. A transaction thus waits for the server once per question and once to commit.
"""

import asyncio
import contextlib
import os
import select
import socket
import time
from asyncio import TimerHandle, get_running_loop
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Self, TypeVar

import psycopg
from prometheus_client import Counter
from psycopg import errors
from psycopg.abc import PQGen
from psycopg.pq import TransactionStatus
from psycopg.rows import dict_row
from psycopg.waiting import Ready

# Whoever asks while the database is away hears so within two seconds: a connection that is lost is found out by a ping,
# and a server that has just not answered one gets less time to take a new connection.
TAKE_TIMEOUT_S = 1.8
TAKE_AGAIN_TIMEOUT_S = 0.7
_SILENT_FOR_S = 5.0
# A server that is frozen or cut off answers nothing and closes nothing: only these end the wait for it.
PING_TIMEOUT_S = 1.0
ANSWER_TIMEOUT_S = 30.0
# A server heard of so lately is not asked whether it lives: its answer to `BEGIN` has to come nearly as soon. That wait
# ends in an error that somebody sees, and not only in another connection, so it is a little longer than a ping's.
_LATELY_S = 1.0
_BEGIN_TIMEOUT_S = 1.5

_HEAVY = 64 * 1024

ROUND_TRIPS = Counter("orderflow_sql_round_trips", "How often this process has waited for PostgreSQL")

T = TypeVar("T")


def _is_heavy(params: Any) -> bool:
    """Whether the values of a statement are more than a socket takes at once, or may be."""
    values = params.values() if isinstance(params, Mapping) else params or ()
    bare = (getattr(value, "obj", value) for value in values)
    return sum(len(value) for value in bare if isinstance(value, bytes | str)) > _HEAVY


class _Cursor(psycopg.AsyncCursor[Any]):
    """Sends what its connection has kept back along with its own statement."""

    @property
    def _ours(self) -> "ImpatientConnection":
        connection = self.connection
        if not isinstance(connection, ImpatientConnection):
            raise TypeError(connection)
        return connection

    async def execute(self, query: Any, params: Any = None, **how: Any) -> Self:
        ROUND_TRIPS.inc()
        ours = self._ours
        last = ours.take_last()
        if ours.has_begun and not ours.kept_back and not last:
            return await super().execute(query, params, **how)
        async with ours.sending_together(heavy=_is_heavy(params)):
            await super().execute(query, params, **how)
            if last:
                await ours.commit_behind()
        return self

    async def executemany(self, query: Any, params_seq: Any, **how: Any) -> None:
        ROUND_TRIPS.inc()
        async with self._ours.sending_together():
            await super().executemany(query, params_seq, **how)


class ImpatientConnection(psycopg.AsyncConnection[Any]):
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

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.cursor_factory = _Cursor
        self.kept_back: list[tuple[Any, Any]] = []
        self._next_is_last = False
        self._is_over = False
        self._heard_at = time.monotonic()
        self._alarm: TimerHandle | None = None
        self._unsure = False

    @property
    def has_begun(self) -> bool:
        """Whether a statement needs no `BEGIN` before it."""
        return self.autocommit or self.pgconn.transaction_status != TransactionStatus.IDLE

    def keep_back(self, query: Any, params: Any) -> None:
        """Afterwards the statement goes out with the next one that is waited for, or with the commit."""
        self._refuse_when_over()
        self.kept_back.append((query, params))

    def announce_last(self) -> None:
        """Afterwards the commit goes out together with the next statement. There must be none behind it."""
        self._next_is_last = True

    def take_last(self) -> bool:
        """Whether the statement that is about to go out was announced as the last one, once."""
        self._refuse_when_over()
        last, self._next_is_last = self._next_is_last, False
        return last

    async def commit_behind(self) -> None:
        """Afterwards the commit is on its way, behind what was sent."""
        self._is_over = True
        await super().commit()

    async def ask_together(self, questions: Sequence[Any], params: Any) -> list[list[dict[str, Any]]]:
        """The rows that each question finds, all with the same parameters, asked in one pipeline."""
        ROUND_TRIPS.inc()
        self._refuse_when_over()
        cursors = [psycopg.AsyncCursor(self, row_factory=dict_row) for _ in questions]
        async with self.sending_together():
            for cursor, question in zip(cursors, questions, strict=True):
                await cursor.execute(question, params)
        return [await cursor.fetchall() for cursor in cursors]

    def _refuse_when_over(self) -> None:
        if self._is_over:
            # It would be a transaction of its own, which nobody has asked for.
            raise psycopg.ProgrammingError("the transaction has been committed with its last question")

    @contextlib.asynccontextmanager
    async def sending_together(self, *, heavy: bool = False) -> Any:
        """What is sent within the block goes out behind what was kept back; afterwards all of it is answered.

        What is `heavy` goes out one after the other: a pipeline that does not fit into the socket is never sent whole.
        """
        if self._unsure:
            self._unsure = False
            self._alarm = get_running_loop().call_later(_BEGIN_TIMEOUT_S, self._cut)
        kept, self.kept_back = self.kept_back, []
        heavy = heavy or any(_is_heavy(params) for _query, params in kept)
        try:
            async with contextlib.nullcontext() if heavy else self.pipeline():
                for query, params in kept:
                    await psycopg.AsyncCursor(self).execute(query, params)
                yield
        finally:
            self._calm()

    async def commit(self) -> None:
        self._is_over = False
        if self.kept_back:
            ROUND_TRIPS.inc()
            async with self.sending_together():
                await super().commit()
        else:
            ROUND_TRIPS.inc(int(self.pgconn.transaction_status != TransactionStatus.IDLE))
            await super().commit()

    async def rollback(self) -> None:
        self.kept_back.clear()
        self._next_is_last = self._is_over = False
        ROUND_TRIPS.inc(int(self.pgconn.transaction_status != TransactionStatus.IDLE))
        await super().rollback()

    async def wait(self, gen: PQGen[T], interval: float = 0.1, timeout: float | None = None) -> T:
        try:
            heeded = gen if self._alarm is None else self._calming(gen)
            answer = await super().wait(heeded, interval, self.patience_s if timeout is None else timeout)
        except errors._WaitTimeout:
            if timeout is not None:
                raise
            self.pgconn.finish()
            ImpatientConnection.silent_until = time.monotonic() + _SILENT_FOR_S
            raise psycopg.OperationalError(f"no answer within {self.patience_s:.0f} s") from None
        self._heard_at = time.monotonic()
        return answer

    async def ping(self) -> None:
        """Raises OperationalError unless the server answers within a second. Must not be within a transaction.

        A server heard of a moment ago is not asked: it has a moment to answer to the `BEGIN` that comes next.
        """
        if time.monotonic() - self._heard_at < _LATELY_S:
            self._unsure = True
            return
        self.patience_s = PING_TIMEOUT_S
        await self.set_autocommit(True)
        await self.execute("")
        await self.set_autocommit(False)
        self.patience_s = ANSWER_TIMEOUT_S

    def _calming(self, gen: PQGen[T]) -> PQGen[T]:
        """The same, and the first thing that is heard of the server calls off the alarm."""
        try:
            wanted = next(gen)
            while True:
                ready = yield wanted
                if ready & Ready.R:
                    self._calm()
                wanted = gen.send(ready)
        except StopIteration as end:
            answer: T = end.value
            return answer

    def _calm(self) -> None:
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None

    def _cut(self) -> None:
        self._alarm = None
        line_poll = select.poll()
        line_poll.register(self.pgconn.socket, select.POLLIN)
        if line_poll.poll(0):
            # It has answered; this process has not got round to reading it.
            return
        ImpatientConnection.silent_until = time.monotonic() + _SILENT_FOR_S
        # Whoever waits reads the end of the connection, and takes it for what it is.
        with contextlib.suppress(OSError), socket.socket(fileno=os.dup(self.pgconn.socket)) as line:
            line.shutdown(socket.SHUT_RDWR)
