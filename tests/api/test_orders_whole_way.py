"""One order from its placing to its books, seen through every route that shows a part of it."""

from typing import Any

import httpx

from tests.api.conftest import Api, As
from tests.api.running_orders import TOTAL, RunningOrder, price, stock_up
from tests.factories.requests import a_scan


async def test_order_goes_from_placing_to_books(running: Api, as_role: As) -> None:
    admin, warehouse = as_role("admin"), as_role("warehouse")
    order = RunningOrder(admin)
    await price(admin)
    assert (await stock_up(warehouse)).status_code == 201
    await order.place()
    waiting = await order.when(waiting_for="payment.full")
    assert (waiting["lifecycle"], waiting["fulfilment"], waiting["payment"]) == ("accepted", "allocated", "unpaid")
    paid = await order.pay()
    assert (paid.status_code, paid.headers["Location"]) == (202, f"{order.own}/payments/P-1")
    shipped = await order.when(waiting_for="shipment.delivered")
    (parcel,) = shipped["shipments"]
    assert (shipped["payment"], parcel["status"]) == ("paid", "booked")
    for event_id, status in (("E-1", "picked_up"), ("E-2", "delivered")):
        scan = a_scan(event_id, status=status)
        assert (await warehouse.post(f"/v1/shipments/{parcel['shipment_no']}/events", json=scan)).status_code == 202
    done = await order.when(lifecycle="completed")
    assert {axis: done[axis] for axis in ("payment", "fulfilment", "return", "invoice", "revenue", "recon")} == {
        "payment": "paid",
        "fulfilment": "delivered",
        "return": "none",
        "invoice": "full",
        "revenue": "full",
        "recon": "none",
    }
    assert (done["holds"], done["waiting_for"], done["flow"]) == ([], None, {"key": "normal", "version": 1})
    assert done["links"]["temporal"] == f"http://ui.test/namespaces/default/workflows/order%2F{order.number}"
    assert done["totals"]["total_minor"] == done["totals"]["paid_minor"] == TOTAL
    assert [line["recognised"] for line in done["lines"]] == [2]
    await _parts_agree(admin, done)


async def _parts_agree(admin: httpx.AsyncClient, done: dict[str, Any]) -> None:
    number, own = done["order_no"], done["links"]["self"]
    shipment_no, total = done["shipments"][0]["shipment_no"], done["totals"]["total_minor"]
    parcel = (await admin.get(f"/v1/shipments/{shipment_no}")).json()
    assert [event["status"] for event in parcel["events"]] == ["picked_up", "delivered"]
    note = await admin.get(f"/v1/shipments/{shipment_no}/note.pdf")
    assert (note.headers["Content-Type"], note.content[:5]) == ("application/pdf", b"%PDF-")
    (payment,) = (await admin.get(f"{own}/payments")).json()["data"]
    assert (payment["state"], payment["category"], payment["amount_minor"]) == ("applied", "online", total)
    assert (await admin.get(f"{own}/payments/P-1")).json() == payment == done["payments"][0]
    (invoice,) = (await admin.get("/v1/invoices", params={"order_no": number})).json()["data"]
    assert (invoice["state"], invoice["gross_minor"], invoice["voucher_no"]) == ("issued", total, done["voucher_no"])
    assert (await admin.get(invoice["links"]["self"])).json() == invoice == done["invoices"][0]
    entries = (await admin.get("/v1/ledger/entries", params={"voucher_no": done["voucher_no"]})).json()["data"]
    assert {entry["order_no"] for entry in entries} == {number}
    trial = (await admin.get("/v1/ledger/balances", params={"voucher_no": done["voucher_no"]})).json()
    assert (
        trial["debit_minor"]
        == trial["credit_minor"]
        == sum(line["base_minor"] for entry in entries for line in entry["lines"] if line["side"] == "Dr")
    )
    story = (await admin.get(f"{own}/timeline", params={"limit": 200})).json()["data"]
    assert [event["seq"] for event in story] == list(range(1, len(story) + 1))
    assert (story[0]["kind"], story[-1]["kind"]) == ("order.received", "order.completed")
    movements = (await admin.get("/v1/stock/movements", params={"sku": "SKU-1"})).json()["data"]
    assert [(one["kind"], one["quantity"]) for one in movements] == [("shipment", -2), ("receipt", 10)]
