"""What `/metrics` tells: the process, the business figures that an alert would look at, and the task queues."""

import asyncio
import time
from collections.abc import Iterable, Iterator, Sequence

from prometheus_client import CollectorRegistry, GCCollector, PlatformCollector, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.exposition import generate_latest
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from temporalio.client import Client
from temporalio.service import RPCError

from runtime.connection import ROUND_TRIPS
from runtime.database import Sessions
from runtime.temporal import QueueState, queue_states
from store import figures
from store.figures import Counted
from workflows.queues import QUEUES

_process = CollectorRegistry()
ProcessCollector(registry=_process)
PlatformCollector(registry=_process)
GCCollector(registry=_process)
_process.register(ROUND_TRIPS)


class Figures:
    """Counts at a scrape, and answers every other one within `every_s` seconds from what it counted then."""

    def __init__(self, every_s: float) -> None:
        self._every_s = every_s
        self._turn = asyncio.Lock()
        self._counted: bytes = b""
        self._until = 0.0

    async def exposition(self, sessions: Sessions, temporal: Client | None) -> bytes:
        """All figures in Prometheus' text format. Of a part that is away, it says that it is away."""
        async with self._turn:
            if time.monotonic() >= self._until:
                self._counted = await _counted(sessions, temporal)
                self._until = time.monotonic() + self._every_s
        return generate_latest(_process) + self._counted


async def _counted(sessions: Sessions, temporal: Client | None) -> bytes:
    business, queues = await asyncio.gather(_business(sessions), _queues(temporal))
    up = GaugeMetricFamily("orderflow_part_up", "Whether what this process needs answers", labels=["part"])
    up.add_metric(["database"], business is not None)
    up.add_metric(["temporal"], queues is not None)
    registry = CollectorRegistry()
    registry.register(_Given([*map(_family, business or ()), *_queue_families(queues or ()), up]))
    return generate_latest(registry)


async def _business(sessions: Sessions) -> Sequence[Counted] | None:
    try:
        async with sessions() as session:
            return await figures.count(session)
    except (SQLAlchemyError, PoolTimeout, OSError):
        return None


async def _queues(temporal: Client | None) -> Sequence[QueueState] | None:
    if temporal is None:
        return None
    try:
        return await queue_states(temporal, QUEUES)
    except (RPCError, RuntimeError, OSError):
        return None


class _Given(Collector):
    def __init__(self, families: Iterable[Metric]) -> None:
        self._families = list(families)

    def collect(self) -> Iterator[Metric]:
        return iter(self._families)


def _family(counted: Counted) -> Metric:
    figure = counted.figure
    kind = CounterMetricFamily if figure.name.endswith("_total") else GaugeMetricFamily
    family = kind(figure.name, figure.meaning, labels=figure.labels)
    for values, number in counted.rows:
        family.add_metric(values, number)
    return family


def _queue_families(states: Sequence[QueueState]) -> list[Metric]:
    labels = ["queue", "kind"]
    pollers = GaugeMetricFamily("orderflow_queue_workers", "Workers that ask for tasks of the queue", labels=labels)
    backlog = GaugeMetricFamily("orderflow_queue_backlog", "Tasks that wait for a worker, about", labels=labels)
    age = GaugeMetricFamily("orderflow_queue_backlog_seconds", "For how long the oldest has waited", labels=labels)
    for state in states:
        pollers.add_metric([state.queue, state.kind], len(state.workers))
        backlog.add_metric([state.queue, state.kind], state.backlog)
        age.add_metric([state.queue, state.kind], state.backlog_age_s)
    return [pollers, backlog, age]
