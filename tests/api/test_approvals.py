"""Reading approvals and saying something to them: who may, what is refused, and that nothing is said twice."""

from typing import Any

import httpx
import pytest
from sqlalchemy import text

from store.access import Grant
from tests.api.approvals_at_hand import AtHand
from tests.api.conftest import PROBLEM, Api, As, give_key

YES, NO = {"decision": "approve"}, {"decision": "reject", "comment": "too risky"}


@pytest.fixture
def desk(api: Api) -> AtHand:
    return AtHand(api)


async def words(api: Api) -> int:
    async with api.database.sessions() as session:
        return int(
            (
                await session.execute(text("SELECT count(*) FROM inbox_messages WHERE kind = 'approval.decided'"))
            ).scalar_one()
        )


def code(answer: httpx.Response) -> tuple[int, str]:
    assert answer.headers["content-type"] == PROBLEM
    return answer.status_code, answer.json()["code"]


async def ids(client: httpx.AsyncClient, **params: Any) -> list[str]:
    answer = await client.get("/v1/approvals", params=params)
    assert answer.status_code == 200, answer.text
    return [one["order_no"] for one in answer.json()["data"]]


async def test_list_is_sorted_by_the_time_left_and_goes_on_page_by_page(as_role: As, desk: AtHand) -> None:
    for order_no, timeout in (("SO-1", "PT3H"), ("SO-2", "PT1H"), ("SO-3", "PT2H")):
        await desk.open(order_no, timeout=timeout)
    gm = as_role("gm")
    assert await ids(gm, assignee="me") == ["SO-2", "SO-3", "SO-1"]
    first = await gm.get("/v1/approvals", params={"assignee": "me", "limit": 2})
    shown = first.json()["data"][0]
    assert 3500 < shown["seconds_left"] <= 3600
    assert (shown["state"], shown["level"], shown["last_level"]) == ("open", 0, 2)
    assert [(one["person_id"], one["state"]) for one in shown["assignees"]] == [("gm", "asked")]
    assert await ids(gm, assignee="me", limit=2, cursor=first.json()["next_cursor"]) == ["SO-1"]
    assert 'rel="next"' in first.headers["link"]


@pytest.mark.parametrize(
    ("role", "sees"),
    [("gm", True), ("sales", True), ("operations", True), ("admin", True), ("finance", False), ("ceo", False)],
)
async def test_approval_exists_for_those_it_names_its_submitter_and_operations(
    as_role: As, desk: AtHand, role: str, sees: bool
) -> None:
    own = f"/v1/approvals/{await desk.open()}"
    answer = await as_role(role).get(own)
    assert answer.status_code == (200 if sees else 404)
    assert await ids(as_role(role)) == (["SO-1"] if sees else [])
    if not sees:
        assert code(await as_role(role).post(f"{own}/decision", json=YES)) == (404, "approval_not_found")


async def test_superior_sees_it_once_it_has_come_to_them(as_role: As, desk: AtHand) -> None:
    own = f"/v1/approvals/{await desk.open()}"
    await desk.level_ends(0)
    shown = (await as_role("ceo").get(own)).json()
    assert shown["level"] == 1
    assert [line["kind"] for line in shown["trail"]] == ["opened", "escalated"]
    assert await ids(as_role("ceo"), assignee="me") == ["SO-1"]
    assert await ids(as_role("gm"), assignee="me") == ["SO-1"]


async def test_filters_choose_by_state_role_and_order(as_role: As, desk: AtHand) -> None:
    await desk.open("SO-1")
    answer = await as_role("gm").post(f"/v1/approvals/{await desk.open('SO-2')}/decision", json=YES)
    await desk.hear(answer.json()["decision_id"], "SO-2")
    admin = as_role("admin")
    assert await ids(admin) == ["SO-1"]
    assert await ids(admin, state="approved") == ["SO-2"]
    assert await ids(admin, state="approved", assignee="gm") == ["SO-2"]
    assert sorted(await ids(admin, state="all")) == ["SO-1", "SO-2"]
    assert await ids(admin, state="all", order_no="SO-2") == ["SO-2"]
    assert sorted(await ids(as_role("gm"), state="all", assignee="me")) == ["SO-1", "SO-2"]
    assert await ids(as_role("gm"), state="all", decided_by="me") == ["SO-2"]
    assert await ids(as_role("gm"), decided_by="me") == []
    assert await ids(as_role("ceo"), state="all", decided_by="gm") == []
    assert await ids(admin, role="gm") == ["SO-1"]
    assert await ids(admin, role="finance") == []
    assert await ids(admin, order_no="SO-2") == []


@pytest.mark.parametrize(
    "query", [{"state": "gone"}, {"role": "emperor"}, {"cursor": "x"}, {"limit": 0}, {"who": "me"}]
)
async def test_misspelt_filter_is_refused(as_role: As, query: dict[str, Any]) -> None:
    answer = await as_role("gm").get("/v1/approvals", params=query)
    assert code(answer) == (422, "invalid_request")


async def test_decision_is_committed_and_its_outcome_can_be_read(api: Api, as_role: As, desk: AtHand) -> None:
    approval_id = await desk.open()
    gm = as_role("gm")
    answer = await gm.post(f"/v1/approvals/{approval_id}/decision", json=YES)
    assert (answer.status_code, answer.json()["state"]) == (202, "received")
    own = answer.headers["location"]
    assert own == answer.json()["links"]["self"]
    assert await desk.hear(answer.json()["decision_id"]) == "effective"
    told = (await gm.get(own)).json()
    assert (told["state"], told["approval_state"], told["closed_by"]) == ("effective", "approved", "gm")
    assert await words(api) == 1


async def test_repeated_decision_is_the_same_one_and_another_is_refused(api: Api, as_role: As, desk: AtHand) -> None:
    own = f"/v1/approvals/{await desk.open()}/decision"
    gm = as_role("gm")
    first, again = await gm.post(own, json=YES), await gm.post(own, json=YES)
    assert first.json()["decision_id"] == again.json()["decision_id"]
    assert again.headers["idempotent-replayed"] == "true"
    assert code(await gm.post(own, json=NO)) == (422, "idempotency_key_reused")
    await desk.hear(first.json()["decision_id"])
    late = await gm.post(own, json=YES)
    assert (late.status_code, late.json()["state"]) == (200, "effective")
    assert await words(api) == 1


async def test_key_of_the_client_makes_a_request_the_same_one(api: Api, as_role: As, desk: AtHand) -> None:
    own = f"/v1/approvals/{await desk.open()}/decision"
    key = {"Idempotency-Key": "k-1"}
    gm = as_role("gm")
    first, again = await gm.post(own, json=YES, headers=key), await gm.post(own, json=YES, headers=key)
    assert first.json()["decision_id"] == again.json()["decision_id"]
    assert await words(api) == 1


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"decision": "perhaps"},
        {"decision": "approve", "comment": ""},
        {"decision": "approve", "as": "ceo"},
        [],
        None,
    ],
)
async def test_malformed_decision_leaves_nothing(api: Api, as_role: As, desk: AtHand, body: Any) -> None:
    answer = await as_role("gm").post(f"/v1/approvals/{await desk.open()}/decision", json=body)
    assert answer.status_code == 422
    assert await words(api) == 0


@pytest.mark.parametrize(("role", "status"), [("sales", 403), ("operations", 403), ("channel", 403), (None, 401)])
async def test_only_who_is_asked_decides(api: Api, as_role: As, desk: AtHand, role: str | None, status: int) -> None:
    answer = await as_role(role).post(f"/v1/approvals/{await desk.open()}/decision", json=YES)
    assert answer.status_code == status
    assert await words(api) == 0


async def test_closed_approval_says_who_was_first_and_when(api: Api, as_role: As, desk: AtHand) -> None:
    approval_id = await desk.open(assignees=[{"role": "gm"}, {"role": "ceo"}])
    first = await as_role("ceo").post(f"/v1/approvals/{approval_id}/decision", json=NO)
    await desk.hear(first.json()["decision_id"])
    answer = await as_role("gm").post(f"/v1/approvals/{approval_id}/decision", json=YES)
    assert code(answer) == (409, "approval_not_open")
    facts = answer.json()["facts"]
    assert (facts["state"], facts["closed_by"]) == ("rejected", "ceo")
    assert facts["closed_at"]
    assert await words(api) == 1


async def test_words_said_at_the_same_moment_are_all_taken_and_one_counts(as_role: As, desk: AtHand) -> None:
    approval_id = await desk.open(assignees=[{"role": "gm"}, {"role": "ceo"}])
    own = f"/v1/approvals/{approval_id}/decision"
    first, second = await as_role("gm").post(own, json=YES), await as_role("ceo").post(own, json=NO)
    assert [one.status_code for one in (first, second)] == [202, 202]
    heard = [await desk.hear(one.json()["decision_id"]) for one in (second, first)]
    assert heard == ["effective", "superseded"]
    told = (await as_role("gm").get(first.headers["location"])).json()
    assert (told["state"], told["closed_by"]) == ("superseded", "ceo")


async def test_comment_is_wanted_where_the_flow_says_so_and_stays_in_the_trail(as_role: As, desk: AtHand) -> None:
    own = f"/v1/approvals/{await desk.open(comment_required=['rejected'])}"
    gm = as_role("gm")
    silent = await gm.post(f"{own}/decision", json={"decision": "reject"})
    assert code(silent) == (422, "invalid_request")
    assert silent.json()["errors"][0]["pointer"] == "#/comment"
    await desk.hear((await gm.post(f"{own}/decision", json=NO)).json()["decision_id"])
    assert (await gm.get(own)).json()["trail"][-1]["comment"] == "too risky"
    timeline = await as_role("admin").get("/v1/orders/SO-1/timeline")
    assert "too risky" not in timeline.text


async def test_return_is_offered_only_by_flows_that_have_a_way_back(api: Api, as_role: As, desk: AtHand) -> None:
    answer = await as_role("gm").post(f"/v1/approvals/{await desk.open()}/decision", json={"decision": "return"})
    assert code(answer) == (409, "return_not_offered")
    ways = {"approved": "a", "rejected": "b", "returned": "c"}
    other = await as_role("gm").post(
        f"/v1/approvals/{await desk.open('SO-2', outcomes=ways)}/decision", json={"decision": "return"}
    )
    assert await desk.hear(other.json()["decision_id"], "SO-2") == "effective"


async def test_batch_takes_or_refuses_each_decision_by_itself(api: Api, as_role: As, desk: AtHand) -> None:
    first, second = await desk.open("SO-1"), await desk.open("SO-2", comment_required=["rejected"])
    items = [
        {"approval_id": first, "decision": "approve"},
        {"approval_id": second, "decision": "reject"},
        {"approval_id": "AP-NONE", "decision": "approve"},
        {"approval_id": first, "decision": "maybe"},
    ]
    answer = await as_role("gm").post("/v1/approvals:decide", json={"decisions": items})
    assert [one["status"] for one in answer.json()["results"]] == [202, 422, 404, 422]
    assert (answer.json()["accepted"], answer.json()["results"][0]["order_no"]) == (1, "SO-1")
    again = await as_role("gm").post("/v1/approvals:decide", json={"decisions": items[:1]})
    assert again.json()["results"][0]["replayed"] is True
    assert await words(api) == 1


async def test_transfer_hands_the_decision_on(as_role: As, desk: AtHand) -> None:
    own = f"/v1/approvals/{await desk.open()}"
    answer = await as_role("gm").post(f"{own}/transfer", json={"to": "manager", "comment": "yours"})
    assert await desk.hear(answer.json()["decision_id"]) == "effective"
    assert code(await as_role("gm").post(f"{own}/decision", json=YES)) == (403, "not_assignee")
    assert (await as_role("manager").post(f"{own}/decision", json=YES)).status_code == 202


@pytest.mark.parametrize("to", ["nobody", "sales", "gm"])
async def test_transfer_to_whom_it_must_not_go_is_refused(api: Api, as_role: As, desk: AtHand, to: str) -> None:
    answer = await as_role("gm").post(f"/v1/approvals/{await desk.open()}/transfer", json={"to": to})
    assert (code(answer), answer.json()["errors"][0]["pointer"]) == ((422, "invalid_request"), "#/to")
    assert await words(api) == 0


@pytest.mark.parametrize(("role", "status"), [("sales", 202), ("operations", 202), ("gm", 403)])
async def test_withdrawing_is_for_the_submitter_and_operations(
    as_role: As, desk: AtHand, role: str, status: int
) -> None:
    answer = await as_role(role).post(f"/v1/approvals/{await desk.open()}/withdraw", json={})
    assert answer.status_code == status


async def test_second_nudge_within_minutes_is_too_many(as_role: As, desk: AtHand) -> None:
    own = f"/v1/approvals/{await desk.open()}/nudge"
    first = await as_role("sales").post(own, json={"comment": "please"})
    assert await desk.hear(first.json()["decision_id"]) == "effective"
    answer = await as_role("operations").post(own, json={})
    assert code(answer) == (429, "nudged_already")
    assert 0 < int(answer.headers["retry-after"]) <= 300


async def test_a_decision_of_another_approval_is_not_found_here(as_role: As, desk: AtHand) -> None:
    first, second = await desk.open("SO-1"), await desk.open("SO-2")
    said = (await as_role("gm").post(f"/v1/approvals/{first}/decision", json=YES)).json()["decision_id"]
    gm = as_role("gm")
    assert code(await gm.get(f"/v1/approvals/{second}/decisions/{said}")) == (404, "approval_not_found")
    assert code(await gm.get(f"/v1/approvals/{first}/decisions/1")) == (404, "approval_not_found")


async def test_waiting_that_is_in_vain_ends_with_what_is_known(as_role: As, desk: AtHand) -> None:
    own = f"/v1/approvals/{await desk.open()}/decision"
    answer = await as_role("gm").post(own, json=YES, headers={"Prefer": "wait=1"})
    assert (answer.status_code, answer.json()["state"]) == (202, "received")
    assert answer.headers["preference-applied"] == "wait=1"


async def test_key_of_another_channel_sees_no_approval(api: Api, as_role: As, desk: AtHand) -> None:
    await desk.open()
    token = await give_key(api.database, "gm", ["gm"], Grant(channels={"elsewhere"}))
    assert await ids(as_role(token=token)) == []
