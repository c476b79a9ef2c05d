"""Whoever is logged in reads what is sealed in Temporal; nobody else does, and no other page than the Web UI's."""

import base64
import os
from collections.abc import AsyncIterator
from typing import Any

import pytest
from google.protobuf.json_format import MessageToDict, ParseDict
from pydantic import SecretStr
from temporalio.api.common.v1 import Payload, Payloads

from console.app import create_app
from domain.flow.vocabulary import Role
from runtime.keyring import KeyRing
from runtime.sealing import Sealing
from store import logins
from tests.api.conftest import Api, opened
from tests.conftest import Database
from tests.console.conftest import Visit
from tests.fakes.browser import CHEAP_HASH, Browser

KEY = os.urandom(32)
WEB_UI = "https://temporal.shop.test"
PLAIN = Payload(metadata={"encoding": b"json/plain"}, data=b'"plain words"')
DECODE = "/console/codec/decode"


@pytest.fixture
async def api(database: Database) -> AsyncIterator[Api]:
    keys = {"k1": SecretStr(base64.b64encode(KEY).decode())}
    async with opened(database, create_app, payload_keys=keys, temporal_ui_url=f"{WEB_UI}/") as api:
        async with database.sessions() as session, session.begin():
            for role in Role:
                await logins.set_password(session, role.value, CHEAP_HASH, must_change=False)
        yield api


async def sealed(key: bytes = KEY) -> dict[str, Any]:
    found: dict[str, Any] = MessageToDict(Payloads(payloads=await Sealing(KeyRing({"k1": key})).encode([PLAIN])))
    return found


async def test_who_is_logged_in_at_the_console_reads_it_from_the_web_ui(visit: Visit) -> None:
    browser = await visit("operations").log_in()
    answer = await browser.http.post(DECODE, json=await sealed(), headers={"Origin": WEB_UI, "X-Namespace": "default"})
    assert answer.status_code == 200
    assert list(ParseDict(answer.json(), Payloads()).payloads) == [PLAIN]
    assert answer.headers["access-control-allow-origin"] == WEB_UI
    assert answer.headers["access-control-allow-credentials"] == "true"


async def test_an_api_key_reads_it_too(api: Api, visit: Visit) -> None:
    headers = {"Authorization": f"Bearer {api.tokens['operations']}"}
    answer = await visit().http.post(DECODE, json=await sealed(), headers=headers)
    assert list(ParseDict(answer.json(), Payloads()).payloads) == [PLAIN]


@pytest.mark.parametrize(
    "login", [{}, {"Authorization": "Bearer ofk_nobody_nothing"}, {"Cookie": "orderflow_session=made-up"}]
)
async def test_without_a_login_nothing_is_read(visit: Visit, login: dict[str, str]) -> None:
    answer = await visit().http.post(DECODE, json=await sealed(), headers=login | {"Origin": WEB_UI})
    assert answer.status_code == 401
    assert "plain words" not in answer.text
    assert answer.headers["access-control-allow-origin"] == WEB_UI


async def test_who_does_not_run_the_system_may_not_look(visit: Visit) -> None:
    browser = await visit("warehouse").log_in()
    assert (await browser.http.post(DECODE, json=await sealed())).status_code == 403


async def test_a_page_of_another_origin_is_told_nothing(visit: Visit) -> None:
    asked = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "content-type,x-namespace"}
    for origin, status in ((WEB_UI, 200), ("https://evil.test", 400)):
        answer = await visit().http.options(DECODE, headers=asked | {"Origin": origin})
        assert answer.status_code == status
        assert ("access-control-allow-origin" in answer.headers) is (status == 200)


async def test_what_cannot_be_opened_says_which_key_is_missing_or_wrong(visit: Visit) -> None:
    browser = await visit("admin").log_in()
    answer = await browser.http.post(DECODE, json=await sealed(os.urandom(32)))
    assert (answer.status_code, answer.json()["code"]) == (422, "payload_sealed")
    assert "not encrypted under the key k1" in answer.json()["detail"]


@pytest.mark.parametrize("body", [b"7", b'{"payloads": "no"}', b'{"other": 1}', b"not json"])
async def test_what_are_no_payloads_is_refused(visit: Visit, body: bytes) -> None:
    browser = await visit("admin").log_in()
    answer = await browser.http.post(DECODE, content=body, headers={"Content-Type": "text/plain"})
    assert (answer.status_code, answer.json()["code"]) == (422, "payloads_unreadable")


async def test_without_keys_there_is_no_such_page(database: Database) -> None:
    async with opened(database, create_app) as api:
        answer = await Browser(api.app, "").http.post(DECODE, json=await sealed())
    assert answer.status_code == 404
