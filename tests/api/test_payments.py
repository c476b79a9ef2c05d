"""Payments that callers report: kept as facts, once, whether or not their order has come."""

import asyncio
import json
from typing import Any

import httpx
import pytest
from sqlmodel import select

from domain.order_number import order_number
from models.inbox import InboxMessage
from store.access import Grant
from tests.api.conftest import Api, As, give_key
from tests.api.rows import counts
from tests.factories.requests import ORDER_TOTAL, a_payment, an_order

NUMBER = order_number("web", "T-1001")
PAYMENTS = f"/v1/orders/{NUMBER}/payments"
BATCH = "/v1/payments:batch"


async def messages(api: Api) -> list[InboxMessage]:
    async with api.database.sessions() as session:
        query = select(InboxMessage).where(InboxMessage.kind == "payment.settled")
        return list((await session.exec(query)).all())


@pytest.fixture
async def channel(as_role: As) -> httpx.AsyncClient:
    """A client that has placed the order T-1001."""
    client = as_role("channel")
    assert (await client.post("/v1/orders", json=an_order())).status_code == 202
    return client


async def test_payment_is_on_record_before_it_is_answered(api: Api, channel: httpx.AsyncClient) -> None:
    sent = json.dumps(a_payment(), indent=2)
    answer = await channel.post(PAYMENTS, content=sent, headers={"Content-Type": "application/json"})
    assert (answer.status_code, answer.headers["Location"]) == (202, f"{PAYMENTS}/P-1")
    links = {"self": f"{PAYMENTS}/P-1", "order": f"/v1/orders/{NUMBER}"}
    assert answer.json() == {"order_no": NUMBER, "payment_id": "P-1", "state": "received", "links": links}
    (message,) = await messages(api)
    assert (message.source, message.message_id) == ("api", f"payment/{NUMBER}/P-1")
    assert (message.order_no, message.body, message.actor) == (NUMBER, sent, "channel")
    waiting = (await channel.get(f"{PAYMENTS}/P-1")).json()
    assert (waiting["state"], waiting["amount_minor"], waiting["recorded_at"]) == ("received", ORDER_TOTAL, None)
    assert (await channel.get(PAYMENTS)).json() == {"data": [], "next_cursor": None}


async def test_repeated_payment_has_one_effect_and_one_answer(api: Api, channel: httpx.AsyncClient) -> None:
    answers = await asyncio.gather(*(channel.post(PAYMENTS, json=a_payment()) for _ in range(20)))
    assert {(answer.status_code, answer.content) for answer in answers} == {(202, answers[0].content)}
    assert sum("Idempotent-Replayed" in answer.headers for answer in answers) == 19
    assert len(await messages(api)) == 1


async def test_same_payment_with_another_content_is_refused(api: Api, channel: httpx.AsyncClient) -> None:
    await channel.post(PAYMENTS, json=a_payment())
    before = await counts(api.database)
    for change in ({"amount_minor": 1}, {"method": "card"}, {"kind": "deposit"}, {"paid_at": "2026-11-22T10:05:01Z"}):
        answer = await channel.post(PAYMENTS, json=a_payment(**change))
        assert (answer.status_code, answer.json()["code"]) == (422, "idempotency_key_reused"), change
    assert await counts(api.database) == before


async def test_kind_and_time_may_be_left_out(api: Api, channel: httpx.AsyncClient) -> None:
    short = {"payment_id": "P-1", "method": "alipay", "amount_minor": 1, "currency": "CNY"}
    assert (await channel.post(PAYMENTS, json=short)).status_code == 202
    assert (await channel.post(PAYMENTS, json=short)).status_code == 202
    assert len(await messages(api)) == 1


@pytest.mark.parametrize(
    ("change", "pointer"),
    [
        ({"amount_minor": 0}, "#/amount_minor"),
        ({"amount_minor": -1}, "#/amount_minor"),
        ({"amount_minor": 1.5}, "#/amount_minor"),
        ({"amount_minor": "1"}, "#/amount_minor"),
        ({"amount_minor": 2**53}, "#/amount_minor"),
        ({"currency": "XXX"}, "#/currency"),
        ({"kind": "tip"}, "#/kind"),
        ({"payment_id": "a/b"}, "#/payment_id"),
        ({"payment_id": ""}, "#/payment_id"),
        ({"method": "Ali Pay"}, "#/method"),
        ({"paid_at": "2026-11-22"}, "#/paid_at"),
        ({"state": "applied"}, "#/state"),
    ],
)
async def test_payments_that_cannot_be_are_refused(
    api: Api, channel: httpx.AsyncClient, change: dict[str, Any], pointer: str
) -> None:
    before = await counts(api.database)
    answer = await channel.post(PAYMENTS, json=a_payment(**change))
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_request")
    assert [error["pointer"] for error in answer.json()["errors"]] == [pointer]
    assert await counts(api.database) == before


async def test_money_in_another_currency_is_refused_at_the_door(api: Api, channel: httpx.AsyncClient) -> None:
    before = await counts(api.database)
    answer = await channel.post(PAYMENTS, json=a_payment(currency="USD"))
    assert (answer.status_code, answer.json()["code"]) == (422, "currency_mismatch")
    assert await counts(api.database) == before


async def test_payments_are_taken_for_orders_one_sees_only(api: Api, channel: httpx.AsyncClient, as_role: As) -> None:
    before = await counts(api.database)
    unknown = await channel.post("/v1/orders/SO0000000000000000/payments", json=a_payment())
    assert (unknown.status_code, unknown.json()["code"]) == (404, "order_not_found")
    assert (await as_role("sales").post(PAYMENTS, json=a_payment())).status_code == 403
    assert (await as_role().post(PAYMENTS, json=a_payment())).status_code == 401
    assert await counts(api.database) == before
    assert (await channel.get(f"{PAYMENTS}/P-9")).json()["code"] == "payment_not_found"


async def test_batch_names_orders_either_way_and_may_come_before_them(api: Api, channel: httpx.AsyncClient) -> None:
    finance_items = [
        a_payment("P-1", order_no=NUMBER),
        a_payment("P-1", channel="web", external_id="T-1001"),
        a_payment("P-2", channel="web", external_id="LATER"),
        a_payment("P-3", order_no=NUMBER, currency="USD"),
        a_payment("P-4", order_no=NUMBER, channel="web", external_id="T-1001"),
        a_payment("P-5"),
        a_payment("P-6", order_no=NUMBER, amount_minor=0),
    ]
    told = (await channel.post(BATCH, json={"payments": finance_items})).json()
    assert [result["status"] for result in told["results"]] == [202, 202, 202, 422, 422, 422, 422]
    assert sorted(result["replayed"] for result in told["results"][:3]) == [False, False, True]
    assert told["results"][2]["order_no"] == order_number("web", "LATER")
    kept = {message.message_id: message for message in await messages(api)}
    waiting = kept[f"payment/{order_number('web', 'LATER')}/P-2"]
    assert (len(kept), waiting.handed_over_at) == (2, None)
    single = await channel.post(PAYMENTS, json=a_payment("P-1"))
    assert (single.status_code, single.headers["Idempotent-Replayed"]) == (202, "true")


async def test_batch_of_a_limited_key_reaches_its_own_orders_only(
    api: Api, channel: httpx.AsyncClient, as_role: As
) -> None:
    token = await give_key(api.database, "shop", ["channel"], Grant(channels={"shop"}))
    items = [
        a_payment("P-1", order_no=NUMBER),
        a_payment("P-2", channel="web", external_id="T-1001"),
        a_payment("P-3", channel="web", external_id="LATER"),
        a_payment("P-4", order_no="SO0000000000000000"),
        a_payment("P-5", channel="shop", external_id="LATER"),
    ]
    told = (await as_role(token=token).post(BATCH, json={"payments": items})).json()
    assert [result["status"] for result in told["results"]] == [404, 404, 404, 404, 202]


async def test_batches_have_bounds(api: Api, channel: httpx.AsyncClient) -> None:
    before = await counts(api.database)
    for payments in ([], [a_payment()] * 501, "A", [None]):
        answer = await channel.post(BATCH, json={"payments": payments})
        assert (answer.status_code, answer.json()["code"]) == (422, "invalid_request")
    assert await counts(api.database) == before
