"""Sequences, votes, signers who come and go, and people who are told: what the door takes, shows and refuses."""

from typing import Any

import pytest

from tests.api.approvals_at_hand import AtHand
from tests.api.conftest import Api, As
from tests.api.test_approvals import NO, YES, code, ids, words

WHY = {"reason": "knows the customer"}
VOTE: dict[str, Any] = {
    "mode": {"vote": 0.5},
    "assignees": [{"user": "gm"}, {"user": "ceo"}, {"user": "finance"}],
}
IN_TURN = VOTE | {"mode": "sequence"}


@pytest.fixture
def desk(api: Api) -> AtHand:
    return AtHand(api)


async def heard(desk: AtHand, answer: Any) -> str:
    assert answer.status_code == 202, answer.text
    return await desk.hear(answer.json()["decision_id"])


async def test_sequence_shows_whose_turn_it_is_and_takes_no_word_before_it(api: Api, as_role: As, desk: AtHand) -> None:
    own = f"/v1/approvals/{await desk.open(**IN_TURN)}"
    shown = (await as_role("gm").get(own)).json()
    assert (shown["mode"], shown["votes"], shown["may_abstain"]) == ("sequence", None, False)
    assert [(one["person_id"], one["seat"], one["state"]) for one in shown["assignees"]] == [
        ("gm", 0, "asked"),
        ("ceo", 1, "waiting"),
        ("finance", 2, "waiting"),
    ]
    assert (await ids(as_role("gm"), assignee="me"), await ids(as_role("ceo"), assignee="me")) == (["SO-1"], [])
    early = await as_role("ceo").post(f"{own}/decision", json=YES)
    assert (code(early), early.json()["detail"]) == ((403, "not_assignee"), "Your turn has not come yet.")
    assert await words(api) == 0
    assert await heard(desk, await as_role("gm").post(f"{own}/decision", json=YES)) == "effective"
    assert await ids(as_role("ceo"), assignee="me") == ["SO-1"]
    assert code(await as_role("gm").post(f"{own}/decision", json=NO, headers={"Idempotency-Key": "k"})) == (
        409,
        "already_decided",
    )


async def test_vote_is_shown_as_it_stands(as_role: As, desk: AtHand) -> None:
    own = f"/v1/approvals/{await desk.open(**VOTE)}"
    assert await heard(desk, await as_role("gm").post(f"{own}/decision", json={"decision": "abstain"})) == "effective"
    assert await heard(desk, await as_role("ceo").post(f"{own}/decision", json=YES)) == "effective"
    shown = (await as_role("finance").get(own)).json()
    assert (shown["mode"], shown["may_abstain"]) == ("vote", True)
    assert shown["votes"] == {"wanted": 0.5, "needed": 2, "agreed": 1, "rejected": 0, "abstained": 1, "silent": 1}
    assert await heard(desk, await as_role("finance").post(f"{own}/decision", json=NO)) == "effective"
    assert (await as_role("gm").get(own)).json()["state"] == "rejected"


async def test_nobody_abstains_where_there_is_no_vote(api: Api, as_role: As, desk: AtHand) -> None:
    own = f"/v1/approvals/{await desk.open()}/decision"
    assert code(await as_role("gm").post(own, json={"decision": "abstain"})) == (409, "abstention_not_offered")
    assert await words(api) == 0


async def test_signer_is_added_decides_first_and_can_be_taken_off(api: Api, as_role: As, desk: AtHand) -> None:
    own = f"/v1/approvals/{await desk.open()}"
    gm = as_role("gm")
    assert (await as_role("finance").get(own)).status_code == 404
    body = WHY | {"person": "finance", "where": "before"}
    first, again = await gm.post(f"{own}/signers", json=body), await gm.post(f"{own}/signers", json=body)
    assert (again.json()["decision_id"], again.headers["idempotent-replayed"]) == (first.json()["decision_id"], "true")
    assert await heard(desk, first) == "effective"
    shown = (await as_role("finance").get(own)).json()
    assert [(one["person_id"], one["place"], one["added_by"], one["state"]) for one in shown["assignees"]] == [
        ("finance", 0, "gm", "asked"),
        ("gm", 1, None, "waiting"),
    ]
    assert [(line["kind"], line["comment"]) for line in shown["trail"]][1] == ("signer_added", WHY["reason"])
    told = (await gm.get(first.headers["location"])).json()
    assert (told["decision"], told["state"]) == ("add_signer", "effective")
    removal = await gm.post(f"{own}/signers/finance/remove", json={"reason": "not needed"})
    assert await heard(desk, removal) == "effective"
    assert code(await as_role("finance").post(f"{own}/decision", json=YES)) == (403, "not_assignee")
    assert await heard(desk, await gm.post(f"{own}/decision", json=YES)) == "effective"
    assert (await gm.get(own)).json()["state"] == "approved"


@pytest.mark.parametrize(
    ("role", "body", "answer"),
    [
        ("gm", {"person": "sales", "where": "after"}, (422, "invalid_request")),
        ("gm", {"person": "nobody", "where": "after"}, (422, "invalid_request")),
        ("gm", {"person": "gm", "where": "after"}, (422, "invalid_request")),
        ("gm", {"person": "ceo", "where": "above"}, (422, "invalid_request")),
        ("gm", {"person": "ceo", "where": "after", "reason": ""}, (422, "invalid_request")),
        ("gm", {"person": "ceo", "where": "after", "of": "finance"}, (403, "not_assignee")),
        ("sales", {"person": "ceo", "where": "beside"}, (403, "not_assignee")),
        ("operations", {"person": "ceo", "where": "before"}, (409, "not_a_signer")),
        ("operations", {"person": "ceo", "where": "before", "of": "finance"}, (409, "not_a_signer")),
        ("finance", {"person": "ceo", "where": "beside"}, (404, "approval_not_found")),
    ],
)
async def test_signer_who_must_not_be_added_is_refused_and_nothing_is_kept(
    api: Api, as_role: As, desk: AtHand, role: str, body: dict[str, str], answer: tuple[int, str]
) -> None:
    own = f"/v1/approvals/{await desk.open()}/signers"
    assert code(await as_role(role).post(own, json=WHY | body)) == answer
    assert await words(api) == 0


@pytest.mark.parametrize("body", [{}, {"person": "ceo", "where": "after"}, {"reason": "x", "where": "after"}, []])
async def test_reason_place_and_person_are_needed(api: Api, as_role: As, desk: AtHand, body: Any) -> None:
    answer = await as_role("gm").post(f"/v1/approvals/{await desk.open()}/signers", json=body)
    assert code(answer) == (422, "invalid_request")
    assert await words(api) == 0


async def test_only_who_was_added_is_taken_off(api: Api, as_role: As, desk: AtHand) -> None:
    own = f"/v1/approvals/{await desk.open()}/signers"
    gm, keeper = as_role("gm"), as_role("operations")
    assert code(await gm.post(f"{own}/gm/remove", json=WHY)) == (409, "not_a_signer")
    assert code(await gm.post(f"{own}/ceo/remove", json={})) == (422, "invalid_request")
    body = WHY | {"person": "ceo", "where": "beside", "of": "gm"}
    assert await heard(desk, await keeper.post(own, json=body)) == "effective"
    assert code(await gm.post(f"{own}/ceo/remove", json=WHY)) == (403, "not_assignee")
    assert (await keeper.post(f"{own}/ceo/remove", json=WHY)).status_code == 202


async def test_signers_of_a_closed_approval_stay_as_they_are(as_role: As, desk: AtHand) -> None:
    own = f"/v1/approvals/{await desk.open()}"
    gm = as_role("gm")
    await heard(desk, await gm.post(f"{own}/decision", json=YES))
    for path, body in (("signers", WHY | {"person": "ceo", "where": "after"}), ("cc", {"to": "ceo"})):
        assert code(await gm.post(f"{own}/{path}", json=body)) == (409, "approval_not_open")


async def test_who_is_told_sees_it_in_a_list_of_their_own_and_decides_nothing(as_role: As, desk: AtHand) -> None:
    own = f"/v1/approvals/{await desk.open(cc=[{'role': 'finance'}])}"
    finance, gm = as_role("finance"), as_role("gm")
    assert (await ids(finance, cc="me"), await ids(finance, assignee="me")) == (["SO-1"], [])
    assert await ids(gm, cc="me") == []
    assert code(await finance.post(f"{own}/decision", json=YES)) == (403, "not_assignee")
    assert code(await finance.post(f"{own}/cc", json={"to": "warehouse"})) == (403, "not_assignee")
    assert (await as_role("warehouse").get(own)).status_code == 404
    assert await heard(desk, await gm.post(f"{own}/cc", json={"to": "warehouse"})) == "effective"
    for to in ("warehouse", "gm", "nobody"):
        assert code(await gm.post(f"{own}/cc", json={"to": to}, headers={"Idempotency-Key": to}))[0] == 422
    await heard(desk, await gm.post(f"{own}/decision", json=NO))
    shown = (await as_role("warehouse").get(own)).json()
    assert [(one["person_id"], one["role"], one["added_by"]) for one in shown["cc"]] == [
        ("finance", "finance", None),
        ("warehouse", None, "gm"),
    ]
    assert await ids(finance, cc="me", state="rejected") == ["SO-1"]
