"""Flows tried before they go live: on paper, and on the orders that were there."""

from typing import Any

import httpx

from tests.api.test_flows import draw, normal, supervisor, with_approval
from tests.factories.requests import a_line, an_order

__all__ = ["supervisor"]


async def simulated(client: httpx.AsyncClient, **body: Any) -> dict[str, Any]:
    answer = await client.post("/v1/flows:simulate", json=body)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def test_path_of_an_order_that_nobody_answers_for(supervisor: httpx.AsyncClient) -> None:
    silence = {"name": "silence", "events": [{"event": "silence", "node": "gm"}], "expect": {"result": "expired"}}
    facts = {"order.total_minor": 2_000_000}
    found = await simulated(supervisor, definition=with_approval(), facts=facts, script=silence)
    assert (found["result"], found["path"]) == ("expired", ["check", "size", "gm", "unpaid", "expired"])
    assert (found["ended_after"], found["met"], found["unmet"]) == ("PT30M", True, [])
    assert found["links"][1] == {"from": "size", "field": "cases[0].next", "to": "gm"}
    gm = found["steps"][2]
    assert (gm["outcome"], gm["field"], gm["detail"]) == (
        "rejected",
        "outcomes.rejected",
        "timed out after 1 levels",
    )
    small = await simulated(supervisor, definition=with_approval(), script=silence)
    assert (small["result"], small["met"]) == ("completed", False)
    assert small["unmet"] == ["expected to end expired, but it was completed"]


async def test_late_payment_and_failing_carrier_on_paper(supervisor: httpx.AsyncClient) -> None:
    late = {"events": [{"event": "payment.full", "after": "PT25H"}]}
    assert (await simulated(supervisor, key="normal", version=1, script=late))["result"] == "expired"
    fails = {
        "events": [
            {"event": "failed", "node": "ship", "reason": "carrier_refused"},
            {"event": "resolved", "choice": "retry", "after": "PT3H"},
        ]
    }
    found = await simulated(supervisor, key="normal", version=1, script=fails)
    assert found["result"] == "completed"
    assert found["path"].count("ship") == 2
    assert found["steps"][3]["detail"] == "carrier_refused"


async def test_what_is_no_flow_is_refused_with_every_fault_on_its_node(supervisor: httpx.AsyncClient) -> None:
    broken = normal()
    broken["nodes"]["pay"].pop("on_timeout")
    broken["nodes"]["ship"]["surprise"] = 1
    answer = await supervisor.post("/v1/flows:simulate", json={"definition": broken})
    assert answer.status_code == 422
    assert [error["pointer"] for error in answer.json()["errors"]] == [
        "#/definition/nodes/pay",
        "#/definition/nodes/ship",
    ]


async def test_backtest_names_the_orders_that_would_go_another_way_and_why(supervisor: httpx.AsyncClient) -> None:
    placed = []
    for name, quantity in (("small", 1), ("big", 200)):
        body = an_order(external_id=name, lines=[a_line(quantity=quantity, unit_price_minor=10_000)])
        answer = await supervisor.post("/v1/orders", json=body)
        assert answer.status_code == 202, answer.text
        placed.append(answer.json()["order_no"])
    await draw(supervisor, with_approval())
    answer = await supervisor.post("/v1/flows/normal/draft/backtest", json={"limit": 100})
    assert answer.status_code == 200, answer.text
    found = answer.json()
    assert (found["orders"], found["changed"], found["undecided"]) == (2, 1, 0)
    assert found["by_reason"] == [{"why": "branch", "node": "size", "before": "reserve", "after": "gm", "orders": 1}]
    [big] = found["changes"]
    assert (big["order_no"], big["why"], big["node"]) == (placed[1], "branch", "size")
    assert big["detail"] == "big: order.total_minor > 1000000"
    assert "gm" in big["after"]["path"]
    assert "gm" not in big["before"]["path"]
    assert big["total_minor"] == 1_999_000
    assert (await supervisor.get("/v1/flows/normal")).json()["version"] == 1


async def test_designer_is_told_what_a_flow_may_be_made_of(supervisor: httpx.AsyncClient) -> None:
    found = (await supervisor.get("/v1/flow-vocabulary")).json()
    kinds = {one["kind"]: one for one in found["kinds"]}
    assert kinds.keys() >= {"action", "branch", "approval", "wait", "timer", "parallel", "subflow", "notify", "set"}
    assert kinds["action"]["links"] == ["next", "on_error"]
    assert kinds["approval"]["links"] == ["outcomes"]
    assert kinds["wait"]["schema"]["properties"]["event"]["x-registry"] == "event"
    assert {"name": "gm", "people": 1} in found["roles"]
    total = next(one for one in found["facts"] if one["name"] == "order.total_minor")
    assert (total["type"], total["title"]["zh"]) == ("int", "订单金额(分)")
    decimals = {code: found["decimals"][code] for code in ("CNY", "JPY", "KWD")}
    assert (found["currency"], decimals) == ("CNY", {"CNY": 2, "JPY": 0, "KWD": 3})


async def test_validating_keeps_nothing(supervisor: httpx.AsyncClient) -> None:
    answer = await supervisor.post("/v1/flows:validate", json={"yaml": "schema: orderflow/1\nkey: mine\n"})
    assert answer.json()["sha256"] is None
    assert "schema" in {one["code"] for one in answer.json()["problems"]}
    sound = await supervisor.post("/v1/flows:validate", json={"definition": normal()})
    assert sound.json()["problems"] == []
    assert (await supervisor.get("/v1/flows/mine")).status_code == 404


async def test_draft_is_run_in_the_sandbox_and_published(supervisor: httpx.AsyncClient) -> None:
    saved = await draw(supervisor, with_approval())
    silence = {
        "name": "the general manager never answers",
        "facts": {"order.total_minor": 2_000_000},
        "events": [{"event": "silence", "node": "gm"}],
        "expect": {"result": "expired", "visits": ["size", "gm"], "avoids": ["reserve"]},
    }
    other = {**silence, "name": "a small one", "facts": {}}
    failed = await supervisor.post("/v1/flows/normal/draft/sandbox", json={"scripts": [silence, other]})
    assert failed.status_code == 200, failed.text
    assert (failed.json()["passed"], [one["passed"] for one in failed.json()["scripts"]]) == (False, [True, False])
    assert failed.json()["scripts"][1]["unmet"][0] == "expected to end expired, but it was completed"
    wanted = {"sha256": saved.json()["sha256"], "reason": "bigger orders"}
    assert (await supervisor.post("/v1/flows/normal/publish", json=wanted)).json()["code"] == "sandbox_not_passed"
    run = await supervisor.post("/v1/flows/normal/draft/sandbox", json={"scripts": [silence]})
    assert (run.json()["passed"], run.json()["sha256"]) == (True, saved.json()["sha256"])
    assert (await supervisor.get("/v1/flows/normal/draft")).json()["status"] == "sandbox_passed"
    assert (await supervisor.post("/v1/flows/normal/publish", json=wanted)).status_code == 201
    runs = (await supervisor.get("/v1/flows/normal/sandbox-runs")).json()["data"]
    assert [one["passed"] for one in runs] == [True, False]
    assert (await supervisor.get("/v1/orders")).json()["data"] == []


async def test_flow_with_problems_is_not_run(supervisor: httpx.AsyncClient) -> None:
    broken = with_approval()
    broken["nodes"]["gm"]["outcomes"]["approved"] = "nowhere"
    await draw(supervisor, broken)
    answer = await supervisor.post("/v1/flows/normal/draft/sandbox", json={})
    assert (answer.status_code, answer.json()["code"]) == (409, "flow_has_problems")


async def test_templates_come_with_their_stories(supervisor: httpx.AsyncClient) -> None:
    found = (await supervisor.get("/v1/flow-templates")).json()["data"]
    assert {one["name"] for one in found} >= {"normal", "big_customer", "presale", "sample"}
    one = (await supervisor.get("/v1/flow-templates/big_customer")).json()
    assert (one["key"], one["definition"]["nodes"]["gm"]["kind"]) == ("normal_big", "approval")
    assert one["sandbox"][1]["events"][0]["event"] == "silence"
    assert (await supervisor.get("/v1/flow-templates/none")).status_code == 404
