"""Temporal or the database away: what was acknowledged is kept, and what was not says when to ask again."""

from typing import Any

import httpx
import pytest
from sqlmodel import select

from domain.order_number import order_number
from models.inbox import InboxMessage
from runtime.database import create_engine, create_sessions
from store import inbox
from tests.api.conftest import PROBLEM, Api, As
from tests.api.rows import counts
from tests.factories.requests import a_payment, an_order

NUMBER = order_number("web", "T-1001")
NOWHERE = "postgresql://nobody@127.0.0.1:1/nothing"


async def test_orders_and_payments_are_taken_without_temporal_and_wait(api: Api, as_role: As) -> None:
    channel = as_role("channel")
    assert (await channel.post("/v1/orders", json=an_order())).status_code == 202
    assert (await channel.post(f"/v1/orders/{NUMBER}/payments", json=a_payment())).status_code == 202
    assert (await channel.get(f"/v1/orders/{NUMBER}")).json()["lifecycle"] == "received"
    async with api.database.sessions() as session, session.begin():
        waiting = (await session.exec(select(InboxMessage).order_by("inbox_id"))).all()
        assert [(one.kind, one.handed_over_at) for one in waiting] == [
            ("order.placed", None),
            ("payment.settled", None),
        ]
        for one in waiting:
            one.next_hand_over_at = None
    async with api.database.sessions() as session, session.begin():
        claimed = await inbox.claim_pending(session, 10)
    assert [(one.order_no, one.kind) for one in claimed] == [(NUMBER, "order.placed"), (NUMBER, "payment.settled")]


async def test_order_is_taken_by_a_process_that_hands_nothing_over(api: Api, as_role: As) -> None:
    api.app.state.hand_over = None
    assert (await as_role("channel").post("/v1/orders", json=an_order())).status_code == 202
    assert (await counts(api.database))["orders"] == 1


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "/v1/orders", an_order()),
        ("POST", "/v1/orders:batch", {"orders": [an_order("A"), an_order("B")]}),
        ("POST", "/v1/payments:batch", {"payments": [a_payment(order_no=NUMBER)]}),
        ("POST", f"/v1/orders/{NUMBER}/payments", a_payment()),
        ("POST", f"/v1/orders/{NUMBER}/cancel", {"reason": "x"}),
        ("GET", f"/v1/orders/{NUMBER}", None),
        ("GET", f"/v1/orders/{NUMBER}/events", None),
        ("GET", "/v1/orders", None),
        ("GET", "/v1/stock", None),
        ("GET", "/v1/holds", None),
    ],
)
async def test_without_the_database_everything_says_when_to_ask_again(
    api: Api, admin: httpx.AsyncClient, method: str, path: str, body: Any
) -> None:
    # Known from before, so that it is the route itself that finds the database gone.
    assert (await admin.get("/v1/orders")).status_code == 200
    before = await counts(api.database)
    gone = create_engine(NOWHERE)
    api.app.state.sessions = create_sessions(gone)
    answer = await admin.request(method, path, json=body)
    assert (answer.status_code, answer.headers["Content-Type"]) == (503, PROBLEM)
    assert (answer.json()["code"], int(answer.headers["Retry-After"]) > 0) == ("database_unavailable", True)
    assert await counts(api.database) == before
    await gone.dispose()


async def test_caller_who_was_not_seen_before_is_not_let_in_on_trust(api: Api, as_role: As) -> None:
    gone = create_engine(NOWHERE)
    api.app.state.sessions = create_sessions(gone)
    answer = await as_role("channel").post("/v1/orders", json=an_order())
    assert (answer.status_code, answer.headers["Content-Type"]) == (503, PROBLEM)
    await gone.dispose()
