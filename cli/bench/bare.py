"""A workflow with the signals and activity calls of an order, all of which do nothing: what Temporal alone takes."""

import asyncio
import itertools
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from temporalio import activity, workflow
from temporalio.client import Client
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

with workflow.unsafe.imports_passed_through():
    from workers.local_first import LocalFirst
    from workers.main import CACHED_WORKFLOWS, DATABASE_STEPS, PARTY_CALLS, WORKFLOW_TASKS

_QUEUE: Final = "bench-bare"
_WITHIN: Final = timedelta(seconds=60)


@dataclass(frozen=True)
class BarePlan:
    """What to do one after the other: `local`, `activity`, or wait for a `signal`."""

    name: str
    steps: tuple[str, ...]


@dataclass(frozen=True)
class BareStep:
    """Which step of which workflow this is."""

    name: str
    position: int


@workflow.defn(name="BenchBareWorkflow")
class BareWorkflow:
    """Ends when its plan has been followed."""

    @workflow.init
    def __init__(self, plan: BarePlan) -> None:
        self._plan = plan
        self._heard = 0

    @workflow.run
    async def run(self, plan: BarePlan) -> int:
        signals = 0
        for position, step in enumerate(plan.steps):
            asked = BareStep(plan.name, position)
            if step == "local":
                await workflow.execute_local_activity_method(Bare.nothing, asked, schedule_to_close_timeout=_WITHIN)
            elif step == "activity":
                await workflow.execute_activity_method(Bare.nothing, asked, start_to_close_timeout=_WITHIN)
            else:
                signals += 1
                await workflow.wait_condition(lambda signals=signals: self._heard >= signals)  # type: ignore[misc]
        return signals

    @workflow.signal
    def fact(self, position: int) -> None:  # noqa: ARG002 - as large as a signal of an order
        self._heard += 1


class Bare:
    """The worker of bare workflows, and whoever starts them and sends their signals."""

    def __init__(self, client: Client, run: str) -> None:
        self._client = client
        self._run = run
        self._numbers = itertools.count(1)
        self._reached: dict[str, asyncio.Queue[int]] = {}

    @activity.defn(name="bench_nothing")
    async def nothing(self, step: BareStep) -> int:
        """Effect: none. Key: none needed. Fails: never."""
        reached = self._reached.get(step.name)
        if reached is not None:
            reached.put_nowait(step.position)
        return step.position

    def worker(self) -> Worker:
        """At work as ours are."""
        return Worker(
            self._client,
            task_queue=_QUEUE,
            workflows=[BareWorkflow],
            activities=[self.nothing],
            max_cached_workflows=CACHED_WORKFLOWS,
            max_concurrent_workflow_tasks=WORKFLOW_TASKS,
            max_concurrent_local_activities=DATABASE_STEPS,
            max_concurrent_activities=PARTY_CALLS,
            workflow_runner=LocalFirst(UnsandboxedWorkflowRunner()),
        )

    async def at_once(self, steps: Sequence[str], count: int, concurrency: int) -> float:
        """How long so many workflows take, so many of them under way at any time."""
        gate, began = asyncio.Semaphore(concurrency), time.perf_counter()

        async def one() -> None:
            async with gate:
                await self._live(f"bare/{self._run}/{next(self._numbers)}", tuple(steps))

        await asyncio.gather(*(one() for _ in range(count)))
        return time.perf_counter() - began

    async def _live(self, name: str, steps: tuple[str, ...]) -> None:
        reached = self._reached[name] = asyncio.Queue()
        handle = await self._client.start_workflow(BareWorkflow.run, BarePlan(name, steps), id=name, task_queue=_QUEUE)
        at = -1
        for position, step in enumerate(steps):
            if step == "signal":
                # As an order's signals do, it comes when everything before it is done.
                while at < position - 1 and steps[position - 1] != "signal":
                    at = await reached.get()
                await handle.signal(BareWorkflow.fact, position)
        await handle.result()
        del self._reached[name]
