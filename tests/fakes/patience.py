"""Waiting for what another process or task is about to do."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

Found = TypeVar("Found")


async def eventually(
    look: Callable[[], Awaitable[Found]], is_it: Callable[[Found], bool], within_s: float = 60
) -> Found:
    """What `look` finds once `is_it` agrees. Raises AssertionError with the last find when it never does."""
    found = await look()
    deadline = asyncio.get_running_loop().time() + within_s
    while not is_it(found):
        assert asyncio.get_running_loop().time() < deadline, found
        await asyncio.sleep(0.05)
        found = await look()
    return found
