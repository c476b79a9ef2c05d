"""Returns as people ask for them, decide them and take them in: refused at once or committed once."""

import json
from datetime import timedelta
from typing import Any

import httpx
import pytest
from sqlmodel import select

from activities.approvals import ApprovalActivities
from activities.returning import ReturnActivities, ReturnConsent, ReturnFact, ReturnStep
from activities.revenue import RevenueActivities
from activities.step import Fact, Step
from domain.order_number import order_number
from domain.returning import return_number
from models.columns import now
from models.inbox import InboxMessage
from models.masters import Product
from store.access import Grant
from tests.api.conftest import PROBLEM, Api, As, give_key
from tests.api.rows import counts
from tests.factories.deliveries import deliver
from tests.factories.requests import Body, an_order
from tests.factories.returning import asked_about

NUMBER = order_number("web", "T-1001")
RETURNS = f"/v1/orders/{NUMBER}/returns"
RETURN_NO = return_number(NUMBER, "A-1")
OWN = f"/v1/returns/{RETURN_NO}"


def a_return(return_id: str = "A-1", quantity: int = 1, **changes: Any) -> Body:
    lines = [{"line_id": "1", "quantity": quantity, "reason_code": "defective"}]
    return {"return_id": return_id, "lines": lines} | changes


def a_receipt(receipt_id: str = "W-1", **found: int) -> Body:
    return {"receipt_id": receipt_id, "warehouse": "main", "lines": [{"line_id": "1", **(found or {"resellable": 1})}]}


async def inbox_id(api: Api, message_id: str) -> int:
    async with api.database.sessions() as session:
        query = select(InboxMessage).where(InboxMessage.message_id == message_id)
        return (await session.exec(query)).one().inbox_id or 0


async def open_return(api: Api, return_no: str = RETURN_NO) -> str | None:
    return (await ReturnActivities(api.database.sessions, 1).open_return(ReturnStep(NUMBER, return_no))).state


@pytest.fixture
async def channel(api: Api, as_role: As) -> httpx.AsyncClient:
    """A client of the channel whose order T-1001 of two units has arrived yesterday."""
    client = as_role("channel")
    assert (await client.post("/v1/orders", json=an_order())).status_code == 202
    async with api.database.sessions() as session, session.begin():
        await session.merge(Product(sku="SKU-1", name="面膜"))
    await deliver(api.database.sessions, {"1": 2}, order_no=NUMBER, at=now() - timedelta(days=1))
    await RevenueActivities(api.database.sessions).recognise_revenue(Step(NUMBER, "revenue"))
    return client


@pytest.fixture
async def approved(api: Api, channel: httpx.AsyncClient) -> httpx.AsyncClient:
    """The same, with one unit announced and its return approved by rule."""
    assert (await channel.post(RETURNS, json=a_return())).status_code == 202
    assert await open_return(api) == "approved"
    return channel


async def test_a_return_is_on_record_before_it_is_answered(api: Api, channel: httpx.AsyncClient) -> None:
    sent = json.dumps(a_return(reason="broken"), indent=2)
    answer = await channel.post(RETURNS, content=sent, headers={"Content-Type": "application/json"})
    assert (answer.status_code, answer.headers["Location"]) == (202, OWN)
    links = {"self": OWN, "order": f"/v1/orders/{NUMBER}", "approvals": f"/v1/approvals?order_no={NUMBER}"}
    assert answer.json() == {"return_no": RETURN_NO, "order_no": NUMBER, "state": "received", "links": links}
    shown = (await channel.get(OWN)).json()
    assert (shown["state"], shown["links"], shown["decided_at"]) == ("received", links, None)
    assert (shown["reason"], shown["requested_by"], shown["worth_minor"]) == ("broken", "channel", 10_800)
    unit = {"sku": "SKU-1", "reason_code": "defective", "quantity": 1, "received": 0, "resellable": 0, "damaged": 0}
    assert shown["lines"] == [{"line_id": "1"} | unit]
    async with api.database.sessions() as session:
        message = await session.get_one(InboxMessage, await inbox_id(api, f"return/{RETURN_NO}"))
    assert (message.kind, message.body, message.actor) == ("return.requested", sent, "channel")
    again = await channel.post(RETURNS, content=sent, headers={"Content-Type": "application/json"})
    assert (again.content, again.headers["Idempotent-Replayed"]) == (answer.content, "true")
    other = await channel.post(RETURNS, json=a_return(quantity=2))
    assert (other.status_code, other.json()["code"]) == (422, "idempotency_key_reused")


async def test_a_return_is_shown_with_its_order_and_in_the_list(api: Api, approved: httpx.AsyncClient) -> None:
    shown = (await approved.get(OWN)).json()
    assert (shown["state"], shown["decided_by"], shown["worth_minor"]) == ("approved", "orderflow", 10_800)
    assert shown["lines"] == [
        {
            "line_id": "1",
            "sku": "SKU-1",
            "quantity": 1,
            "reason_code": "defective",
            "received": 0,
            "resellable": 0,
            "damaged": 0,
        }
    ]
    order = (await approved.get(f"/v1/orders/{NUMBER}")).json()
    assert (order["returns"], order["return"]) == ([shown], "none")
    assert (await approved.get("/v1/returns", params={"state": "approved"})).json()["data"] == [shown]
    assert (await approved.get("/v1/returns", params={"state": "closed"})).json()["data"] == []
    await approved.post(RETURNS, json=a_return("A-2"))
    await open_return(api, return_number(NUMBER, "A-2"))
    first = (await approved.get("/v1/returns", params={"limit": 1})).json()
    second = (await approved.get("/v1/returns", params={"limit": 1, "cursor": first["next_cursor"]})).json()
    assert [one["return_id"] for page in (first, second) for one in page["data"]] == ["A-2", "A-1"]


async def test_goods_are_taken_in_once(api: Api, approved: httpx.AsyncClient, as_role: As) -> None:
    warehouse = as_role("warehouse")
    answer = await warehouse.post(f"{OWN}/receipt", json=a_receipt())
    assert (answer.status_code, answer.headers["Location"]) == (202, OWN)
    fact = ReturnFact(NUMBER, RETURN_NO, await inbox_id(api, f"return/{RETURN_NO}/receipt/W-1"))
    assert (await ReturnActivities(api.database.sessions, 1).receive_return(fact)).outcome == "applied"
    again = await warehouse.post(f"{OWN}/receipt", json=a_receipt())
    assert (again.status_code, again.headers["Idempotent-Replayed"]) == (202, "true")
    done = (await approved.get(OWN)).json()
    assert (done["state"], done["lines"][0]["resellable"], done["closed_at"] is None) == ("closed", 1, False)
    assert (await warehouse.get(OWN)).json()["worth_minor"] is None
    (refund,) = (await approved.get(f"/v1/orders/{NUMBER}/refunds")).json()["data"]
    assert (refund["return_no"], refund["reduction_minor"], refund["payout_minor"]) == (RETURN_NO, 10_800, 0)


@pytest.mark.parametrize(
    ("receipt", "status", "code"),
    [
        (a_receipt(resellable=2), 409, "more_than_announced"),
        (a_receipt(resellable=1, damaged=1), 409, "more_than_announced"),
        (a_receipt() | {"lines": [{"line_id": "9", "damaged": 1}]}, 409, "more_than_announced"),
        (a_receipt() | {"warehouse": "nowhere"}, 422, "unknown_warehouse"),
        (a_receipt(resellable=0), 422, "invalid_request"),
        (a_receipt() | {"lines": []}, 422, "invalid_request"),
        (a_receipt() | {"lines": a_receipt()["lines"] * 2}, 422, "invalid_request"),
        (a_receipt(resellable=-1), 422, "invalid_request"),
    ],
)
async def test_a_receipt_that_cannot_be_is_refused_and_nothing_is_kept(
    api: Api, approved: httpx.AsyncClient, as_role: As, receipt: Body, status: int, code: str
) -> None:
    before = await counts(api.database)
    answer = await as_role("warehouse").post(f"{OWN}/receipt", json=receipt)
    assert (answer.status_code, answer.json()["code"], answer.headers["content-type"]) == (status, code, PROBLEM)
    assert await counts(api.database) == before
    assert (await approved.get(OWN)).json()["state"] == "approved"


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (a_return(quantity=3), 409, "not_returnable"),
        (a_return(lines=[{"line_id": "9", "quantity": 1, "reason_code": "other"}]), 422, "unknown_line"),
        (a_return(lines=[{"line_id": "1", "quantity": 1, "reason_code": "whim"}]), 422, "invalid_request"),
        (a_return(lines=a_return()["lines"] * 2), 422, "invalid_request"),
        (a_return(lines=[]), 422, "invalid_request"),
        (a_return(quantity=0), 422, "invalid_request"),
        (a_return(kind="swap"), 422, "invalid_request"),
        ({}, 422, "invalid_request"),
    ],
)
async def test_a_return_that_cannot_be_is_refused_and_nothing_is_kept(
    api: Api, channel: httpx.AsyncClient, body: Body, status: int, code: str
) -> None:
    before = await counts(api.database)
    answer = await channel.post(RETURNS, json=body)
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert await counts(api.database) == before


async def test_who_is_asked_about_a_return_finds_it_in_their_list_and_decides_it(
    api: Api, channel: httpx.AsyncClient, as_role: As
) -> None:
    entity = {"name": "Main", "functional_currency": "CNY", "time_zone": "Asia/Shanghai", "return_window_days": 0}
    assert (await as_role("admin").put("/v1/entities/main", json=entity)).status_code == 200
    await channel.post(RETURNS, json=a_return())
    assert await open_return(api) == "requested"
    assert (await as_role("warehouse").post(f"{OWN}/receipt", json=a_receipt())).json()["code"] == "return_not_open"
    service, manager = as_role("service"), as_role("manager")
    approval_id = await asked_about(api.database.sessions, RETURN_NO)
    assert (await manager.get("/v1/approvals", params={"assignee": "me"})).json()["data"] == []
    (mine,) = (await service.get("/v1/approvals", params={"assignee": "me"})).json()["data"]
    assert (mine["approval_id"], mine["order_no"], mine["node"]) == (approval_id, NUMBER, f"return.{RETURN_NO}")
    assert 23 * 3600 < mine["seconds_left"] <= 24 * 3600
    own, consent = f"/v1/approvals/{approval_id}/decision", ReturnConsent(NUMBER, RETURN_NO, approval_id)
    early = await manager.post(own, json={"decision": "approve"})
    assert (early.status_code, early.json()["code"]) == (404, "approval_not_found")
    silent = await service.post(own, json={"decision": "reject"})
    assert (silent.status_code, silent.json()["errors"][0]["code"]) == (422, "comment_required")
    word = await service.post(own, json={"decision": "approve", "comment": "a good customer"})
    assert word.status_code == 202
    fact = Fact(NUMBER, int(word.json()["decision_id"]))
    assert (await ApprovalActivities(api.database.sessions).apply_decision(fact)).outcome == "effective"
    assert (await ReturnActivities(api.database.sessions, 1).settle_return(consent)).state == "approved"
    late = await service.post(own, json={"decision": "reject", "comment": "no"}, headers={"Idempotency-Key": "late"})
    assert (late.status_code, late.json()["code"]) == (409, "approval_not_open")
    shown = (await channel.get(OWN)).json()
    assert (shown["decided_by"], shown["decision_reason"]) == ("service", "a good customer")


async def test_others_returns_do_not_exist(api: Api, approved: httpx.AsyncClient, as_role: As) -> None:
    token = await give_key(api.database, "elsewhere", ["admin"], Grant(channels=["other"]))
    stranger = as_role(token=token)
    answers = [
        await stranger.get(OWN),
        await stranger.post(f"{OWN}/receipt", json=a_receipt()),
        await approved.get("/v1/returns/RT-NOBODY"),
    ]
    assert {(answer.status_code, answer.json()["code"]) for answer in answers} == {(404, "return_not_found")}
    assert (await stranger.post(RETURNS, json=a_return("A-2"))).json()["code"] == "order_not_found"
    assert (await stranger.get("/v1/returns")).json()["data"] == []


async def test_each_does_its_own_part(approved: httpx.AsyncClient, as_role: As) -> None:
    assert (await approved.post(f"{OWN}/receipt", json=a_receipt())).status_code == 403
    assert (await as_role("warehouse").post(RETURNS, json=a_return("A-2"))).status_code == 403
    assert (await as_role("finance").get(OWN)).status_code == 200
