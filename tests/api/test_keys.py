"""Keys: given once, good until they end, never more than their person."""

from datetime import UTC, datetime, timedelta

import httpx
import pytest

from api.dependencies import PrincipalCache
from domain.access import Principal
from models.access import ApiKey, Person
from store import access
from store.access import Grant
from tests.api.conftest import Api, As, give_key
from tests.api.test_problems import problem_of


async def test_a_given_key_opens_what_its_roles_allow(admin: httpx.AsyncClient, as_role: As) -> None:
    await admin.put("/v1/people/zhang", json={"name": "张三", "roles": ["finance", "sales"]})
    given = await admin.post("/v1/people/zhang/keys", json={"roles": ["finance"], "scopes": ["orders:priced"]})
    key = given.json()["key"]
    assert (given.status_code, given.headers["location"]) == (201, f"/v1/people/zhang/keys/{key['key_id']}")
    assert given.json()["token"].startswith(f"ofk_{key['key_id']}_")
    assert key["roles"] == ["finance"]
    zhang = as_role(token=given.json()["token"])
    assert (await zhang.get("/v1/entities")).status_code == 200
    problem_of(await zhang.get("/v1/warehouses"), 403, "forbidden")
    listed = await admin.get("/v1/people/zhang/keys")
    assert listed.json() == {"data": [key]}
    assert given.json()["token"].split("_", 2)[2] not in listed.text


async def test_a_revoked_key_is_dead_at_once_in_this_process(admin: httpx.AsyncClient, as_role: As) -> None:
    given = (await admin.post("/v1/people/sales/keys", json={})).json()
    sales = as_role(token=given["token"])
    assert (await sales.get("/v1/products")).status_code == 200
    address = f"/v1/people/sales/keys/{given['key']['key_id']}"
    assert [(await admin.delete(address)).status_code for _ in range(2)] == [204, 204]
    answer = await sales.get("/v1/products")
    problem_of(answer, 401, "unauthorized")
    assert answer.headers["www-authenticate"] == 'Bearer error="invalid_token"'
    problem_of(await admin.delete(address.replace("/sales/", "/ceo/")), 404, "key_not_found")


async def test_an_expired_key_is_refused(api: Api, as_role: As) -> None:
    ended = Grant(expires_at=datetime.now(UTC) - timedelta(seconds=1))
    token = await give_key(api.database, "late", ["admin"], ended)
    problem_of(await as_role(token=token).get("/v1/products"), 401, "unauthorized")


async def test_keys_of_an_inactive_person_are_refused(api: Api, admin: httpx.AsyncClient, as_role: As) -> None:
    gone = as_role(token=await give_key(api.database, "gone", ["admin"]))
    assert (await gone.get("/v1/products")).status_code == 200
    await admin.put("/v1/people/gone", json={"name": "Gone", "roles": ["admin"], "active": False})
    problem_of(await gone.get("/v1/products"), 401, "unauthorized")


@pytest.mark.parametrize("token", ["", "x", "ofk_", "ofk_a_b", "ofk_abc_" + "x" * 43, "é" * 20, "ofk_a_" + "x" * 5000])
async def test_what_is_no_key_of_ours_is_refused(as_role: As, token: str) -> None:
    client = as_role()
    answer = await client.get("/v1/products", headers={b"Authorization": f"Bearer {token}".encode()})
    problem_of(answer, 401, "unauthorized")


async def test_another_persons_secret_does_not_open_a_key(api: Api, as_role: As) -> None:
    _, key_id, _ = api.tokens["admin"].split("_", 2)
    _, _, secret = api.tokens["sales"].split("_", 2)
    problem_of(await as_role(token=f"ofk_{key_id}_{secret}").get("/v1/products"), 401, "unauthorized")


async def test_a_key_never_has_a_role_its_person_has_not(api: Api, admin: httpx.AsyncClient) -> None:
    refused = problem_of(await admin.post("/v1/people/sales/keys", json={"roles": ["ceo"]}), 422, "invalid_request")
    assert [(one.pointer, one.code) for one in refused.errors or []] == [("#/roles", "roles_beyond_person")]
    token = await give_key(api.database, "both", ["sales", "finance"], Grant(roles=["finance"]))
    async with api.database.sessions() as session, session.begin():
        await session.merge(Person(person_id="both", name="Both", roles=["sales"]))
    async with api.database.sessions() as session:
        found = await access.authenticate(session, token)
    assert found is not None
    assert found.principal.roles == frozenset()


async def test_unknown_scopes_roles_and_past_ends_are_refused(admin: httpx.AsyncClient) -> None:
    body = {"roles": ["king"], "scopes": ["orders:free"], "expires_at": "2020-01-01T00:00:00Z"}
    refused = problem_of(await admin.post("/v1/people/sales/keys", json=body), 422, "invalid_request")
    assert {(one.pointer, one.code) for one in refused.errors or []} == {
        ("#/roles/0", "enum"),
        ("#/scopes/0", "unknown_scope"),
        ("#/expires_at", "moment_past"),
    }
    problem_of(await admin.post("/v1/people/nobody/keys", json={}), 404, "master_not_found")


async def test_only_the_hash_of_a_secret_is_kept(api: Api) -> None:
    _, key_id, secret = api.tokens["admin"].split("_", 2)
    async with api.database.sessions() as session:
        row = await session.get(ApiKey, key_id)
    assert row is not None
    assert secret not in row.model_dump_json()


def test_a_known_caller_is_forgotten_when_their_key_ends() -> None:
    cache, principal = PrincipalCache(), Principal("zhang", "k", frozenset())
    cache.put("hash", principal, datetime.now(UTC) + timedelta(hours=1))
    assert cache.get("hash") == principal
    cache.put("hash", principal, datetime.now(UTC) - timedelta(seconds=1))
    assert cache.get("hash") is None
