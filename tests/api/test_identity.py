"""The identity number of a buyer: encrypted wherever it is kept, shown to those who declare, and to nobody else."""

import importlib
import json

import httpx
import pytest
from alembic.migration import MigrationContext
from alembic.operations import Operations
from sqlalchemy import Connection, text

from runtime.keyring import CannotDecrypt, KeyRing
from runtime.settings import Settings
from store import identity
from tests.api.conftest import Api, As
from tests.factories.requests import an_order

NUMBER = "11010119900101123X"
CUSTOMS = {"buyer_name": "王小明", "buyer_id_no": NUMBER, "lines": {}}
KEYS = Settings().keyring


@pytest.fixture
def shop(as_role: As) -> httpx.AsyncClient:
    return as_role("channel")


async def place(shop: httpx.AsyncClient, external_id: str = "X-1", **customs: object) -> httpx.Response:
    return await shop.post("/v1/orders", json=an_order(external_id, type="cross_border", customs=CUSTOMS | customs))


async def everything(api: Api) -> str:
    """All rows of all tables, as text."""
    async with api.database.sessions() as session:
        found = text("SELECT table_name FROM information_schema.tables WHERE table_schema = 'public'")
        tables = (await session.execute(found)).scalars().all()
        rows = [(await session.execute(text(f'SELECT t::text FROM "{name}" t'))).scalars().all() for name in tables]
    return "\n".join(row for part in rows for row in part)


async def test_number_lies_nowhere_in_plain(
    api: Api, shop: httpx.AsyncClient, capfd: pytest.CaptureFixture[str]
) -> None:
    order_no = (await place(shop)).json()["order_no"]
    batch = {"orders": [an_order("X-2", customs=CUSTOMS)]}
    assert (await shop.post("/v1/orders:batch", json=batch)).json()["accepted"] == 1
    lines = {"1": {"hs_code": "33049900", "origin": "CN", "unit": "piece"}}
    told = await shop.put(f"/v1/orders/{order_no}/customs", json=CUSTOMS | {"lines": lines})
    assert (told.status_code, told.json()["missing"]) == (200, [])
    kept = await everything(api)
    assert NUMBER not in kept
    assert "王小明" in kept
    captured = capfd.readouterr()
    assert NUMBER not in captured.out + captured.err


async def test_those_who_declare_see_the_number_and_all_others_its_end(as_role: As, shop: httpx.AsyncClient) -> None:
    order_no = (await place(shop)).json()["order_no"]
    shown = {}
    for role in ("operations", "admin", "channel", "service", "finance", "warehouse", "gm"):
        answer = await as_role(role).get(f"/v1/orders/{order_no}/customs")
        assert answer.status_code == 200
        shown[role] = answer.json()["buyer_id_no"]
        whole = await as_role(role).get(f"/v1/orders/{order_no}")
        assert NUMBER not in whole.text
    masked = "********123X"
    assert {role for role, number in shown.items() if number == NUMBER} == {"operations", "admin"}
    assert {number for role, number in shown.items() if role not in ("operations", "admin")} == {masked}
    names = [
        (await as_role(role).get(f"/v1/orders/{order_no}/customs")).json()["buyer_name"]
        for role in ("warehouse", "service")
    ]
    assert names == [None, "王小明"]


async def test_same_order_again_is_the_same_and_another_buyer_is_another_request(shop: httpx.AsyncClient) -> None:
    first, again = await place(shop), await place(shop)
    assert (first.status_code, again.status_code, again.headers["idempotent-replayed"]) == (202, 202, "true")
    other = await place(shop, buyer_id_no="110101199001011111")
    assert (other.status_code, other.json()["code"]) == (422, "idempotency_key_reused")


@pytest.mark.parametrize("number", [110101199001011234, ["1"], None, "1" * 65])
async def test_number_that_is_no_text_is_refused_and_not_repeated(shop: httpx.AsyncClient, number: object) -> None:
    answer = await place(shop, buyer_id_no=number)
    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, "#/customs/buyer_id_no")
    assert "110101199001011234" not in answer.text


async def test_blank_number_counts_as_missing(as_role: As, shop: httpx.AsyncClient) -> None:
    order_no = (await place(shop, buyer_id_no=" ")).json()["order_no"]
    shown = (await as_role("operations").get(f"/v1/orders/{order_no}/customs")).json()
    assert (shown["buyer_id_no"], "buyer_id_no" in shown["missing"]) == (None, True)


async def test_old_key_can_be_taken_away_once_all_is_encrypted_anew(api: Api, shop: httpx.AsyncClient) -> None:
    for at in range(3):
        await place(shop, f"X-{at}")
    new = KeyRing({"next": bytes(32)})
    both = KeyRing({"next": bytes(32), "development": b"orderflow-development-data-key-1"})
    async with api.database.sessions() as session, session.begin():
        with pytest.raises(CannotDecrypt):
            await identity.reseal(session, new)
    async with api.database.sessions() as session, session.begin():
        # Each of them in the order and in the message that brought it.
        assert await identity.reseal(session, both) == 6
        assert await identity.reseal(session, both) == 0
        rows = (await session.execute(text("SELECT customs FROM orders"))).scalars().all()
        bodies = (await session.execute(text("SELECT body FROM inbox_messages"))).scalars().all()
    assert [identity.number_of(new, customs) for customs in rows] == [NUMBER] * 3
    assert [identity.number_of(new, json.loads(body)["customs"]) for body in bodies] == [NUMBER] * 3


async def test_migration_encrypts_what_lay_in_plain(api: Api, shop: httpx.AsyncClient) -> None:
    for at in range(2):
        await place(shop, f"X-{at}")
    plain = json.dumps(CUSTOMS, ensure_ascii=False)
    bodies = "UPDATE inbox_messages SET body = jsonb_set(body::jsonb, '{customs}', CAST(:plain AS jsonb))::text"
    async with api.database.engine.begin() as connection:
        first = "(SELECT order_no FROM orders LIMIT 1)"
        put = f"UPDATE orders SET customs = CAST(:plain AS jsonb) WHERE order_no = {first}"
        for statement in (put, f"{bodies} WHERE order_no = {first}"):
            await connection.execute(text(statement), {"plain": plain})
    assert (await everything(api)).count(NUMBER) == 2
    async with api.database.engine.begin() as connection:
        await connection.run_sync(_migrated)
    assert NUMBER not in await everything(api)
    async with api.database.sessions() as session, session.begin():
        rows = (await session.execute(text("SELECT customs FROM orders"))).scalars().all()
        assert await identity.reseal(session, KEYS) == 0
    assert [identity.number_of(KEYS, customs) for customs in rows] == [NUMBER] * 2


def _migrated(connection: Connection) -> None:
    with Operations.context(MigrationContext.configure(connection)):
        importlib.import_module("migrations.versions.0017_identity_numbers").upgrade()


def test_mask_tells_nothing_of_short_numbers() -> None:
    assert [identity.masked(number) for number in (None, "1234", "12345678", "123456789")] == [
        None,
        "********",
        "********",
        "********6789",
    ]


def test_the_development_key_is_the_one_of_the_tests() -> None:
    assert identity.number_of(KEYS, identity.sealed(KEYS, CUSTOMS)) == NUMBER
