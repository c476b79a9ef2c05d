"""Flows at the console: listed, compared and taken back; and the door through which the drawing board asks."""

from typing import Any

import httpx

from tests.api.conftest import PROBLEM, Api, As
from tests.api.rows import counts
from tests.console.conftest import Visit
from tests.fakes.browser import Browser

DOOR = "/console/door/v1"


async def _ask(browser: Browser, method: str, path: str, body: Any = None, **headers: str) -> httpx.Response:
    sent = {"X-CSRF-Token": browser.csrf} | headers
    return await browser.http.request(method, f"{DOOR}/{path}", json=body, headers=sent)


async def _definition(browser: Browser, **changes: Any) -> dict[str, Any]:
    found: dict[str, Any] = (await _ask(browser, "GET", "flows/normal/versions/1")).json()["definition"]
    return found | changes


async def test_flows_are_listed_with_what_they_take_and_ready_ones_to_begin_with(api: Api, visit: Visit) -> None:
    browser = await visit("operations").log_in()
    page = await browser.get("/flows")
    assert all(words in page.text for words in ("Normal order", "/console/flows/presale", "?template=normal"))
    reader = await visit("manager").log_in()
    assert "?template=" not in (await reader.get("/flows")).text
    for role in ("warehouse", "service", "finance"):
        other = await visit(role).log_in()
        assert "/console/flows" not in (await other.get("/")).text
        assert {
            (await other.get(path)).status_code for path in ("/flows", "/flows/normal", "/flows/normal/design")
        } == {403}


async def test_a_draft_is_compared_published_and_taken_back(api: Api, visit: Visit, as_role: As) -> None:
    browser = await visit("operations").log_in()
    draft = await _definition(browser, title={"en": "<script>alert(1)</script>", "zh": "普通"})
    saved = await _ask(browser, "PUT", "flows/normal/draft", {"definition": draft}, **{"If-None-Match": "*"})
    assert (saved.status_code, saved.json()["problems"]) == (201, [])
    page = await browser.get("/flows/normal?before=1&after=draft")
    assert ("title" in page.text, "<script>alert(1)" in page.text, "Draft saved" in page.text) == (True, False, True)
    assert "Without problems" in page.text
    early = await browser.post("/flows/normal/rollback", reason="too early")
    assert (early.status_code, "alert" in early.text) == (409, True)
    run = await _ask(browser, "POST", "flows/normal/draft/sandbox", {})
    assert run.json()["passed"] is True
    published = {"sha256": saved.json()["sha256"], "reason": "a better title"}
    assert (await _ask(browser, "POST", "flows/normal/publish", published)).json()["version"] == 2
    shown = await browser.get("/flows/normal")
    assert ("a better title" in shown.text, "v2" in shown.text) == (True, True)
    mute = await browser.post("/flows/normal/rollback", reason=" ")
    assert mute.status_code == 422
    back = await browser.post("/flows/normal/rollback", reason="it was not better")
    assert (back.status_code, "Taken back" in back.text, "it was not better" in back.text) == (200, True, True)
    found = (await as_role("operations").get("/v1/flows/normal")).json()
    assert (found["version"], found["origin"]) == (1, "built_in")
    assert {change["actor"] for change in (await as_role("admin").get("/v1/flows/normal/history")).json()["data"]} >= {
        "operations"
    }


async def test_what_cannot_be_compared_or_is_not_there_says_so(api: Api, visit: Visit) -> None:
    browser = await visit("operations").log_in()
    assert (await browser.get("/flows/nothing")).status_code == 404
    assert (await browser.get("/flows/normal?before=1&after=draft")).status_code == 404
    assert (await browser.get("/flows/normal?before=x&after=1")).status_code == 422


async def test_the_door_lets_in_who_is_logged_in_with_what_their_role_may(api: Api, visit: Visit) -> None:
    nobody = visit()
    closed = await _ask(nobody, "GET", "flows")
    assert (closed.status_code, closed.headers["content-type"]) == (401, PROBLEM)
    reader = await visit("manager").log_in()
    assert (await _ask(reader, "GET", "flow-vocabulary")).status_code == 200
    before = await counts(api.database)
    refused = await _ask(reader, "PUT", "flows/normal/draft", {"definition": {}}, **{"If-None-Match": "*"})
    assert (refused.status_code, refused.json()["code"]) == (403, "forbidden")
    stranger = await visit("warehouse").log_in()
    assert (await _ask(stranger, "GET", "flows")).status_code == 403
    writer = await visit("operations").log_in()
    body = {"definition": await _definition(writer)}
    headers = {"If-None-Match": "*", "X-CSRF-Token": "0" * 64}
    forged = await writer.http.put(f"{DOOR}/flows/normal/draft", json=body, headers=headers)
    bare = await writer.http.put(f"{DOOR}/flows/normal/draft", json=body, headers={"If-None-Match": "*"})
    assert (forged.status_code, bare.status_code) == (403, 403)
    after = await counts(api.database)
    assert {name for name in after if after[name] != before[name]} == {"console_sessions"}


async def test_a_key_of_a_program_opens_no_page_and_a_session_no_route_of_programs(api: Api, visit: Visit) -> None:
    browser = await visit("admin").log_in()
    assert (await browser.http.get("/v1/orders")).status_code == 401
    key = {"Authorization": f"Bearer {api.tokens['admin']}"}
    other = visit()
    assert (await other.get("/orders", headers=key)).url.path == "/console/login"
    assert (await other.http.get(f"{DOOR}/flows", headers=key)).status_code == 401


async def test_the_slower_of_two_who_draw_is_told(api: Api, visit: Visit) -> None:
    first, second = await visit("operations").log_in(), await visit("admin").log_in()
    draft = {"definition": await _definition(first, title={"en": "One", "zh": "一"})}
    saved = await _ask(first, "PUT", "flows/normal/draft", draft, **{"If-None-Match": "*"})
    theirs = {"definition": await _definition(second, title={"en": "Two", "zh": "二"})}
    etag = saved.headers["etag"]
    assert (await _ask(second, "PUT", "flows/normal/draft", theirs, **{"If-Match": etag})).status_code == 200
    mine = {"definition": await _definition(first, title={"en": "Three", "zh": "三"})}
    late = await _ask(first, "PUT", "flows/normal/draft", mine, **{"If-Match": etag})
    assert (late.status_code, late.json()["facts"]["updated_by"]) == (412, "admin")
