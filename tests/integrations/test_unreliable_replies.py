"""Whatever a party sends back, each HTTP adapter answers with that party's own retryable error and never another."""

import asyncio
import gzip
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime

import httpx
import psutil
import pytest

from integrations.carrier.over_http import HttpCarrier
from integrations.carrier.port import CarrierRefused
from integrations.einvoice.over_http import HttpEInvoiceProvider
from integrations.einvoice.port import InvoiceRef, RedReason
from integrations.failure import PartyFailure
from integrations.http_client import build_client, retry_after_seconds
from integrations.payment.over_http import HttpPaymentProvider
from tests.factories.outside_parties import CONSIGNMENT, DRAFT, ONE_BACK, REFUND
from tests.fakes.http_server import Misbehave, drip, flood, hang, misbehaving, replying, reset, saying

Call = Callable[[str, httpx.AsyncClient, float], Awaitable[object]]
REF = InvoiceRef("SO1/invoice/1", "1")
PATIENCE_SECONDS = 20.0

CALLS: dict[str, Call] = {
    "carrier.book": lambda url, client, within: HttpCarrier(url, client, "t", within).book(CONSIGNMENT, "k"),
    "carrier.find": lambda url, client, within: HttpCarrier(url, client, "t", within).find("k"),
    "einvoice.issue": lambda url, client, within: HttpEInvoiceProvider(url, client, "t", within).issue(DRAFT, "k"),
    "einvoice.red": lambda url, client, within: HttpEInvoiceProvider(url, client, "t", within).red(
        REF, ONE_BACK, RedReason.ORDER_CANCELLED, "k"
    ),
    "einvoice.query": lambda url, client, within: HttpEInvoiceProvider(url, client, "t", within).query("k"),
    "payment.refund": lambda url, client, within: HttpPaymentProvider(url, client, "t", within).refund(REFUND, "k"),
    "payment.query": lambda url, client, within: HttpPaymentProvider(url, client, "t", within).query("k"),
}
WITHOUT_BODY: dict[str, Call] = {
    "carrier.void": lambda url, client, within: HttpCarrier(url, client, "t", within).void("k"),
    "einvoice.fetch": lambda url, client, within: HttpEInvoiceProvider(url, client, "t", within).fetch(REF, "pdf"),
}


async def cut(_: bytes, writer: asyncio.StreamWriter) -> None:
    reset(writer)


BAD_REPLY: dict[str, Misbehave] = {
    "a web page": replying(b"<html>Welcome</html>"),
    "an empty body": replying(b""),
    "half a document": replying(b'{"carrier": "c", "status"'),
    "bytes that are no text": replying(b"\xff\xfe\x00\x01" * 10),
    "a list": replying(b"[]"),
    "null": replying(b"null"),
    "wrong types": replying(b'{"carrier": 1, "tracking_no": [], "status": 7, "provider_number": {}}'),
    "an unknown status": replying(b'{"status": "maybe", "carrier": "c"}'),
    "control characters": replying(b'{"carrier": "c\\u0000", "tracking_no": "t", "status": "issued", "reason": "\\n"}'),
    "overlong text": replying(
        b'{"carrier": "' + b"x" * 300 + b'", "tracking_no": "t", "status": "' + b"x" * 300 + b'"}'
    ),
    "deep nesting": replying(b"[" * 30_000),
    "a number without end": replying(b'{"carrier": ' + b"9" * 30_000 + b"}"),
    "a refusal without a reason": replying(b"no", "422 Unprocessable Content"),
    "a refusal in another's words": replying(b'{"code": "Sorry, <b>no</b>"}', "422 Unprocessable Content"),
    "a status out of place": replying(b"{}", "418 I'm a teapot"),
    "no content": saying(b"HTTP/1.1 204 No Content\r\nconnection: close\r\n\r\n"),
}
BAD_REPLY_ALSO_WITHOUT_BODY: dict[str, Misbehave] = {
    "a missing page": replying(b"<html>Not found</html>", "404 Not Found"),
    "a redirect to a private address": replying(b"", "302 Found", "location: http://127.0.0.1:1/"),
    "a permanent redirect": replying(b"", "308 Permanent Redirect", "location: http://169.254.169.254/"),
    "100 MB without warning": flood,
    "100 MB as declared": saying(b"HTTP/1.1 200 OK\r\ncontent-length: 104857600\r\n\r\n"),
    "a compressed bomb": replying(gzip.compress(b" " * 10**7), "200 OK", "content-encoding: gzip"),
}
UNAVAILABLE: dict[str, Misbehave] = {
    "no HTTP at all": saying(b"SSH-2.0-OpenSSH_9.6\r\n"),
    "less than declared": saying(b"HTTP/1.1 200 OK\r\ncontent-length: 50\r\n\r\n{}"),
    "two lengths": saying(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-length: 3\r\n\r\n{}"),
    "a length that is none": saying(b"HTTP/1.1 200 OK\r\ncontent-length: -1\r\n\r\n{}"),
    "headers without end": saying(b"HTTP/1.1 200 OK\r\n" + b"x: y\r\n" * 100_000),
    "a reset": cut,
    "500": replying(b"{}", "500 Internal Server Error"),
    "503": replying(b"{}", "503 Service Unavailable"),
    "429": replying(b"{}", "429 Too Many Requests"),
}
SLOW: dict[str, Misbehave] = {"silence": hang, "a drip": drip}


async def failure_of(call: Call, misbehave: Misbehave, within: float = PATIENCE_SECONDS) -> PartyFailure:
    async with misbehaving(misbehave) as url, build_client(timeout_seconds=PATIENCE_SECONDS) as client:
        with pytest.raises(PartyFailure) as failure:
            await call(url, client, within)
    return failure.value


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("reply", BAD_REPLY | BAD_REPLY_ALSO_WITHOUT_BODY)
async def test_a_reply_that_makes_no_sense_is_a_bad_reply(call: str, reply: str) -> None:
    failure = await failure_of(CALLS[call], (BAD_REPLY | BAD_REPLY_ALSO_WITHOUT_BODY)[reply])

    assert (failure.code, failure.retryable) == (f"{call.split('.')[0]}_bad_reply", True)


@pytest.mark.parametrize("call", CALLS | WITHOUT_BODY)
@pytest.mark.parametrize("reply", UNAVAILABLE)
async def test_a_party_that_does_not_answer_is_unavailable(call: str, reply: str) -> None:
    failure = await failure_of((CALLS | WITHOUT_BODY)[call], UNAVAILABLE[reply])

    assert (failure.code, failure.retryable) == (f"{call.split('.')[0]}_unavailable", True)


@pytest.mark.parametrize("call", CALLS | WITHOUT_BODY)
@pytest.mark.parametrize("reply", SLOW)
async def test_no_party_is_waited_for_beyond_the_deadline(call: str, reply: str) -> None:
    failure = await failure_of((CALLS | WITHOUT_BODY)[call], SLOW[reply], within=0.2)

    assert failure.code == f"{call.split('.')[0]}_unavailable"


@pytest.mark.parametrize("call", WITHOUT_BODY)
@pytest.mark.parametrize("reply", BAD_REPLY_ALSO_WITHOUT_BODY)
async def test_calls_without_a_document_in_reply_are_as_careful(call: str, reply: str) -> None:
    failure = await failure_of(WITHOUT_BODY[call], BAD_REPLY_ALSO_WITHOUT_BODY[reply])

    assert (failure.code, failure.retryable) == (f"{call.split('.')[0]}_bad_reply", True)


async def test_a_huge_reply_costs_no_memory() -> None:
    process = psutil.Process()
    before = process.memory_info().rss
    for _ in range(3):
        await failure_of(CALLS["carrier.find"], flood)

    assert process.memory_info().rss - before < 50 * 2**20


async def test_no_error_quotes_the_reply() -> None:
    for reply in (b"SECRET-IN-REPLY", b'{"carrier": "SECRET-IN-REPLY"}'):
        failure = await failure_of(CALLS["carrier.book"], replying(reply))
        assert "SECRET-IN-REPLY" not in f"{failure} {failure.detail}"


async def test_a_refusal_with_a_reason_is_final() -> None:
    failure = await failure_of(CALLS["carrier.book"], replying(b'{"code": "too_heavy"}', "422 Unprocessable Content"))

    assert isinstance(failure, CarrierRefused)
    assert (failure.code, failure.retryable) == ("too_heavy", False)


async def test_cookies_of_a_party_are_not_kept() -> None:
    reply = replying(b'{"carrier": "c", "tracking_no": "t"}', "200 OK", "set-cookie: a=b")
    async with misbehaving(reply) as url, build_client() as client:
        await HttpCarrier(url, client, "t").find("k")
        assert len(client.cookies) == 0


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("120", 120.0),
        ("0", 0.0),
        ("999999999", 86400.0),
        ("Sun, 22 Nov 2026 12:01:00 GMT", 60.0),
        ("Sun, 22 Nov 2026 11:00:00 GMT", 0.0),
        ("-5", None),
        ("soon", None),
        ("", None),
        ("٣", None),
        ("Sun, 99 Nov 2026 12:01:00 GMT", None),
    ],
)
def test_the_pause_asked_for_is_understood_and_bounded(value: str, seconds: float | None) -> None:
    noon = datetime(2026, 11, 22, 12, tzinfo=UTC)
    assert retry_after_seconds({"retry-after": value}, noon) == seconds
