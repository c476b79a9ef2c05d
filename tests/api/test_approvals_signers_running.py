"""Several people decide about orders that run: each with a clock of their own, in the last second, unattended."""

import asyncio
from typing import Any

import pytest
from sqlalchemy import text
from temporalio.client import Client
from temporalio.contrib.pydantic import pydantic_data_converter

from api.inbox.hand_over import HandOver
from store import inbox
from tests.api.running_orders import RunningOrder
from tests.api.test_approvals_running import SCALE, Offices, offices, placed
from tests.conftest import Temporal

__all__ = ["offices"]

# As many seconds as half an hour is there.
PATIENCE_S = 6
RACES = 4
_ASKS = {"remind": [], "timeout": "PT30M", "escalate": [], "on_exhausted": "rejected"}


async def publish(offices: Offices, mode: Any, *people: str, **changes: Any) -> None:
    """Big orders are asked about like this from now on."""
    operations = offices.as_role("operations")
    flow = (await operations.get("/v1/flows/normal_big/versions/1")).json()["definition"]
    asked = {"assignees": [{"user": person} for person in people], "mode": mode}
    flow["nodes"]["gm"] = flow["nodes"]["gm"] | _ASKS | asked | changes
    headers = {"If-None-Match": "*"}
    draft = await operations.put("/v1/flows/normal_big/draft", json={"definition": flow}, headers=headers)
    assert draft.json()["problems"] == [], draft.text
    assert (await operations.post("/v1/flows/normal_big/draft/sandbox", json={})).json()["passed"] is True
    said = {"sha256": draft.json()["sha256"], "reason": "several people decide"}
    assert (await operations.post("/v1/flows/normal_big/publish", json=said)).status_code == 201


@pytest.mark.timeout(240)
async def test_each_of_a_sequence_has_the_whole_time_and_the_order_goes_on_after_the_last(offices: Offices) -> None:
    await publish(offices, "sequence", "finance", "gm", "ceo")
    order = await placed(offices)
    approval = await offices.asked(order.number)
    deadlines = [approval["deadline_at"]]
    for person in ("finance", "gm"):
        await asyncio.sleep(PATIENCE_S * 0.6)
        answer = await offices.decide(person, approval, "approve", Prefer="wait=10")
        assert answer.json()["state"] == "effective"
        deadlines.append((await offices.asked(order.number))["deadline_at"])
    shown = await order.when(waiting_for="approval.gm", deadline_at=deadlines[-1])
    assert shown["lifecycle"] == "in_review"
    assert (deadlines == sorted(deadlines), len(set(deadlines))) == (True, 3)
    answer = await offices.decide("ceo", approval, "approve", Prefer="wait=10")
    assert answer.json()["approval_state"] == "approved"
    await order.when(waiting_for="payment.full")
    assert [line for line in await offices.trail(approval) if line[0] in ("next", "decided", "escalated")] == [
        ("decided", "finance"),
        ("next", "orderflow"),
        ("decided", "gm"),
        ("next", "orderflow"),
        ("decided", "ceo"),
    ]


@pytest.mark.timeout(300)
async def test_deciding_vote_together_with_the_end_of_the_time_counts_or_is_too_late(offices: Offices) -> None:
    await publish(offices, {"vote": 2}, "finance", "gm", "ceo")
    ended = []
    for race in range(RACES):
        order = await placed(offices)
        approval = await offices.asked(order.number)
        await offices.decide("finance", approval, "approve", Prefer="wait=10")
        last = await offices.asked(order.number)
        await asyncio.sleep(max(last["seconds_left"] - 0.5 + race * 0.25, 0))
        await asyncio.gather(offices.decide("gm", last, "approve"), offices.decide("ceo", last, "approve"))
        row = await _ended(offices, order)
        # Whoever came in time has decided, and nobody else; nothing is both.
        words = sorted(row.words)
        if row.state == "approved":
            assert (words, row.timed_out) == (["effective", "effective", "superseded"][: len(words)], 0)
            await order.when(waiting_for="payment.full")
        else:
            assert (row.state, row.timed_out) == ("timed_out", 1)
            assert words == ["effective", *["too_late"] * (len(words) - 1)]
            await order.when(lifecycle="rejected")
        ended.append(row.state)
    assert set(ended) <= {"approved", "timed_out"}


async def _ended(offices: Offices, order: RunningOrder) -> Any:
    query = text("""
        SELECT a.state, array_agg(t.outcome) FILTER (WHERE t.kind = 'decided') AS words,
               count(*) FILTER (WHERE t.kind = 'timed_out') AS timed_out,
               (SELECT count(*) FROM inbox_messages m WHERE m.order_no = a.order_no
                  AND m.kind = 'approval.decided' AND m.applied_at IS NULL) AS unheard
        FROM approvals a JOIN approval_trail t USING (approval_id) WHERE a.order_no = :order_no GROUP BY a.approval_id
    """)
    for _ in range(300):
        async with offices.api.database.sessions() as session:
            row = (await session.execute(query, {"order_no": order.number})).one()
        if row.state != "open" and row.unheard == 0:
            return row
        await asyncio.sleep(0.2)
    raise AssertionError(row)


@pytest.mark.timeout(240)
async def test_votes_and_signers_that_come_while_no_worker_runs_are_heard_in_their_order(
    offices: Offices, temporal: Temporal
) -> None:
    await publish(offices, {"vote": 2}, "finance", "gm", "ceo", cc=[{"role": "operations"}])
    order = await placed(offices)
    approval = await offices.asked(order.number)
    own = approval["links"]["self"]
    await offices.stop_work()
    await offices.connect(await Client.connect("127.0.0.1:1", lazy=True, data_converter=pydantic_data_converter))
    body = {"person": "manager", "where": "beside", "reason": "knows the customer"}
    assert (await offices.as_role("gm").post(f"{own}/signers", json=body)).status_code == 202
    for person in ("gm", "finance"):
        assert (await offices.decide(person, approval, "approve")).status_code == 202
    await asyncio.sleep(approval["seconds_left"] + 1)
    await offices.connect(temporal.client)
    await offices.begin_work()
    async with offices.api.database.sessions() as session, session.begin():
        await session.execute(text("UPDATE inbox_messages SET next_hand_over_at = NULL WHERE handed_over_at IS NULL"))
        pending = await inbox.claim_pending(session, 100)
    await HandOver(offices.api.database.sessions, offices.client, SCALE).deliver_all(pending)
    # Two of four agreed in time; that it was heard after the end of the time changes nothing.
    decided = await offices.asked(order.number, state="approved")
    await order.when(waiting_for="payment.full")
    assert [(one["person_id"], one["added_by"], one["state"]) for one in decided["assignees"]] == [
        ("ceo", None, "asked"),
        ("finance", None, "approved"),
        ("gm", None, "approved"),
        ("manager", "gm", "asked"),
    ]
    kinds = [kind for kind, _ in await offices.trail(approval)]
    assert kinds == ["opened", "signer_added", "next", "decided", "decided"]
    copied = (await offices.as_role("operations").get("/v1/approvals", params={"cc": "me", "state": "approved"})).json()
    assert [one["order_no"] for one in copied["data"]] == [order.number]
