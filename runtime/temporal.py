"""The connection to Temporal and the few things a namespace must have before orders run in it."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from google.protobuf.duration_pb2 import Duration
from temporalio.api.enums.v1 import IndexedValueType, TaskQueueType
from temporalio.api.operatorservice.v1 import AddSearchAttributesRequest, ListSearchAttributesRequest
from temporalio.api.taskqueue.v1 import TaskQueue
from temporalio.api.workflowservice.v1 import DescribeTaskQueueRequest, UpdateNamespaceRequest
from temporalio.client import Client, HeaderCodecBehavior, Interceptor
from temporalio.common import SearchAttributeKey
from temporalio.contrib.pydantic import PydanticJSONPlainPayloadConverter
from temporalio.converter import (
    CompositePayloadConverter,
    DataConverter,
    DefaultFailureConverterWithEncodedAttributes,
    DefaultPayloadConverter,
    PayloadCodec,
)
from temporalio.envconfig import ClientConfig, ClientConnectConfig
from temporalio.runtime import PrometheusConfig, Runtime, TelemetryConfig
from temporalio.service import KeepAliveConfig

from runtime.request_ids import RequestIds

RPC_TIMEOUT = timedelta(seconds=5)
_KINDS = {
    "workflow": TaskQueueType.TASK_QUEUE_TYPE_WORKFLOW,
    "activity": TaskQueueType.TASK_QUEUE_TYPE_ACTIVITY,
}
# A worker that is asked nothing asks again within a minute; Temporal remembers it for five.
_ALIVE_WITHIN = timedelta(seconds=90)


_JSON: Final = PydanticJSONPlainPayloadConverter()


class PayloadConverter(CompositePayloadConverter):
    """The SDK's own for pydantic, but that a process looks into each type once.

    The SDK makes a converter for every workflow and with every activation; each would build the types anew.
    """

    def __init__(self) -> None:
        usual = DefaultPayloadConverter.default_encoding_payload_converters
        super().__init__(*(_JSON if one.encoding == _JSON.encoding else one for one in usual))


_DATA_CONVERTER: Final = DataConverter(payload_converter_class=PayloadConverter)


async def connect(
    *,
    address: str | None = None,
    lazy: bool = False,
    identity: str | None = None,
    runtime: Runtime | None = None,
    interceptors: Sequence[Interceptor] = (),
    codec: PayloadCodec | None = None,
) -> Client:
    """A client as `TEMPORAL_*` variables and profiles say. One per process.

    With `address` they do not count: it is a local server, and the namespace is `default`.

    Lazy: no call is made yet, so it also succeeds while Temporal is away. Otherwise RuntimeError when it is away.
    """
    config: ClientConnectConfig = {} if address else ClientConfig.load_client_connect_config()
    config["target_host"] = address or config.get("target_host", "localhost:7233")
    return await Client.connect(
        **config,
        data_converter=converter(codec),
        lazy=lazy,
        identity=identity,
        runtime=runtime,
        interceptors=[RequestIds(), *interceptors],
        # Headers say less than payloads, and are sealed with them.
        header_codec_behavior=HeaderCodecBehavior.NO_CODEC if codec is None else HeaderCodecBehavior.CODEC,
        keep_alive_config=KeepAliveConfig(interval_millis=10_000, timeout_millis=5_000),
    )


def converter(codec: PayloadCodec | None) -> DataConverter:
    """How values become payloads, and with a codec what is sealed of them: failures and their traces too."""
    if codec is None:
        return _DATA_CONVERTER
    return replace(
        _DATA_CONVERTER,
        payload_codec=codec,
        failure_converter_class=DefaultFailureConverterWithEncodedAttributes,
    )


def telling_runtime(address: str) -> Runtime:
    """A runtime that tells the SDK's own figures to Prometheus at this host and port. ValueError when it cannot."""
    told = PrometheusConfig(bind_address=address, durations_as_seconds=True)
    return Runtime(telemetry=TelemetryConfig(metrics=told))


async def ensure_search_attributes(client: Client, keys: Sequence[SearchAttributeKey[Any]]) -> None:
    """Afterwards the namespace knows every one of `keys`; those it had already stay as they are."""
    request = AddSearchAttributesRequest(namespace=client.namespace)
    for key in keys:
        request.search_attributes[key.name] = IndexedValueType.ValueType(int(key.indexed_value_type))
    await client.operator_service.add_search_attributes(request, timeout=RPC_TIMEOUT)


async def missing_search_attributes(
    client: Client, keys: Sequence[SearchAttributeKey[Any]]
) -> list[SearchAttributeKey[Any]]:
    """Those of `keys` that the namespace does not know, or knows with another type."""
    known = await client.operator_service.list_search_attributes(
        ListSearchAttributesRequest(namespace=client.namespace), timeout=RPC_TIMEOUT
    )
    return [key for key in keys if known.custom_attributes.get(key.name) != int(key.indexed_value_type)]


async def set_retention(client: Client, days: int) -> None:
    """Afterwards histories of ended workflows are kept for `days`."""
    request = UpdateNamespaceRequest(namespace=client.namespace)
    request.config.workflow_execution_retention_ttl.CopyFrom(Duration(seconds=days * 86_400))
    await client.workflow_service.update_namespace(request, timeout=RPC_TIMEOUT)


@dataclass(frozen=True, slots=True)
class QueueWorker:
    """A worker that asks for tasks: its name for itself, its deployment version if it has one, when it last asked."""

    identity: str
    version: str | None
    seen_at: datetime


@dataclass(frozen=True, slots=True)
class QueueState:
    """A task queue, for one kind of its tasks: who asks for them, how many wait, and for how long the oldest has."""

    queue: str
    kind: str
    workers: tuple[QueueWorker, ...]
    backlog: int
    backlog_age_s: float


async def queue_states(client: Client, queues: Sequence[tuple[str, str]]) -> list[QueueState]:
    """The state of each of `queues`, which are names with `workflow` or `activity`. RPCError when Temporal is away."""
    return list(await asyncio.gather(*(_queue_state(client, queue, kind) for queue, kind in queues)))


async def _queue_state(client: Client, queue: str, kind: str) -> QueueState:
    request = DescribeTaskQueueRequest(
        namespace=client.namespace, task_queue=TaskQueue(name=queue), task_queue_type=_KINDS[kind], report_stats=True
    )
    found = await client.workflow_service.describe_task_queue(request, timeout=RPC_TIMEOUT)
    workers = [
        QueueWorker(
            poller.identity,
            poller.deployment_options.build_id or None,
            poller.last_access_time.ToDatetime(tzinfo=UTC),
        )
        for poller in found.pollers
    ]
    alive = tuple(one for one in workers if one.seen_at > datetime.now(UTC) - _ALIVE_WITHIN)
    waiting = found.stats.approximate_backlog_age.ToTimedelta().total_seconds()
    return QueueState(queue, kind, alive, found.stats.approximate_backlog_count, waiting)
