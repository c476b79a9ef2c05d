"""The id of an HTTP request on its way through Temporal: what a worker logs because of it can be found by it.

It travels in the headers of starts, signals and updates, and from the workflow in those of its activities. An activity
that acts on a message of the inbox has the id of the request that brought it; any other that of the last one heard.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final, NoReturn, TypeVar

import structlog
from temporalio import client, worker, workflow
from temporalio.api.common.v1 import Payload
from temporalio.contrib.pydantic import pydantic_data_converter

HEADER: Final = "orderflow-request-id"
_NAME: Final = "request_id"
_converter: Final = pydantic_data_converter.payload_converter
_Call = TypeVar("_Call", client.StartWorkflowInput, client.SignalWorkflowInput, client.StartWorkflowUpdateInput)
_Step = TypeVar("_Step", worker.StartActivityInput, worker.StartLocalActivityInput)


class RequestIds(client.Interceptor, worker.Interceptor):
    """For a client, and by that for every worker that uses it."""

    def intercept_client(self, next: client.OutboundInterceptor) -> client.OutboundInterceptor:
        """What the process asks of Temporal carries the id of the request that it serves."""
        return _Sending(next)

    def workflow_interceptor_class(
        self,
        input: worker.WorkflowInterceptorClassInput,  # noqa: ARG002 - the same for every workflow
    ) -> type[worker.WorkflowInboundInterceptor]:
        """What a workflow is told by a request, its activities know too."""
        return _Hearing

    def intercept_activity(self, next: worker.ActivityInboundInterceptor) -> worker.ActivityInboundInterceptor:
        """What an activity logs has the id."""
        return _Logging(next)


class _Sending(client.OutboundInterceptor):
    async def start_workflow(self, input: client.StartWorkflowInput) -> client.WorkflowHandle[Any, Any]:
        return await super().start_workflow(_with_own(input))

    async def signal_workflow(self, input: client.SignalWorkflowInput) -> None:
        await super().signal_workflow(_with_own(input))

    async def start_workflow_update(self, input: client.StartWorkflowUpdateInput) -> client.WorkflowUpdateHandle[Any]:
        return await super().start_workflow_update(_with_own(input))


class _Hearing(worker.WorkflowInboundInterceptor):
    def init(self, outbound: worker.WorkflowOutboundInterceptor) -> None:
        self._heard = _Heard()
        super().init(_Passing(outbound, self._heard))

    async def execute_workflow(self, input: worker.ExecuteWorkflowInput) -> Any:
        self._heard.take(input.headers, input.args)
        return await super().execute_workflow(input)

    async def handle_signal(self, input: worker.HandleSignalInput) -> None:
        self._heard.take(input.headers, input.args)
        await super().handle_signal(input)

    async def handle_update_handler(self, input: worker.HandleUpdateInput) -> Any:
        self._heard.take(input.headers, input.args)
        return await super().handle_update_handler(input)


class _Passing(worker.WorkflowOutboundInterceptor):
    def __init__(self, following: worker.WorkflowOutboundInterceptor, heard: "_Heard") -> None:
        super().__init__(following)
        self._heard = heard

    def start_activity(self, input: worker.StartActivityInput) -> workflow.ActivityHandle[Any]:
        return super().start_activity(self._heard.pass_on(input))

    def start_local_activity(self, input: worker.StartLocalActivityInput) -> workflow.ActivityHandle[Any]:
        return super().start_local_activity(self._heard.pass_on(input))

    def continue_as_new(self, input: worker.ContinueAsNewInput) -> NoReturn:
        super().continue_as_new(replace(input, headers={**input.headers, **self._heard.last()}))


class _Heard:
    """The ids that a workflow has heard in this run: by message, and the last one."""

    def __init__(self) -> None:
        self._by_message: dict[int, Payload] = {}
        self._last: Payload | None = None

    def take(self, headers: Mapping[str, Payload], args: Any) -> None:
        sent = headers.get(HEADER)
        if sent is None:
            return
        self._last = sent
        if (message := _message_of(args)) is not None:
            self._by_message[message] = sent

    def pass_on(self, step: _Step) -> _Step:
        message = _message_of(step.args)
        sent = self._last if message is None else self._by_message.get(message)
        return step if sent is None else replace(step, headers={**step.headers, HEADER: sent})

    def last(self) -> dict[str, Payload]:
        return {} if self._last is None else {HEADER: self._last}


class _Logging(worker.ActivityInboundInterceptor):
    async def execute_activity(self, input: worker.ExecuteActivityInput) -> Any:
        sent = input.headers.get(HEADER)
        if sent is None:
            return await super().execute_activity(input)
        with structlog.contextvars.bound_contextvars(**{_NAME: _converter.from_payload(sent, str)}):
            return await super().execute_activity(input)


def _with_own(call: _Call) -> _Call:
    request_id = structlog.contextvars.get_contextvars().get(_NAME)
    if request_id is None:
        return call
    return replace(call, headers={**call.headers, HEADER: _converter.to_payload(request_id)})


def _message_of(args: Any) -> int | None:
    """The row of the inbox that the call is about, if any."""
    return getattr(args[0], "inbox_id", None) or None if args else None
