"""Exchanges as people ask for them: shown first, refused with every reason, or committed at the price shown."""

from datetime import timedelta
from decimal import Decimal
from typing import Any

import httpx
import pytest

from activities.payments import PaymentActivities
from activities.returning import ReturnActivities, ReturnFact, ReturnStep
from activities.revenue import RevenueActivities
from activities.step import Step
from domain.exchanging import replacement_number
from domain.order_number import order_number
from domain.returning import return_number
from integrations.memory import Memory
from integrations.payment.simulated import SimulatedPaymentProvider
from models.columns import now
from models.masters import Product
from store.access import Grant
from tests.api.conftest import Api, As, give_key
from tests.api.rows import counts
from tests.factories.books import open_books
from tests.factories.deliveries import deliver
from tests.factories.payments import report
from tests.factories.requests import Body, an_order
from tests.factories.returning import received

NUMBER = order_number("web", "T-1001")
RETURNS = f"/v1/orders/{NUMBER}/returns"
RETURN_NO = return_number(NUMBER, "A-1")
NEW = replacement_number("web", RETURN_NO)
PRICE = 10_800


def instead(**changes: Any) -> Body:
    return {"line_id": "1", "sku": "SKU-1", "quantity": 1} | changes


def an_exchange(*wanted: Body, quantity: int = 1, **changes: Any) -> Body:
    lines = [{"line_id": "1", "quantity": quantity, "reason_code": "wrong_item"}]
    return {"return_id": "A-1", "kind": "exchange", "lines": lines, "instead": list(wanted) or [instead()]} | changes


@pytest.fixture
async def channel(api: Api, as_role: As) -> httpx.AsyncClient:
    """A client of the channel whose order T-1001 of two units is paid and has arrived yesterday."""
    client, sessions = as_role("channel"), api.database.sessions
    await open_books(sessions)
    assert (await client.post("/v1/orders", json=an_order())).status_code == 202
    async with sessions() as session, session.begin():
        rate = Decimal("0.13")
        await session.merge(Product(sku="SKU-1", name="A"))
        await session.merge(Product(sku="SKU-2", name="B", price_minor=15_000, currency="CNY", tax_rate=rate))
        await session.merge(Product(sku="SKU-3", name="C", price_minor=900, currency="EUR", tax_rate=rate))
        await session.merge(Product(sku="SKU-4", name="D"))
    payments = PaymentActivities(sessions, SimulatedPaymentProvider(Memory()), tolerance_minor=1)
    await payments.apply_payment(await report(sessions, 2 * PRICE, order_no=NUMBER))
    await deliver(sessions, {"1": 2}, order_no=NUMBER, at=now() - timedelta(days=1))
    await RevenueActivities(sessions).recognise_revenue(Step(NUMBER, "revenue"))
    return client


async def preview(client: httpx.AsyncClient, body: Body) -> Body:
    answer = await client.post(RETURNS, json=body, params={"preview": "true"})
    assert answer.status_code == 200, answer.text
    shown: Body = answer.json()
    return shown


async def test_a_preview_shows_the_money_and_changes_nothing(api: Api, channel: httpx.AsyncClient) -> None:
    before = await counts(api.database)
    even = await preview(channel, an_exchange())
    assert even == {
        "order_no": NUMBER,
        "kind": "exchange",
        "currency": "CNY",
        "back": [{"line_id": "1", "sku": "SKU-1", "quantity": 1, "credit_minor": PRICE}],
        "out": [{"instead_of": "1", "sku": "SKU-1", "quantity": 1, "payable_minor": PRICE, "tax_minor": 1_242}],
        "credit_minor": PRICE,
        "price_minor": PRICE,
        "due_minor": 0,
        "refund_minor": 0,
        "outcome": "none",
    }
    dearer = await preview(channel, an_exchange(instead(sku="SKU-2")))
    assert (dearer["outcome"], dearer["due_minor"]) == ("pay", 15_000 - PRICE)
    cheaper = await preview(channel, an_exchange(instead(sku="SKU-2"), quantity=2))
    assert (cheaper["outcome"], cheaper["refund_minor"]) == ("refund", 2 * PRICE - 15_000)
    money_back = await preview(channel, an_exchange(kind="refund", instead=[]))
    assert (money_back["out"], money_back["refund_minor"]) == ([], PRICE)
    assert await counts(api.database) == before


async def test_what_goes_out_costs_what_was_shown_whatever_the_catalogue_says_later(
    api: Api, channel: httpx.AsyncClient
) -> None:
    body = an_exchange(instead(sku="SKU-2"), ship_to={"country": "CN", "city": "Wuhan"})
    answer = await channel.post(RETURNS, json=body)
    assert answer.status_code == 202, answer.text
    async with api.database.sessions() as session, session.begin():
        (await session.get_one(Product, "SKU-2")).price_minor = 99_000
    again = await channel.post(RETURNS, json=body)
    assert (again.content, again.headers["Idempotent-Replayed"]) == (answer.content, "true")
    other = await channel.post(RETURNS, json=an_exchange())
    assert (other.status_code, other.json()["code"]) == (422, "idempotency_key_reused")
    returning = ReturnActivities(api.database.sessions, 1)
    assert (await returning.open_return(ReturnStep(NUMBER, RETURN_NO))).state == "approved"
    found = {"line_id": "1", "resellable": 1}
    fact: ReturnFact = await received(api.database.sessions, found, return_no=RETURN_NO, order_no=NUMBER)
    assert (await returning.receive_return(fact)).outcome == "applied"
    order = (await channel.get(f"/v1/orders/{NUMBER}")).json()
    (back,) = order["returns"]
    assert (back["kind"], back["replacement_no"], back["links"]["replacement"]) == (
        "exchange",
        NEW,
        f"/v1/orders/{NEW}",
    )
    assert back["instead"] == [{"line_id": "1", "sku": "SKU-2", "quantity": 1, "unit_price_minor": 15_000}]
    assert (back, order["replaces"]) == ((await channel.get(f"/v1/returns/{RETURN_NO}")).json(), None)
    assert [one["credited_to"] for one in order["refunds"]] == [NEW]
    new = (await channel.get(f"/v1/orders/{NEW}")).json()
    assert (new["type"], new["replaces"]) == ("replacement", {"order_no": NUMBER, "return_no": RETURN_NO})
    assert (new["totals"]["total_minor"], new["payment"], new["ship_to"]["city"]) == (15_000, "partial", "Wuhan")
    assert [(one["method"], one["amount_minor"]) for one in new["payments"]] == [("exchange_credit", PRICE)]
    timeline = (await channel.get(f"/v1/orders/{NUMBER}/timeline")).json()["data"]
    assert timeline[-1]["kind"] == "exchange.placed"


async def test_a_key_that_sets_prices_says_what_goods_cost(api: Api, channel: httpx.AsyncClient, as_role: As) -> None:
    priced = as_role(token=await give_key(api.database, "shop", ["channel"], Grant(scopes=["orders:priced"])))
    wish = an_exchange(instead(sku="SKU-4", unit_price_minor=12_000, tax_rate="0.06"))
    assert (await preview(priced, wish))["due_minor"] == 12_000 - PRICE
    refused = await channel.post(RETURNS, json=wish)
    assert {(one["pointer"], one["code"]) for one in refused.json()["errors"]} == {
        ("#/instead/0/sku", "price_unknown"),
        ("#/instead/0/unit_price_minor", "price_mismatch"),
        ("#/instead/0/tax_rate", "price_mismatch"),
    }


async def test_every_problem_of_what_is_wanted_instead_is_named_at_once(api: Api, channel: httpx.AsyncClient) -> None:
    before = await counts(api.database)
    wanted = [instead(line_id="9"), instead(sku="NONE"), instead(sku="SKU-3"), instead(quantity=2)]
    for params in ({}, {"preview": "true"}):
        answer = await channel.post(RETURNS, json=an_exchange(*wanted), params=params)
        assert answer.status_code == 422
        assert [(one["pointer"], one["code"]) for one in answer.json()["errors"]] == [
            ("#/instead/0/line_id", "unknown_line"),
            ("#/instead/0/sku", "price_unknown"),
            ("#/instead/1/sku", "unknown_sku"),
            ("#/instead/2/sku", "price_unknown"),
            ("#/instead/3/sku", "price_unknown"),
        ]
    assert await counts(api.database) == before


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (an_exchange(quantity=3), 409, "not_returnable"),
        (an_exchange(instead=[]), 422, "invalid_request"),
        (an_exchange(kind="refund"), 422, "invalid_request"),
        (an_exchange(instead(quantity=0)), 422, "invalid_request"),
        (an_exchange(instead(unit_price_minor=-1)), 422, "invalid_request"),
        (an_exchange(instead(gift_of="1")), 422, "invalid_request"),
        (an_exchange(instead(sku="SKU-2", quantity=1_000_000)), 202, None),
        (an_exchange(ship_to={"country": "China"}), 422, "invalid_request"),
    ],
)
async def test_an_exchange_that_cannot_be_is_refused(
    channel: httpx.AsyncClient, body: Body, status: int, code: str | None
) -> None:
    answer = await channel.post(RETURNS, json=body)
    assert (answer.status_code, answer.json().get("code")) == (status, code)


async def test_goods_that_are_not_paid_are_not_exchanged(api: Api, channel: httpx.AsyncClient) -> None:
    unpaid = order_number("web", "T-1002")
    assert (await channel.post("/v1/orders", json=an_order("T-1002"))).status_code == 202
    await deliver(api.database.sessions, {"1": 2}, "S-2", unpaid, now() - timedelta(days=1))
    before = await counts(api.database)
    for params in ({}, {"preview": "true"}):
        answer = await channel.post(f"/v1/orders/{unpaid}/returns", json=an_exchange(), params=params)
        assert (answer.status_code, answer.json()["code"]) == (409, "exchange_not_offered")
    assert await counts(api.database) == before


async def test_others_exchange_nothing(api: Api, channel: httpx.AsyncClient, as_role: As) -> None:
    token = await give_key(api.database, "elsewhere", ["admin"], Grant(channels=["other"]))
    for params in ({}, {"preview": "true"}):
        stranger = await as_role(token=token).post(RETURNS, json=an_exchange(), params=params)
        assert (stranger.status_code, stranger.json()["code"]) == (404, "order_not_found")
        assert (await as_role("warehouse").post(RETURNS, json=an_exchange(), params=params)).status_code == 403


async def test_numbers_of_replacements_are_given_by_returns_alone(api: Api, as_role: As) -> None:
    before = await counts(api.database)
    answer = await as_role("channel").post("/v1/orders", json=an_order(f"exchange:{RETURN_NO}"))
    assert (answer.status_code, answer.json()["errors"][0]["code"]) == (422, "external_id_reserved")
    method = await as_role("admin").put("/v1/payment_methods/swap", json={"category": "exchange_credit"})
    assert (method.status_code, await counts(api.database)) == (422, before)
