"""The connection to Temporal and the few things a namespace must have before orders run in it."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from google.protobuf.duration_pb2 import Duration
from temporalio.api.enums.v1 import IndexedValueType, TaskQueueType
from temporalio.api.operatorservice.v1 import AddSearchAttributesRequest, ListSearchAttributesRequest
from temporalio.api.taskqueue.v1 import TaskQueue
from temporalio.api.workflowservice.v1 import DescribeTaskQueueRequest, UpdateNamespaceRequest
from temporalio.client import Client
from temporalio.common import SearchAttributeKey
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.envconfig import ClientConfig, ClientConnectConfig
from temporalio.service import KeepAliveConfig

RPC_TIMEOUT = timedelta(seconds=5)


async def connect(*, address: str | None = None, lazy: bool = False, identity: str | None = None) -> Client:
    """A client as `TEMPORAL_*` variables and profiles say. One per process.

    With `address` they do not count: it is a local server, and the namespace is `default`.

    Lazy: no call is made yet, so it also succeeds while Temporal is away. Otherwise RuntimeError when it is away.
    """
    config: ClientConnectConfig = {} if address else ClientConfig.load_client_connect_config()
    config["target_host"] = address or config.get("target_host", "localhost:7233")
    return await Client.connect(
        **config,
        data_converter=pydantic_data_converter,
        lazy=lazy,
        identity=identity,
        keep_alive_config=KeepAliveConfig(interval_millis=10_000, timeout_millis=5_000),
    )


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


async def has_pollers(client: Client, task_queue: str) -> bool:
    """Whether some worker polls `task_queue` for workflow tasks or for activities."""
    for kind in (TaskQueueType.TASK_QUEUE_TYPE_WORKFLOW, TaskQueueType.TASK_QUEUE_TYPE_ACTIVITY):
        described = await client.workflow_service.describe_task_queue(
            DescribeTaskQueueRequest(
                namespace=client.namespace, task_queue=TaskQueue(name=task_queue), task_queue_type=kind
            ),
            timeout=RPC_TIMEOUT,
        )
        if described.pollers:
            return True
    return False
