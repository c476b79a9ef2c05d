"""A receiver of webhooks that keeps what it was told and answers as its script says."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from integrations.clock import Clock, utc_now
from integrations.http_client import retry_after_seconds
from integrations.notifier.envelope import sealed
from integrations.notifier.port import DeliveryResult, OutboundMessage, judge


@dataclass(frozen=True)
class Answer:
    """What the receiver says to one attempt."""

    status_code: int = 204
    headers: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Received:
    """One attempt as it reached the receiver; header names are in lower case."""

    message_id: str
    attempt: int
    headers: dict[str, str]
    body: bytes


class RecordingReceiver:
    """Keeps every attempt in `received`, in order of arrival; `script` chooses the answer to each."""

    def __init__(self, script: Callable[[Received], Answer] | None = None) -> None:
        self.script = script or (lambda _: Answer())
        self.received: list[Received] = []
        self._attempts: Counter[str] = Counter()

    def receive(self, headers: dict[str, str], body: bytes) -> Answer:
        """The attempt is on record, and this is the answer to it."""
        message_id = headers.get("webhook-id", "")
        self._attempts[message_id] += 1
        attempt = Received(message_id, self._attempts[message_id], headers, body)
        self.received.append(attempt)
        return self.script(attempt)


class SimulatedNotifier:
    """Notifier whose endpoints are all one receiver in our own process."""

    def __init__(self, receiver: RecordingReceiver, clock: Clock = utc_now) -> None:
        self.receiver = receiver
        self._clock = clock

    async def deliver(self, message: OutboundMessage) -> DeliveryResult:
        headers = sealed(message, self._clock())
        if isinstance(headers, DeliveryResult):
            return headers
        answer = self.receiver.receive(headers, message.body)
        return judge(answer.status_code, retry_after_seconds(answer.headers, self._clock()))
