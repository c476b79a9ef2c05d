"""What a workflow has asked of Temporal, one line for each command: its fingerprint.

Told from the history, where everything is but the arguments and time-outs of local activities: those come from a
witness that sees the activities being called.
"""

import json
import re
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Final

from google.protobuf.duration_pb2 import Duration
from temporalio import activity
from temporalio.api.common.v1 import Payload
from temporalio.api.enums.v1 import EventType
from temporalio.api.failure.v1 import Failure
from temporalio.api.history.v1 import HistoryEvent
from temporalio.client import WorkflowHistory
from temporalio.common import RetryPolicy
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.worker import ActivityInboundInterceptor, ExecuteActivityInput, Interceptor

ARGUMENTS = " <- "
"""Between what was asked for and what it was asked with."""

# Such a local activity has never been called: the witness does not know it.
_CALLED_OFF = "said Activity cancelled"
_LOCAL_ACTIVITY = "core_local_activity"
# What the server or the outside world does; all other events are commands, also those that nobody thought of here.
_DONE_BY_OTHERS = re.compile(
    r"WORKFLOW_TASK_\w+|WORKFLOW_EXECUTION_(STARTED|SIGNALED|CANCEL_REQUESTED|TERMINATED|UPDATE_ADMITTED)"
    r"|ACTIVITY_TASK_(STARTED|COMPLETED|FAILED|TIMED_OUT|CANCELED)|TIMER_FIRED"
)
_MOMENT = re.compile(r'"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+(Z|\+00:00)"')
_SPAN = re.compile(r'"P(?:\d+D)?(?:T(?:\d+H)?(?:\d+M)?(?:[\d.]+S)?)?"')


@dataclass(frozen=True)
class LocalCall:
    """A local activity's first attempt, with its options and arguments."""

    name: str
    asked_with: str


@dataclass
class Witness(Interceptor):
    """Sees every local activity that a worker runs."""

    calls: list[LocalCall] = field(default_factory=list)

    def intercept_activity(self, next: ActivityInboundInterceptor) -> ActivityInboundInterceptor:
        return _Seeing(next, self.calls)


class _Seeing(ActivityInboundInterceptor):
    def __init__(self, following: ActivityInboundInterceptor, calls: list[LocalCall]) -> None:
        super().__init__(following)
        self._calls = calls

    async def execute_activity(self, input: ExecuteActivityInput) -> Any:
        info = activity.info()
        if info.is_local and info.attempt == 1:
            payloads = pydantic_data_converter.payload_converter.to_payloads(input.args)
            limits = _limits(
                start_to_close=info.start_to_close_timeout, schedule_to_close=info.schedule_to_close_timeout
            )
            asked_with = "; ".join([*limits, *_retries(info.retry_policy), _told(payloads)])
            self._calls.append(LocalCall(info.activity_type, asked_with))
        return await super().execute_activity(input)


def commands_of(history: WorkflowHistory, local_calls: Sequence[LocalCall] = ()) -> list[str]:
    """The commands in their order; local activities with their arguments as far as `local_calls` has them."""
    asked_with: dict[str, list[str]] = defaultdict(list)
    for call in local_calls:
        asked_with[call.name].append(call.asked_with)
    lines = []
    for event in history.events:
        name = EventType.Name(event.event_type).removeprefix("EVENT_TYPE_")
        if _DONE_BY_OTHERS.fullmatch(name):
            continue
        line = _line(name, event)
        waiting = asked_with[line.split()[1]] if line.startswith("local ") and _CALLED_OFF not in line else []
        lines.append(line + (ARGUMENTS + waiting.pop(0) if waiting else ""))
    return lines


def without_local_arguments(lines: Sequence[str]) -> list[str]:
    """The commands as a history alone tells them."""
    return [line.partition(ARGUMENTS)[0] if line.startswith("local ") else line for line in lines]


def _line(name: str, event: HistoryEvent) -> str:
    tell = _TOLD_MORE_OF.get(name)
    return tell(event) if tell else name.lower().replace("_", " ")


def _timer(event: HistoryEvent) -> str:
    span = _span(event.timer_started_event_attributes.start_to_fire_timeout)
    # No pause of ours is as short: what is left until a moment that has almost come.
    return "timer until about now" if span < timedelta(seconds=1) else f"timer {_rounded(span)}"


def _update(event: HistoryEvent) -> str:
    return f"update {event.workflow_execution_update_accepted_event_attributes.accepted_request.input.name}"


def _answer(event: HistoryEvent) -> str:
    outcome = event.workflow_execution_update_completed_event_attributes.outcome
    said = _told(outcome.success.payloads) if outcome.HasField("success") else _code(outcome.failure)
    return f"update answered: {said}"


def _end(event: HistoryEvent) -> str:
    return f"completed: {_told(event.workflow_execution_completed_event_attributes.result.payloads)}"


def _next_run(event: HistoryEvent) -> str:
    run = event.workflow_execution_continued_as_new_event_attributes
    return f"continued as new: {run.workflow_type.name} {_told(run.input.payloads)}"


def _marker(event: HistoryEvent) -> str:
    marker = event.marker_recorded_event_attributes
    if marker.marker_name != _LOCAL_ACTIVITY:
        return f"marker {marker.marker_name} " + " ".join(_told(found.payloads) for found in marker.details.values())
    name = json.loads(marker.details["data"].payloads[0].data)["activity_type"]
    return f"local {name}" + (f" said {_code(marker.failure)}" if marker.HasField("failure") else "")


def _activity(event: HistoryEvent) -> str:
    asked = event.activity_task_scheduled_event_attributes
    limits = _limits(
        start_to_close=_span(asked.start_to_close_timeout),
        schedule_to_close=_span(asked.schedule_to_close_timeout),
        schedule_to_start=_span(asked.schedule_to_start_timeout),
        heartbeat=_span(asked.heartbeat_timeout),
    )
    options = "; ".join([*limits, *_retries(RetryPolicy.from_proto(asked.retry_policy))])
    place = f"activity {asked.activity_type.name} on {asked.task_queue.name}"
    return f"{place}; {options}{ARGUMENTS}{_told(asked.input.payloads)}"


def _attributes(event: HistoryEvent) -> str:
    fields = event.upsert_workflow_search_attributes_event_attributes.search_attributes.indexed_fields
    told = (f"{name}={_attribute(name, fields[name])}" for name in sorted(fields))
    return "attributes " + " ".join(told)


def _attribute(name: str, payload: Payload) -> str:
    value = payload.data.decode()
    return "a moment" if name == "Deadline" and value not in ("", "null", "[]") else value or "null"


def _limits(**spans: timedelta | None) -> list[str]:
    return [f"{name} {_rounded(span)}" for name, span in spans.items() if span]


def _retries(policy: RetryPolicy | None) -> list[str]:
    if policy is None:
        return []
    told = f"retry after {_rounded(policy.initial_interval)}, times {policy.backoff_coefficient:g}"
    if policy.maximum_interval:
        told += f", at most {_rounded(policy.maximum_interval)}"
    if policy.maximum_attempts:
        told += f", {policy.maximum_attempts} attempts"
    if policy.non_retryable_error_types:
        told += f", never {sorted(policy.non_retryable_error_types)}"
    return [told]


def _told(payloads: Sequence[Payload]) -> str:
    """Payloads as JSON. Spans are rounded: those until a moment differ a little from run to run.

    Moments of the run itself are not told; they are known by their fractions of a second.
    """
    texts = (_MOMENT.sub('"a moment"', payload.data.decode()) for payload in payloads)
    return " ".join(_SPAN.sub(_rounded_text, text) for text in texts)


def _rounded_text(found: re.Match[str]) -> str:
    span: timedelta = pydantic_data_converter.payload_converter.from_payload(
        Payload(metadata={"encoding": b"json/plain"}, data=found.group().encode()), timedelta
    )
    return f'"{_rounded(span)}"'


def _code(failure: Failure) -> str:
    while failure.HasField("cause"):
        failure = failure.cause
    return failure.application_failure_info.type or failure.message


def _span(duration: Duration) -> timedelta:
    return timedelta(seconds=duration.seconds, microseconds=duration.nanos // 1000)


def _rounded(span: timedelta) -> str:
    """Exact where it is short, else to ten seconds or a minute: spans until a moment shrink while a machine is busy."""
    seconds = span.total_seconds()
    if seconds < 60:
        return f"{seconds:g} s"
    step = 10 if seconds < 600 else 60
    return f"{round(seconds / step) * step} s"


_TOLD_MORE_OF: Final[Mapping[str, Callable[[HistoryEvent], str]]] = {
    "MARKER_RECORDED": _marker,
    "TIMER_STARTED": _timer,
    "ACTIVITY_TASK_SCHEDULED": _activity,
    "UPSERT_WORKFLOW_SEARCH_ATTRIBUTES": _attributes,
    "WORKFLOW_EXECUTION_UPDATE_ACCEPTED": _update,
    "WORKFLOW_EXECUTION_UPDATE_COMPLETED": _answer,
    "WORKFLOW_EXECUTION_COMPLETED": _end,
    "WORKFLOW_EXECUTION_CONTINUED_AS_NEW": _next_run,
}
