"""/v1/entities: the books' currency, zone, accounts and rates."""

import httpx
import pytest

from models.masters import Product
from models.stock import StockLevel
from tests.api.conftest import Api, As
from tests.api.test_problems import problem_of

MAIN = {"name": "Main", "functional_currency": "CNY", "time_zone": "Asia/Shanghai"}


async def test_currency_is_fixed_once_there_are_books_in_it(api: Api, admin: httpx.AsyncClient) -> None:
    changed = await admin.put("/v1/entities/main", json=MAIN | {"functional_currency": "EUR"})
    assert changed.json()["functional_currency"] == "EUR"
    async with api.database.sessions() as session, session.begin():
        session.add(Product(sku="A", name="A"))
        await session.flush()
        session.add(StockLevel(sku="A", warehouse="main", on_hand=1, value_minor=100))
    refused = problem_of(await admin.put("/v1/entities/main", json=MAIN), 409, "functional_currency_fixed")
    assert refused.facts == {"functional_currency": "EUR"}
    assert (await admin.get("/v1/entities/main")).json()["functional_currency"] == "EUR"
    renamed = await admin.put("/v1/entities/main", json=MAIN | {"functional_currency": "EUR", "name": "Other"})
    assert renamed.status_code == 200


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"time_zone": "Mars/Olympus"}, "unknown_time_zone"),
        ({"time_zone": "../etc/passwd"}, "unknown_time_zone"),
        ({"functional_currency": "XAU"}, "unknown_currency"),
    ],
)
async def test_unknown_zones_and_currencies_are_refused(
    admin: httpx.AsyncClient, change: dict[str, str], code: str
) -> None:
    refused = problem_of(await admin.put("/v1/entities/main", json=MAIN | change), 422, "invalid_request")
    assert [(one.pointer, one.code) for one in refused.errors or []] == [(f"#/{next(iter(change))}", code)]


async def test_an_account_is_mapped_from_a_date_on(admin: httpx.AsyncClient) -> None:
    body = {"account": "1002.01", "name": "工行基本户", "valid_from": "2026-07-01"}
    address = "/v1/entities/main/accounts/bank"
    created = await admin.put(address, json=body)
    assert (created.status_code, created.json()) == (201, body | {"role": "bank"})
    assert (await admin.put(address, json=body)).status_code == 200
    listed = (await admin.get("/v1/entities/main/accounts", params={"role": "bank"})).json()["data"]
    assert [(row["valid_from"], row["account"]) for row in listed] == [
        ("1970-01-01", "1002"),
        ("2026-07-01", "1002.01"),
    ]


async def test_accounts_need_a_known_role_entity_and_date(admin: httpx.AsyncClient) -> None:
    body = {"account": "1002", "name": "Bank", "valid_from": "2026-07-01"}
    refused = problem_of(await admin.put("/v1/entities/main/accounts/pocket", json=body), 422, "invalid_request")
    assert [(one.parameter, one.code) for one in refused.errors or []] == [("role", "enum")]
    problem_of(await admin.put("/v1/entities/other/accounts/bank", json=body), 404, "master_not_found")
    problem_of(await admin.get("/v1/entities/other/accounts"), 404, "master_not_found")
    late = body | {"valid_from": "9999-12-31"}
    refused = problem_of(await admin.put("/v1/entities/main/accounts/bank", json=late), 422, "invalid_request")
    assert [(one.pointer, one.code) for one in refused.errors or []] == [("#/valid_from", "date_out_of_range")]


async def test_rates_hold_from_their_date_on_and_keep_every_digit(admin: httpx.AsyncClient) -> None:
    for day, rate in (("2026-01-01", "7.1034567891"), ("2026-02-01", "7.2")):
        answer = await admin.put("/v1/entities/main/rates/USD", json={"rate": rate, "valid_from": day})
        assert (answer.status_code, answer.json()) == (201, {"currency": "USD", "rate": rate, "valid_from": day})
    first = await admin.get("/v1/entities/main/rates?limit=1")
    assert [row["valid_from"] for row in first.json()["data"]] == ["2026-01-01"]
    second = await admin.get(first.links["next"]["url"])
    assert [row["valid_from"] for row in second.json()["data"]] == ["2026-02-01"]
    assert second.json()["next_cursor"] is None


@pytest.mark.parametrize("rate", ["0", "-1", "NaN", "Infinity", "1e9", "7.12345678912", "100000000"])
async def test_only_rates_above_zero_with_ten_decimals_are_taken(admin: httpx.AsyncClient, rate: str) -> None:
    body = {"rate": rate, "valid_from": "2026-01-01"}
    refused = problem_of(await admin.put("/v1/entities/main/rates/USD", json=body), 422, "invalid_request")
    assert [one.pointer for one in refused.errors or []] == ["#/rate"]
    assert (await admin.get("/v1/entities/main/rates")).json()["data"] == []


async def test_the_functional_currency_has_no_rate(admin: httpx.AsyncClient) -> None:
    body = {"rate": "1", "valid_from": "2026-01-01"}
    problem_of(await admin.put("/v1/entities/main/rates/CNY", json=body), 422, "rate_of_own_currency")


@pytest.mark.parametrize(
    ("kind", "good", "bad", "code"),
    [
        ("accounts", "bank,2026-01-01,1002.02,Bank", "pocket,2026-01-01,1,P", "enum"),
        ("rates", "USD,2026-01-01,7.1", "CNY,2026-01-01,1", "rate_of_own_currency"),
    ],
)
async def test_accounts_and_rates_come_and_go_as_csv(as_role: As, kind: str, good: str, bad: str, code: str) -> None:
    finance = as_role("finance")
    header = {"accounts": "role,valid_from,account,name", "rates": "currency,valid_from,rate"}[kind]
    lines = f"{header}\n{good}\n{bad}\n"
    address = f"/v1/entities/main/{kind}"
    report = (await finance.post(f"{address}:import", content=lines, headers={"content-type": "text/csv"})).json()
    assert [one["outcome"] for one in report["results"]] == ["created", "refused"]
    assert [error["code"] for error in report["results"][1]["errors"]] == [code]
    exported = await finance.get(f"{address}.csv")
    again = await finance.post(f"{address}:import", content=exported.content, headers={"content-type": "text/csv"})
    assert (again.json()["unchanged"], again.json()["refused"]) == (len(exported.text.splitlines()) - 1, 0)
