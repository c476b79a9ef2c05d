"""Coming in and going out: passwords, sessions, and what is answered to whom nobody knows."""

from datetime import timedelta

import httpx
import pytest
from sqlmodel import select

from console.guard import SESSION
from console.login.doorkeeper import Doorkeeper
from models.access import Person
from models.columns import now
from models.login import ConsoleSession, Password
from store import logins
from tests.api.conftest import Api
from tests.console.conftest import Visit
from tests.fakes.browser import CHEAP_HASH, PASSWORD

NEW = "quiet lantern bakes seven maps"


async def _try(visit: Visit, person: str, password: str) -> tuple[int, str]:
    browser = visit(person)
    await browser.get("/login")
    answer = await browser.post("/login", person=person, password=password)
    return answer.status_code, answer.text.replace(person, "").replace(browser.csrf, "")


def test_address_that_fails_often_waits_and_others_do_not() -> None:
    clock = [0.0]
    keeper = Doorkeeper(2, 900, lambda: clock[0])
    for _ in range(2):
        assert keeper.lets_try("192.0.2.1")
        keeper.note_failure("192.0.2.1")
        keeper.note_failure("2001:db8::1")
    assert [keeper.lets_try(one) for one in ("192.0.2.1", "2001:db8::ffff", "192.0.2.2", "2001:db8:0:1::1", "")] == [
        False,
        False,
        True,
        True,
        True,
    ]
    clock[0] = 900.0
    assert keeper.lets_try("192.0.2.1")


async def test_address_that_guesses_at_many_accounts_is_not_let_in_with_the_right_word(api: Api, visit: Visit) -> None:
    api.app.state.doorkeeper = Doorkeeper(3)
    for guessed in ("gm", "ceo", "nobody"):
        browser = visit(guessed)
        await browser.get("/login")
        assert (await browser.post("/login", person=guessed, password="password1234")).status_code == 401
    stopped = visit("sales")
    await stopped.get("/login")
    answer = await stopped.post("/login", person="sales", password=PASSWORD)
    assert (answer.status_code, "too many attempts" in answer.text) == (401, True)
    elsewhere = visit("sales")
    transport = httpx.ASGITransport(api.app, client=("192.0.2.7", 4711))
    elsewhere.http = httpx.AsyncClient(transport=transport, base_url="http://orderflow.test", follow_redirects=True)
    await elsewhere.log_in()
    await elsewhere.http.aclose()


async def test_person_logs_in_sees_their_page_and_logs_out_for_good(api: Api, visit: Visit) -> None:
    browser = visit("gm")
    turned_away = await browser.get("/")
    assert turned_away.url.path == "/console/login"
    await browser.log_in()
    stolen = browser.http.cookies[SESSION]
    assert "Gm" in (await browser.get("/")).text
    await browser.post("/logout")
    thief = visit()
    thief.http.cookies.set(SESSION, stolen, domain="orderflow.test", path="/console")
    assert (await thief.get("/")).url.path == "/console/login"


async def test_the_cookie_of_a_session_is_kept_from_scripts_and_other_sites(api: Api, visit: Visit) -> None:
    browser = visit("gm")
    await browser.get("/login")
    form = {"csrf": browser.csrf, "person": "gm", "password": PASSWORD}
    answer = await browser.http.post("/console/login", data=form, follow_redirects=False)
    (cookie,) = [one for one in answer.headers.get_list("set-cookie") if one.startswith(f"{SESSION}=")]
    assert {"HttpOnly", "SameSite=lax", "Path=/console"} <= {part.strip() for part in cookie.split(";")}


async def test_after_the_page_that_was_asked_for_and_never_another_site(api: Api, visit: Visit) -> None:
    browser = visit("gm")
    asked = await browser.get("/approvals?view=open")
    assert dict(asked.url.params) == {"next": "/console/approvals?view=open"}
    there = await browser.post("/login", person="gm", password=PASSWORD, next="/console/approvals?view=open")
    assert (there.url.path, there.status_code) == ("/console/approvals", 200)
    other = visit("ceo")
    await other.get("/login")
    away = await other.post("/login", person="ceo", password=PASSWORD, next="https://evil.test/console/")
    assert str(away.url) == "http://orderflow.test/console/"


async def test_wrong_unknown_and_locked_get_the_same_answer(api: Api, visit: Visit) -> None:
    answers = {await _try(visit, "gm", "wrong password") for _ in range(logins.MOST_FAILURES)}
    answers.add(await _try(visit, "nobody", "wrong password"))
    answers.add(await _try(visit, "gm", PASSWORD))
    assert {status for status, _text in answers} == {401}
    assert len(answers) == 1
    assert (await _try(visit, "ceo", PASSWORD))[0] == 200
    async with api.database.sessions() as session, session.begin():
        row = await session.get_one(Password, "gm")
        assert row.locked_until is not None
        assert timedelta(minutes=29) < row.locked_until - now() <= logins.LOCKED_FOR
        row.locked_until = now()
    assert (await _try(visit, "gm", PASSWORD))[0] == 200


async def test_a_right_password_forgets_the_wrong_ones_before(api: Api, visit: Visit) -> None:
    for _round in range(2):
        for _failure in range(logins.MOST_FAILURES - 1):
            assert (await _try(visit, "gm", "wrong password"))[0] == 401
        assert (await _try(visit, "gm", PASSWORD))[0] == 200


@pytest.mark.parametrize(
    ("since_seen", "since_start", "is_open"),
    [
        (timedelta(minutes=29), timedelta(hours=1), True),
        (timedelta(minutes=30), timedelta(hours=1), False),
        (timedelta(0), timedelta(hours=11, minutes=59), True),
        (timedelta(0), timedelta(hours=12), False),
    ],
)
async def test_a_session_ends_when_nothing_happens_and_after_half_a_day(
    api: Api, visit: Visit, since_seen: timedelta, since_start: timedelta, is_open: bool
) -> None:
    browser = await visit("gm").log_in()
    async with api.database.sessions() as session, session.begin():
        row = (await session.exec(select(ConsoleSession))).one()
        row.seen_at, row.started_at = now() - since_seen, now() - since_start
    assert ((await browser.get("/")).url.path == "/console/") is is_open
    async with api.database.sessions() as session:
        row = (await session.exec(select(ConsoleSession))).one()
        assert (now() - row.seen_at < timedelta(minutes=1)) is (is_open or since_seen == timedelta(0))


async def test_whoever_leaves_the_company_is_out_at_once(api: Api, visit: Visit) -> None:
    browser = await visit("gm").log_in()
    async with api.database.sessions() as session, session.begin():
        (await session.get_one(Person, "gm")).active = False
    assert (await browser.get("/")).url.path == "/console/login"
    assert (await _try(visit, "gm", PASSWORD))[0] == 401


async def test_a_channel_is_a_program_and_cannot_log_in(api: Api, visit: Visit) -> None:
    assert (await _try(visit, "channel", PASSWORD))[0] == 401


async def test_a_first_password_opens_nothing_but_its_change(api: Api, visit: Visit) -> None:
    async with api.database.sessions() as session, session.begin():
        await logins.set_password(session, "gm", CHEAP_HASH, must_change=True)
    browser = visit("gm")
    await browser.get("/login")
    assert (await browser.post("/login", person="gm", password=PASSWORD)).url.path == "/console/password"
    assert (await browser.get("/approvals")).url.path == "/console/password"
    changed = await browser.post("/password", old=PASSWORD, new=NEW, again=NEW)
    assert (changed.url.path, changed.status_code) == ("/console/", 200)
    assert (await browser.get("/approvals")).url.path == "/console/approvals"
    assert (await _try(visit, "gm", PASSWORD))[0] == 401
    assert (await _try(visit, "gm", NEW))[0] == 200


async def test_changing_the_password_closes_every_other_session(api: Api, visit: Visit) -> None:
    here, there = await visit("gm").log_in(), await visit("gm").log_in()
    await here.get("/password")
    await here.post("/password", old=PASSWORD, new=NEW, again=NEW)
    assert (await here.get("/")).url.path == "/console/"
    assert (await there.get("/")).url.path == "/console/login"


async def test_a_password_is_the_same_however_a_keyboard_composes_it(api: Api, visit: Visit) -> None:
    browser = await visit("gm").log_in()
    await browser.get("/password")
    composed, apart = "u\u0308ber violin harbour 42", "\u00fcber violin harbour 42"
    await browser.post("/password", old=PASSWORD, new=composed, again=composed)
    assert (await _try(visit, "gm", apart))[0] == 200


@pytest.mark.parametrize(
    ("form", "why"),
    [
        ({"old": "wrong", "new": NEW, "again": NEW}, "The old password is wrong."),
        ({"new": NEW, "again": "another one altogether"}, "not the same"),
        ({"new": "q8 Zt!vm#r2 kx", "again": "q8 Zt!vm#r2 kx"}, "at least 15"),
        ({"new": "password12345678", "again": "password12345678"}, "too easy"),
        ({"new": "aaaaaaaaaaaaaaaa", "again": "aaaaaaaaaaaaaaaa"}, "too easy"),
        ({"new": "finance is the best of all", "again": "finance is the best of all"}, "your name"),
        ({"new": PASSWORD, "again": PASSWORD}, "the old one"),
        ({"new": "x7" * 101, "again": "x7" * 101}, "at most 200"),
    ],
)
async def test_a_password_that_will_not_do_is_refused(api: Api, visit: Visit, form: dict[str, str], why: str) -> None:
    browser = await visit("finance").log_in()
    await browser.get("/password")
    answer = await browser.post("/password", **({"old": PASSWORD} | form))
    assert (answer.status_code, why in answer.text) == (422, True)
    assert (await _try(visit, "finance", PASSWORD))[0] == 200


async def test_nothing_of_a_password_or_session_can_be_read_from_the_database(api: Api, visit: Visit) -> None:
    browser = await visit("gm").log_in()
    token = browser.http.cookies[SESSION]
    async with api.database.sessions() as session:
        kept = (await session.exec(select(ConsoleSession))).one()
        password = await session.get_one(Password, "gm")
    assert token not in kept.token_hash
    assert password.password_hash.startswith("$argon2id$")


async def test_half_a_page_of_somebody_who_is_gone_leads_to_the_whole(api: Api, visit: Visit) -> None:
    answer: httpx.Response = await visit().get("/orders/SO-1/live", headers={"HX-Request": "true"})
    assert (answer.status_code, answer.headers["HX-Redirect"]) == (401, "/console/")
