"""A running system whose parts and outside parties a test has in its hands."""

import asyncio
import os
import signal
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from tests.factories.sales import PRICE, a_sale
from tests.fakes.caller import Caller, View
from tests.fakes.patience import eventually
from tests.fakes.running_stack import RunningStack
from tests.faults import audit
from tests.faults.outside_world import OutsideWorld

BACK_WITHIN_S = 60.0


@dataclass
class Lab:
    """One stack, the parties it works with, and somebody who calls it."""

    data_dir: Path
    stack: RunningStack
    world: OutsideWorld
    caller: Caller

    @property
    def database_url(self) -> str:
        url: str = self.stack.facts["database_url"]
        return url

    async def ask(self, query: str) -> list[Any]:
        """Rows of the database as it is now."""
        return await asyncio.to_thread(audit.rows, self.database_url, query)

    async def until(self, query: str, found: list[Any], within_s: float = 120) -> None:
        """The query finds this."""
        await eventually(lambda: self.ask(query), lambda rows: rows == found, within_s)

    async def kill(self, part: str, number: signal.Signals = signal.SIGKILL) -> float:
        """The part has been signalled; returns when. Whoever watches over it starts another one."""
        pid = await self.pid(part)
        os.kill(pid, number)
        return time.monotonic()

    async def pid(self, part: str) -> int:
        async def look() -> int | None:
            return self.stack.pids().get(part)

        pid = await eventually(look, lambda found: found is not None, BACK_WITHIN_S)
        assert pid is not None
        return pid

    async def worker_back(self) -> None:
        """A worker is at work, whatever became of the one before."""
        ready = self.data_dir / "run" / "worker.ready"

        async def look() -> bool:
            pid = self.stack.pids().get("worker")
            started = psutil.Process(pid).create_time() if pid is not None and psutil.pid_exists(pid) else None
            return started is not None and ready.exists() and ready.stat().st_mtime >= started

        await eventually(look, bool, BACK_WITHIN_S)

    async def stocked(self, sku: str, orders: int) -> None:
        """Units for so many orders of two."""
        await self.caller.receive(sku, 2 * orders)

    async def placed(self, sku: str, count: int = 1) -> list[str]:
        """Orders of two units; committed, and perhaps no further."""
        return list(await asyncio.gather(*(self.caller.place(a_sale(sku)) for _ in range(count))))

    async def waiting(self, sku: str, count: int = 1) -> list[str]:
        """Orders of two units that have their stock and wait for their money."""
        order_nos = await self.placed(sku, count)
        await self.all(order_nos, waiting_for="payment.full")
        return order_nos

    async def pay(self, order_no: str) -> None:
        await self.caller.pay(order_no, 2 * PRICE)

    async def all(self, order_nos: list[str], within_s: float = 120, **wanted: Any) -> list[View]:
        """The orders, once each of them is as wanted."""
        return [await self.caller.until(order_no, within_s, **wanted) for order_no in order_nos]
