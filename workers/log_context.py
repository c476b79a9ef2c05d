"""What a worker logs says by itself which order, workflow and run it is about."""

from typing import Any

import structlog
from temporalio import activity
from temporalio.exceptions import ApplicationError
from temporalio.worker import ActivityInboundInterceptor, ExecuteActivityInput, Interceptor

_log = structlog.get_logger(__name__)


class LogContext(Interceptor):
    """Afterwards every line of an activity has `workflow_id`, `run_id`, `activity` and, of an order's, `order_no`.

    What failed is told by its code. What went well is told where everything is: the order's events tell it anyway.
    """

    def intercept_activity(self, next: ActivityInboundInterceptor) -> ActivityInboundInterceptor:
        """The interceptor of one activity."""
        return _Named(next)


class _Named(ActivityInboundInterceptor):
    async def execute_activity(self, input: ExecuteActivityInput) -> Any:
        info = activity.info()
        known = {"workflow_id": info.workflow_id, "run_id": info.workflow_run_id, "activity": info.activity_type}
        order_no = getattr(input.args[0], "order_no", None) if input.args else None
        with structlog.contextvars.bound_contextvars(**known, **({"order_no": order_no} if order_no else {})):
            try:
                result = await self.next.execute_activity(input)
            except ApplicationError as failed:
                _log.info("step failed", code=failed.type, attempt=info.attempt, final=failed.non_retryable)
                raise
            _log.debug("step done", attempt=info.attempt)
            return result
