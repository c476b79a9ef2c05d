"""One trace from the request to the statements of the worker, on real processes and a real OTLP receiver."""

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

from tests.factories.requests import an_order
from tests.factories.sales import PRICE, a_sale
from tests.fakes.caller import Caller
from tests.fakes.live_stack import live_stack
from tests.fakes.patience import eventually
from tests.fakes.running_stack import RunningStack

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"


@dataclass(frozen=True)
class Span:
    service: str
    name: str
    span_id: str
    parent_id: str
    attributes: str


@dataclass
class Collector:
    """Keeps the spans of one trace, and all that was said in any."""

    spans: list[Span] = field(default_factory=list)
    said: list[str] = field(default_factory=list)

    def take(self, request: Request) -> Response:
        sent = ExportTraceServiceRequest.FromString(request.data)
        for resource in sent.resource_spans:
            service = next(one.value.string_value for one in resource.resource.attributes if one.key == "service.name")
            for span in (span for scope in resource.scope_spans for span in scope.spans):
                self.said.append(str(span))
                if span.trace_id.hex() == TRACE:
                    told = str(span.attributes)
                    self.spans.append(Span(service, span.name, span.span_id.hex(), span.parent_span_id.hex(), told))
        return Response()

    def way_up(self, span: Span) -> list[str]:
        """The span and what it is part of, from the statement to the request."""
        by_id = {one.span_id: one for one in self.spans}
        way = [span]
        while way[-1].parent_id in by_id:
            way.append(by_id[way[-1].parent_id])
        return [f"{one.service.removeprefix('orderflow-')} {one.name}" for one in way]

    async def ways_of_statements(self) -> list[list[str]]:
        """Where the activities' statements come from, as far as the processes have said it."""
        await asyncio.sleep(0)
        activities = {span.span_id for span in self.spans if span.name.startswith("RunActivity:")}
        statements = [one for one in self.spans if one.parent_id in activities and "db.query.text" in one.attributes]
        return [self.way_up(statement) for statement in statements]


def has_arrived(ways: list[list[str]]) -> bool:
    """Whether every way is known up to the request; each process sends its part of it in its own time."""
    placed = any("api StartWorkflow:OrderWorkflow" in way for way in ways)
    return placed and all(way[-1].startswith("api POST") for way in ways)


@pytest.fixture
def collector() -> Iterator[tuple[Collector, str]]:
    one = Collector()
    with HTTPServer() as server:
        server.expect_request("/v1/traces", method="POST").respond_with_handler(one.take)
        yield one, server.url_for("/v1/traces")


@pytest.fixture
def traced(open_dir: Path, collector: tuple[Collector, str]) -> Iterator[RunningStack]:
    with live_stack(open_dir / "traces", otlp_endpoint=collector[1]) as running:
        yield running


async def test_one_trace_goes_from_the_request_to_the_statement(
    traced: RunningStack, collector: tuple[Collector, str], sku: str
) -> None:
    told, caller = collector[0], Caller(traced)
    await caller.receive(sku, 5)
    order = an_order(f"T-{sku}", lines=a_sale(sku)["lines"], discounts=[], shipping_fee_minor=0)
    headers = {"traceparent": f"00-{TRACE}-00f067aa0ba902b7-01"}
    placed = await caller.ask("POST", "/v1/orders", "channel", json=order, headers=headers)
    order_no = placed.json()["order_no"]
    await caller.until(order_no, waiting_for="payment.full")
    await caller.pay(order_no, 2 * PRICE)
    await caller.deliver(order_no)
    await caller.http.aclose()

    ways = await eventually(told.ways_of_statements, has_arrived)
    for way in ways:
        assert way[1].startswith("worker RunActivity:"), way
        assert way[2] == way[1].replace("Run", "Start"), way
    assert any("api StartWorkflow:OrderWorkflow" in way for way in ways)
    everything = "".join(told.said)
    assert "WHERE order_no = %(order_no)s FOR UPDATE" in everything, "the lock of an order, and what is read with it"
    assert [word for word in ("王小明", r"\347\216\213", "13800000000", "wang@example.com") if word in everything] == []
