"""Refunds as people ask for them: shown before they are decided, refused at once, committed once."""

import json
from typing import Any

import httpx
import pytest
from sqlmodel import select

from activities.payments import PaymentActivities
from activities.refunding import RefundActivities
from activities.step import Fact, Step
from domain.order_number import order_number
from integrations.memory import Memory
from integrations.payment.simulated import SimulatedPaymentProvider
from models.inbox import InboxMessage
from store.access import Grant
from tests.api.conftest import PROBLEM, Api, As, give_key
from tests.api.rows import counts
from tests.factories.requests import ORDER_TOTAL, Body, a_payment, an_order

NUMBER = order_number("web", "T-1001")
REFUNDS = f"/v1/orders/{NUMBER}/refunds"


def a_refund(refund_id: str = "F-1", **changes: Any) -> Body:
    lines = [{"line_id": "1", "quantity": 1}]
    return {"refund_id": refund_id, "lines": lines, "reason_code": "changed_mind", "reason": "too big"} | changes


def amount(kind: str, minor: int | None, reason_code: str, refund_id: str = "F-1") -> Body:
    body = a_refund(refund_id, reason_code=reason_code) | {kind: {"amount_minor": minor}}
    return {name: value for name, value in body.items() if name != "lines"}


def payments_of(api: Api) -> PaymentActivities:
    return PaymentActivities(api.database.sessions, SimulatedPaymentProvider(Memory()), tolerance_minor=1)


async def inbox_id(api: Api, kind: str) -> int:
    async with api.database.sessions() as session:
        (message,) = (await session.exec(select(InboxMessage).where(InboxMessage.kind == kind))).all()
    return message.inbox_id or 0


@pytest.fixture
async def service(api: Api, as_role: As) -> httpx.AsyncClient:
    """A client of the service desk; the order T-1001 is paid and none of it was sent."""
    channel = as_role("channel")
    assert (await channel.post("/v1/orders", json=an_order())).status_code == 202
    assert (await channel.post(f"/v1/orders/{NUMBER}/payments", json=a_payment())).status_code == 202
    await payments_of(api).apply_payment(Fact(NUMBER, await inbox_id(api, "payment.settled")))
    return as_role("service")


async def test_preview_shows_the_money_and_changes_nothing(api: Api, service: httpx.AsyncClient) -> None:
    before = await counts(api.database)
    answer = await service.post(REFUNDS, json=a_refund(), params={"preview": "true"})
    assert answer.status_code == 200
    share = {"gross_minor": 10_800, "net_minor": 9_557, "tax_minor": 1_243, "platform_minor": 0}
    assert answer.json() == {
        "order_no": NUMBER,
        "kind": "units",
        "currency": "CNY",
        "lines": [
            {"line_id": "1", "unshipped": 1, "delivered": 0, "shipping_minor": 500, "payable_minor": 10_800} | share
        ],
        "reduction_minor": 10_800,
        "payout_minor": 10_800,
        "absorbed_minor": 0,
        "compensation_minor": 0,
        "payouts": [{"payment_id": "P-1", "amount_minor": 10_800, "state": "none"}],
    }
    assert await counts(api.database) == before


async def test_a_refund_is_on_record_before_it_is_answered(api: Api, service: httpx.AsyncClient) -> None:
    sent = json.dumps(a_refund(), indent=2)
    answer = await service.post(REFUNDS, content=sent, headers={"Content-Type": "application/json"})
    own = f"{REFUNDS}/F-1"
    assert (answer.status_code, answer.headers["Location"]) == (202, own)
    links = {"self": own, "order": f"/v1/orders/{NUMBER}"}
    assert answer.json() == {"order_no": NUMBER, "refund_id": "F-1", "state": "received", "links": links}
    async with api.database.sessions() as session:
        message = await session.get_one(InboxMessage, await inbox_id(api, "refund.requested"))
    assert (message.message_id, message.body, message.actor) == (f"refund/{NUMBER}/F-1", sent, "service")
    waiting = (await service.get(own)).json()
    assert (waiting["state"], waiting["kind"], waiting["lines"], waiting["granted_at"]) == (
        "received",
        "units",
        [],
        None,
    )


async def test_a_refund_is_shown_as_it_was_decided_and_paid(api: Api, service: httpx.AsyncClient) -> None:
    await service.post(REFUNDS, json=a_refund())
    fact = Fact(NUMBER, await inbox_id(api, "refund.requested"))
    assert (await RefundActivities(api.database.sessions).grant_refund(fact)).outcome == "granted"
    granted = (await service.get(f"{REFUNDS}/F-1")).json()
    assert (granted["state"], granted["granted_by"], granted["payout_minor"]) == ("granted", "service", 10_800)
    await payments_of(api).pay_refunds(Step(NUMBER, "refund"))
    (paid,) = (await service.get(REFUNDS)).json()["data"]
    assert (paid["state"], paid["payouts"][0]["state"], paid["lines"][0]["unshipped"]) == ("paid", "succeeded", 1)
    order = (await service.get(f"/v1/orders/{NUMBER}")).json()
    assert (order["payment"], order["totals"]["reduced_minor"]) == ("partially_refunded", 10_800)
    assert order["totals"]["refunded_minor"] == 10_800


async def test_repeated_refund_has_one_effect_and_one_answer(api: Api, service: httpx.AsyncClient) -> None:
    first = await service.post(REFUNDS, json=a_refund())
    await RefundActivities(api.database.sessions).grant_refund(Fact(NUMBER, await inbox_id(api, "refund.requested")))
    again = await service.post(REFUNDS, json=a_refund())
    assert (again.status_code, again.content) == (202, first.content)
    assert again.headers["Idempotent-Replayed"] == "true"
    assert await inbox_id(api, "refund.requested")


async def test_same_refund_with_another_content_is_refused(api: Api, service: httpx.AsyncClient) -> None:
    await service.post(REFUNDS, json=a_refund())
    before = await counts(api.database)
    answer = await service.post(REFUNDS, json=a_refund(reason="another"))
    assert (answer.status_code, answer.json()["code"]) == (422, "idempotency_key_reused")
    assert await counts(api.database) == before


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (a_refund(lines=[{"line_id": "9", "quantity": 1}]), 422, "unknown_line"),
        (a_refund(lines=[{"line_id": "1", "quantity": 3}]), 409, "quantity_exceeded"),
        (a_refund(lines=[{"line_id": "1", "quantity": 2}]), 409, "nothing_left_to_ship"),
        (a_refund(reason_code="compensation"), 422, "refund_reason_not_allowed"),
        (amount("goodwill", ORDER_TOTAL + 1, "damaged"), 409, "refund_above_paid"),
        (amount("goodwill", ORDER_TOTAL + 1, "compensation"), 409, "refund_above_paid"),
        (amount("shipping", 1_001, "shipping_waived"), 409, "refund_above_paid"),
    ],
)
@pytest.mark.parametrize("preview", ["true", "false"])
async def test_what_may_not_go_back_is_refused_at_once(
    api: Api, service: httpx.AsyncClient, body: Body, status: int, code: str, preview: str
) -> None:
    before = await counts(api.database)
    answer = await service.post(REFUNDS, json=body, params={"preview": preview})
    assert (answer.status_code, answer.json()["code"], answer.headers["content-type"]) == (status, code, PROBLEM)
    assert await counts(api.database) == before


@pytest.mark.parametrize(
    "body",
    [
        {},
        a_refund(lines=[]),
        a_refund(lines=[{"line_id": "1", "quantity": 0}]),
        a_refund(lines=[{"line_id": "1", "quantity": 1}] * 2),
        a_refund(goodwill={"amount_minor": 1}),
        a_refund(goodwill={"amount_minor": 0}, lines=None),
        a_refund(lines=None),
        a_refund(refund_id="a b"),
        a_refund(surprise=1),
    ],
)
async def test_malformed_refund_is_refused_and_nothing_is_kept(
    api: Api, service: httpx.AsyncClient, body: Body
) -> None:
    before = await counts(api.database)
    answer = await service.post(REFUNDS, json=body)
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_request")
    assert answer.json()["errors"]
    assert await counts(api.database) == before


async def test_all_problems_are_named_at_once(service: httpx.AsyncClient) -> None:
    wrong = {"refund_id": "", "lines": [{"line_id": "1", "quantity": 0}], "reason_code": "A B"}
    pointers = {error["pointer"] for error in (await service.post(REFUNDS, json=wrong)).json()["errors"]}
    assert pointers == {"#/refund_id", "#/lines/0/quantity", "#/reason_code"}


async def test_others_orders_have_no_refunds(api: Api, service: httpx.AsyncClient, as_role: As) -> None:
    await service.post(REFUNDS, json=a_refund())
    token = await give_key(api.database, "elsewhere", ["service"], Grant(channels=["other"]))
    stranger = as_role(token=token)
    for answer in (await stranger.post(REFUNDS, json=a_refund("F-2")), await stranger.get(f"{REFUNDS}/F-1")):
        assert (answer.status_code, answer.json()["code"]) == (404, "order_not_found")
    assert (await service.get(f"{REFUNDS}/F-9")).json()["code"] == "refund_not_found"


async def test_whoever_sells_may_look_and_not_give_back(service: httpx.AsyncClient, as_role: As) -> None:
    await service.post(REFUNDS, json=a_refund())
    for role in ("channel", "sales"):
        assert (await as_role(role).post(REFUNDS, json=a_refund("F-2"))).status_code == 403
        assert (await as_role(role).get(f"{REFUNDS}/F-1")).status_code == 200
    assert (await as_role("warehouse").get(REFUNDS)).status_code == 403
