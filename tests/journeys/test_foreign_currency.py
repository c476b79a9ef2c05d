"""An order in another currency keeps its rate: the same sale in both currencies, and no leftovers."""

import uuid
from decimal import Decimal

from tests.factories.requests import a_line
from tests.factories.sales import a_sale
from tests.fakes.caller import Caller

RATE = Decimal("7.1234")


async def test_dollars_are_booked_at_the_orders_rate(caller: Caller, sku: str) -> None:
    rate = {"rate": str(RATE), "valid_from": "2026-01-01"}
    answer = await caller.ask("PUT", "/v1/entities/main/rates/CHF", json=rate)
    assert answer.status_code in (200, 201), answer.text
    await caller.receive(sku, 1)
    line = a_line(sku=sku, unit_price_minor=9_999)
    order_no = await caller.place(a_sale(sku, currency="CHF", lines=[line]))
    await caller.until(order_no, waiting_for="payment.full")
    # A later rate is nothing to an order that has one.
    await caller.ask("PUT", "/v1/entities/main/rates/CHF", json=rate | {"rate": "9"})
    await caller.pay(order_no, 9_999, currency="CHF")
    done = await caller.deliver(order_no)
    assert done["fx"] == {"functional_currency": "CNY", "rate": "7.1234", "total_minor": 71_227}
    books = await caller.balances(done["voucher_no"])
    # 99.99 CHF are 88.49 net and 11.50 VAT; at 7.1234 that is 712.27 CNY.
    assert (books["wallet"], books["output_vat"], books["revenue"]) == (71_227, -8_192, -63_035)
    assert (books["contract_liability"], books["output_vat_pending"]) == (0, 0)
    entries = (await caller.read("/v1/ledger/entries", voucher_no=done["voucher_no"]))["data"]
    paid = next(entry for entry in entries if entry["event"] == "payment_received")
    assert (paid["currency"], paid["functional_currency"], paid["fx_rate"]) == ("CHF", "CNY", "7.1234")
    assert sum(line["amount_minor"] for line in paid["lines"] if line["side"] == "Dr") == 9_999


async def test_order_without_a_rate_is_held_until_there_is_one(caller: Caller, sku: str) -> None:
    await caller.receive(sku, 1)
    line = a_line(sku=sku, unit_price_minor=10_000)
    order_no = await caller.place(a_sale(sku, currency="SEK", lines=[line]))
    await caller.until(order_no, held=["fx_rate_missing"], lifecycle="received")
    rate = {"rate": "0.7", "valid_from": "2026-01-01"}
    assert (await caller.ask("PUT", "/v1/entities/main/rates/SEK", json=rate)).status_code == 201
    assert (await caller.resolve(order_no)).status_code == 200
    await caller.pay(order_no, 10_000, currency="SEK")
    done = await caller.deliver(order_no)
    assert done["fx"]["total_minor"] == 7_000


async def test_cancelled_order_leaves_nothing_in_either_currency(caller: Caller, sku: str) -> None:
    await caller.receive(sku, 1)
    line = a_line(sku=sku, unit_price_minor=9_999)
    order_no = await caller.place(a_sale(sku, currency="USD", lines=[line]))
    await caller.pay(order_no, 3_333, f"P-{uuid.uuid4().hex[:6]}", currency="USD")
    await caller.pay(order_no, 6_666, f"P-{uuid.uuid4().hex[:6]}", currency="USD")
    await caller.booked(order_no)
    assert (await caller.cancel(order_no)).status_code in (200, 202)
    order = await caller.until(order_no, lifecycle="cancelled")
    assert set((await caller.balances(order["voucher_no"])).values()) == {0}
    entries = (await caller.read("/v1/ledger/entries", voucher_no=order["voucher_no"], limit="200"))["data"]
    sums: dict[str, int] = {}
    for line in (line for entry in entries for line in entry["lines"]):
        sign = 1 if line["side"] == "Dr" else -1
        sums[line["role"]] = sums.get(line["role"], 0) + sign * line["amount_minor"]
    assert set(sums.values()) == {0}
