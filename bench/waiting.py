"""What it costs that many orders wait at once: memory of each process, and how soon one of them goes on.

Every other order waits for its money, the others for an approval. Those that are paid or approved are not of the
newest, so the worker has put them out of its memory: it reads their histories anew.
"""

import argparse
import asyncio
import itertools
import statistics
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import psutil

from cli.access import local_tokens
from cli.bench.lines import Lines
from cli.bench.lives import BIG, SKUS, Customers, Watcher
from cli.bench.meter import Meter
from cli.bench.stack import measured_stack
from cli.demo_stack import RunningDemo

_PARTS: Final = ("api", "worker", "temporal", "postgres")
_MONEY: Final = "payment.full"
_APPROVAL: Final = "approval.gm"
_GOES_ON: Final = {_MONEY: "paid to booked with the carrier", _APPROVAL: "approved to waiting for its money"}
_AT_ONCE: Final = 24
_ASKED: Final = 20
_PATIENCE_S: Final = 120.0


def main() -> None:
    """Lets more and more orders wait, and prints at each stage what that costs."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--stages", type=int, nargs="+", default=[1_000, 10_000])
    stages: list[int] = sorted(parser.parse_args().stages)
    with measured_stack(sys.executable) as (stack, counters):
        asyncio.run(_measure(stack, counters, stages))


async def _measure(stack: RunningDemo, counters: Path, stages: list[int]) -> None:
    facts: dict[str, Any] = stack.facts
    pids: dict[str, int] = {name: facts["pids"][name] for name in _PARTS}
    await Meter(pids, facts["database_url"], counters).prepare()
    watcher, waiting = Watcher(facts["database_url"]), list[tuple[str, str]]()
    async with Lines(facts["api"], _PATIENCE_S) as lines, watcher.looking():
        customers = Customers(lines, local_tokens(Path(stack.data_dir)), watcher)
        # Of every SKU enough for one order that is approved, at each stage.
        await customers.stock_up(stages[-1] + len(stages) * len(SKUS) * BIG)
        numbers = itertools.count()
        for stage in stages:
            began, before = time.perf_counter(), len(waiting)
            await _let_wait(customers, watcher, waiting, itertools.islice(numbers, stage - before))
            rate = (stage - before) / (time.perf_counter() - began)
            chosen = slice(stage // 2, stage // 2 + 2 * _ASKED)
            took = [await _goes_on(customers, watcher, one) for one in waiting[chosen]]
            del waiting[chosen]
            memory = {name: f"{psutil.Process(pid).memory_info().rss // 1_000_000} MB" for name, pid in pids.items()}
            print(f"{stage} wait ({rate:.1f}/s came): {memory}")
            for what in _GOES_ON:
                seconds = sorted(one for waited_for, one in took if waited_for == what)
                print(f"  {_GOES_ON[what]}: median {statistics.median(seconds):.2f} s, slowest {seconds[-1]:.2f} s")


async def _let_wait(
    customers: Customers, watcher: Watcher, waiting: list[tuple[str, str]], numbers: Iterator[int]
) -> None:
    gate = asyncio.Semaphore(_AT_ONCE)

    async def one(number: int) -> tuple[str, str]:
        async with gate:
            what, units = (_APPROVAL, {"units": BIG}) if number % 2 else (_MONEY, {})
            order_no = await customers.place(f"waits-{number}", **units)
            await watcher.until(order_no, lambda seen: seen.waiting_for == what)
            return order_no, what

    waiting += await asyncio.gather(*(one(number) for number in numbers))


async def _goes_on(customers: Customers, watcher: Watcher, one: tuple[str, str]) -> tuple[str, float]:
    order_no, waited_for = one
    began = time.perf_counter()
    if waited_for == _MONEY:
        await customers.pay(order_no)
        await watcher.until(order_no, lambda seen: seen.parcel == "booked")
    else:
        await customers.approve(order_no)
        await watcher.until(order_no, lambda seen: seen.waiting_for == _MONEY)
    return waited_for, time.perf_counter() - began


if __name__ == "__main__":
    main()
