"""Structured logs: JSON lines in production, readable lines at a desk; personal data and secrets are masked."""

import logging
import re
import sys
from collections.abc import Mapping
from typing import Any, Final

import structlog
from opentelemetry import trace
from structlog.typing import EventDict, Processor, WrappedLogger

MASK: Final = "***"
_PARTS: Final = frozenset(
    {"phone", "mobile", "email", "token", "tokens", "secret", "secrets", "password", "authorization", "cookie", "body"}
)
_WHOLE: Final = frozenset(
    {"name", "buyer", "buyer_name", "recipient", "recipient_name", "contact_name", "customer_name"}
    | {"address", "shipping_address", "billing_address", "api_key"}
)
_CREDENTIALS: Final = re.compile(
    r"(://[^:/@\s]*:)[^@\s]+(@)|\bofk_[A-Za-z0-9]+_[A-Za-z0-9_-]+|\bBearer\s+\S+", re.IGNORECASE
)
# What errors quote: a row that broke a constraint, a value that did not fit. Both may be about people.
_QUOTED: Final = re.compile(r"(DETAIL:\s*|\binput_value=)(?:.*?(?=, input_type=)|[^\n]*)")
# The renderer's own choice shows local variables, personal data among them, and takes seconds of the event loop for it.
_PLAIN: Final = structlog.dev.plain_traceback


def configure_logging(level: str, *, as_json: bool) -> None:
    """Sends the logs of this process, also those of libraries, to stderr in one shape. May be called again."""
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.ExtraAdder(),
        _with_ids,
        _without_colours,
        structlog.stdlib.PositionalArgumentsFormatter(),
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.StackInfoRenderer(),
    ]
    renderer: list[Processor] = (
        [structlog.processors.format_exc_info, redact, structlog.processors.JSONRenderer(ensure_ascii=False)]
        if as_json
        else [redact, structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty(), exception_formatter=_PLAIN)]
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *renderer],
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(level.upper())
    for noisy in ("httpx", "httpcore", "alembic", "uvicorn.access"):
        logging.getLogger(noisy).setLevel(max(root.level, logging.WARNING))
    structlog.configure(
        processors=[*shared[:2], _with_ids, *shared[5:], structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        wrapper_class=structlog.make_filtering_bound_logger(root.level),
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=False,
    )


def redact(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Masks values under telling keys at any depth, and credentials inside any text."""
    return {key: _masked(key, value) for key, value in event.items()}


def _with_ids(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Ids under one name each, whoever logs: the SDK has them in a mapping of its own, tracing in its context."""
    sdk: Mapping[str, Any] = event.pop("temporal_workflow", None) or event.pop("temporal_activity", None) or {}
    event.update({name: sdk[name] for name in ("workflow_id", "run_id") if name in sdk})
    workflow_id = str(event.get("workflow_id", ""))
    if workflow_id.startswith("order/"):
        event.setdefault("order_no", workflow_id.removeprefix("order/"))
    span = trace.get_current_span().get_span_context()
    if span.is_valid:
        event.update(trace_id=format(span.trace_id, "032x"), span_id=format(span.span_id, "016x"))
    return event


def _without_colours(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    # uvicorn says everything twice, the second time with codes for a terminal.
    event.pop("color_message", None)
    return event


def _masked(key: str, value: Any) -> Any:
    if value is None or isinstance(value, bool | int | float):
        return value
    if _is_telling(key):
        return MASK
    if isinstance(value, Mapping):
        return {str(inner): _masked(str(inner), item) for inner, item in value.items()}
    if isinstance(value, list | tuple):
        return [_masked("", item) for item in value]
    if isinstance(value, str):
        return _QUOTED.sub(rf"\1{MASK}", _CREDENTIALS.sub(_without_credentials, value))
    return value


def _is_telling(key: str) -> bool:
    lowered = key.lower().replace("-", "_")
    return lowered in _WHOLE or not _PARTS.isdisjoint(lowered.split("_"))


def _without_credentials(found: re.Match[str]) -> str:
    before, after = found.group(1), found.group(2)
    return f"{before}{MASK}{after}" if before else MASK
