"""A long call keeps its worker known as alive, and a worker that dies in it is noticed long before the call ends."""

import asyncio
import uuid
from datetime import timedelta

from temporalio import activity
from temporalio.client import Client
from temporalio.worker import Worker

from workers.signs_of_life import SignsOfLife


async def test_call_that_lasts_longer_than_its_heartbeat_time_out_is_not_taken_for_dead(client: Client) -> None:
    attempts = []

    @activity.defn
    async def slow_call() -> str:
        attempts.append(activity.info().attempt)
        await asyncio.sleep(4)
        return "answered"

    queue = f"slow-{uuid.uuid4().hex[:8]}"
    async with Worker(client, task_queue=queue, activities=[slow_call], interceptors=[SignsOfLife()]):
        answer = await client.execute_activity(
            slow_call,
            id=queue,
            task_queue=queue,
            schedule_to_close_timeout=timedelta(seconds=30),
            heartbeat_timeout=timedelta(seconds=1),
        )
    assert (answer, attempts) == ("answered", [1])
