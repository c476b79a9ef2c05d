"""Prices are taken from keys that may set them; everybody else's must be those of the catalogue."""

import pytest

from tests.factories.requests import an_order
from tests.factories.sales import PRICE, a_sale
from tests.fakes.caller import Caller


@pytest.fixture
async def catalogued(caller: Caller, sku: str) -> str:
    """A SKU that is in stock and costs 113.00."""
    product = {"name": sku, "price_minor": PRICE, "currency": "CNY", "tax_rate": "0.13"}
    assert (await caller.ask("PUT", f"/v1/products/{sku}", json=product)).status_code == 201
    await caller.receive(sku, 10)
    return sku


async def test_catalogue_price_passes(caller: Caller, catalogued: str) -> None:
    order_no = await caller.place(a_sale(catalogued), role="sales")
    await caller.until(order_no, waiting_for="payment.full", held=[])


async def test_other_price_is_held(caller: Caller, catalogued: str) -> None:
    body = a_sale(catalogued)
    body["lines"][0]["unit_price_minor"] = 1
    order_no = await caller.place(body, role="sales")
    order = await caller.until(order_no, held=["price_mismatch"])
    assert (order["lifecycle"], order["fulfilment"]) == ("received", "unallocated")
    assert order["totals"]["total_minor"] == 2
    assert await caller.stock(catalogued) == (10, 0, 10)


async def test_other_tax_rate_is_held(caller: Caller, catalogued: str) -> None:
    body = a_sale(catalogued)
    body["lines"][0]["tax_rate"] = "0.06"
    await caller.until(await caller.place(body, role="sales"), held=["price_mismatch"])


async def test_discount_of_their_own_is_held(caller: Caller, catalogued: str) -> None:
    body = an_order(f"T-{catalogued}", lines=a_sale(catalogued)["lines"], shipping_fee_minor=0)
    await caller.until(await caller.place(body, role="sales"), held=["price_mismatch"])


async def test_sample_is_not_held_for_a_price_that_nobody_pays(caller: Caller, catalogued: str) -> None:
    order_no = await caller.place(
        a_sale(catalogued, type="sample", payment={"method": "none", "terms": "none"}), role="sales"
    )
    await caller.decide(order_no, "manager")
    order = await caller.until(order_no, waiting_for="shipment.delivered", held=[])
    assert (order["totals"]["total_minor"], order["lifecycle"]) == (0, "fulfilling")


async def test_trusted_key_sets_its_price(caller: Caller, catalogued: str) -> None:
    body = a_sale(catalogued)
    body["lines"][0]["unit_price_minor"] = 5_650
    order_no = await caller.place(body, role="channel")
    await caller.until(order_no, waiting_for="payment.full", held=[])


async def test_level_that_the_client_claims_is_not_believed(caller: Caller, catalogued: str) -> None:
    body = a_sale(catalogued, customer={"id": f"C-{catalogued}", "level": "VIP"})
    order_no = await caller.place(body)
    assert (await caller.order(order_no))["customer_level"] == "standard"


async def test_retry_after_the_price_was_corrected_in_the_catalogue(caller: Caller, catalogued: str) -> None:
    body = a_sale(catalogued)
    body["lines"][0]["unit_price_minor"] = 9_040
    order_no = await caller.place(body, role="sales")
    await caller.until(order_no, held=["price_mismatch"])
    product = {"name": catalogued, "price_minor": 9_040, "currency": "CNY", "tax_rate": "0.13"}
    assert (await caller.ask("PUT", f"/v1/products/{catalogued}", json=product)).status_code == 200
    assert (await caller.resolve(order_no)).status_code == 200
    await caller.until(order_no, waiting_for="payment.full", held=[])
