"""A file read in a process of its own, which may take no more than its share: whoever asked goes on meanwhile."""

import asyncio
import contextlib
import resource
import struct
import sys
from typing import Any, Final

from pydantic import TypeAdapter

from importing.reading import Choice, Reading, read
from importing.table import UnusableFile

_MEMORY: Final = 1024**3
_CPU_S: Final = 30
_PATIENCE_S: Final = 120.0
# Two of them at most would leave nothing of a small machine for anybody else.
_at_once: Final = asyncio.Semaphore(2)
_CHOICE: Final = TypeAdapter(Choice)
_READING: Final = TypeAdapter(Reading)
_REFUSAL: Final = TypeAdapter(tuple[str, dict[str, Any]])
_READ, _UNUSABLE = b"R", b"U"


async def read_apart(raw: bytes, name: str, choice: Choice) -> Reading:
    """What `read` finds. Raises UnusableFile also for a file over which the process has died or run out of time."""
    async with _at_once:
        said = await _asked(_sealed(name.encode()) + _sealed(_CHOICE.dump_json(choice)) + raw)
    if said[:1] == _READ:
        return reading_of(said[1:])
    if said[:1] == _UNUSABLE:
        words, values = _REFUSAL.validate_json(said[1:])
        raise UnusableFile(words, **values)
    raise UnusableFile("{file}: reading it takes more than it may", file=name)


def text_of(reading: Reading) -> bytes:
    """The reading as it is kept."""
    return _READING.dump_json(reading)


def reading_of(text: bytes) -> Reading:
    """The reading that was kept."""
    return _READING.validate_json(text)


async def _asked(question: bytes) -> bytes:
    child = await asyncio.create_subprocess_exec(
        *(sys.executable, "-P", "-m", "importing.apart"),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        async with asyncio.timeout(_PATIENCE_S):
            said, _ = await child.communicate(question)
            return said
    except TimeoutError:
        return b""
    finally:
        with contextlib.suppress(ProcessLookupError):
            child.kill()
        await child.wait()


def _sealed(part: bytes) -> bytes:
    return struct.pack(">I", len(part)) + part


def _answer(question: bytes) -> bytes:
    name, rest = _first_of(question)
    choice, raw = _first_of(rest)
    try:
        return _READ + text_of(read(raw, name.decode(), _CHOICE.validate_json(choice)))
    except UnusableFile as unusable:
        return _UNUSABLE + _REFUSAL.dump_json((unusable.words, unusable.values))


def _first_of(parts: bytes) -> tuple[bytes, bytes]:
    (size,) = struct.unpack(">I", parts[:4])
    return parts[4 : 4 + size], parts[4 + size :]


if __name__ == "__main__":
    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, _MEMORY))
    resource.setrlimit(resource.RLIMIT_CPU, (_CPU_S, _CPU_S))
    sys.stdout.buffer.write(_answer(sys.stdin.buffer.read()))
