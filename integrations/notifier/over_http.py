"""Delivers messages as signed webhooks to endpoints that others run and that are not trusted."""

import asyncio

import httpx

from integrations.clock import Clock, utc_now
from integrations.http_client import NoReply, Reply, ReplyTooLarge, retry_after_seconds, send_limited
from integrations.notifier.address_guard import AddressGuard, AddressRefused, CheckedAddress
from integrations.notifier.envelope import sealed
from integrations.notifier.port import DeliveryOutcome, DeliveryResult, OutboundMessage, judge

ATTEMPT_SECONDS = 15.0


class HttpNotifier:
    """Notifier over HTTP: one connection per attempt, to an address that was checked for this attempt."""

    def __init__(
        self,
        client: httpx.AsyncClient,
        guard: AddressGuard,
        clock: Clock = utc_now,
        attempt_seconds: float = ATTEMPT_SECONDS,
    ) -> None:
        self._client = client
        self._guard = guard
        self._clock = clock
        self._attempt_seconds = attempt_seconds

    async def deliver(self, message: OutboundMessage) -> DeliveryResult:
        headers = sealed(message, self._clock())
        if isinstance(headers, DeliveryResult):
            return headers
        try:
            async with asyncio.timeout(self._attempt_seconds):
                checked = await self._guard.check(message.url)
                reply = await self._send(checked, headers, message.body)
        except AddressRefused as refusal:
            return DeliveryResult(DeliveryOutcome.RETRY, refusal.reason)
        except (NoReply, TimeoutError):
            return DeliveryResult(DeliveryOutcome.RETRY, "endpoint_unreachable")
        except ReplyTooLarge as long_reply:
            # It was heard all the same; only its status matters here.
            return judge(long_reply.status, None)
        return judge(reply.status, retry_after_seconds(reply.headers, self._clock()))

    async def _send(self, checked: CheckedAddress, headers: dict[str, str], body: bytes) -> Reply:
        last: NoReply | None = None
        for address in checked.addresses:
            request = self._client.build_request(
                "POST",
                checked.pinned(address),
                # A kept connection would outlive its check, and endpoints that share an address would share it.
                headers={**headers, "host": checked.host_header, "connection": "close"},
                content=body,
                extensions={"sni_hostname": checked.host},
            )
            try:
                return await send_limited(self._client, request, deadline_seconds=self._attempt_seconds)
            except NoReply as problem:
                # Only where nothing was sent yet may the next address be tried.
                if not isinstance(problem.__cause__, httpx.ConnectError | httpx.ConnectTimeout):
                    raise
                last = problem
        raise last or NoReply("no address")
