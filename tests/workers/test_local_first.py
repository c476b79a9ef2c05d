"""A query that is answered while local activities end does not make a workflow differ from its own replay.

By itself the SDK lets it: the last test says so. Once that one fails, the SDK is mended and our runner may go.
"""

import asyncio
import threading
import time
import uuid
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from temporalio import activity, workflow
from temporalio.client import Client, WorkflowHistory
from temporalio.worker import Replayer, UnsandboxedWorkflowRunner, Worker, WorkflowRunner

from workers.local_first import LocalFirst

_SOON = timedelta(seconds=20)


class Moment:
    """While a query is answered a call outside ends, and so do the first local activities, as many as are told."""

    def __init__(self, ends_within: int) -> None:
        self.ends_within = ends_within
        self.called = threading.Event()
        self.asked = threading.Event()
        self.answered = threading.Event()

    @activity.defn
    async def call(self) -> None:
        self.called.set()
        await happened(self.asked)

    @activity.defn
    async def note(self, number: int) -> None:
        await happened(self.asked if number <= self.ends_within else self.answered)

    @activity.defn
    async def go_on(self, whose: str) -> None:
        """Ends at once."""

    def answer(self) -> None:
        self.asked.set()
        # In the workflow's thread, so that what ends now ends within the query.
        time.sleep(0.5)
        self.answered.set()


async def happened(event: threading.Event) -> None:
    while not event.is_set():  # noqa: ASYNC110 - it is set in the thread of a workflow
        await asyncio.sleep(0.01)


moments: dict[str, Moment] = {}


@workflow.defn
class Story:
    """Makes two calls outside, and notes two signals meanwhile; what is noted is followed by local activities."""

    def __init__(self) -> None:
        self._told = self._noted = self._served = 0

    @workflow.run
    async def run(self, outside: str) -> None:
        beside = [asyncio.create_task(self._note(number)) for number in (1, 2)]
        beside.append(asyncio.create_task(self._serve()))
        for _time in range(2):
            await workflow.execute_activity("call", task_queue=outside, start_to_close_timeout=_SOON)
        await workflow.wait_condition(lambda: self._served == 2)
        beside[-1].cancel()

    async def _note(self, number: int) -> None:
        await workflow.wait_condition(lambda: self._told >= number)
        await workflow.execute_local_activity("note", number, schedule_to_close_timeout=_SOON)
        await self._go_on(f"note {number}")
        self._noted += 1

    async def _serve(self) -> None:
        while True:
            await workflow.wait_condition(lambda: self._noted > self._served)
            await self._go_on("serve")
            self._served += 1

    async def _go_on(self, whose: str) -> None:
        await workflow.execute_local_activity("go_on", whose, schedule_to_close_timeout=_SOON)

    @workflow.signal
    def tell(self) -> None:
        self._told += 1

    @workflow.query
    def ask(self) -> int:
        moments[workflow.info().workflow_id].answer()
        return self._told


async def asked(client: Client, ends_within: int, runner: WorkflowRunner) -> WorkflowHistory:
    """The history of a story that was asked at the very moment in which it heard two signals."""
    name = f"asked-{uuid.uuid4().hex[:8]}"
    outside = f"{name}-outside"
    moment = moments[name] = Moment(ends_within)

    def worker(cached: int) -> Worker:
        steps: list[Callable[..., Any]] = [moment.note, moment.go_on]
        return Worker(
            client,
            task_queue=name,
            workflows=[Story],
            activities=steps,
            workflow_runner=runner,
            max_cached_workflows=cached,
        )

    async with Worker(client, task_queue=outside, activities=[moment.call]):
        async with worker(cached=0):
            handle = await client.start_workflow("Story", outside, id=name, task_queue=name)
            await happened(moment.called)
        # Nobody is there to take the task, so that the query comes with it.
        for _time in range(2):
            await handle.signal("tell")
        answer = asyncio.create_task(handle.query("ask"))
        await asyncio.sleep(0.5)
        async with worker(cached=10):
            assert await answer == 2
            await asyncio.wait_for(handle.result(), 20)
    return await handle.fetch_history()


@pytest.mark.parametrize("ends_within", [0, 1, 2])
async def test_what_was_asked_in_the_middle_of_a_step_can_be_replayed(client: Client, ends_within: int) -> None:
    runner = LocalFirst(UnsandboxedWorkflowRunner())
    history = await asked(client, ends_within, runner)
    await Replayer(workflows=[Story], workflow_runner=runner).replay_workflow(history)


async def test_the_sdk_by_itself_cannot_replay_it(client: Client) -> None:
    runner = UnsandboxedWorkflowRunner()
    history = await asked(client, 2, runner)
    with pytest.raises(workflow.NondeterminismError):
        await Replayer(workflows=[Story], workflow_runner=runner).replay_workflow(history)
