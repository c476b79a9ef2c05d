"""What belongs to another channel does not exist: no route answers anything but 404, and no list names it."""

import httpx
import pytest

from domain.order_number import order_number
from models.invoice import Invoice
from models.order import Order
from models.shipping import FulfilmentOrder, Shipment
from store import holds, orders
from store.access import Grant
from store.holds import Reason
from tests.api.conftest import PROBLEM, Api, As, give_key
from tests.api.rows import counts
from tests.factories.requests import a_payment, a_scan, an_order

NUMBER = order_number("web", "T-1001")
OWN, SHIPMENT = f"/v1/orders/{NUMBER}", f"/v1/shipments/{NUMBER}-S1"
READS = [
    OWN,
    f"{OWN}/timeline",
    f"{OWN}/decisions",
    f"{OWN}/events",
    f"{OWN}/payments",
    f"{OWN}/payments/P-1",
    SHIPMENT,
    f"{SHIPMENT}/note.pdf",
    f"/v1/invoices/{NUMBER}-I1",
]
WRITES = [
    (f"{OWN}/payments", a_payment()),
    (f"{OWN}/cancel", {"reason": "x"}),
    (f"{OWN}/cancel?preview=true", {"reason": "x"}),
    (f"{OWN}/exception", {"choice": "retry", "reason_code": "x", "reason": "x"}),
    (f"{SHIPMENT}/events", a_scan()),
]
LISTS = [
    "/v1/orders",
    "/v1/orders?external_id=T-1001",
    "/v1/holds",
    "/v1/shipments",
    f"/v1/shipments?order_no={NUMBER}",
    "/v1/invoices",
    "/v1/ledger/entries",
    f"/v1/ledger/entries?order_no={NUMBER}",
]


@pytest.fixture
async def stranger(api: Api, as_role: As) -> httpx.AsyncClient:
    """A key with every role and another channel, where an order of the channel `web` has one of everything."""
    admin = as_role("admin")
    assert (await admin.post("/v1/orders", json=an_order())).status_code == 202
    assert (await admin.post(f"{OWN}/payments", json=a_payment())).status_code == 202
    async with api.database.sessions() as session, session.begin():
        order = await orders.lock(session, NUMBER)
        await holds.open_hold(session, order, Reason("out_of_stock", "Not enough units are free."))
        session.add(FulfilmentOrder(fulfilment_no="F-1", order_no=NUMBER, warehouse="main"))
        session.add(_invoice(order))
        await session.flush()
        session.add(Shipment(shipment_no=f"{NUMBER}-S1", fulfilment_no="F-1", order_no=NUMBER, warehouse="main"))
    token = await give_key(api.database, "stranger", ["admin"], Grant(channels={"shop"}))
    return as_role(token=token)


def _invoice(order: Order) -> Invoice:
    return Invoice(
        invoice_key=f"{order.order_no}-I1",
        entity_id=order.entity_id,
        order_no=order.order_no,
        voucher_no=order.voucher_no,
        currency=order.currency,
        net_minor=100,
        gross_minor=100,
    )


async def test_what_is_not_yours_is_not_found(api: Api, stranger: httpx.AsyncClient, as_role: As) -> None:
    before, admin = await counts(api.database), as_role("admin")
    for path in READS:
        answer = await stranger.get(path)
        assert (answer.status_code, answer.headers["Content-Type"]) == (404, PROBLEM), path
        assert NUMBER not in answer.json()["detail"], path
        if not path.endswith("/events"):
            assert (await admin.get(path)).status_code == 200, path
    for path, body in WRITES:
        answer = await stranger.post(path, json=body)
        assert (answer.status_code, answer.headers["Content-Type"]) == (404, PROBLEM), path
    assert await counts(api.database) == before


async def test_what_is_not_yours_is_in_no_list(stranger: httpx.AsyncClient, as_role: As) -> None:
    for path in LISTS:
        answer = await stranger.get(path)
        assert (answer.status_code, answer.json()) == (200, {"data": [], "next_cursor": None}), path
        if not path.startswith("/v1/ledger"):
            assert len((await as_role("admin").get(path)).json()["data"]) == 1, path


async def test_not_yours_and_not_there_are_told_alike(stranger: httpx.AsyncClient) -> None:
    for path in READS:
        theirs, nobodys = await stranger.get(path), await stranger.get(path.replace(NUMBER, "SO0000000000000000"))
        assert theirs.json()["code"] == nobodys.json()["code"], path


async def test_books_as_a_whole_are_not_shown_to_a_part(stranger: httpx.AsyncClient) -> None:
    answer = await stranger.get("/v1/ledger/balances")
    assert (answer.status_code, answer.json()["code"]) == (403, "forbidden")


async def test_key_of_another_channel_gets_its_own_order_under_the_same_name(stranger: httpx.AsyncClient) -> None:
    theirs = await stranger.post("/v1/orders", json=an_order(channel="shop"))
    assert (theirs.status_code, theirs.json()["order_no"]) == (202, order_number("shop", "T-1001"))
