"""An order from two warehouses: two parcels, each with its own delivery, revenue and cost."""

import uuid

import pytest

from tests.factories.requests import a_line
from tests.factories.sales import a_sale
from tests.fakes.caller import Caller


@pytest.fixture
async def skus(caller: Caller) -> tuple[str, str]:
    """Goods in the warehouse `main`, and goods that only `north` has."""
    north = {"name": "North", "priority": 200, "active": True}
    answer = await caller.ask("PUT", "/v1/warehouses/north", json=north)
    assert answer.status_code in (200, 201), answer.text
    mark = uuid.uuid4().hex[:10]
    await caller.receive(f"SKU-{mark}-A", 1, 6_000)
    await caller.receive(f"SKU-{mark}-B", 1, 4_000, "north")
    return f"SKU-{mark}-A", f"SKU-{mark}-B"


async def test_each_parcel_has_its_own_revenue(caller: Caller, skus: tuple[str, str]) -> None:
    first, second = skus
    lines = [a_line("1", sku=first), a_line("2", sku=second, unit_price_minor=5_650)]
    order_no = await caller.place(a_sale(first, lines=lines))
    await caller.pay(order_no, 16_950)
    booked = await caller.booked(order_no, parcels=2)
    parcels = {parcel["warehouse"]: parcel["shipment_no"] for parcel in booked["shipments"]}
    assert set(parcels) == {"main", "north"}

    for status in ("picked_up", "delivered"):
        await caller.scan(parcels["north"], status)
    order = await caller.until(order_no, fulfilment="partially_delivered", revenue="partial")
    assert order["lifecycle"] == "fulfilling"
    books = await caller.balances(order["voucher_no"])
    assert (books["revenue"], books["cost_of_sales"], books["contract_liability"]) == (-5_000, 4_000, -10_000)

    for status in ("picked_up", "delivered"):
        await caller.scan(parcels["main"], status)
    done = await caller.until(order_no, lifecycle="completed", revenue="full", invoice="full")
    books = await caller.balances(done["voucher_no"])
    assert (books["revenue"], books["output_vat"], books["cost_of_sales"]) == (-15_000, -1_950, 10_000)
    assert (books["contract_liability"], books["output_vat_pending"], books["goods_in_transit"]) == (0, 0, 0)
    assert sum(invoice["gross_minor"] for invoice in done["invoices"]) == 16_950
    assert (await caller.stock(first), await caller.stock(second)) == ((0, 0, 0), (0, 0, 0))


async def test_cancel_voids_every_parcel(caller: Caller, skus: tuple[str, str]) -> None:
    first, second = skus
    lines = [a_line("1", sku=first), a_line("2", sku=second, unit_price_minor=5_650)]
    order_no = await caller.place(a_sale(first, lines=lines))
    await caller.pay(order_no, 16_950)
    await caller.booked(order_no, parcels=2)
    assert (await caller.cancel(order_no)).status_code in (200, 202)
    order = await caller.until(order_no, lifecycle="cancelled")
    assert [parcel["status"] for parcel in order["shipments"]] == ["voided", "voided"]
    assert set((await caller.balances(order["voucher_no"])).values()) == {0}
    assert (await caller.stock(first), await caller.stock(second)) == ((1, 0, 1), (1, 0, 1))


async def test_cancel_after_one_parcel_has_left_is_refused(caller: Caller, skus: tuple[str, str]) -> None:
    first, second = skus
    lines = [a_line("1", sku=first), a_line("2", sku=second, unit_price_minor=5_650)]
    order_no = await caller.place(a_sale(first, lines=lines))
    await caller.pay(order_no, 16_950)
    booked = await caller.booked(order_no, parcels=2)
    left, waits = (parcel["shipment_no"] for parcel in booked["shipments"])
    await caller.scan(left, "picked_up")
    await caller.until(order_no, fulfilment="partially_shipped")
    assert (await caller.cancel(order_no)).status_code == 409
    for shipment_no in (left, waits):
        for status in ("picked_up", "delivered"):
            await caller.scan(shipment_no, status)
    assert (await caller.until(order_no, lifecycle="completed"))["revenue"] == "full"


async def test_scans_in_the_wrong_order_have_the_same_end(caller: Caller, sku: str) -> None:
    await caller.receive(sku, 2)
    order_no = await caller.place(a_sale(sku))
    await caller.pay(order_no, 22_600)
    shipment_no = (await caller.booked(order_no))["shipments"][0]["shipment_no"]
    for status in ("delivered", "in_transit", "picked_up", "delivered"):
        await caller.scan(shipment_no, status)
    done = await caller.until(order_no, lifecycle="completed")
    books = await caller.balances(done["voucher_no"])
    assert (books["revenue"], books["cost_of_sales"], books["goods_in_transit"]) == (-20_000, 12_000, 0)
    assert await caller.stock(sku) == (0, 0, 0)
