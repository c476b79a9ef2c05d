import asyncio
import os
import signal
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from integrations.memory import Memory, Shelves

ROOT = Path(__file__).parents[2]
NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)


@pytest.fixture
def memory() -> Iterator[Memory]:
    memory = Memory()
    yield memory
    memory.close()


async def test_a_value_is_found_under_its_shelf_and_key_only(memory: Memory) -> None:
    await memory.change(lambda shelves: shelves.put("a", "k", {"n": 1}))

    assert await memory.read(lambda shelves: shelves.get("a", "k")) == {"n": 1}
    assert await memory.read(lambda shelves: shelves.get("b", "k")) is None
    await memory.change(lambda shelves: shelves.delete("a", "k"))
    assert await memory.read(lambda shelves: shelves.get("a", "k")) is None


async def test_an_exception_leaves_everything_as_it_was(memory: Memory) -> None:
    def half_done(shelves: Shelves) -> None:
        shelves.put("a", "k", {"n": 2})
        raise LookupError

    await memory.change(lambda shelves: shelves.put("a", "k", {"n": 1}))
    with pytest.raises(LookupError):
        await memory.change(half_done)

    assert await memory.read(lambda shelves: shelves.get("a", "k")) == {"n": 1}


async def test_due_entries_come_longest_waiting_first_and_no_others(memory: Memory) -> None:
    def fill(shelves: Shelves) -> None:
        for name, minutes in (("later", 5), ("second", -1), ("first", -2)):
            shelves.put("a", name, {}, NOON + timedelta(minutes=minutes))
        shelves.put("a", "never", {})

    await memory.change(fill)

    assert await memory.read(lambda shelves: shelves.due("a", NOON, 10)) == [("first", {}), ("second", {})]
    assert await memory.read(lambda shelves: shelves.due("a", NOON, 1)) == [("first", {})]
    assert await memory.read(lambda shelves: shelves.next_due("a")) == NOON - timedelta(minutes=2)
    assert await memory.read(lambda shelves: shelves.next_due("b")) is None


COUNTING = """
import asyncio, pathlib, sys
from integrations.memory import Memory
memory = Memory(pathlib.Path(sys.argv[1]))
def count(shelves):
    kept = shelves.get("a", "count") or {"n": 0}
    shelves.put("a", "count", {"n": kept["n"] + 1})
async def main():
    for _ in range(200):
        await memory.change(count)
asyncio.run(main())
memory.close()
"""


async def test_several_processes_count_without_losing_a_step(tmp_path: Path) -> None:
    path = tmp_path / "new" / "memory.db"
    processes = [
        await asyncio.create_subprocess_exec(sys.executable, "-c", COUNTING, str(path), cwd=ROOT) for _ in range(4)
    ]
    assert [await process.wait() for process in processes] == [0, 0, 0, 0]

    memory = Memory(path)
    assert await memory.read(lambda shelves: shelves.get("a", "count")) == {"n": 800}
    memory.close()


DYING = """
import asyncio, os, pathlib, signal, sys
from integrations.memory import Memory
memory = Memory(pathlib.Path(sys.argv[1]))
asyncio.run(memory.change(lambda shelves: shelves.put("a", "k", {"n": 1})))
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.skipif(os.name != "posix", reason="needs SIGKILL")
async def test_what_was_committed_survives_the_kill_of_the_process(tmp_path: Path) -> None:
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", DYING, str(tmp_path / "m.db"), cwd=ROOT)
    assert await process.wait() == -signal.SIGKILL

    memory = Memory(tmp_path / "m.db")
    assert await memory.read(lambda shelves: shelves.get("a", "k")) == {"n": 1}
    memory.close()
