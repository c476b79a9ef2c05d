"""The inbox of approvals: who finds what in it, and every word that can be said there."""

import pytest
from sqlalchemy import text

from store import approvals
from tests.api.approvals_at_hand import AtHand
from tests.api.conftest import Api
from tests.api.rows import counts
from tests.console.conftest import Visit

_WORDS = text("SELECT inbox_id, body FROM inbox_messages WHERE kind = 'approval.decided' ORDER BY inbox_id")

VIEWS = ("mine", "done", "cc", "open", "ended")


@pytest.fixture
def at_hand(api: Api) -> AtHand:
    return AtHand(api)


async def _state(api: Api, approval_id: str) -> list[tuple[str, str]]:
    async with api.database.sessions() as session:
        return [(row.person_id, row.state) for row in await approvals.assignments(session, approval_id)]


async def _said(api: Api) -> list[str]:
    """What is in the inbox, oldest first, as far as people said it."""
    async with api.database.sessions() as session:
        rows = await session.execute(_WORDS)
        return [row.body for row in rows]


async def test_whoever_is_asked_finds_it_and_decides(api: Api, visit: Visit, at_hand: AtHand) -> None:
    approval_id = await at_hand.open()
    browser = await visit("gm").log_in()
    assert "SO-1" in (await browser.get("/")).text
    assert f"/console/approvals/{approval_id}" in (await browser.get("/approvals")).text
    page = await browser.get(f"/approvals/{approval_id}")
    assert ("Your decision" in page.text, 'value="approve"' in page.text) == (True, True)
    answer = await browser.post(f"/approvals/{approval_id}", action="approve", comment="good customer")
    assert (answer.status_code, "on its way" in answer.text) == (200, True)
    (body,) = await _said(api)
    assert '"action": "approve"' in body
    assert '"comment": "good customer"' in body
    assert await at_hand.hear(await _latest(api)) == "effective"
    done = await browser.get("/approvals?view=done")
    assert ("Approved" in done.text, approval_id in done.text) == (True, True)
    again = await browser.post(f"/approvals/{approval_id}", action="nudge")
    assert (again.status_code, "not open any more" in again.text) == (409, True)


async def test_what_has_ended_is_found_again_however_it_ended(api: Api, visit: Visit, at_hand: AtHand) -> None:
    approval_id = await at_hand.open()
    browser = await visit("gm").log_in()
    for view in ("done", "ended"):
        assert approval_id not in (await browser.get(f"/approvals?view={view}")).text
    await browser.post(f"/approvals/{approval_id}", action="reject", comment="too much")
    assert await at_hand.hear(await _latest(api)) == "effective"
    other = await visit("finance").log_in()
    for view in ("done", "ended"):
        found = await browser.get(f"/approvals?view={view}")
        assert ("Rejected" in found.text, approval_id in found.text) == (True, True)
        assert approval_id not in (await other.get(f"/approvals?view={view}")).text


async def test_what_one_has_said_is_found_while_others_still_have_to(api: Api, visit: Visit, at_hand: AtHand) -> None:
    approval_id = await at_hand.open(mode="all", assignees=[{"user": "gm"}, {"user": "ceo"}])
    browser, other = await visit("gm").log_in(), await visit("ceo").log_in()
    await browser.post(f"/approvals/{approval_id}", action="approve")
    assert await at_hand.hear(await _latest(api)) == "effective"
    shown = {view: approval_id in (await browser.get(f"/approvals?view={view}")).text for view in VIEWS}
    assert shown == {"mine": False, "done": True, "cc": False, "open": True, "ended": False}
    theirs = {view: approval_id in (await other.get(f"/approvals?view={view}")).text for view in VIEWS}
    assert theirs == {"mine": True, "done": False, "cc": False, "open": True, "ended": False}


async def test_rejecting_takes_a_comment_and_others_take_no_part(api: Api, visit: Visit, at_hand: AtHand) -> None:
    approval_id = await at_hand.open(comment_required=["rejected"])
    before = await counts(api.database)
    browser = await visit("gm").log_in()
    assert "needed to reject" in (await browser.get(f"/approvals/{approval_id}")).text
    mute = await browser.post(f"/approvals/{approval_id}", action="reject", comment="  ")
    assert (mute.status_code, "needs a comment" in mute.text) == (422, True)
    odd = await browser.post(f"/approvals/{approval_id}", action="explode")
    assert odd.status_code == 422
    stranger = await visit("warehouse").log_in()
    assert (await stranger.get(f"/approvals/{approval_id}")).status_code == 404
    assert (await stranger.post(f"/approvals/{approval_id}", action="approve")).status_code == 404
    keeper = await visit("operations").log_in()
    await keeper.get(f"/approvals/{approval_id}")
    refused = await keeper.post(f"/approvals/{approval_id}", action="approve")
    assert (refused.status_code, "Others are asked" in refused.text) == (403, True)
    after = await counts(api.database)
    assert {name for name in after if after[name] != before[name]} == {"console_sessions"}


async def test_several_are_decided_with_one_click(api: Api, visit: Visit, at_hand: AtHand) -> None:
    first, second = await at_hand.open("SO-1"), await at_hand.open("SO-2")
    browser = await visit("gm").log_in()
    await browser.get("/approvals")
    none = await browser.post("/approvals", decision="approve")
    assert "Nothing was chosen" in none.text
    both = await browser.http.post(
        "/console/approvals", data={"csrf": browser.csrf, "decision": "approve", "approval_id": [first, second]}
    )
    assert (both.status_code, "2 decided" in both.text, len(await _said(api))) == (200, True, 2)
    third = await at_hand.open("SO-3")
    mixed = await browser.http.post(
        "/console/approvals",
        data={"csrf": browser.csrf, "decision": "reject", "comment": "no", "approval_id": [third, "A-NOPE"]},
    )
    assert (mixed.status_code, "1 decided, 1 refused" in mixed.text) == (404, True)
    assert len(await _said(api)) == 3


async def test_it_is_handed_on_and_reminded_of_once(api: Api, visit: Visit, at_hand: AtHand) -> None:
    approval_id = await at_hand.open()
    browser = await visit("gm").log_in()
    page = await browser.get(f"/approvals/{approval_id}")
    assert '<option value="ceo">' in page.text
    nobody = await browser.post(f"/approvals/{approval_id}", action="transfer", to="")
    assert nobody.status_code == 422
    own = await browser.post(f"/approvals/{approval_id}", action="transfer", to="sales")
    assert (own.status_code, "cannot be asked" in own.text) == (422, True)
    assert (await browser.post(f"/approvals/{approval_id}", action="transfer", to="finance")).status_code == 200
    assert await at_hand.hear(await _latest(api)) == "effective"
    assert sorted(await _state(api, approval_id)) == [("finance", "asked"), ("gm", "transferred")]
    owner = await visit("sales").log_in()
    assert "Remind them" in (await owner.get(f"/approvals/{approval_id}")).text
    assert (await owner.post(f"/approvals/{approval_id}", action="nudge")).status_code == 200
    assert await at_hand.hear(await _latest(api)) == "effective"
    soon = await owner.post(f"/approvals/{approval_id}", action="nudge")
    assert (soon.status_code, "a moment ago" in soon.text) == (429, True)


async def test_whose_order_it_is_withdraws_it(api: Api, visit: Visit, at_hand: AtHand) -> None:
    approval_id = await at_hand.open()
    asked = await visit("gm").log_in()
    assert "Withdraw" not in (await asked.get(f"/approvals/{approval_id}")).text
    assert (await asked.post(f"/approvals/{approval_id}", action="withdraw")).status_code == 403
    owner = await visit("sales").log_in()
    assert "Withdraw" in (await owner.get(f"/approvals/{approval_id}")).text
    assert (await owner.post(f"/approvals/{approval_id}", action="withdraw", comment="a mistake")).status_code == 200
    assert await at_hand.hear(await _latest(api)) == "effective"
    assert "Withdrawn" in (await owner.get(f"/approvals/{approval_id}")).text


async def _latest(api: Api) -> str:
    async with api.database.sessions() as session:
        rows = (await session.execute(_WORDS)).all()
        return str(rows[-1].inbox_id)


async def test_signer_is_added_with_a_reason_and_taken_off_again(api: Api, visit: Visit, at_hand: AtHand) -> None:
    approval_id = await at_hand.open()
    own = f"/approvals/{approval_id}"
    browser = await visit("gm").log_in()
    page = await browser.get(own)
    assert ("Add a signer" in page.text, "Of whom" in page.text) == (True, False)
    mute = await browser.post(own, action="add_signer", person="ceo", where="before", reason=" ")
    assert (mute.status_code, await _said(api)) == (422, [])
    added = await browser.post(own, action="add_signer", person="ceo", where="before", reason="knows them")
    assert added.status_code == 200
    assert await at_hand.hear(await _latest(api)) == "effective"
    assert await _state(api, approval_id) == [("ceo", "asked"), ("gm", "waiting")]
    page = await browser.get(own)
    assert ("Your turn comes later" in page.text, "added by gm" in page.text, "knows them" in page.text) == (True,) * 3
    early = await browser.post(own, action="approve")
    assert (early.status_code, "Your turn has not come yet" in early.text) == (403, True)
    other = await visit("ceo").log_in()
    assert "Take ceo off" not in (await other.get(own)).text
    assert (await browser.post(own, action="remove_signer", person="ceo", reason="not needed")).status_code == 200
    assert await at_hand.hear(await _latest(api)) == "effective"
    assert await _state(api, approval_id) == [("ceo", "removed"), ("gm", "asked")]


async def test_supervisor_says_whom_the_signer_stands_before(api: Api, visit: Visit, at_hand: AtHand) -> None:
    approval_id = await at_hand.open()
    browser = await visit("operations").log_in()
    assert "Of whom" in (await browser.get(f"/approvals/{approval_id}")).text
    word = {"action": "add_signer", "person": "ceo", "where": "after", "of": "gm", "reason": "big"}
    assert (await browser.post(f"/approvals/{approval_id}", **word)).status_code == 200
    assert await at_hand.hear(await _latest(api)) == "effective"
    assert await _state(api, approval_id) == [("gm", "asked"), ("ceo", "waiting")]


async def test_vote_is_shown_and_a_voter_may_abstain(api: Api, visit: Visit, at_hand: AtHand) -> None:
    people = [{"user": "gm"}, {"user": "ceo"}, {"user": "finance"}]
    approval_id = await at_hand.open(mode={"vote": 0.5}, assignees=people)
    browser = await visit("gm").log_in()
    page = await browser.get(f"/approvals/{approval_id}")
    assert ("0 of 2 that are needed agree" in page.text, 'value="abstain"' in page.text) == (True, True)
    assert (await browser.post(f"/approvals/{approval_id}", action="abstain")).status_code == 200
    assert await at_hand.hear(await _latest(api)) == "effective"
    page = await browser.get(f"/approvals/{approval_id}", headers={"Accept-Language": "zh"})
    assert "反对 0，弃权 1，未表态 2" in page.text


async def test_who_is_told_finds_it_under_a_tab_of_its_own(api: Api, visit: Visit, at_hand: AtHand) -> None:
    approval_id = await at_hand.open(cc=[{"role": "finance"}])
    told = await visit("finance").log_in()
    assert approval_id not in (await told.get("/approvals")).text
    assert approval_id in (await told.get("/approvals?view=cc")).text
    page = await told.get(f"/approvals/{approval_id}")
    assert ("It is with others" in page.text, 'value="approve"' in page.text, "Tell somebody" in page.text) == (
        True,
        False,
        False,
    )
    browser = await visit("gm").log_in()
    await browser.get(f"/approvals/{approval_id}")
    assert (await browser.post(f"/approvals/{approval_id}", action="copy", to="warehouse")).status_code == 200
    assert await at_hand.hear(await _latest(api)) == "effective"
    await browser.post(f"/approvals/{approval_id}", action="approve")
    assert await at_hand.hear(await _latest(api)) == "effective"
    also = await visit("warehouse").log_in()
    page = await also.get("/approvals?view=cc")
    assert (approval_id in page.text, "Approved" in page.text) == (True, True)
