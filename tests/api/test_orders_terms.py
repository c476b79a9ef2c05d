"""Terms of payment at the door: which flow they choose, and whose word about a deposit counts."""

from datetime import datetime
from typing import Any

import pytest

from domain.access import PRICED
from domain.order_number import order_number
from models.order import Order
from store.access import Grant
from tests.api.conftest import Api, As, give_key
from tests.factories.requests import ORDER_TOTAL, a_line, a_payment, an_order

NUMBER = order_number("web", "T-1001")
OWN = f"/v1/orders/{NUMBER}"
PRESALE = {
    "method": "alipay",
    "terms": "deposit_balance",
    "deposit_minor": 5_000,
    "balance_closes_at": "2126-12-02T00:00:00+08:00",
}
ENTITY = {"name": "Main", "functional_currency": "CNY", "time_zone": "Asia/Shanghai"}


async def placed(api: Api, as_role: As, body: dict[str, Any], *, priced: bool = False) -> Order:
    """The order as it is on record; `priced`: by a key that may set prices."""
    token = await give_key(api.database, "shop", ["channel"], Grant(scopes=[PRICED] if priced else []))
    answer = await as_role(token=token).post("/v1/orders", json=body)
    assert answer.status_code == 202, answer.text
    async with api.database.sessions() as session:
        return await session.get_one(Order, NUMBER)


@pytest.mark.parametrize(
    ("said", "policy", "priced", "refundable"),
    [
        (None, False, False, False),
        (None, True, True, True),
        (True, False, True, True),
        (False, True, True, False),
        # Whoever may not set prices cannot make a deposit refundable either.
        (True, False, False, False),
        (False, True, False, True),
    ],
)
async def test_deposit_is_refundable_by_the_entitys_policy_unless_a_trusted_key_says_otherwise(
    api: Api, as_role: As, said: bool | None, policy: bool, priced: bool, refundable: bool
) -> None:
    put = await as_role("admin").put("/v1/entities/main", json=ENTITY | {"deposit_refundable": policy})
    assert (put.status_code, put.json()["deposit_refundable"]) == (200, policy)
    terms = PRESALE if said is None else PRESALE | {"deposit_refundable": said}
    order = await placed(api, as_role, an_order(type="presale", payment=terms), priced=priced)
    assert (order.deposit_refundable, order.flow_key) == (refundable, "presale")


async def test_balance_without_a_first_day_may_be_paid_at_once(api: Api, as_role: As) -> None:
    order = await placed(api, as_role, an_order(payment=PRESALE))
    assert order.balance_opens_at == order.received_at
    view = (await as_role("admin").get(OWN)).json()
    deposit, balance = view["payment_plan"]
    assert (deposit["amount_minor"], balance["amount_minor"]) == (5_000, ORDER_TOTAL - 5_000)
    assert datetime.fromisoformat(balance["due_to"]) == datetime.fromisoformat(str(PRESALE["balance_closes_at"]))
    assert [part["state"] for part in view["payment_plan"]] == ["open", "open"]


async def test_warehouse_sees_no_payment_plan(api: Api, as_role: As) -> None:
    await placed(api, as_role, an_order(payment=PRESALE))
    assert (await as_role("warehouse").get(OWN)).json()["payment_plan"] is None


async def test_sample_that_nobody_pays_for_costs_nothing_and_keeps_its_value(api: Api, as_role: As) -> None:
    body = an_order(type="sample", lines=[a_line(quantity=2)], payment={"method": "none", "terms": "none"})
    order = await placed(api, as_role, body, priced=True)
    assert (order.total_minor, order.list_minor, order.flow_key) == (0, 22_600, "sample")
    # The coupon of 20.00 that was sent, and the rest of goods and shipping.
    assert [(one["kind"], one["amount_minor"]) for one in order.discounts] == [("coupon", 2_000), ("sample", 21_600)]


async def test_sample_with_terms_to_pay_keeps_its_price(api: Api, as_role: As) -> None:
    order = await placed(api, as_role, an_order(type="sample"), priced=True)
    assert (order.total_minor, order.flow_key) == (ORDER_TOTAL, "sample")


@pytest.mark.parametrize(("days", "status"), [(0, 201), (365, 201), (366, 422), (-1, 422), ("30", 422)])
async def test_payment_days_are_at_most_a_year(as_role: As, days: object, status: int) -> None:
    answer = await as_role("admin").put("/v1/customers/C-1", json={"payment_days": days})
    assert answer.status_code == status


async def test_fee_is_part_of_its_payment(api: Api, as_role: As) -> None:
    await placed(api, as_role, an_order(payment={"method": "cod", "terms": "cash_on_delivery"}))
    till = as_role("finance")
    answer = await till.post(f"{OWN}/payments", json=a_payment(amount_minor=100, fee_minor=101))
    assert (answer.status_code, answer.json()["errors"][0]["code"]) == (422, "fee_above_amount")
    answer = await till.post(f"{OWN}/payments", json=a_payment(fee_minor=324))
    assert answer.status_code == 202
    assert (await till.get(f"{OWN}/payments/P-1")).json()["fee_minor"] == 324
