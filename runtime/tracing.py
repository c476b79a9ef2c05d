"""Traces from a request through workflow and activity to the statement, sent to whoever takes OTLP over HTTP.

Off unless `ORDERFLOW_OTLP_ENDPOINT` is set, and then it needs the extra `otel`. Spans hold ids and statements without
their values.
"""

import contextlib
from collections.abc import Iterator
from typing import Any, Final

from opentelemetry import trace
from opentelemetry.trace import Span, SpanKind, StatusCode
from sqlalchemy import event
from sqlalchemy.engine import ExceptionContext
from sqlalchemy.ext.asyncio import AsyncEngine
from temporalio.client import Interceptor

from runtime.settings import Settings, UnusableSettings
from runtime.version import release

_SPAN: Final = "orderflow_span"
_LONGEST: Final = 2_000
# A collector that is away must not keep a process from ending.
_PATIENCE_S: Final = 3


def start_tracing(settings: Settings, service: str) -> None:
    """Afterwards this process sends its spans where the settings say. Raises UnusableSettings without the extra."""
    if settings.otlp_endpoint is None:
        return
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
    except ImportError:
        needed = "ORDERFLOW_OTLP_ENDPOINT needs the extra: pip install orderflow[otel]"
        raise UnusableSettings([needed]) from None
    provider = TracerProvider(resource=Resource({"service.name": service, "service.version": release()}))
    provider.add_span_processor(
        BatchSpanProcessor(OTLPSpanExporter(endpoint=settings.otlp_endpoint, timeout=_PATIENCE_S))
    )
    trace.set_tracer_provider(provider)


def flush_traces() -> None:
    """Afterwards what was traced is sent, or given up after three seconds. For a process that is about to end."""
    flush = getattr(trace.get_tracer_provider(), "force_flush", None)
    if flush is not None:
        flush(timeout_millis=1000 * _PATIENCE_S)


def interceptors(settings: Settings) -> list[Interceptor]:
    """What a Temporal client, and the workers that use it, need to carry traces on: nothing where there are none."""
    if settings.otlp_endpoint is None:
        return []
    from temporalio.contrib.opentelemetry import TracingInterceptor

    return [TracingInterceptor()]


def trace_statements(settings: Settings, engine: AsyncEngine) -> None:
    """Afterwards every statement of the engine is a span, if there are traces."""
    if settings.otlp_endpoint is None:
        return
    event.listen(engine.sync_engine, "before_cursor_execute", _begin)
    event.listen(engine.sync_engine, "after_cursor_execute", _end)
    event.listen(engine.sync_engine, "handle_error", _fail)


@contextlib.contextmanager
def statement_traced(statement: str) -> Iterator[None]:
    """A span around a statement that the engine does not see, where there are traces."""
    span = _started(statement)
    try:
        yield
    except BaseException as failed:
        if span is not None:
            span.set_status(StatusCode.ERROR, type(failed).__name__)
        raise
    finally:
        if span is not None:
            span.end()


def _started(statement: str) -> Span | None:
    if not trace.get_current_span().get_span_context().is_valid:
        return None
    told = {"db.system.name": "postgresql", "db.query.text": statement.strip()[:_LONGEST]}
    tracer = trace.get_tracer("orderflow")
    return tracer.start_span(statement.split(maxsplit=1)[0].upper(), kind=SpanKind.CLIENT, attributes=told)


def _begin(_connection: Any, _cursor: Any, statement: str, _parameters: Any, context: Any, _many: bool) -> None:
    span = None if context is None else _started(statement)
    if span is not None:
        setattr(context, _SPAN, span)


def _end(_connection: Any, _cursor: Any, _statement: str, _parameters: Any, context: Any, _many: bool) -> None:
    span = getattr(context, _SPAN, None)
    if span is not None:
        span.end()


def _fail(failed: ExceptionContext) -> None:
    span = getattr(failed.execution_context, _SPAN, None)
    if span is not None:
        span.set_status(StatusCode.ERROR, type(failed.original_exception).__name__)
        span.end()
