"""One order from its placing to its books, seen through every route that shows a part of it."""

from typing import Any

import httpx

from domain.order_number import order_number
from tests.api.conftest import Api, As
from tests.factories.requests import ORDER_TOTAL, a_payment, a_scan, an_order
from tests.fakes.patience import eventually

NUMBER = order_number("web", "T-1001")
OWN = f"/v1/orders/{NUMBER}"


async def order_when(client: httpx.AsyncClient, **expected: Any) -> dict[str, Any]:
    """The order once these fields of it are so."""

    async def look() -> dict[str, Any]:
        shown: dict[str, Any] = (await client.get(OWN)).json()
        return shown

    return await eventually(look, lambda shown: all(shown.get(name) == value for name, value in expected.items()))


async def stock_up(client: httpx.AsyncClient, receipt_id: str = "R-1", units: int = 10) -> httpx.Response:
    line = {"sku": "SKU-1", "quantity": units, "unit_cost_minor": 6000}
    return await client.post(
        "/v1/stock/receipts", json={"receipt_id": receipt_id, "warehouse": "main", "lines": [line]}
    )


async def price(client: httpx.AsyncClient) -> None:
    product = {"name": "面膜", "price_minor": 11300, "currency": "CNY", "tax_rate": "0.13"}
    assert (await client.put("/v1/products/SKU-1", json=product)).status_code == 201


async def test_order_goes_from_placing_to_books(running: Api, as_role: As) -> None:
    admin, warehouse = as_role("admin"), as_role("warehouse")
    await price(admin)
    assert (await stock_up(warehouse)).status_code == 201
    await admin.post("/v1/orders", json=an_order(discounts=[]))
    waiting = await order_when(admin, waiting_for="payment.full")
    assert (waiting["lifecycle"], waiting["fulfilment"], waiting["payment"]) == ("accepted", "allocated", "unpaid")
    paid = await admin.post(f"{OWN}/payments", json=a_payment(amount_minor=ORDER_TOTAL + 2000))
    assert (paid.status_code, paid.headers["Location"]) == (202, f"{OWN}/payments/P-1")
    shipped = await order_when(admin, waiting_for="shipment.delivered")
    (parcel,) = shipped["shipments"]
    assert (shipped["payment"], parcel["status"]) == ("paid", "booked")
    for event_id, status in (("E-1", "picked_up"), ("E-2", "delivered")):
        scan = a_scan(event_id, status=status)
        assert (await warehouse.post(f"/v1/shipments/{parcel['shipment_no']}/events", json=scan)).status_code == 202
    done = await order_when(admin, lifecycle="completed")
    assert {axis: done[axis] for axis in ("payment", "fulfilment", "return", "invoice", "revenue", "recon")} == {
        "payment": "paid",
        "fulfilment": "delivered",
        "return": "none",
        "invoice": "full",
        "revenue": "full",
        "recon": "none",
    }
    assert (done["holds"], done["waiting_for"], done["flow"]) == ([], None, {"key": "normal", "version": 1})
    assert done["links"]["temporal"] == f"http://ui.test/namespaces/default/workflows/order%2F{NUMBER}"
    assert done["totals"]["total_minor"] == done["totals"]["paid_minor"] == ORDER_TOTAL + 2000
    assert [line["recognised"] for line in done["lines"]] == [2]
    await _parts_agree(admin, done)


async def _parts_agree(admin: httpx.AsyncClient, done: dict[str, Any]) -> None:
    shipment_no, total = done["shipments"][0]["shipment_no"], done["totals"]["total_minor"]
    parcel = (await admin.get(f"/v1/shipments/{shipment_no}")).json()
    assert [event["status"] for event in parcel["events"]] == ["picked_up", "delivered"]
    note = await admin.get(f"/v1/shipments/{shipment_no}/note.pdf")
    assert (note.headers["Content-Type"], note.content[:5]) == ("application/pdf", b"%PDF-")
    (payment,) = (await admin.get(f"{OWN}/payments")).json()["data"]
    assert (payment["state"], payment["category"], payment["amount_minor"]) == ("applied", "online", total)
    assert (await admin.get(f"{OWN}/payments/P-1")).json() == payment == done["payments"][0]
    (invoice,) = (await admin.get("/v1/invoices", params={"order_no": NUMBER})).json()["data"]
    assert (invoice["state"], invoice["gross_minor"], invoice["voucher_no"]) == ("issued", total, done["voucher_no"])
    assert (await admin.get(invoice["links"]["self"])).json() == invoice == done["invoices"][0]
    entries = (await admin.get("/v1/ledger/entries", params={"voucher_no": done["voucher_no"]})).json()["data"]
    assert {entry["order_no"] for entry in entries} == {NUMBER}
    trial = (await admin.get("/v1/ledger/balances", params={"voucher_no": done["voucher_no"]})).json()
    assert (
        trial["debit_minor"]
        == trial["credit_minor"]
        == sum(line["base_minor"] for entry in entries for line in entry["lines"] if line["side"] == "Dr")
    )
    story = (await admin.get(f"{OWN}/timeline", params={"limit": 200})).json()["data"]
    assert [event["seq"] for event in story] == list(range(1, len(story) + 1))
    assert (story[0]["kind"], story[-1]["kind"]) == ("order.received", "order.completed")
    movements = (await admin.get("/v1/stock/movements", params={"sku": "SKU-1"})).json()["data"]
    assert [(one["kind"], one["quantity"]) for one in movements] == [("shipment", -2), ("receipt", 10)]
