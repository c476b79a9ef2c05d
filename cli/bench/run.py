"""One run of the bench, from an empty stack to its figures."""

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from cli.access import local_tokens
from cli.bench.bare import Bare
from cli.bench.figures import Figures
from cli.bench.histories import costs
from cli.bench.lines import Lines
from cli.bench.lives import Customers, Watcher
from cli.bench.meter import Meter
from cli.bench.seeding import seed
from cli.bench.stack import measured_stack, more_workers
from cli.demo_stack import RunningDemo
from runtime.temporal import connect

_ROUNDS: Final = 3
_WARM_UP: Final = 20
_HISTORIES_READ: Final = 20
_PATIENCE_S: Final = 60.0
EVEN_PER_SECOND: Final = 8.0
_PARTS: Final = ("api", "worker", "temporal", "postgres")


@dataclass(frozen=True)
class BenchOptions:
    orders: int
    concurrency: int
    even_seconds: float
    existing: int = 0
    workers: int = 1


async def run_bench(
    options: BenchOptions, stack: RunningDemo, counters: Path, say: Callable[[str], None], more: Mapping[str, int]
) -> Figures:
    """The figures of one run; `more` are pids of processes that work besides those of the stack.

    Orders and bare workflows take turns, so that both meet the same machine.
    """
    facts: dict[str, Any] = stack.facts
    meter = Meter({name: facts["pids"][name] for name in _PARTS} | dict(more), facts["database_url"], counters)
    await meter.prepare()
    watcher, figures = Watcher(facts["database_url"]), Figures()
    client = await connect(address=facts["temporal_address"])
    bare = Bare(client, "bench")
    async with Lines(facts["api"], _PATIENCE_S) as lines, watcher.looking():
        customers = Customers(lines, local_tokens(Path(stack.data_dir)), watcher)
        await customers.stock_up(options.orders + _WARM_UP + int(EVEN_PER_SECOND * options.even_seconds))
        say("warming up")
        warm = await customers.at_once(_WARM_UP, min(options.concurrency, _WARM_UP), "warm")
        figures.costs = await costs(client, warm.order_nos[:1])
        if options.existing:
            say(f"{options.existing} orders were there already")
            await seed(facts["database_url"], warm.order_nos[0], options.existing)
        async with meter.watching_memory():
            for number in range(_ROUNDS):
                share = options.orders // _ROUNDS + (number < options.orders % _ROUNDS)
                if share:
                    say(f"round {number + 1} of {_ROUNDS}: {share} orders, then {share} bare workflows")
                    async with meter.measuring(figures.work):
                        figures.lives.add(await customers.at_once(share, options.concurrency, f"round-{number}"))
                    await _bare_round(bare, figures, share, options.concurrency)
            if options.even_seconds:
                say(f"{EVEN_PER_SECOND:.0f} orders a second for {options.even_seconds:.0f} s, come what may")
                figures.even = await customers.per_second(EVEN_PER_SECOND, options.even_seconds, "even")
        figures.costs = await costs(client, figures.lives.order_nos[-_HISTORIES_READ:])
        figures.memory_mb = meter.peak_mb
    return figures


async def _bare_round(bare: Bare, figures: Figures, count: int, concurrency: int) -> None:
    async with bare.worker():
        figures.bare_seconds += await bare.at_once(figures.costs[0].plan, count, concurrency)
        figures.bare_count += count


async def measured(options: BenchOptions, say: Callable[[str], None]) -> Figures:
    """The figures of a stack of its own, which is gone afterwards. Raises LocalStackError, BenchFailed."""
    say("starting PostgreSQL, Temporal, worker and API")
    with (
        measured_stack(sys.executable) as (stack, counters),
        more_workers(sys.executable, stack, counters, options.workers - 1) as more,
    ):
        return await run_bench(options, stack, counters, say, more)
