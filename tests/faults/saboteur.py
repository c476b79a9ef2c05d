"""Kills parts of a running stack without warning; whoever watches over them starts them again."""

import asyncio
import os
import random
import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

from tests.fakes.patience import eventually
from tests.fakes.running_stack import RunningStack

PARTS = ("worker", "api", "temporal", "postgres")


@dataclass
class Saboteur:
    """Kills parts of a stack at moments that its chance chooses; `killed` says which, and `last_at` when it was."""

    stack: RunningStack
    chance: random.Random
    killed: list[str] = field(default_factory=list)
    last_at: float = 0.0

    def plan(self, times: int) -> Iterator[str]:
        victims = [*PARTS] * times
        self.chance.shuffle(victims)
        return iter(victims)

    async def kill_all(self, times: int) -> None:
        for victim in self.plan(times):
            await asyncio.sleep(self.chance.uniform(0.3, 3.0))
            await self.kill(victim)

    async def kill(self, part: str) -> None:
        async def look() -> int | None:
            return self.stack.pids().get(part)

        pid = await eventually(look, lambda found: found is not None)
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
        self.killed.append(part)
        self.last_at = time.monotonic()
