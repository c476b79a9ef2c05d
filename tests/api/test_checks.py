"""What checks have found, as people of operations and finance see it."""

import httpx
import pytest

from models.consistency import Discrepancy
from tests.api.conftest import Api, As
from tests.conftest import Database


async def _found(database: Database, key: str, **columns: object) -> int:
    async with database.sessions() as session, session.begin():
        row = Discrepancy(
            check_name="entries_balance", key=key, lhs="debit 1", rhs="credit 2", severity="error", run_id="run"
        )
        for name, value in columns.items():
            setattr(row, name, value)
        session.add(row)
        await session.flush()
        return row.discrepancy_id or 0


async def test_checks_say_what_must_hold_and_how_often_it_does_not(api: Api, admin: httpx.AsyncClient) -> None:
    await _found(api.database, "entry 1")
    await _found(api.database, "entry 2", state="fixed")
    answer = await admin.get("/v1/checks")
    assert answer.status_code == 200
    told = {one["check"]: one for one in answer.json()["data"]}
    assert told["entries_balance"]["open"] == 1
    assert "debit equals credit" in told["entries_balance"]["invariant"]
    assert sum(one["open"] for one in told.values()) == 1
    assert answer.json()["last_run"] is None


async def test_discrepancies_are_listed_newest_first_page_by_page_and_filtered(
    api: Api, admin: httpx.AsyncClient
) -> None:
    numbers = [await _found(api.database, f"entry {at}", order_no=f"SO-{at % 2}") for at in range(5)]
    await _found(api.database, "gone", state="fixed")
    seen: list[int] = []
    url = "/v1/discrepancies?state=open&limit=2"
    while True:
        page = (await admin.get(url)).json()
        seen += [one["discrepancy_id"] for one in page["data"]]
        if page["next_cursor"] is None:
            break
        url = f"/v1/discrepancies?state=open&limit=2&cursor={page['next_cursor']}"
    assert seen == numbers[::-1]
    of_order = (await admin.get("/v1/discrepancies", params={"order_no": "SO-1"})).json()["data"]
    assert [one["key"] for one in of_order] == ["entry 3", "entry 1"]
    assert (await admin.get("/v1/discrepancies", params={"check_name": "other"})).json()["data"] == []
    assert (await admin.get("/v1/discrepancies", params={"state": "odd"})).status_code == 422


async def test_explanation_is_kept_with_who_gave_it(api: Api, as_role: As) -> None:
    number = await _found(api.database, "entry 1")
    for _ in range(2):
        answer = await as_role("finance").post(f"/v1/discrepancies/{number}/explain", json={"reason": "known"})
        assert answer.status_code == 200
        told = answer.json()
        assert (told["state"], told["reason"], told["explained_by"]) == ("explained", "known", "finance")
        assert told["explained_at"] is not None


async def test_what_is_gone_or_unknown_cannot_be_explained(api: Api, admin: httpx.AsyncClient) -> None:
    number = await _found(api.database, "entry 1", state="fixed")
    said = {"reason": "known"}
    gone = await admin.post(f"/v1/discrepancies/{number}/explain", json=said)
    assert (gone.status_code, gone.json()["code"]) == (409, "discrepancy_not_open")
    unknown = await admin.post("/v1/discrepancies/999/explain", json=said)
    assert (unknown.status_code, unknown.json()["code"]) == (404, "discrepancy_not_found")
    assert (await admin.post(f"/v1/discrepancies/{number}/explain", json={})).status_code == 422
    async with api.database.sessions() as session:
        assert (await session.get_one(Discrepancy, number)).reason is None


@pytest.mark.parametrize("role", ["channel", "sales", "warehouse", "service", "gm"])
async def test_others_see_no_checks(api: Api, as_role: As, role: str) -> None:
    number = await _found(api.database, "entry 1")
    for path in ("/v1/checks", "/v1/discrepancies"):
        assert (await as_role(role).get(path)).status_code == 403
        assert (await as_role().get(path)).status_code == 401
    said = {"reason": "known"}
    assert (await as_role(role).post(f"/v1/discrepancies/{number}/explain", json=said)).status_code == 403
    assert (await as_role().post(f"/v1/discrepancies/{number}/explain", json=said)).status_code == 401
