"""Holds over HTTP: opened by a person, settled one by one and in crowds, counted."""

from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from sqlmodel import col, select

from models.columns import now
from models.inbox import InboxMessage
from models.order import OrderHold
from store.access import Grant
from tests.api.conftest import PROBLEM, Api, As, give_key
from tests.api.rows import counts
from tests.api.running_orders import RunningOrder, price, stock_up
from tests.factories.requests import a_line, an_order
from tests.fakes.patience import eventually

WHY = {"reason": "the customer wrote"}
RETRY = {"choice": "retry", "reason_code": "checked", "reason": "goods are there"}
BULK = {"reason_code": "unknown_sku", "reason": "catalogue corrected"}


async def unknown(client: httpx.AsyncClient, number: int = 1, channel: str = "web") -> list[RunningOrder]:
    """So many orders that are held for an SKU that nobody knows."""
    orders = [RunningOrder(client) for _ in range(number)]
    for order in orders:
        assert (await order.place(lines=[a_line(sku="NEW")])).status_code == 202
    for order in orders:
        assert await order.held() == ["unknown_sku"]
    return orders


async def test_order_held_by_a_person_is_paid_and_ships_once_it_is_settled(running: Api, as_role: As) -> None:
    admin, service = as_role("admin"), as_role("service")
    order = RunningOrder(admin)
    await price(admin)
    await stock_up(admin)
    await order.place()
    await order.when(waiting_for="payment.full")
    asked = await service.post(f"{order.own}/holds", json=WHY | {"owner_role": "service"})
    assert (asked.status_code, asked.json()["order_no"]) == (201, order.number)
    again = await service.post(f"{order.own}/holds", json=WHY | {"owner_role": "service"})
    assert (again.status_code, again.json()) == (201, asked.json())
    await order.pay()
    held = await order.when(payment="paid")
    (hold,) = held["holds"]
    assert (hold["hold_id"], hold["reason_code"], hold["owner_role"]) == (asked.json()["hold_id"], "manual", "service")
    assert (held["shipments"], hold["level"], hold["escalated_to"]) == ([], 0, None)
    warehouse = await as_role("warehouse").post(f"{order.own}/exception", json=RETRY | {"hold_id": hold["hold_id"]})
    assert (warehouse.status_code, warehouse.json()["code"]) == (403, "not_the_owner")
    settled = await service.post(f"{order.own}/exception", json=RETRY | {"hold_id": hold["hold_id"]})
    assert (settled.status_code, settled.json()["state"]) == (202, "received")
    packed = await order.when(waiting_for="shipment.delivered", holds=[])
    assert len(packed["shipments"]) == 1
    late = await service.post(f"{order.own}/holds", json=WHY)
    assert (late.status_code, late.json()["code"], late.headers["Content-Type"]) == (409, "too_late_to_hold", PROBLEM)


async def test_hold_that_has_gone_up_may_be_settled_by_whom_it_went_up_to(running: Api, as_role: As) -> None:
    (order,) = await unknown(as_role("admin"))
    gm = as_role("gm")
    settle = f"{order.own}/exception"
    refused = await gm.post(settle, json=RETRY)
    assert (refused.status_code, refused.json()["code"]) == (403, "not_the_owner")
    async with running.database.sessions() as session, session.begin():
        hold = (await session.exec(select(OrderHold).where(OrderHold.order_no == order.number))).one()
        hold.level, hold.escalated_to = 2, "gm"
    settled = await gm.post(settle, json=RETRY)
    assert (settled.status_code, settled.json()["choice"]) == (200, "retry")


async def test_hold_that_is_not_there_any_more_is_a_conflict(running: Api, as_role: As) -> None:
    (order,) = await unknown(as_role("admin"))
    answer = await as_role("admin").post(f"{order.own}/exception", json=RETRY | {"hold_id": f"{order.number}-H9"})
    assert (answer.status_code, answer.json()["code"]) == (409, "no_open_hold")


async def test_all_holds_of_one_reason_are_tried_again(running: Api, as_role: As) -> None:
    admin = as_role("admin")
    orders = await unknown(admin, 3)
    others = (await as_role("warehouse").post("/v1/holds:retry", json=BULK)).json()
    assert (others["accepted"], others["refused"]) == (0, 3)
    assert {result["code"] for result in others["results"]} == {"not_the_owner"}
    answer = await as_role("operations").post("/v1/holds:retry", json=BULK | {"limit": 2})
    told = answer.json()
    assert (answer.status_code, told["accepted"], told["refused"], told["more"]) == (200, 2, 0, True)
    # Orders of one moment have no order among themselves.
    tried = {result["order_no"] for result in told["results"]}
    assert tried < {order.number for order in orders}

    async def attempts() -> list[int]:
        first = sorted(orders, key=lambda order: order.number not in tried)
        return [len((await order.client.get(f"{order.own}/timeline")).json()["data"]) for order in first]

    # The SKU is as unknown as before: the two that were tried again are held anew, by holds of their own.
    assert await eventually(attempts, lambda found: found[0] == found[1] > found[2])
    assert [await order.held() for order in orders] == [["unknown_sku"]] * 3


async def test_holds_that_have_been_open_longest_are_tried_again_first(api: Api, as_role: As) -> None:
    admin = as_role("admin")
    # Neither the order of placing nor that of the numbers is that of the moments.
    hours = {"T-1": 2, "T-2": 5, "T-3": 1, "T-4": 4, "T-5": 3}
    numbers = {name: (await admin.post("/v1/orders", json=an_order(name))).json()["order_no"] for name in hours}
    async with api.database.sessions() as session, session.begin():
        for name, order_no in numbers.items():
            session.add(
                OrderHold(
                    hold_id=f"{order_no}-H1",
                    order_no=order_no,
                    reason_code="unknown_sku",
                    detail="x",
                    owner_role="operations",
                    opened_at=now() - timedelta(hours=hours[name]),
                )
            )
    told = (await as_role("operations").post("/v1/holds:retry", json=BULK | {"limit": 3})).json()
    assert (told["accepted"], told["more"]) == (3, True)
    assert [result["order_no"] for result in told["results"]] == [numbers[name] for name in ("T-2", "T-4", "T-5")]
    async with api.database.sessions() as session:
        query = select(InboxMessage.order_no).where(InboxMessage.kind == "hold.decided")
        decided = (await session.exec(query.order_by(col(InboxMessage.inbox_id)))).all()
    assert list(decided) == [result["order_no"] for result in told["results"]]


async def test_counts_tell_reason_age_and_day(api: Api, as_role: As) -> None:
    admin = as_role("admin")
    await admin.post("/v1/orders", json=an_order("T-1"))
    await admin.post("/v1/orders", json=an_order("T-2"))
    numbers = [row["order_no"] for row in (await admin.get("/v1/orders")).json()["data"]]
    ages = [("out_of_stock", 0), ("payment_over", 5), ("carrier_refused", 100)]
    async with api.database.sessions() as session, session.begin():
        for at, (reason, hours) in enumerate(ages * 2):
            order_no, opened = numbers[at % 2], now() - timedelta(hours=hours)
            session.add(
                OrderHold(
                    hold_id=f"{order_no}-{at}",
                    order_no=order_no,
                    reason_code=reason,
                    detail=reason,
                    owner_role="warehouse",
                    opened_at=opened,
                    due_at=opened + timedelta(hours=2),
                    level=1 if hours == 100 else 0,
                    resolved_at=now() if (reason, at) == ("payment_over", 1) else None,
                )
            )
    today = datetime.now(UTC).date()
    span = {"opened_from": str(today - timedelta(days=30)), "opened_to": str(today)}
    told = (await admin.get("/v1/holds/counts", params=span)).json()
    rows = {row["reason_code"]: row for row in told["open"]}
    assert {name: (row["open"], row["overdue"], row["escalated"]) for name, row in rows.items()} == {
        "carrier_refused": (2, 2, 2),
        "out_of_stock": (2, 0, 0),
        "payment_over": (1, 1, 0),
    }
    assert rows["out_of_stock"]["ages"] == _ages(under_1h=2)
    assert rows["payment_over"]["ages"] == _ages(under_1d=1)
    assert rows["carrier_refused"]["ages"] == _ages(over_3d=2)
    assert sum(row["opened"] for row in told["opened"]) == 6
    day = str((datetime.now(UTC) - timedelta(hours=100)).date())
    assert {"day": day, "reason_code": "carrier_refused", "opened": 2} in told["opened"]
    week = (await admin.get("/v1/holds/counts", params={"opened_from": str(today), "opened_to": str(today)})).json()
    assert "carrier_refused" not in {row["reason_code"] for row in week["opened"]}
    token = await give_key(api.database, "shop", ["channel"], Grant(channels={"shop"}))
    assert (await as_role(token=token).get("/v1/holds/counts", params=span)).json() == {"open": [], "opened": []}


def _ages(**counted: int) -> dict[str, int]:
    return dict.fromkeys(("under_1h", "under_4h", "under_1d", "under_3d", "over_3d"), 0) | counted


@pytest.mark.parametrize(
    ("method", "path", "sent"),
    [
        ("POST", "/v1/holds:retry", {}),
        ("POST", "/v1/holds:retry", BULK | {"limit": 0}),
        ("POST", "/v1/holds:retry", BULK | {"limit": 501}),
        ("POST", "/v1/holds:retry", BULK | {"choice": "cancel"}),
        ("POST", "/v1/holds:retry", {"reason_code": "unknown_sku"}),
    ],
)
async def test_malformed_requests_do_nothing(
    api: Api, admin: httpx.AsyncClient, method: str, path: str, sent: dict[str, Any]
) -> None:
    before = await counts(api.database)
    answer = await admin.request(method, path, json=sent)
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_request")
    assert await counts(api.database) == before


@pytest.mark.parametrize(
    ("path", "sent"),
    [
        ("holds", {}),
        ("holds", WHY | {"owner_role": "ceo"}),
        ("holds", WHY | {"node": "ship"}),
        ("exception", RETRY | {"choice": "jump"}),
        ("exception", RETRY | {"target": "ship"}),
        ("exception", RETRY | {"hold_id": ""}),
    ],
)
async def test_malformed_wishes_about_an_order_do_nothing(
    api: Api, admin: httpx.AsyncClient, path: str, sent: dict[str, Any]
) -> None:
    placed = (await admin.post("/v1/orders", json=an_order("T-1"))).json()
    before = await counts(api.database)
    answer = await admin.post(f"{placed['links']['self']}/{path}", json=sent)
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_request")
    assert await counts(api.database) == before


@pytest.mark.parametrize(
    "span", [{"opened_from": "2026-02-01", "opened_to": "2026-01-01"}, {"opened_from": "1999-01-01"}]
)
async def test_counts_of_no_span_are_refused(admin: httpx.AsyncClient, span: dict[str, str]) -> None:
    answer = await admin.get("/v1/holds/counts", params=span)
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_request")


async def test_without_temporal_a_hold_is_asked_for_again_and_a_decision_is_kept(api: Api, as_role: As) -> None:
    admin = as_role("admin")
    own = (await admin.post("/v1/orders", json=an_order("T-1"))).json()["links"]["self"]
    refused = await admin.post(f"{own}/holds", json=WHY)
    assert (refused.status_code, refused.json()["code"]) == (503, "temporal_unavailable")
    order_no = own.rpartition("/")[2]
    async with api.database.sessions() as session, session.begin():
        session.add(
            OrderHold(hold_id="H-1", order_no=order_no, reason_code="payment_over", detail="x", owner_role="finance")
        )
    kept = [await admin.post(f"{own}/exception", json=RETRY | {"hold_id": "H-1"}) for _ in range(2)]
    assert [one.status_code for one in kept] == [202, 202]
    async with api.database.sessions() as session:
        hold = (await session.exec(select(OrderHold).where(col(OrderHold.hold_id) == "H-1"))).one()
    assert hold.resolved_at is None


async def test_holds_of_others_do_not_exist(running: Api, as_role: As) -> None:
    (order,) = await unknown(as_role("admin"))
    token = await give_key(running.database, "shop", ["sales", "operations"], Grant(channels={"shop"}))
    other = as_role(token=token)
    assert (await other.post("/v1/holds:retry", json=BULK)).json()["results"] == []
    answer = await other.post(f"{order.own}/holds", json=WHY)
    assert (answer.status_code, answer.json()["code"]) == (404, "order_not_found")
