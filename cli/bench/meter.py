"""CPU seconds, memory and SQL statements of the system while it is at work."""

import asyncio
import contextlib
import os
import re
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import psutil
import psycopg
from prometheus_client import CollectorRegistry
from prometheus_client.multiprocess import MultiProcessCollector
from sqlalchemy import make_url

from cli.bench.lives import WATCHER

DRIVER: Final = "bench"
_WAITS: Final = "orderflow_sql_round_trips_total"
# Memory moves slowly, and the kernel adds it up anew for every process of PostgreSQL.
_LOOK_S: Final = 2.0
_MEGABYTE: Final = 1_000_000
# The relays look for what is to be sent; events that put it there are the orders' own statements.
_RELAY: Final = re.compile(r"outbox_messages|LISTEN|destinations", re.IGNORECASE)
_ORDERS_OWN: Final = re.compile(r"pg_notify|json_build_array")
_STATEMENTS: Final = """
SELECT queryid, min(query), sum(calls), sum(total_exec_time), sum(shared_blks_hit + shared_blks_read)
FROM pg_stat_statements s JOIN pg_roles r ON r.oid = s.userid
WHERE r.rolname = 'postgres' AND s.toplevel AND query !~ 'pg_stat_statements' GROUP BY queryid
"""


@dataclass
class Work:
    """What was spent: CPU seconds by process, and statements by their text, with their milliseconds."""

    cpu_s: Counter[str] = field(default_factory=Counter)
    statements: Counter[str] = field(default_factory=Counter)
    statement_ms: Counter[str] = field(default_factory=Counter)
    waits: Counter[str] = field(default_factory=Counter)
    # Pages of 8 kB that statements have looked at: what grows with the orders there are, however busy the machine is.
    pages: Counter[str] = field(default_factory=Counter)

    def add(self, other: "Work") -> None:
        """Takes over what was spent in another round."""
        self.cpu_s.update(other.cpu_s)
        self.statements.update(other.statements)
        self.statement_ms.update(other.statement_ms)
        self.waits.update(other.waits)
        self.pages.update(other.pages)

    @property
    def round_trips(self) -> int:
        """How often API and worker have waited for PostgreSQL, without the relays."""
        return self.waits[_WAITS] - self.relay_round_trips

    @property
    def relay_round_trips(self) -> int:
        """The statements of the relays, which send them one by one."""
        return sum(calls for query, calls in self.statements.items() if is_relays(query))


def is_relays(query: str) -> bool:
    """Whether a relay asks this."""
    return bool(_RELAY.search(query)) and not _ORDERS_OWN.search(query)


class Meter:
    """Reads what the parts of the stack have used; `pids` by part, `counters` is where they count their waits."""

    def __init__(self, pids: Mapping[str, int], database_url: str, counters: Path) -> None:
        self._counters = counters
        self._processes = {name: psutil.Process(pid) for name, pid in pids.items()} | {DRIVER: psutil.Process()}
        self._url = make_url(database_url).set(drivername="postgresql").render_as_string(hide_password=False)
        self.peak_mb: dict[str, float] = {}

    async def prepare(self) -> None:
        """Afterwards statements are counted, and the watcher may look at orders."""
        async with await psycopg.AsyncConnection.connect(self._url, autocommit=True) as connection:
            await connection.execute("CREATE EXTENSION IF NOT EXISTS pg_stat_statements")
            await connection.execute(f"CREATE ROLE {WATCHER} LOGIN")
            await connection.execute(f"GRANT pg_read_all_data TO {WATCHER}")

    @contextlib.asynccontextmanager
    async def measuring(self, into: Work) -> AsyncIterator[None]:
        """What is spent within the block is added to `into`."""
        before = await self._read()
        yield
        after = await self._read()
        for name in ("cpu_s", "statements", "statement_ms", "waits", "pages"):
            spent = getattr(into, name)
            spent.update(getattr(after, name))
            spent.subtract(getattr(before, name))

    @contextlib.asynccontextmanager
    async def watching_memory(self) -> AsyncIterator[None]:
        """`peak_mb` is the most that each part held at any look within the block."""
        task = asyncio.create_task(self._watch())
        try:
            yield
        finally:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task

    async def _watch(self) -> None:
        while True:
            for name, process in self._processes.items():
                self.peak_mb[name] = max(self.peak_mb.get(name, 0.0), _memory_mb(name, process))
            await asyncio.sleep(_LOOK_S)

    async def _read(self) -> Work:
        work = Work()
        registry = CollectorRegistry()
        MultiProcessCollector(registry, str(self._counters))  # type: ignore[no-untyped-call]
        work.waits[_WAITS] = int(registry.get_sample_value(_WAITS) or 0)
        for name, process in self._processes.items():
            work.cpu_s[name] = _cpu_s(process)  # type: ignore[assignment]
        async with await psycopg.AsyncConnection.connect(self._url, autocommit=True) as connection:
            rows: list[Any] = await (await connection.execute(_STATEMENTS)).fetchall()
        for _, query, calls, spent_ms, pages in rows:
            work.statements[query] += int(calls)
            work.statement_ms[query] += spent_ms
            work.pages[query] += int(pages)
        return work


def _cpu_s(process: psutil.Process) -> float:
    """Of the process and its children, those that have ended included."""
    total = 0.0
    for one in [process, *process.children(recursive=True)] if process.pid != os.getpid() else [process]:
        with contextlib.suppress(psutil.NoSuchProcess):
            times = one.cpu_times()
            total += times.user + times.system
    ended = process.cpu_times()
    return total + (ended.children_user + ended.children_system if process.pid != os.getpid() else 0.0)


def _memory_mb(name: str, process: psutil.Process) -> float:
    """Resident; of PostgreSQL, whose processes share most of theirs, the proportional share of each (Linux)."""
    total = 0.0
    for one in [process, *process.children(recursive=True)] if name == "postgres" else [process]:
        with contextlib.suppress(psutil.NoSuchProcess, psutil.AccessDenied):
            shared = name == "postgres" and psutil.LINUX
            total += one.memory_full_info().pss if shared else one.memory_info().rss
    return total / _MEGABYTE
