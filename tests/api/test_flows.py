"""Flows drawn, tried, published and taken back over HTTP."""

import copy
from typing import Any

import httpx
import pytest

from flows import builtin_flows
from models.flow import FlowSandboxRun
from store import flow_drafts, flows
from tests.api.conftest import PROBLEM, Api, As
from tests.factories.requests import an_order

Document = dict[str, Any]


def normal(**changes: Any) -> Document:
    """The built-in normal flow as a designer reads it, with other nodes."""
    flow = next(flow for flow in builtin_flows() if flow.key == "normal")
    document: Document = copy.deepcopy(flow.model_dump(mode="json", exclude_defaults=True))
    document["nodes"].update(changes)
    return document


def with_approval() -> Document:
    """Normal, with a general manager who is asked about orders above 10,000.00."""
    gm = {
        "kind": "approval",
        "assignees": [{"role": "gm"}],
        "timeout": "PT30M",
        "outcomes": {"approved": "reserve", "rejected": "unpaid"},
    }
    size = {
        "kind": "branch",
        "cases": [{"label": "big", "when": "order.total_minor > 1000000", "next": "gm"}],
        "default": "reserve",
    }
    document = normal(gm=gm, size=size)
    document["nodes"]["check"]["next"] = "size"
    return document


@pytest.fixture
def supervisor(as_role: As) -> httpx.AsyncClient:
    return as_role("operations")


async def draw(client: httpx.AsyncClient, document: Document, tag: str | None = None) -> httpx.Response:
    condition = {"If-Match": tag} if tag else {"If-None-Match": "*"}
    return await client.put("/v1/flows/normal/draft", json={"definition": document}, headers=condition)


async def passed(api: Api, sha256: str, *, key: str = "normal", really: bool = True) -> None:
    """A sandbox run of this content is on record."""
    async with api.database.sessions() as session, session.begin():
        run = FlowSandboxRun(key=key, sha256=sha256, passed=really, took_ms=1, run_by="operations")
        await flow_drafts.add_run(session, run)


async def published(api: Api, client: httpx.AsyncClient, document: Document, **terms: Any) -> httpx.Response:
    saved = await draw(client, document)
    assert saved.status_code == 201, saved.text
    sha256 = saved.json()["sha256"]
    await passed(api, sha256)
    return await client.post("/v1/flows/normal/publish", json={"sha256": sha256, "reason": "bigger orders"} | terms)


async def flow_of(client: httpx.AsyncClient, external_id: str, **parts: Any) -> tuple[str, int]:
    """The flow that an order placed now takes."""
    answer = await client.post("/v1/orders", json=an_order(external_id=external_id, **parts))
    assert answer.status_code == 202, answer.text
    order = (await client.get(answer.headers["location"])).json()
    return order["flow"]["key"], order["flow"]["version"]


async def test_a_draft_keeps_its_problems_until_they_are_mended(supervisor: httpx.AsyncClient) -> None:
    broken = with_approval()
    broken["nodes"]["gm"]["outcomes"]["approved"] = "nowhere"
    broken["nodes"]["size"]["cases"][0]["when"] = "order.totl_minor > 1"
    saved = await draw(supervisor, broken)
    assert saved.status_code == 201
    assert saved.json()["status"] == "draft"
    assert [(one["node"], one["code"]) for one in saved.json()["problems"]] == [
        ("gm", "dangling_link"),
        ("size", "condition"),
    ]
    mended = await draw(supervisor, with_approval(), saved.headers["etag"])
    assert (mended.status_code, mended.json()["status"], mended.json()["problems"]) == (200, "validated", [])
    assert (mended.json()["revision"], mended.json()["changed"], mended.json()["based_on"]) == (2, True, 1)


async def test_the_same_content_again_changes_nothing(supervisor: httpx.AsyncClient) -> None:
    first = await draw(supervisor, with_approval())
    again = await draw(supervisor, with_approval(), first.headers["etag"])
    assert (again.json()["revision"], again.json()["updated_at"]) == (1, first.json()["updated_at"])
    told = (await supervisor.get("/v1/flows/normal/history")).json()["data"]
    assert [one["kind"] for one in told] == ["draft_saved"]


async def test_the_second_of_two_editors_is_shown_what_the_first_one_did(
    supervisor: httpx.AsyncClient, admin: httpx.AsyncClient
) -> None:
    first = await draw(supervisor, normal())
    longer = normal()
    longer["nodes"]["pay"] |= {"timeout": "PT48H"}
    assert (await draw(admin, longer, first.headers["etag"])).status_code == 200
    refused = await draw(supervisor, with_approval(), first.headers["etag"])
    assert (refused.status_code, refused.headers["content-type"]) == (412, PROBLEM)
    facts = refused.json()["facts"]
    assert (facts["revision"], facts["updated_by"]) == (2, "admin")
    changed = {one["node"]: one for one in facts["diff"]["nodes"]}
    assert changed["gm"]["change"] == "removed"
    assert (
        changed["pay"]["fields"] == [{"field": "timeout", "before": "PT24H", "after": "P2D"}]
        or changed["pay"]["fields"][0]["field"] == "timeout"
    )
    kept = (await supervisor.get("/v1/flows/normal/draft")).json()
    assert kept["definition"] == longer
    assert (await supervisor.put("/v1/flows/normal/draft", json={"definition": normal()})).status_code == 428


async def test_published_version_takes_new_orders_and_old_ones_keep_theirs(
    api: Api, supervisor: httpx.AsyncClient
) -> None:
    before = await flow_of(supervisor, "before")
    answer = await published(api, supervisor, with_approval())
    assert answer.status_code == 201, answer.text
    assert answer.json()["version"] == 2
    assert before == ("normal", 1)
    assert await flow_of(supervisor, "after") == ("normal", 2)
    shown = (await supervisor.get("/v1/flows/normal")).json()
    assert (shown["version"], shown["origin"], shown["orders_open"]) == (2, "people", 2)
    assert [(one["version"], one["orders_open"]) for one in shown["versions"]] == [(2, 1), (1, 1)]
    assert [(one["version"], one["state"]) for one in shown["releases"]] == [(2, "active"), (1, "shadowed")]
    stored = (await supervisor.get("/v1/flows/normal/versions/2")).json()
    assert stored["sha256"] == answer.json()["sha256"]
    assert stored["definition"]["nodes"].keys() == with_approval()["nodes"].keys()


async def test_one_step_back_and_the_built_in_flow_is_in_force_again(api: Api, supervisor: httpx.AsyncClient) -> None:
    await published(api, supervisor, with_approval())
    back = await supervisor.post("/v1/flows/normal/rollback", json={"reason": "too slow"})
    assert (back.status_code, back.json()["version"]) == (200, 1)
    assert await flow_of(supervisor, "after") == ("normal", 1)
    again = await supervisor.post("/v1/flows/normal/rollback", json={"reason": "too slow"})
    assert (again.status_code, again.json()["code"]) == (409, "nothing_to_roll_back")
    told = (await supervisor.get("/v1/flows/normal/history")).json()["data"]
    assert [(one["kind"], one["actor"], one["reason"]) for one in told[:2]] == [
        ("rolled_back", "operations", "too slow"),
        ("published", "operations", "bigger orders"),
    ]


async def test_the_same_content_makes_no_new_version(api: Api, supervisor: httpx.AsyncClient) -> None:
    answer = await published(api, supervisor, normal())
    assert (answer.status_code, answer.json()["version"]) == (201, 1)
    assert len((await supervisor.get("/v1/flows/normal")).json()["versions"]) == 1


async def test_nothing_is_published_that_was_not_tried(api: Api, supervisor: httpx.AsyncClient) -> None:
    saved = await draw(supervisor, with_approval())
    sha256 = saved.json()["sha256"]
    wanted = {"sha256": sha256, "reason": "now"}
    untried = await supervisor.post("/v1/flows/normal/publish", json=wanted)
    assert (untried.status_code, untried.json()["code"]) == (409, "sandbox_not_passed")
    await passed(api, sha256)
    assert (await supervisor.get("/v1/flows/normal/draft")).json()["status"] == "sandbox_passed"
    await passed(api, sha256, really=False)
    failed = await supervisor.post("/v1/flows/normal/publish", json=wanted)
    assert failed.json()["code"] == "sandbox_not_passed"
    other = await supervisor.post("/v1/flows/normal/publish", json=wanted | {"sha256": "0" * 64})
    assert other.json()["code"] == "draft_not_of_this_hash"
    assert [one["version"] for one in (await supervisor.get("/v1/flows/normal")).json()["versions"]] == [1]


async def test_flow_that_asks_nobody_is_not_published(api: Api, supervisor: httpx.AsyncClient) -> None:
    asks = with_approval()
    asks["nodes"]["gm"] |= {"assignees": [{"user": "nobody"}], "on_no_assignee": {"user": "nobody.else"}}
    answer = await published(api, supervisor, asks)
    assert (answer.status_code, answer.json()["code"]) == (409, "role_without_people")
    assert answer.json()["facts"] == {"node": "gm", "role": "nobody"}


async def test_no_order_is_left_without_a_flow(api: Api, supervisor: httpx.AsyncClient) -> None:
    narrower = normal() | {"match": {"priority": 0, "when": "order.type == 'normal'"}}
    answer = await published(api, supervisor, narrower)
    assert (answer.status_code, answer.json()["code"]) == (409, "no_fallback_flow")
    retired = await supervisor.post("/v1/flows/normal/versions/1/retire", json={"reason": "old"})
    assert (retired.status_code, retired.json()["code"]) == (409, "no_fallback_flow")
    assert await flow_of(supervisor, "still") == ("normal", 1)


async def test_release_for_one_channel_or_later_leaves_all_others_where_they_were(
    api: Api, supervisor: httpx.AsyncClient
) -> None:
    answer = await published(api, supervisor, with_approval(), channels=["tmall"])
    assert answer.status_code == 201, answer.text
    assert await flow_of(supervisor, "a", channel="tmall") == ("normal", 2)
    assert await flow_of(supervisor, "b") == ("normal", 1)
    await supervisor.post("/v1/flows/normal/rollback", json={"reason": "no"})
    later = {"version": 2, "reason": "from then on", "starts_at": "2199-01-01T00:00:00Z"}
    assert (await supervisor.post("/v1/flows/normal/release", json=later)).status_code == 201
    assert await flow_of(supervisor, "c", channel="tmall") == ("normal", 1)
    states = [one["state"] for one in (await supervisor.get("/v1/flows/normal")).json()["releases"]]
    assert states == ["scheduled", "ended", "active"]


async def test_built_in_flow_of_a_later_product_does_not_replace_that_of_people(
    api: Api, supervisor: httpx.AsyncClient
) -> None:
    await published(api, supervisor, with_approval())
    newer = next(flow for flow in builtin_flows() if flow.key == "normal")
    patient = newer.model_copy(update={"version": 2, "title": newer.title.model_copy(update={"en": "Newer"})})
    patient.__dict__.pop("fingerprint", None)
    for _ in range(2):
        async with api.database.sessions() as session, session.begin():
            await flows.publish(session, [patient])
    shown = (await supervisor.get("/v1/flows/normal")).json()
    assert (shown["version"], shown["origin"]) == (2, "people")
    assert [(one["version"], one["origin"]) for one in shown["versions"]] == [
        (3, "built_in"),
        (2, "people"),
        (1, "built_in"),
    ]
    await supervisor.post("/v1/flows/normal/rollback", json={"reason": "take theirs"})
    assert (await supervisor.get("/v1/flows/normal")).json()["version"] == 3


async def test_layout_is_no_part_of_the_flow(supervisor: httpx.AsyncClient) -> None:
    saved = await draw(supervisor, with_approval())
    spots = {"nodes": {"gm": {"x": 10, "y": -20}}}
    assert (await supervisor.put("/v1/flows/normal/layout", json=spots)).json() == spots
    assert (await supervisor.get("/v1/flows/normal")).json()["layout"] == spots["nodes"]
    assert (await supervisor.get("/v1/flows/normal/draft")).json()["sha256"] == saved.json()["sha256"]


async def test_diff_names_the_nodes_and_fields(supervisor: httpx.AsyncClient) -> None:
    await draw(supervisor, with_approval())
    found = (await supervisor.get("/v1/flows/normal/diff", params={"from": "1", "to": "draft"})).json()
    assert (found["same"], found["head"]) == (False, [])
    assert [(one["node"], one["change"]) for one in found["nodes"]] == [
        ("check", "changed"),
        ("gm", "added"),
        ("size", "added"),
    ]
    assert found["nodes"][0]["fields"] == [{"field": "next", "before": "reserve", "after": "size"}]


async def test_only_operations_own_flows(as_role: As) -> None:
    for role, status in (("finance", 403), ("gm", 200), ("operations", 200)):
        assert (await as_role(role).get("/v1/flows")).status_code == status
    refused = await draw(as_role("gm"), normal())
    assert (refused.status_code, refused.json()["code"]) == (403, "forbidden")
