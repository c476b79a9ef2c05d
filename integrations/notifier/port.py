"""What we ask of whoever is told: take this message, once, and say so."""

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Protocol

MESSAGE_LIMIT_BYTES = 20 * 1024


@dataclass(frozen=True)
class OutboundMessage:
    """One event for one destination. `message_id` is the same at every attempt, so that receivers can drop repeats.

    `body` is sent as it is. `secret` holds the endpoint's secret, or several with spaces between while one replaces
    another.
    """

    message_id: str
    destination: str
    url: str
    secret: str = field(repr=False)
    event_type: str
    occurred_at: datetime
    body: bytes


class DeliveryOutcome(StrEnum):
    """What to do next: nothing, try again later, stop using the endpoint, or give up this message."""

    DELIVERED = "delivered"
    RETRY = "retry"
    GONE = "gone"
    REFUSED = "refused"


@dataclass(frozen=True)
class DeliveryResult:
    """How one attempt ended. `reason` is a stable code, None when delivered; it never quotes the reply."""

    outcome: DeliveryOutcome
    reason: str | None = None
    status_code: int | None = None
    retry_after_seconds: float | None = None


class Notifier(Protocol):
    """Delivers messages to endpoints that others run."""

    async def deliver(self, message: OutboundMessage) -> DeliveryResult:
        """One attempt was made. An endpoint that fails is a result, never an error."""
        ...


def judge(status_code: int, retry_after_seconds: float | None) -> DeliveryResult:
    """What an endpoint's status means: 2xx is success, 410 ends the endpoint, all else (3xx too) is tried again."""
    if 200 <= status_code < 300:
        return DeliveryResult(DeliveryOutcome.DELIVERED, None, status_code)
    if status_code == 410:
        return DeliveryResult(DeliveryOutcome.GONE, "endpoint_gone", status_code)
    reason = "endpoint_redirects" if 300 <= status_code < 400 else "endpoint_failed"
    return DeliveryResult(DeliveryOutcome.RETRY, reason, status_code, retry_after_seconds)
