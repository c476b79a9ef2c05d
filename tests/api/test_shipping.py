"""Shipments over HTTP: lists, notes, and what carriers report."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from sqlmodel import select

from api.inbox.door import report_scan
from integrations.carrier.port import CarrierEvent, CarrierStatus
from models.inbox import InboxMessage
from models.shipping import CarrierScan, FulfilmentOrder, Shipment, ShipmentLine
from models.stock import Reservation
from store.access import Grant
from tests.api.conftest import PROBLEM, Api, As, give_key
from tests.api.rows import counts
from tests.factories import orders
from tests.factories.requests import a_scan
from tests.factories.stock import stocked

START = datetime(2026, 11, 22, 10, 0, tzinfo=UTC)
EVENTS = "/v1/shipments/SO-1-S1/events"
TO = {"name": "王小明", "phone": "13800000000", "country": "CN", "city": "杭州市", "street": "文三路 1 号"}


async def parcel(api: Api, order_no: str, warehouse: str = "main", minutes: int = 0, **columns: Any) -> None:
    """An order with one parcel from the warehouse."""
    sessions = api.database.sessions
    await stocked(sessions, f"R-{order_no}", warehouse, SKU_1=5)
    await orders.place(sessions, order_no, ship_to=TO, **columns)
    number = f"{order_no}-S1"
    async with sessions() as session, session.begin():
        session.add(
            Reservation(order_no=order_no, line_id="1", warehouse=warehouse, sku="SKU-1", quantity=1, state="shipped")
        )
        session.add(FulfilmentOrder(fulfilment_no=f"{order_no}-F1", order_no=order_no, warehouse=warehouse))
        await session.flush()
        session.add(
            Shipment(
                shipment_no=number,
                fulfilment_no=f"{order_no}-F1",
                order_no=order_no,
                warehouse=warehouse,
                status="booked",
                tracking_no=f"T{order_no}",
                created_at=START + timedelta(minutes=minutes),
            )
        )
        await session.flush()
        session.add(ShipmentLine(shipment_no=number, line_id="1", order_no=order_no, sku="SKU-1", quantity=1))


@pytest.fixture
async def keeper(api: Api, as_role: As) -> httpx.AsyncClient:
    """The warehouse, with the parcel SO-1-S1 packed."""
    await parcel(api, "SO-1")
    return as_role("warehouse")


async def test_report_is_on_record_before_it_is_answered(api: Api, keeper: httpx.AsyncClient) -> None:
    answers = [await keeper.post(EVENTS, json=a_scan()) for _ in range(2)]
    assert {(answer.status_code, answer.content) for answer in answers} == {(202, answers[0].content)}
    assert answers[0].headers["Location"] == "/v1/shipments/SO-1-S1"
    assert [answer.headers.get("Idempotent-Replayed") for answer in answers] == [None, "true"]
    async with api.database.sessions() as session:
        query = select(InboxMessage).where(InboxMessage.kind == "parcel.scanned")
        message = (await session.exec(query)).one()
    assert (message.source, message.message_id, message.order_no) == ("api", "scan/SO-1-S1/E-1", "SO-1")
    assert json.loads(message.body) == a_scan() | {"shipment_no": "SO-1-S1"}


async def test_simulated_carriers_reports_come_through_the_same_door(api: Api, keeper: httpx.AsyncClient) -> None:
    event = CarrierEvent("E-9", "SO-1-S1", CarrierStatus.PICKED_UP, START)
    before = await counts(api.database)
    for _ in range(2):
        await report_scan(api.database.sessions, None, event)
    assert await counts(api.database) == before | {"inbox_messages": before["inbox_messages"] + 1}
    with pytest.raises(LookupError):
        await report_scan(api.database.sessions, None, CarrierEvent("E-9", "SO-9-S1", CarrierStatus.PICKED_UP, START))


async def test_same_event_with_another_content_is_refused(api: Api, keeper: httpx.AsyncClient) -> None:
    await keeper.post(EVENTS, json=a_scan())
    before = await counts(api.database)
    answer = await keeper.post(EVENTS, json=a_scan(status="lost"))
    assert (answer.status_code, answer.json()["code"]) == (422, "idempotency_key_reused")
    assert await counts(api.database) == before


@pytest.mark.parametrize(
    "change",
    [
        {"status": "eaten"},
        {"status": None},
        {"occurred_at": "2026-11-22T10:00:00"},
        {"event_id": "a/b"},
        {"shipment_no": "SO-1-S1"},
    ],
)
async def test_reports_that_cannot_be_are_refused(api: Api, keeper: httpx.AsyncClient, change: dict[str, Any]) -> None:
    before = await counts(api.database)
    answer = await keeper.post(EVENTS, json=a_scan(**change))
    assert (answer.status_code, answer.headers["Content-Type"]) == (422, PROBLEM)
    assert await counts(api.database) == before


async def test_reports_come_from_who_may_and_about_what_is_there(keeper: httpx.AsyncClient, as_role: As) -> None:
    assert (await as_role().post(EVENTS, json=a_scan())).status_code == 401
    assert (await as_role("channel").post(EVENTS, json=a_scan())).status_code == 403
    unknown = await keeper.post("/v1/shipments/SO-9-S1/events", json=a_scan())
    assert (unknown.status_code, unknown.json()["code"]) == (404, "shipment_not_found")


async def test_list_shows_parcels_newest_first_and_by_filter(api: Api, as_role: As) -> None:
    for at in range(1, 4):
        await parcel(api, f"SO-{at}", "main" if at < 3 else "north", at)
    admin = as_role("admin")
    first = await admin.get("/v1/shipments", params={"limit": 2})
    rest = await admin.get(first.links["next"]["url"])
    shown = [one["shipment_no"] for one in first.json()["data"] + rest.json()["data"]]
    assert shown == ["SO-3-S1", "SO-2-S1", "SO-1-S1"]
    for filters in ({"warehouse": "north"}, {"order_no": "SO-3"}, {"tracking_no": "TSO-3"}):
        found = (await admin.get("/v1/shipments", params=filters)).json()["data"]
        assert [one["shipment_no"] for one in found] == ["SO-3-S1"], filters
    assert (await admin.get("/v1/shipments", params={"status": "lost"})).json()["data"] == []
    assert (await admin.get("/v1/shipments", params={"status": "eaten"})).status_code == 422


async def test_one_parcel_shows_its_content_and_its_reports(api: Api, keeper: httpx.AsyncClient) -> None:
    await keeper.post(EVENTS, json=a_scan())
    async with api.database.sessions() as session, session.begin():
        message = (await session.exec(select(InboxMessage).where(InboxMessage.kind == "parcel.scanned"))).one()
        session.add(
            CarrierScan(
                shipment_no="SO-1-S1",
                scan_id="E-1",
                inbox_id=message.inbox_id or 0,
                status="picked_up",
                occurred_at=START,
            )
        )
    shown = (await keeper.get("/v1/shipments/SO-1-S1")).json()
    assert shown["lines"] == [{"line_id": "1", "sku": "SKU-1", "quantity": 1}]
    assert [(one["event_id"], one["status"]) for one in shown["events"]] == [("E-1", "picked_up")]


async def test_note_is_printed_for_those_who_pack_or_know_the_customer(keeper: httpx.AsyncClient, as_role: As) -> None:
    note = "/v1/shipments/SO-1-S1/note.pdf"
    printed = await keeper.get(note)
    assert (printed.status_code, printed.headers["Content-Type"]) == (200, "application/pdf")
    assert printed.content.startswith(b"%PDF-")
    assert (await as_role("service").get(note)).status_code == 200
    for role in ("finance", "ceo"):
        refused = await as_role(role).get(note)
        assert (refused.status_code, refused.headers["Content-Type"]) == (403, PROBLEM), role
    assert (await keeper.get("/v1/shipments/SO-9-S1/note.pdf")).status_code == 404


async def test_key_of_one_warehouse_sees_its_own_goods_only(api: Api, as_role: As) -> None:
    await parcel(api, "SO-1", "main")
    await parcel(api, "SO-2", "north")
    token = await give_key(api.database, "packer", ["warehouse"], Grant(warehouses={"north"}))
    packer = as_role(token=token)
    assert [one["shipment_no"] for one in (await packer.get("/v1/shipments")).json()["data"]] == ["SO-2-S1"]
    assert [one["order_no"] for one in (await packer.get("/v1/orders")).json()["data"]] == ["SO-2"]
    assert {one["warehouse"] for one in (await packer.get("/v1/stock")).json()["data"]} == {"north"}
    assert {one["warehouse"] for one in (await packer.get("/v1/stock/movements")).json()["data"]} == {"north"}
    assert (await packer.get("/v1/stock", params={"warehouse": "main"})).json()["data"] == []
    for path in ("/v1/shipments/SO-1-S1", "/v1/shipments/SO-1-S1/note.pdf", "/v1/orders/SO-1"):
        assert (await packer.get(path)).status_code == 404, path
    assert (await packer.post(EVENTS, json=a_scan())).status_code == 404
    receipt = {"receipt_id": "R-9", "warehouse": "main", "lines": [{"sku": "SKU-1", "quantity": 1}]}
    refused = await packer.post("/v1/stock/receipts", json=receipt)
    assert (refused.status_code, refused.json()["code"]) == (403, "warehouse_not_allowed")
