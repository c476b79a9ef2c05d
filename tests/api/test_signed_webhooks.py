"""Webhooks that come in: only what is signed is read, and each message counts once."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from sqlmodel import select

from domain.order_number import order_number
from integrations.webhook_signature import new_secret, sign
from models.inbox import InboxMessage
from runtime.settings import DEVELOPMENT_WEBHOOK_SECRET as SECRET
from tests.api.conftest import PROBLEM, Api, As
from tests.api.rows import counts
from tests.factories.requests import a_payment, a_scan, an_order

PAYMENTS, CARRIER = "/v1/webhooks/payments/simulated", "/v1/webhooks/carrier"
NUMBER = order_number("web", "T-1001")


def webhook(data: dict[str, Any], kind: str) -> str:
    return json.dumps({"type": kind, "timestamp": "2026-11-22T10:06:00Z", "data": data})


PAID = webhook(a_payment(order_no=NUMBER), "payment.settled")
SCANNED = webhook(a_scan(shipment_no=f"{NUMBER}-S1"), "parcel.scanned")


async def send(
    client: httpx.AsyncClient, path: str, body: str | bytes, message_id: str = "msg-1", **headers: str
) -> httpx.Response:
    text = body if isinstance(body, str) else body.decode()
    signed = sign(message_id, datetime.now(UTC), text, [SECRET])
    return await client.post(path, content=body, headers={"Content-Type": "application/json"} | signed | headers)


async def kept(api: Api) -> list[InboxMessage]:
    async with api.database.sessions() as session:
        query = select(InboxMessage).where(InboxMessage.source != "orders/web")
        return list((await session.exec(query)).all())


async def test_signed_payment_is_kept_once(api: Api, as_role: As) -> None:
    await as_role("channel").post("/v1/orders", json=an_order())
    nobody = as_role()
    answers = [await send(nobody, PAYMENTS, PAID) for _ in range(2)]
    assert {(answer.status_code, answer.text) for answer in answers} == {
        (202, '{"message_id":"msg-1","state":"received"}')
    }
    (message,) = await kept(api)
    assert (message.source, message.message_id) == ("webhook/simulated", "msg-1")
    assert (message.order_no, message.kind, json.loads(message.body)["payment_id"]) == (
        NUMBER,
        "payment.settled",
        "P-1",
    )


async def test_payment_that_comes_before_its_order_waits_for_it(api: Api, as_role: As) -> None:
    body = webhook(a_payment(channel="web", external_id="T-1001"), "payment.settled")
    assert (await send(as_role(), PAYMENTS, body)).status_code == 202
    (message,) = await kept(api)
    assert (message.order_no, message.handed_over_at) == (NUMBER, None)


async def test_same_id_with_another_content_is_refused(api: Api, as_role: As) -> None:
    nobody = as_role()
    await send(nobody, PAYMENTS, PAID)
    before = await counts(api.database)
    answer = await send(nobody, PAYMENTS, PAID.replace('"P-1"', '"P-2"'))
    assert (answer.status_code, answer.json()["code"]) == (422, "idempotency_key_reused")
    assert await counts(api.database) == before


@pytest.mark.parametrize(("path", "body"), [(PAYMENTS, PAID), (CARRIER, SCANNED)], ids=["payment", "carrier"])
async def test_every_flipped_bit_is_noticed(api: Api, as_role: As, path: str, body: str) -> None:
    nobody, raw = as_role(), body.encode()
    signed = sign("msg-1", datetime.now(UTC), body, [SECRET]) | {"Content-Type": "application/json"}
    before = await counts(api.database)
    for at in range(0, len(raw), 7):
        flipped = raw[:at] + bytes([raw[at] ^ 1]) + raw[at + 1 :]
        assert (await nobody.post(path, content=flipped, headers=signed)).status_code == 401, at
    for name in ("webhook-id", "webhook-timestamp", "webhook-signature"):
        for at in range(0, len(signed[name]), 3):
            value = signed[name]
            changed = signed | {name: value[:at] + chr(ord(value[at]) ^ 1) + value[at + 1 :]}
            assert (await nobody.post(path, content=raw, headers=changed)).status_code == 401, (name, at)
        missing = {other: value for other, value in signed.items() if other != name}
        assert (await nobody.post(path, content=raw, headers=missing)).status_code == 401, name
    assert await counts(api.database) == before


@pytest.mark.parametrize("content", [b"", b"\xff\xfe", b"{", b"null"])
async def test_unsigned_bytes_are_not_even_read(as_role: As, content: bytes) -> None:
    answer = await as_role().post(PAYMENTS, content=content, headers={"Content-Type": "application/json"})
    assert (answer.status_code, answer.json()["code"]) == (401, "signature_invalid")
    assert answer.headers["Content-Type"] == PROBLEM


async def test_old_messages_and_other_secrets_are_refused(as_role: As) -> None:
    old = sign("msg-1", datetime.now(UTC) - timedelta(minutes=6), PAID, [SECRET])
    other = sign("msg-1", datetime.now(UTC), PAID, [new_secret()])
    for headers in (old, other):
        assert (await as_role().post(PAYMENTS, content=PAID, headers=headers)).status_code == 401


async def test_unknown_provider_is_not_found(as_role: As) -> None:
    answer = await send(as_role(), "/v1/webhooks/payments/nobody", PAID)
    assert (answer.status_code, answer.json()["code"]) == (404, "unknown_provider")


@pytest.mark.parametrize("path", [PAYMENTS, CARRIER])
async def test_unknown_types_are_kept_and_left_alone(api: Api, as_role: As, path: str) -> None:
    answer = await send(as_role(), path, webhook({"anything": [1]}, "account.updated"))
    assert (answer.status_code, answer.json()["state"]) == (202, "ignored")
    (message,) = await kept(api)
    assert (message.kind, message.outcome, message.order_no) == ("webhook.unknown", "unknown type", None)
    assert message.handed_over_at is not None


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        (PAYMENTS, "{", 400),
        (PAYMENTS, "[]", 422),
        (PAYMENTS, '{"type": "payment.settled"}', 422),
        (PAYMENTS, webhook(a_payment(), "payment.settled"), 422),
        (PAYMENTS, webhook(a_payment(order_no=NUMBER, amount_minor=0), "payment.settled"), 422),
        (PAYMENTS, webhook(a_payment(order_no=NUMBER, extra=1), "payment.settled"), 422),
        (CARRIER, webhook(a_scan(), "parcel.scanned"), 422),
        (CARRIER, webhook(a_scan(shipment_no="S", status="eaten"), "parcel.scanned"), 422),
    ],
)
async def test_signed_nonsense_is_refused(api: Api, as_role: As, path: str, body: str, status: int) -> None:
    before = await counts(api.database)
    answer = await send(as_role(), path, body)
    assert (answer.status_code, answer.headers["Content-Type"]) == (status, PROBLEM)
    assert await counts(api.database) == before


async def test_report_about_an_unknown_parcel_waits(api: Api, as_role: As) -> None:
    assert (await send(as_role(), CARRIER, SCANNED)).status_code == 202
    (message,) = await kept(api)
    assert (message.source, message.order_no, message.kind) == ("webhook/carrier", None, "parcel.scanned")
