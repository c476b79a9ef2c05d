"""Approvals of orders that run: silence, races, and decisions that were made while nobody was there to hear them."""

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable
from contextlib import AsyncExitStack
from typing import Any

import httpx
import pytest
from sqlalchemy import text
from temporalio.client import Client
from temporalio.contrib.pydantic import pydantic_data_converter

from api.inbox.hand_over import HandOver
from integrations.carrier.port import CarrierEvent
from store import inbox
from tests.api.conftest import Api, As
from tests.api.running_orders import RunningOrder, price, stock_up
from tests.conftest import Temporal
from tests.factories.requests import a_line
from tests.fakes.patience import eventually
from workers.main import build_workers
from workers.wiring import wire
from workflows.order.contract import order_workflow_id

# The general manager has six seconds for what are thirty minutes elsewhere.
SCALE = 6 / 1800
BIG = {"lines": [a_line(quantity=100)], "shipping_fee_minor": 0}
TOTAL = 1_130_000
RACES = 6
Shown = dict[str, Any]


class Offices:
    """The people of one system, and its parts that can be away."""

    def __init__(self, api: Api, temporal: Temporal, as_role: As) -> None:
        self.api, self.client, self.as_role = api, temporal.client, as_role
        self.admin = as_role("admin")
        self.workers = AsyncExitStack()

    async def prepare(self) -> None:
        vip = {"name": "Wang", "level": "VIP"}
        assert (await self.admin.put("/v1/customers/C-7", json=vip)).status_code == 201
        for person, superior in (("gm", "ceo"), ("finance", "ceo")):
            body = {"name": person.title(), "roles": [person], "superior_id": superior}
            assert (await self.admin.put(f"/v1/people/{person}", json=body)).status_code == 200
        await price(self.admin)
        await stock_up(self.admin, units=1000)

    async def connect(self, client: Client) -> None:
        hand_over = HandOver(self.api.database.sessions, client, SCALE)
        await hand_over.start()
        self.workers.push_async_callback(hand_over.stop)
        self.api.app.state.temporal, self.api.app.state.hand_over = client, hand_over

    async def begin_work(self) -> None:
        async def report(event: CarrierEvent) -> None:
            raise AssertionError(event)

        able = wire(self.api.app.state.settings, self.api.database.engine, self.api.database.sessions, report)
        for worker in build_workers(self.client, able):
            await self.workers.enter_async_context(worker)

    async def stop_work(self) -> None:
        await self.workers.aclose()
        self.workers = AsyncExitStack()

    async def asked(self, order_no: str, **wanted: Any) -> Shown:
        """The order's latest approval once its fields are so."""

        async def look() -> Shown:
            state = {"state": wanted.get("state", "open")}
            found = (await self.admin.get("/v1/approvals", params={"order_no": order_no} | state)).json()["data"]
            return found[-1] if found else {}

        return await eventually(look, lambda one: bool(one) and all(one[name] == v for name, v in wanted.items()), 60)

    async def decide(self, role: str, approval: Shown, decision: str, **headers: str) -> httpx.Response:
        body = {"decision": decision, "comment": "looked into it"}
        return await self.as_role(role).post(approval["links"]["decision"], json=body, headers=headers)

    async def trail(self, approval: Shown) -> list[tuple[str, str]]:
        shown = (await self.admin.get(approval["links"]["self"])).json()
        return [(line["kind"], line["actor"]) for line in shown["trail"]]


@pytest.fixture
async def offices(api: Api, temporal: Temporal, as_role: As) -> AsyncIterator[Offices]:
    found = Offices(api, temporal, as_role)
    await found.prepare()
    await found.connect(temporal.client)
    await found.begin_work()
    yield found
    await found.stop_work()
    async for order in temporal.client.list_workflows("ExecutionStatus = 'Running'"):
        await temporal.client.get_workflow_handle(order.id).terminate()


async def placed(offices: Offices) -> RunningOrder:
    order = RunningOrder(offices.as_role("channel"))
    answer = await order.place(**BIG)
    assert answer.status_code == 202, answer.text
    return order


@pytest.mark.timeout(180)
async def test_big_order_goes_past_a_silent_manager_to_the_superior_and_through_the_review(offices: Offices) -> None:
    order = await placed(offices)
    first = await offices.asked(order.number)
    shown = await order.when(lifecycle="in_review", waiting_for="approval.gm")
    assert shown["deadline_at"] == first["deadline_at"]
    escalated = await offices.asked(order.number, level=1)
    assert [(one["person_id"], one["level"]) for one in escalated["assignees"]] == [("gm", 0), ("ceo", 1)]
    answer = await offices.decide("ceo", escalated, "approve", Prefer="wait=10")
    assert (answer.status_code, answer.json()["state"]) == (200, "effective")
    kinds = [kind for kind, _ in await offices.trail(escalated)]
    assert kinds == ["opened", "reminded", "reminded", "escalated", "decided"] or kinds == [
        *("opened", "reminded", "reminded", "escalated", "reminded", "decided")
    ]
    await order.when(waiting_for="payment.full")
    await order.pay(TOTAL)
    packed = await order.when(waiting_for="shipment.delivered")
    for at, status in enumerate(("picked_up", "delivered")):
        scan = {"event_id": f"E-{at}", "status": status, "occurred_at": "2026-11-23T08:00:00Z"}
        own = f"/v1/shipments/{packed['shipments'][0]['shipment_no']}/events"
        assert (await offices.as_role("warehouse").post(own, json=scan)).status_code == 202
    review = await offices.asked(order.number, node="review")
    posted = await order.read()
    assert (posted["revenue"], posted["invoice"], posted["lifecycle"]) == ("full", "full", "fulfilling")
    await offices.decide("finance", review, "approve")
    await order.when(lifecycle="completed")


@pytest.mark.timeout(240)
async def test_decisions_cancellation_and_deadline_at_one_moment_leave_one_winner(offices: Offices) -> None:
    seed = random.Random(13)
    for _ in range(RACES):
        order = await placed(offices)
        escalated = await offices.asked(order.number, level=1)
        # Both are asked on the second level, whose six seconds end while they, and a cancellation, all come at once.
        rivals: list[Awaitable[Any]] = [
            offices.decide("gm", escalated, "approve"),
            offices.decide("ceo", escalated, "reject"),
            offices.as_role("operations").post(f"{order.own}/cancel", json={"reason": "changed their mind"}),
        ]
        seed.shuffle(rivals)
        await asyncio.sleep(max(escalated["seconds_left"] - 0.5, 0))
        await asyncio.gather(*rivals)
        ended = await eventually(order.read, lambda shown: shown["lifecycle"] in ("rejected", "cancelled"), 60)
        await _check_one_winner(offices, order.number, ended["lifecycle"])


async def _check_one_winner(offices: Offices, order_no: str, lifecycle: str) -> None:
    async def look() -> Any:
        async with offices.api.database.sessions() as session:
            rows = (await session.execute(_HOW_IT_ENDED, {"order_no": order_no})).all()
        assert len(rows) == 1
        return rows[0]

    # Words whose signal came after the end are heard by the follow-up.
    row = await eventually(look, lambda found: found.said == found.committed, 60)
    assert row.effective + row.ended == 1, row
    assert row.effective == (row.state in ("approved", "rejected"))
    assert lifecycle == "cancelled" or row.state in ("rejected", "timed_out")


_HOW_IT_ENDED = text("""
SELECT a.state, count(*) FILTER (WHERE t.kind = 'decided' AND t.outcome = 'effective') AS effective,
       count(*) FILTER (WHERE t.kind IN ('voided', 'timed_out')) AS ended,
       count(*) FILTER (WHERE t.kind = 'decided') AS said,
       (SELECT count(*) FROM inbox_messages m WHERE m.order_no = a.order_no
          AND m.kind = 'approval.decided') AS committed
FROM approvals a JOIN approval_trail t USING (approval_id)
WHERE a.order_no = :order_no GROUP BY a.approval_id
""")


@pytest.mark.timeout(180)
async def test_decision_made_while_no_worker_runs_and_temporal_is_away_is_honoured(
    offices: Offices, temporal: Temporal
) -> None:
    order = await placed(offices)
    approval = await offices.asked(order.number)
    await offices.stop_work()
    await offices.connect(await Client.connect("127.0.0.1:1", lazy=True, data_converter=pydantic_data_converter))
    answer = await offices.decide("gm", approval, "approve")
    assert (answer.status_code, answer.json()["state"]) == (202, "received")
    # The level's time runs out meanwhile: nobody may take the decision for too late.
    await asyncio.sleep(approval["seconds_left"] + 2)
    await offices.connect(temporal.client)
    await offices.begin_work()
    decided = await offices.asked(order.number, state="approved")
    assert ("escalated", "orderflow") not in await offices.trail(decided)
    await _hand_over_all(offices)
    await order.when(waiting_for="payment.full")
    told = (await offices.as_role("gm").get(answer.headers["location"])).json()
    assert (told["state"], told["closed_by"]) == ("effective", "gm")


@pytest.mark.timeout(180)
async def test_order_that_is_started_again_need_not_be_approved_again(offices: Offices) -> None:
    order = await placed(offices)
    approval = await offices.asked(order.number)
    assert (await offices.decide("gm", approval, "approve", Prefer="wait=10")).json()["state"] == "effective"
    await order.when(waiting_for="payment.full")
    await offices.client.get_workflow_handle(order_workflow_id(order.number)).terminate()
    async with offices.api.database.sessions() as session, session.begin():
        forgotten = {inbox_id for _, inbox_id in await inbox.forget_hand_over(session)}
    assert len(forgotten) >= 2
    await _hand_over_all(offices)
    await order.pay(TOTAL)
    await order.when(waiting_for="shipment.delivered")
    assert [kind for kind, _ in await offices.trail(approval)].count("decided") == 1


@pytest.mark.timeout(120)
async def test_signal_past_the_door_is_on_record_and_decides_nothing(offices: Offices) -> None:
    order = await placed(offices)
    await offices.asked(order.number)
    handle = offices.client.get_workflow_handle(order_workflow_id(order.number))
    await handle.signal("approval_decided", {"inbox_id": 999_999, "message_id": "forged"})

    async def kinds() -> list[str]:
        timeline = (await offices.admin.get(f"{order.own}/timeline")).json()["data"]
        return [event["kind"] for event in timeline]

    await eventually(kinds, lambda found: "signal.ignored" in found)
    assert (await offices.asked(order.number))["state"] == "open"


async def _hand_over_all(offices: Offices) -> None:
    """What the sweeper does every few seconds."""
    async with offices.api.database.sessions() as session, session.begin():
        await session.execute(text("UPDATE inbox_messages SET next_hand_over_at = NULL WHERE handed_over_at IS NULL"))
        pending = await inbox.claim_pending(session, 100)
    await HandOver(offices.api.database.sessions, offices.client, SCALE).deliver_all(pending)
