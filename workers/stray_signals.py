"""Signals that did not come through our door and do not even have the right shape are dropped."""

from temporalio import workflow
from temporalio.worker import (
    HandleSignalInput,
    Interceptor,
    WorkflowInboundInterceptor,
    WorkflowInterceptorClassInput,
)


class StraySignals(Interceptor):
    """Afterwards a signal with another number of arguments than one, which each of ours has, stops no workflow.

    Temporal keeps it in the history for ever, so a handler that fails on it would fail at every replay: the order could
    never go on. What cannot be decoded the SDK drops by itself, and what names no row the activities ignore.
    """

    def workflow_interceptor_class(
        self,
        input: WorkflowInterceptorClassInput,  # noqa: ARG002 - the interface of the SDK
    ) -> type[WorkflowInboundInterceptor]:
        """What every workflow's signals pass."""
        return _OneArgument


class _OneArgument(WorkflowInboundInterceptor):
    async def handle_signal(self, input: HandleSignalInput) -> None:
        if len(input.args) == 1:
            await super().handle_signal(input)
        else:
            workflow.logger.warning("signal dropped: %s with %d arguments", input.signal, len(input.args))
