"""Calls of outside parties say while they last that their worker lives."""

import asyncio
from typing import Any

from temporalio import activity
from temporalio.worker import ActivityInboundInterceptor, ExecuteActivityInput, Interceptor


class SignsOfLife(Interceptor):
    """Afterwards every activity that has a heartbeat time-out sends heartbeats until it ends.

    A call waits on somebody else's answer and has no progress to tell; what counts is that a killed worker is
    noticed within that time-out, and not when the call itself would have timed out.
    """

    def intercept_activity(self, next: ActivityInboundInterceptor) -> ActivityInboundInterceptor:
        """The interceptor of one activity."""
        return _Beating(next)


class _Beating(ActivityInboundInterceptor):
    async def execute_activity(self, input: ExecuteActivityInput) -> Any:
        timeout = activity.info().heartbeat_timeout
        if not timeout:
            return await self.next.execute_activity(input)
        beating = asyncio.create_task(_beat(timeout.total_seconds() / 4))
        try:
            return await self.next.execute_activity(input)
        finally:
            beating.cancel()


async def _beat(pause_s: float) -> None:
    while True:
        activity.heartbeat()
        await asyncio.sleep(pause_s)
