"""What a simulated party remembers.

A real carrier or bank does not forget when our process dies, so neither may its stand-in: a small key -> JSON store
on SQLite. It is no part of the business records and no place for them.
"""

import asyncio
import json
import sqlite3
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

JsonObject = dict[str, Any]
T = TypeVar("T")

_SCHEMA = (
    "CREATE TABLE IF NOT EXISTS entries (shelf TEXT NOT NULL, key TEXT NOT NULL, value TEXT NOT NULL, due_at REAL,"
    " PRIMARY KEY (shelf, key)) WITHOUT ROWID",
    "CREATE INDEX IF NOT EXISTS entries_due ON entries (shelf, due_at) WHERE due_at IS NOT NULL",
)
_LOCK_PATIENCE_SECONDS = 30.0


class Shelves:
    """The store as seen inside one transaction; valid only there."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def get(self, shelf: str, key: str) -> JsonObject | None:
        """The value under the key, or None."""
        row = self._connection.execute("SELECT value FROM entries WHERE shelf = ? AND key = ?", (shelf, key)).fetchone()
        return None if row is None else _loaded(row[0])

    def put(self, shelf: str, key: str, value: JsonObject, due_at: datetime | None = None) -> None:
        """The key has this value and falls due then (never, if None), whatever was there before."""
        due = None if due_at is None else due_at.timestamp()
        self._connection.execute(
            "INSERT INTO entries (shelf, key, value, due_at) VALUES (?, ?, ?, ?)"
            " ON CONFLICT (shelf, key) DO UPDATE SET value = excluded.value, due_at = excluded.due_at",
            (shelf, key, json.dumps(value), due),
        )

    def delete(self, shelf: str, key: str) -> None:
        """The key is not there, whether or not it was."""
        self._connection.execute("DELETE FROM entries WHERE shelf = ? AND key = ?", (shelf, key))

    def due(self, shelf: str, now: datetime, limit: int) -> list[tuple[str, JsonObject]]:
        """At most `limit` entries that have fallen due, the longest waiting first."""
        rows = self._connection.execute(
            "SELECT key, value FROM entries WHERE shelf = ? AND due_at <= ? ORDER BY due_at, key LIMIT ?",
            (shelf, now.timestamp(), limit),
        )
        return [(key, _loaded(value)) for key, value in rows]

    def next_due(self, shelf: str) -> datetime | None:
        """When the next entry falls due, or None if none ever will."""
        (due,) = self._connection.execute(
            "SELECT min(due_at) FROM entries WHERE shelf = ? AND due_at IS NOT NULL", (shelf,)
        ).fetchone()
        return None if due is None else datetime.fromtimestamp(due, UTC)


class Memory:
    """A store that outlives the process when it has a path, and may be shared by several processes then.

    A change is one transaction that excludes all others: what it reads holds until it has written. Committed changes
    survive the death of the process; a power cut may cost the last moments.
    """

    def __init__(self, path: Path | None = None) -> None:
        if path is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
        # One thread owns the connection, so that waiting for another process's lock never blocks the event loop.
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="memory")
        self._connection = self._thread.submit(_connected, path).result()
        self._shelves = Shelves(self._connection)

    async def change(self, work: Callable[[Shelves], T]) -> T:
        """Run `work` in one exclusive transaction; an exception from it leaves everything as it was."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._within, "BEGIN IMMEDIATE", work)

    async def read(self, work: Callable[[Shelves], T]) -> T:
        """Run `work`, which only reads, on one consistent state of the store."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._within, "BEGIN", work)

    def close(self) -> None:
        """Finish what is under way and let go of the file; a second time is harmless."""
        self._thread.shutdown(wait=True)
        self._connection.close()

    def _within(self, begin: str, work: Callable[[Shelves], T]) -> T:
        self._connection.execute(begin)
        try:
            result = work(self._shelves)
        except BaseException:
            self._connection.execute("ROLLBACK")
            raise
        self._connection.execute("COMMIT")
        return result


def _connected(path: Path | None) -> sqlite3.Connection:
    connection = sqlite3.connect(
        ":memory:" if path is None else path,
        timeout=_LOCK_PATIENCE_SECONDS,
        isolation_level=None,
        check_same_thread=False,
    )
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = NORMAL")
    for statement in _SCHEMA:
        connection.execute(statement)
    return connection


def _loaded(text: str) -> JsonObject:
    value: JsonObject = json.loads(text)
    return value
