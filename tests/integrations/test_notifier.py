"""What every notifier keeps to: the simulated one, and the HTTP one delivering to a real endpoint."""

import asyncio
import contextlib
import json
import shutil
import ssl
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from integrations.clock import utc_now
from integrations.http_client import build_client
from integrations.notifier.address_guard import AddressGuard
from integrations.notifier.over_http import HttpNotifier
from integrations.notifier.port import MESSAGE_LIMIT_BYTES, DeliveryOutcome, DeliveryResult, Notifier, OutboundMessage
from integrations.notifier.simulated import Answer, RecordingReceiver, SimulatedNotifier
from integrations.webhook_signature import new_secret, verify_webhook
from tests.fakes.http_server import drip, flood, hang, misbehaving, replying, saying, serving
from tests.fakes.webhook_receiver import receiver_app

SECRET = new_secret()
BODY = json.dumps({"type": "order.shipped", "data": {"note": "已发货"}}, ensure_ascii=False).encode()


def message(url: str = "http://receiver.invalid/hook") -> OutboundMessage:
    return OutboundMessage("evt_1", "shop", url, SECRET, "order.shipped", datetime(2026, 11, 22, tzinfo=UTC), BODY)


@dataclass
class Party:
    """The notifier under test, the receiver at its other end, and where that is."""

    notifier: Notifier
    receiver: RecordingReceiver
    message: OutboundMessage
    now: datetime


@pytest.fixture(params=["simulated", "over_http"])
async def party(request: pytest.FixtureRequest) -> AsyncIterator[Party]:
    receiver = RecordingReceiver()
    made = Party(SimulatedNotifier(receiver, clock=lambda: made.now), receiver, message(), utc_now())
    if request.param == "simulated":
        yield made
    else:
        async with serving(receiver_app(receiver)) as url, build_client() as client:
            made.notifier = HttpNotifier(client, AddressGuard(allow_private=True), clock=lambda: made.now)
            made.message = message(f"{url}/hook?shop=1")
            yield made


async def test_a_message_arrives_as_it_is_and_signed(party: Party) -> None:
    result = await party.notifier.deliver(party.message)

    assert result == DeliveryResult(DeliveryOutcome.DELIVERED, None, 204)
    (received,) = party.receiver.received
    assert (received.message_id, received.body) == ("evt_1", BODY)
    assert received.headers["content-type"] == "application/json"
    verify_webhook(received.headers, received.body, SECRET)


async def test_a_second_attempt_has_the_same_id_and_its_own_time(party: Party) -> None:
    party.receiver.script = lambda received: Answer(500 if received.attempt == 1 else 200)
    first = await party.notifier.deliver(party.message)
    party.now += timedelta(seconds=5)
    second = await party.notifier.deliver(party.message)

    assert (first.outcome, first.reason, first.status_code) == (DeliveryOutcome.RETRY, "endpoint_failed", 500)
    assert second.outcome == DeliveryOutcome.DELIVERED
    one, two = party.receiver.received
    assert one.message_id == two.message_id
    assert int(two.headers["webhook-timestamp"]) - int(one.headers["webhook-timestamp"]) == 5
    assert one.headers["webhook-signature"] != two.headers["webhook-signature"]


@pytest.mark.parametrize(
    ("answer", "result"),
    [
        (Answer(200), DeliveryResult(DeliveryOutcome.DELIVERED, None, 200)),
        (Answer(202), DeliveryResult(DeliveryOutcome.DELIVERED, None, 202)),
        (Answer(410), DeliveryResult(DeliveryOutcome.GONE, "endpoint_gone", 410)),
        (Answer(400), DeliveryResult(DeliveryOutcome.RETRY, "endpoint_failed", 400)),
        (Answer(404), DeliveryResult(DeliveryOutcome.RETRY, "endpoint_failed", 404)),
        (Answer(302, {"location": "/moved"}), DeliveryResult(DeliveryOutcome.RETRY, "endpoint_redirects", 302)),
        (Answer(308, {"location": "/moved"}), DeliveryResult(DeliveryOutcome.RETRY, "endpoint_redirects", 308)),
        (Answer(429, {"retry-after": "9"}), DeliveryResult(DeliveryOutcome.RETRY, "endpoint_failed", 429, 9.0)),
        (Answer(503, {"retry-after": "60"}), DeliveryResult(DeliveryOutcome.RETRY, "endpoint_failed", 503, 60.0)),
        (Answer(503, {"retry-after": "soon"}), DeliveryResult(DeliveryOutcome.RETRY, "endpoint_failed", 503)),
    ],
)
async def test_the_answer_decides_what_comes_next(party: Party, answer: Answer, result: DeliveryResult) -> None:
    party.receiver.script = lambda _: answer

    assert await party.notifier.deliver(party.message) == result
    assert len(party.receiver.received) == 1


async def test_two_secrets_sign_while_one_replaces_the_other(party: Party) -> None:
    newer = new_secret()
    await party.notifier.deliver(replace(party.message, secret=f"{newer} {SECRET}"))

    (received,) = party.receiver.received
    for secret in (newer, SECRET):
        verify_webhook(received.headers, received.body, secret)


@pytest.mark.parametrize(
    ("change", "outcome", "reason"),
    [
        ({"body": b"x" * MESSAGE_LIMIT_BYTES}, DeliveryOutcome.REFUSED, "message_too_large"),
        ({"body": b"\xff"}, DeliveryOutcome.REFUSED, "message_not_utf8"),
        ({"message_id": "a\r\nb: c"}, DeliveryOutcome.REFUSED, "message_id_invalid"),
        ({"message_id": ""}, DeliveryOutcome.REFUSED, "message_id_invalid"),
        ({"secret": "weak"}, DeliveryOutcome.RETRY, "webhook_secret_invalid"),
        ({"secret": ""}, DeliveryOutcome.RETRY, "webhook_secret_invalid"),
    ],
)
async def test_what_cannot_be_sent_is_not_sent(
    party: Party, change: dict[str, str], outcome: DeliveryOutcome, reason: str
) -> None:
    result = await party.notifier.deliver(replace(party.message, **change))  # type: ignore[arg-type]

    assert result == DeliveryResult(outcome, reason)
    assert party.receiver.received == []


async def deliver_to(url: str, guard: AddressGuard | None = None, seconds: float = 15.0) -> DeliveryResult:
    async with build_client() as client:
        notifier = HttpNotifier(client, guard or AddressGuard(allow_private=True), attempt_seconds=seconds)
        return await notifier.deliver(message(url))


async def test_nobody_there_is_tried_again() -> None:
    assert await deliver_to("http://127.0.0.1:1/") == DeliveryResult(DeliveryOutcome.RETRY, "endpoint_unreachable")


async def test_garbage_is_tried_again() -> None:
    async with misbehaving(saying(b"\x00\x01\x02\r\n\r\n")) as url:
        assert (await deliver_to(url)).reason == "endpoint_unreachable"


@pytest.mark.parametrize("slow", [hang, drip])
async def test_an_endpoint_is_not_waited_for_beyond_its_time(slow: object) -> None:
    async with misbehaving(slow) as url:  # type: ignore[arg-type]
        assert (await deliver_to(url, seconds=0.2)).reason == "endpoint_unreachable"


async def test_an_endpoint_that_answers_with_a_book_has_heard_us() -> None:
    async with misbehaving(flood) as url:
        assert await deliver_to(url) == DeliveryResult(DeliveryOutcome.DELIVERED, None, 200)


async def test_the_second_address_is_tried_when_the_first_is_dead() -> None:
    async def resolve(host: str, port: int) -> Sequence[str]:
        return ("127.0.0.2", "127.0.0.1")

    receiver = RecordingReceiver()
    async with serving(receiver_app(receiver)) as url:
        named = url.replace("127.0.0.1", "receiver.test")
        result = await deliver_to(named, AddressGuard(allow_private=True, resolve=resolve))

    assert result.outcome == DeliveryOutcome.DELIVERED
    assert [received.headers["host"] for received in receiver.received] == [named.removeprefix("http://")]


async def test_a_private_endpoint_is_never_called_in_production() -> None:
    receiver = RecordingReceiver()
    async with serving(receiver_app(receiver)) as url:
        plain = await deliver_to(url, AddressGuard())
        secure = await deliver_to(url.replace("http:", "https:"), AddressGuard())

    assert (plain.outcome, plain.reason) == (DeliveryOutcome.RETRY, "scheme_not_allowed")
    assert secure.reason == "port_not_allowed"
    assert receiver.received == []


class Rebinding:
    """A name server that says something harmless once, and our own machine ever after."""

    def __init__(self, harmless: str) -> None:
        self.asked = 0
        self._harmless = harmless

    async def resolve(self, host: str, port: int) -> Sequence[str]:
        self.asked += 1
        return (self._harmless,) if self.asked == 1 else ("127.0.0.1",)


async def test_a_name_that_changes_its_mind_never_reaches_the_inside() -> None:
    # 127.0.0.2 stands for the harmless address: nobody listens there, and the canary listens on 127.0.0.1.
    canary = RecordingReceiver()
    names = Rebinding("127.0.0.2")
    async with serving(receiver_app(canary)) as url:
        trap = url.replace("127.0.0.1", "rebinding.test")
        result = await deliver_to(trap, AddressGuard(allow_private=True, resolve=names.resolve))

    assert result.reason == "endpoint_unreachable"
    assert names.asked == 1
    assert canary.received == []


async def test_a_name_that_was_public_when_saved_is_checked_again_at_each_send() -> None:
    names = Rebinding("93.184.216.34")
    guard = AddressGuard(resolve=names.resolve)
    await guard.check("https://rebinding.test/hook")
    result = await deliver_to("https://rebinding.test/hook", guard)

    assert (result.outcome, result.reason) == (DeliveryOutcome.RETRY, "address_not_public")


async def test_a_redirect_inside_is_not_followed() -> None:
    canary = RecordingReceiver()
    async with contextlib.AsyncExitStack() as servers:
        inside = await servers.enter_async_context(serving(receiver_app(canary)))
        redirecting = replying(b"", "307 Temporary Redirect", f"location: {inside}/")
        result = await deliver_to(await servers.enter_async_context(misbehaving(redirecting)))

    assert (result.outcome, result.reason) == (DeliveryOutcome.RETRY, "endpoint_redirects")
    assert canary.received == []


@pytest.mark.skipif(shutil.which("openssl") is None, reason="needs openssl to make a certificate")
async def test_the_certificate_must_be_for_the_name_and_the_name_is_told(tmp_path: Path) -> None:
    certificate, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    made = await asyncio.create_subprocess_exec(
        *("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"),
        *("-days", "2", "-subj", "/CN=hooks.test", "-addext", "subjectAltName=DNS:hooks.test"),
        *("-keyout", str(key), "-out", str(certificate)),
        stderr=asyncio.subprocess.DEVNULL,
    )
    assert await made.wait() == 0
    asked_for: list[str | None] = []
    server_side = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server_side.load_cert_chain(certificate, key)
    server_side.sni_callback = lambda _socket, name, _context: asked_for.append(name)
    client_side = ssl.create_default_context(cafile=str(certificate))

    async def resolve(host: str, port: int) -> Sequence[str]:
        return ("127.0.0.1",)

    async def keep_open(_: bytes, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")
        await writer.drain()
        await asyncio.Event().wait()

    async with misbehaving(keep_open, server_side) as url, build_client(verify=client_side) as client:
        notifier = HttpNotifier(client, AddressGuard(allow_private=True, resolve=resolve))
        right = await notifier.deliver(message(url.replace("127.0.0.1", "hooks.test")))
        wrong = await notifier.deliver(message(url.replace("127.0.0.1", "other.test")))

    assert right.outcome == DeliveryOutcome.DELIVERED
    assert (wrong.outcome, wrong.reason) == (DeliveryOutcome.RETRY, "endpoint_unreachable")
    assert asked_for == ["hooks.test", "other.test"]
