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
from collections.abc import Sequence
from typing import Any, ClassVar, Self, TypeVar

import psycopg
from prometheus_client import Counter
from psycopg import errors
from psycopg.abc import PQGen
from psycopg.generators import send
from psycopg.pq import TransactionStatus
from psycopg.rows import dict_row
from psycopg.types.json import Json
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
# Planning takes longer than what is planned. All that we ask is a few hundred texts; from its second time on each is
# known to the server.
PREPARED_AT = 1
_PREPARED_AT_MOST = 500

ROUND_TRIPS = Counter("orderflow_sql_round_trips", "How often this process has waited for PostgreSQL")

T = TypeVar("T")


class _OneSending(psycopg.AsyncPipeline):
    """A pipeline that is sent off at its end, all at once, and waits once for all that comes of it.

    psycopg's own sends every statement by itself as it comes, and waits for the answer to `BEGIN`.
    """

    def __init__(self, connection: "ImpatientConnection") -> None:
        super().__init__(connection)
        self._ours = connection

    def _communicate_gen(self) -> PQGen[None]:
        # libpq keeps what it is given until it is told to send it, or has 8 kB of it.
        while self.command_queue:
            self.command_queue.popleft()()
        yield from ()

    def _sync_gen(self) -> PQGen[None]:
        # Asked for behind `BEGIN` and `COMMIT`, which go out with the others.
        yield from self._communicate_gen()
        if self._ours.wants_a_sign:
            # What comes next may wait for somebody else's lock; the server would keep its answer to `BEGIN` meanwhile.
            self.pgconn.send_flush_request()

    def _exit_gen(self) -> PQGen[None]:
        self._enqueue_sync()
        yield from self._communicate_gen()
        # Reads whatever comes meanwhile: neither side stands still because the other does not listen.
        yield from send(self.pgconn)
        yield from self._fetch_gen(flush=False)


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
        ours.refuse_when_over()
        if ours.has_begun and not ours.kept_back:
            return await super().execute(query, params, **how)
        async with ours.sending_together():
            await super().execute(query, params, **how)
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
        self.prepared_max = _PREPARED_AT_MOST
        self.kept_back: list[tuple[Any, Any]] = []
        self._is_over = False
        self._heard_at = time.monotonic()
        self._unsure = False
        # Whether the connection is to be cut unless something is heard of the server soon.
        self.wants_a_sign = False
        self._alarm: TimerHandle | None = None

    @property
    def has_begun(self) -> bool:
        """Whether a statement needs no `BEGIN` before it."""
        return self.autocommit or self.pgconn.transaction_status != TransactionStatus.IDLE

    def keep_back(self, query: Any, params: Any) -> None:
        """Afterwards the statement goes out with the next one that is waited for, or with the commit."""
        self.refuse_when_over()
        self.kept_back.append((query, params))

    def gather(self, query: str, rows: Json) -> None:
        """The same for rows: they go out in one statement with those of the same text that have not gone out yet."""
        together = list(rows.obj)
        for at, (earlier, params) in enumerate(self.kept_back):
            if earlier == query:
                together = params["rows"].obj + together
                del self.kept_back[at]
                break
        self.keep_back(query, {"rows": Json(together)})

    async def ask_together(
        self, questions: Sequence[tuple[str, Sequence[Any]]], *, last: bool = False
    ) -> list[list[dict[str, Any]]]:
        """The rows that each question finds, asked in one pipeline; its parameters are numbered from `$1`.

        `last`: the commit goes out with them, and nothing may be asked or changed behind it.
        """
        ROUND_TRIPS.inc()
        self.refuse_when_over()
        cursors = [psycopg.AsyncRawCursor(self, row_factory=dict_row) for _ in questions]
        async with self.sending_together():
            for cursor, (question, params) in zip(cursors, questions, strict=True):
                await cursor.execute(question, params)
            if last:
                self._is_over = True
                await super().commit()
        return [await cursor.fetchall() for cursor in cursors]

    def refuse_when_over(self) -> None:
        """Raises ProgrammingError where the commit has gone out already."""
        if self._is_over:
            # It would be a transaction of its own, which nobody has asked for.
            raise psycopg.ProgrammingError("the transaction has been committed with its last question")

    @contextlib.asynccontextmanager
    async def sending_together(self) -> Any:
        """What is sent within the block goes out behind what was kept back; afterwards all of it is answered."""
        self.wants_a_sign, self._unsure = self._unsure, False
        kept, self.kept_back = self.kept_back, []
        self._pipeline = self._pipeline or _OneSending(self)
        try:
            async with self.pipeline():
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
        self._is_over = False
        ROUND_TRIPS.inc(int(self.pgconn.transaction_status != TransactionStatus.IDLE))
        if self.pgconn.transaction_status == TransactionStatus.INTRANS:
            # psycopg's own has the server forget what it has prepared, for the sake of tables that a transaction made.
            async with self.lock:
                await self.wait(self._exec_command(b"ROLLBACK"))
        else:
            await super().rollback()

    async def wait(self, gen: PQGen[T], interval: float = 0.1, timeout: float | None = None) -> T:
        try:
            heeded = self._calming(gen) if self.wants_a_sign else gen
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
        """The same, with an alarm once it waits, which the first thing that is heard of the server calls off."""
        try:
            wanted = next(gen)
            self._alarm = self._alarm or get_running_loop().call_later(_BEGIN_TIMEOUT_S, self._cut)
            while True:
                ready = yield wanted
                # None: whoever waits goes on with it after it was interrupted.
                if ready and ready & Ready.R:
                    self._calm()
                wanted = gen.send(ready)
        except StopIteration as end:
            answer: T = end.value
            return answer

    def _calm(self) -> None:
        self.wants_a_sign = False
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
