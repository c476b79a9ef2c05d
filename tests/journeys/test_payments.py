"""Money in parts, too little, too much, a cent off, and told more than once."""

import asyncio

import pytest

from tests.factories.sales import PRICE, a_sale
from tests.fakes.caller import Caller
from tests.fakes.patience import eventually

TOTAL = 2 * PRICE


@pytest.fixture
async def order_no(caller: Caller, sku: str) -> str:
    """An order of 226.00 that waits for its money."""
    await caller.receive(sku, 2)
    number = await caller.place(a_sale(sku))
    await caller.until(number, waiting_for="payment.full")
    return number


async def test_two_parts_make_a_whole(caller: Caller, order_no: str) -> None:
    await caller.pay(order_no, 10_000, "P-1")
    await caller.until(order_no, payment="partial", held=["payment_short"], waiting_for="payment.full")
    await caller.pay(order_no, 12_600, "P-2", method="voucher")
    await caller.until(order_no, payment="paid", held=[])
    done = await caller.deliver(order_no)
    books = await caller.balances(done["voucher_no"])
    assert (books["wallet"], books["stored_value"], books["revenue"]) == (10_000, 12_600, -20_000)
    assert [payment["category"] for payment in done["payments"]] == ["online", "stored_value"]


async def test_part_is_not_enough_to_ship(caller: Caller, order_no: str) -> None:
    await caller.pay(order_no, TOTAL - 2)
    order = await caller.until(order_no, payment="partial", held=["payment_short"])
    assert (order["shipments"], order["waiting_for"]) == ([], "payment.full")


@pytest.mark.parametrize("cent", [-1, 1])
async def test_cent_is_written_off(caller: Caller, order_no: str, cent: int) -> None:
    await caller.pay(order_no, TOTAL + cent)
    done = await caller.deliver(order_no)
    assert (done["payment"], done["totals"]["written_off_minor"]) == ("paid", -cent)
    books = await caller.balances(done["voucher_no"])
    assert (books["wallet"], books["rounding"], books["revenue"]) == (TOTAL + cent, -cent, -20_000)


async def test_too_much_is_held_until_somebody_has_looked(caller: Caller, order_no: str) -> None:
    await caller.pay(order_no, TOTAL + 500)
    order = await caller.until(order_no, payment="overpaid", held=["payment_over"])
    assert order["shipments"] == []
    assert (await caller.resolve(order_no)).status_code == 200
    done = await caller.deliver(order_no)
    books = await caller.balances(done["voucher_no"])
    assert (books["wallet"], books["overpayment"], books["revenue"]) == (TOTAL + 500, -500, -20_000)


async def test_payment_told_many_times_at_once_counts_once(caller: Caller, order_no: str) -> None:
    answers = await asyncio.gather(*(caller.pay(order_no, TOTAL) for _ in range(20)))
    assert sum("idempotent-replayed" not in answer.headers for answer in answers) == 1
    order = await caller.until(order_no, payment="paid")
    assert (order["totals"]["paid_minor"], len(order["payments"])) == (TOTAL, 1)


async def test_same_payment_with_another_sum_is_refused(caller: Caller, order_no: str) -> None:
    await caller.pay(order_no, 10_000)
    other = {"payment_id": "P-1", "method": "alipay", "amount_minor": 20_000, "currency": "CNY"}
    answer = await caller.ask("POST", f"/v1/orders/{order_no}/payments", "finance", json=other)
    assert (answer.status_code, answer.json()["code"]) == (422, "idempotency_key_reused")
    order = await caller.until(order_no, payment="partial")
    assert order["totals"]["paid_minor"] == 10_000


async def test_money_in_another_currency_is_refused(caller: Caller, order_no: str) -> None:
    other = {"payment_id": "P-1", "method": "alipay", "amount_minor": TOTAL, "currency": "USD"}
    answer = await caller.ask("POST", f"/v1/orders/{order_no}/payments", "finance", json=other)
    assert (answer.status_code, answer.json()["code"]) == (422, "currency_mismatch")
    assert (await caller.order(order_no))["payments"] == []


async def test_payment_that_comes_before_its_order_waits_for_it(caller: Caller, sku: str) -> None:
    await caller.receive(sku, 2)
    body = a_sale(sku)
    early = {"channel": "web", "external_id": body["external_id"], "payment_id": "P-1", "method": "alipay"}
    batch = {"payments": [early | {"amount_minor": TOTAL, "currency": "CNY"}]}
    answer = await caller.ask("POST", "/v1/payments:batch", "finance", json=batch)
    assert answer.status_code == 200, answer.text
    order_no = await caller.place(body)
    # Nobody tells of it again: the sweeper brings it once its order is there.
    order = await eventually(lambda: caller.order(order_no), lambda seen: bool(seen["payment"] == "paid"), within_s=60)
    assert order["totals"]["paid_minor"] == TOTAL
