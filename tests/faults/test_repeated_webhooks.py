"""A provider that repeats itself: at once a hundred times, in any order, an hour late, and with a changed word."""

import asyncio
import json
import random
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from integrations.webhook_signature import sign
from runtime.settings import DEVELOPMENT_WEBHOOK_SECRET
from tests.factories.sales import PRICE
from tests.fakes.figures import tell
from tests.fakes.patience import eventually
from tests.faults.laboratory import Lab

TIMES, FEWER = 100, 20
PATH = "/v1/webhooks/payments/simulated"
ANSWERED_WITHIN_S = 10.0


def _message(order_no: str, payment_id: str, amount_minor: int) -> str:
    payment = {"order_no": order_no, "payment_id": payment_id, "method": "alipay", "amount_minor": amount_minor}
    data = payment | {"currency": "CNY", "paid_at": "2026-11-22T10:05:00Z"}
    return json.dumps({"type": "payment.settled", "timestamp": "2026-11-22T10:06:00Z", "data": data})


def _headers(message_id: str, body: str, at: datetime | None = None) -> dict[str, str]:
    signed = sign(message_id, at or datetime.now(UTC), body, [DEVELOPMENT_WEBHOOK_SECRET])
    return signed | {"Content-Type": "application/json"}


async def _send(client: httpx.AsyncClient, body: str, headers: dict[str, str]) -> tuple[float, httpx.Response]:
    began = time.monotonic()
    answer = await client.post(PATH, content=body, headers=headers)
    return time.monotonic() - began, answer


async def test_repeats_are_taken_and_count_once_and_forgeries_are_refused(
    lab: Lab, sku: str, capsys: pytest.CaptureFixture[str]
) -> None:
    await lab.stocked(sku, 2)
    order_no, other = await lab.waiting(sku, 2)
    first, second = _message(order_no, "P-1", PRICE), _message(order_no, "P-2", PRICE)
    sent = [(first, _headers(f"{sku}-1", first))] * TIMES + [(second, _headers(f"{sku}-2", second))] * FEWER
    random.Random(6).shuffle(sent)
    limits = httpx.Limits(max_connections=len(sent))
    async with httpx.AsyncClient(base_url=lab.stack.facts["api"], limits=limits, timeout=60) as client:
        answers = await asyncio.gather(*(_send(client, body, headers) for body, headers in sent))
        assert {answer.status_code for _, answer in answers} == {202}
        assert len({answer.content for _, answer in answers}) == 2
        await lab.all([order_no], payment="paid")
        await lab.caller.booked(order_no)
        before = await _state(lab, order_no, other)

        for refused in (
            # The very bytes of an hour ago.
            await _send(client, first, _headers(f"{sku}-1", first, datetime.now(UTC) - timedelta(hours=1))),
            # One word changed after it was signed: the sum, the order, the id.
            await _send(client, first.replace(str(PRICE), str(PRICE + 1)), _headers(f"{sku}-3", first)),
            await _send(client, first.replace(order_no, other), _headers(f"{sku}-4", first)),
            await _send(client, first, _headers(f"{sku}-1", first) | {"webhook-id": f"{sku}-5"}),
        ):
            assert (refused[1].status_code, refused[1].json()["code"]) == (401, "signature_invalid")
        # The provider itself says it again an hour later, signed anew: heard, and nothing follows.
        _, again = await _send(client, first, _headers(f"{sku}-1", first))
        assert again.status_code == 202
        # And under another message id, as some do: it is still the same payment.
        _, renamed = await _send(client, first, _headers(f"{sku}-6", first))
        assert renamed.status_code == 202
    await _until_applied(lab, order_no)
    assert await _state(lab, order_no, other) == before
    waits = sorted(wait for wait, _ in answers)
    assert waits[-1] < ANSWERED_WITHIN_S
    tell(
        capsys,
        f"2 payments reported {TIMES} and {FEWER} times, all at once and shuffled: all answered 202, two payments; "
        f"half answered within {waits[len(waits) // 2]:.2f} s, 99 % within {waits[int(len(waits) * 0.99)]:.2f} s",
    )


async def _state(lab: Lab, *order_nos: str) -> list[Any]:
    names = ", ".join(f"'{order_no}'" for order_no in order_nos)
    payments = await lab.ask(
        f"SELECT order_no, payment_id, amount_minor, state FROM payments WHERE order_no IN ({names}) ORDER BY 1, 2"
    )
    assert [(row[1], row[2]) for row in payments] == [("P-1", PRICE), ("P-2", PRICE)]
    posted = await lab.ask(f"SELECT event_key FROM journal_entries WHERE order_no IN ({names}) ORDER BY 1")
    told = await lab.ask(f"SELECT order_no, seq, kind FROM order_events WHERE order_no IN ({names}) ORDER BY 1, 2")
    return [payments, posted, told]


async def _until_applied(lab: Lab, order_no: str) -> None:
    query = f"SELECT inbox_id FROM inbox_messages WHERE order_no = '{order_no}' AND applied_at IS NULL"
    await eventually(lambda: lab.ask(query + " AND kind = 'payment.settled'"), lambda left: left == [])
