"""What holds for every page: who sees it, what it may load, and that nobody else speaks for who is logged in."""

import re

import httpx
import pytest
from fastapi import FastAPI
from fastapi.routing import iter_route_contexts

from api.app import create_app as create_api
from console.app import create_app, create_pages
from console.guard import Allowed, Open, refuse_undeclared_pages
from runtime.settings import Settings
from tests.api.conftest import Api, As
from tests.api.rows import counts
from tests.api.running_orders import RunningOrder
from tests.architecture.source_tree import ROOT
from tests.console.conftest import Visit

SCRIPT = "<script>alert(1)</script>"
_ADDRESSES = re.compile(r"""(?:src|href|action|hx-get|sse-connect)=["']([^"']+)["']""")


def _pages() -> list[tuple[str, str]]:
    mounted = create_pages(create_api(Settings()))
    found = []
    for page in iter_route_contexts(mounted.routes):
        if not hasattr(page, "dependant"):
            continue
        demands = [one.call for one in page.dependant.dependencies if isinstance(one.call, Allowed)]
        found += [(method, str(page.path)) for _demand in demands for method in page.methods or ()]
    return sorted(found)


PAGES = _pages()


async def test_nobody_sees_a_page_without_logging_in(api: Api, visit: Visit) -> None:
    browser = visit()
    await browser.get("/login")
    before = await counts(api.database)
    for method, path in PAGES:
        form = {"csrf": browser.csrf} if method == "POST" else None
        answer = await browser.http.request(method, f"/console{_filled(path)}", data=form, follow_redirects=False)
        where = answer.headers.get("location", "").partition("?")[0]
        assert (path, answer.status_code, where) == (path, 303, "/console/login")
    assert await counts(api.database) == before


async def test_no_other_site_speaks_for_who_is_logged_in(api: Api, visit: Visit) -> None:
    browser = await visit("admin").log_in()
    before = await counts(api.database)
    elsewhere = {"Sec-Fetch-Site": "cross-site"}
    for path in [path for method, path in PAGES if method == "POST"]:
        address = f"/console{_filled(path)}"
        forged = await browser.http.post(address, data={"csrf": "0" * 64, "reason": "forged", "choice": "retry"})
        bare = await browser.http.post(address, data={"reason": "forged"})
        stolen = await browser.http.post(address, data={"csrf": browser.csrf}, headers=elsewhere)
        assert (path, {one.status_code for one in (forged, bare, stolen)}) == (path, {403})
    assert await counts(api.database) == before
    assert (await browser.get("/")).url.path == "/console/"


async def test_nobody_is_logged_in_by_another_site(api: Api, visit: Visit) -> None:
    browser = visit()
    answer = await browser.post("/login", person="gm", password="whatever it is")
    assert answer.status_code == 403


async def test_what_a_role_may_not_do_is_refused_and_not_offered(api: Api, visit: Visit, as_role: As) -> None:
    order = RunningOrder(as_role("channel"))
    await order.place()
    for role in ("warehouse", "finance", "gm"):
        browser = await visit(role).log_in()
        assert "/cancel" not in (await browser.get(f"/orders/{order.number}")).text
        answer = await browser.post(f"/orders/{order.number}/cancel", reason="try")
        assert (answer.status_code, "permission orders:cancel" in answer.text) == (403, True)


async def test_a_page_that_is_not_there_says_so(api: Api, visit: Visit) -> None:
    browser = await visit("admin").log_in()
    for path in ("/nothing", "/orders/SO-NOPE", "/orders/%3Cscript%3E", "/approvals/A-NOPE", "/static/../app.py"):
        answer = await browser.get(path)
        assert (path, answer.status_code) == (path, 404)


async def test_pages_load_nothing_from_elsewhere_and_run_nothing_that_is_written_in_them(
    api: Api, visit: Visit, as_role: As
) -> None:
    order = RunningOrder(as_role("channel"))
    await order.place()
    browser = await visit("admin").log_in()
    paths = ["/", "/orders", f"/orders/{order.number}", "/approvals", "/lane", "/away", "/password", "/nothing"]
    for answer in [await browser.get(path) for path in paths]:
        policy = answer.headers["content-security-policy"]
        assert "script-src 'self';" in policy
        assert "unsafe" not in policy
        assert [found for found in _ADDRESSES.findall(answer.text) if not _is_ours(found)] == []
        assert not re.search(r"<script(?! src=)|\son\w+=|\sstyle=|javascript:", answer.text)
        for own in _ADDRESSES.findall(answer.text):
            if own.startswith("/console/static/"):
                assert (await browser.http.get(own.partition("#")[0])).status_code == 200


async def test_scripts_in_what_customers_write_are_text(api: Api, visit: Visit, as_role: As) -> None:
    order = RunningOrder(as_role("channel"))
    customer = {"id": "C-7", "name": SCRIPT, "phone": '"><img src=x onerror=alert(1)>'}
    address = {"country": "CN", "name": SCRIPT, "street": "{{ 7 * 7 }}"}
    assert (await order.place(customer=customer, ship_to=address)).status_code == 202
    browser = await visit("admin").log_in()
    text = (await browser.get(f"/orders/{order.number}")).text
    assert SCRIPT not in text
    assert "<img src=x" not in text
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in text
    assert "{{ 7 * 7 }}" in text


async def test_a_search_shows_what_was_searched_for_as_text(api: Api, visit: Visit) -> None:
    browser = await visit("admin").log_in()
    answer = await browser.get("/orders", params={"called": '"><script>alert(1)</script>'})
    assert (answer.status_code, SCRIPT in answer.text) == (200, False)


async def test_pages_come_in_the_language_that_one_has_chosen(api: Api, visit: Visit) -> None:
    browser = visit()
    first = await browser.get("/login", headers={"Accept-Language": "zh-CN,zh;q=0.9,en;q=0.8"})
    assert ("登录" in first.text, 'lang="zh-CN"' in first.text) == (True, True)
    assert "Log in" in (await browser.get("/login", headers={"Accept-Language": "fr,de"})).text
    await browser.post("/language", language="zh", next="/console/login")
    assert "登录" in (await browser.get("/login", headers={"Accept-Language": "en"})).text


async def test_the_console_can_be_switched_off(api: Api) -> None:
    app = create_app(Settings(console=False))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://orderflow.test") as client:
        assert (await client.get("/console/login")).status_code == 404


def test_a_page_that_does_not_say_who_may_see_it_is_not_served() -> None:
    app = FastAPI(openapi_url=None)
    app.get("/bare")(lambda: "")
    with pytest.raises(RuntimeError, match="/bare"):
        refuse_undeclared_pages(app)


def test_every_open_page_is_one_that_has_to_be() -> None:
    mounted = create_pages(create_api(Settings()))
    pages = [page for page in iter_route_contexts(mounted.routes) if hasattr(page, "dependant")]
    opened = {
        str(page.path) for page in pages if any(isinstance(one.call, Open) for one in page.dependant.dependencies)
    }
    assert opened == {"/login", "/language"}


def test_vendored_files_come_with_their_licences() -> None:
    folders = [folder for folder in (ROOT / "console/static/vendor").iterdir() if folder.is_dir()]
    assert folders
    assert [folder.name for folder in folders if not (folder / "LICENSE").is_file()] == []


def _filled(path: str) -> str:
    return re.sub(r"\{\w+\}", "SO-1", path)


def _is_ours(address: str) -> bool:
    return address.startswith(("/console", "#", "http://ui.test", "http://orderflow.test/"))
