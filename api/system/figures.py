"""What `/metrics` tells: the process, and the business figures that an alert would look at, counted at the scrape."""

from collections.abc import Iterable

from prometheus_client import CollectorRegistry, Gauge, GCCollector, PlatformCollector, ProcessCollector
from prometheus_client.exposition import generate_latest
from sqlmodel.ext.asyncio.session import AsyncSession

from store import figures

_process = CollectorRegistry()
ProcessCollector(registry=_process)
PlatformCollector(registry=_process)
GCCollector(registry=_process)


async def exposition(session: AsyncSession) -> bytes:
    """All figures in Prometheus' text format."""
    business = CollectorRegistry()
    counted = await figures.count(session)
    _gauge(business, "orderflow_orders", "Orders by lifecycle", "lifecycle", counted.orders)
    _gauge(business, "orderflow_holds_open", "Open holds by reason", "reason", counted.holds)
    _gauge(business, "orderflow_outbox_pending", "Messages not yet delivered", "destination", counted.outbox)
    Gauge("orderflow_inbox_waiting", "Messages that Temporal has not got yet", registry=business).set(counted.inbox)
    Gauge("orderflow_inbox_strays", "Messages whose order has not come for a day", registry=business).set(
        counted.strays
    )
    Gauge("orderflow_holds_overdue", "Open holds past their deadline", registry=business).set(counted.overdue)
    return generate_latest(_process) + generate_latest(business)


def _gauge(registry: CollectorRegistry, name: str, text: str, label: str, rows: Iterable[tuple[str, int]]) -> None:
    gauge = Gauge(name, text, [label], registry=registry)
    for value, count in rows:
        gauge.labels(value).set(count)
