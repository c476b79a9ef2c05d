"""What all masters answer alike: put, get, list, import, export."""

from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest

from domain.posting.roles import DEFAULT_ACCOUNTS
from tests.api.conftest import As
from tests.api.test_problems import problem_of

SINCE = "2026-01-01"


@dataclass(frozen=True)
class Case:
    """One kind of master: two bodies of the same record, what it shows besides, and who may write and not even read."""

    path: str
    key: str
    body: dict[str, Any]
    other: dict[str, Any]
    shown: dict[str, Any]
    writer: str
    stranger: str
    # What a fresh system has already.
    given: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        return self.path


POLICY = {
    "return_window_days": 30,
    "return_approved_below_minor": 1,
    "return_goods_days": 5,
    "deposit_refundable": False,
}
CASES = [
    Case(
        "products",
        "SKU-1",
        {"name": "杯子", "category": "home", "price_minor": 11300, "currency": "CNY", "tax_rate": "0.13"},
        {"name": "Mug"},
        {"sku": "SKU-1", "active": True},
        "operations",
        "warehouse",
    ),
    Case(
        "customers",
        "C-7",
        {"name": "王五", "level": "VIP", "tax_number": "91330", "credit_limit_minor": 5, "credit_currency": "CNY"}
        | {"payment_days": 30},
        {},
        {"customer_id": "C-7", "blacklisted": False},
        "finance",
        "channel",
    ),
    Case(
        "warehouses",
        "north",
        {"name": "North", "priority": 10},
        {"name": "North", "active": False},
        {"code": "north", "active": True},
        "operations",
        "channel",
        given=["main"],
    ),
    Case(
        "people",
        "zhang",
        {"name": "张三", "email": "zhang@example.com", "roles": ["finance", "sales"], "superior_id": "ceo"},
        {"name": "张三", "active": False},
        {"person_id": "zhang", "active": True},
        "admin",
        "sales",
        given=sorted(
            ["admin", "channel", "sales", "manager", "gm", "ceo", "warehouse", "service", "finance", "operations"]
        ),
    ),
    Case(
        "entities",
        "eu",
        {"name": "EU GmbH", "functional_currency": "EUR", "time_zone": "Europe/Berlin", "tax_number": "DE1"} | POLICY,
        {"name": "EU GmbH", "functional_currency": "CHF", "time_zone": "Europe/Zurich"},
        {"entity_id": "eu"},
        "finance",
        "manager",
        given=["main"],
    ),
    Case(
        "payment_methods",
        "zzpay",
        {"category": "online"},
        {"category": "stored_value"},
        {"method": "zzpay"},
        "finance",
        "sales",
        given=["alipay"],
    ),
]
every_master = pytest.mark.parametrize("case", CASES, ids=str)


def _without_time(record: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in record.items() if name != "updated_at"}


@every_master
async def test_put_creates_repeats_and_replaces(as_role: As, case: Case) -> None:
    writer, address = as_role(case.writer), f"/v1/{case.path}/{case.key}"
    created = await writer.put(address, json=case.body)
    assert (created.status_code, created.headers["location"]) == (201, address)
    assert _without_time(created.json()) == case.body | case.shown
    repeated = await writer.put(address, json=case.body)
    assert (repeated.status_code, repeated.json()) == (200, created.json())
    replaced = await writer.put(address, json=case.other)
    assert replaced.status_code == 200
    assert _without_time(replaced.json()) != _without_time(created.json())
    assert (await writer.get(address)).json() == replaced.json()


@every_master
async def test_strangers_neither_read_nor_write(as_role: As, case: Case) -> None:
    address, stranger = f"/v1/{case.path}/{case.key}", as_role(case.stranger)
    problem_of(await stranger.get(f"/v1/{case.path}"), 403, "forbidden")
    problem_of(await stranger.get(address), 403, "forbidden")
    problem_of(await stranger.put(address, json=case.body), 403, "forbidden")
    problem_of(await as_role().put(address, json=case.body), 401, "unauthorized")
    problem_of(await as_role(case.writer).get(address), 404, "master_not_found")


@every_master
async def test_unknown_fields_and_unusable_keys_are_refused(as_role: As, case: Case) -> None:
    writer = as_role(case.writer)
    body = case.body | {"updated_at": "2026-01-01T00:00:00Z"}
    refused = problem_of(await writer.put(f"/v1/{case.path}/{case.key}", json=body), 422, "invalid_request")
    assert [(one.pointer, one.code) for one in refused.errors or []] == [("#/updated_at", "extra_forbidden")]
    for key in (".hidden", "a b", "x" * 65, "张三"):
        problem = problem_of(await writer.put(f"/v1/{case.path}/{key}", json=case.body), 422, "invalid_request")
        assert [one.parameter for one in problem.errors or []] == [next(iter(case.shown))]
    problem_of(await writer.get(f"/v1/{case.path}/{case.key}"), 404, "master_not_found")


@every_master
async def test_pages_show_every_record_once(admin: httpx.AsyncClient, case: Case) -> None:
    key = next(iter(case.shown))
    for number in range(5):
        await admin.put(f"/v1/{case.path}/zz{number}", json=case.body)
    seen: list[str] = []
    answer = await admin.get(f"/v1/{case.path}", params={"limit": 2})
    while answer.json()["next_cursor"]:
        assert len(answer.json()["data"]) == 2
        assert answer.links["next"]["url"].endswith(f"limit=2&cursor={answer.json()['next_cursor']}")
        seen += [row[key] for row in answer.json()["data"]]
        answer = await admin.get(answer.links["next"]["url"])
    seen += [row[key] for row in answer.json()["data"]]
    assert "next" not in answer.links
    assert [one for one in seen if one.startswith("zz")] == [f"zz{number}" for number in range(5)]
    assert seen == sorted(set(seen))
    assert set(case.given) <= set(seen)


@every_master
async def test_an_export_can_be_imported_again(admin: httpx.AsyncClient, case: Case) -> None:
    await admin.put(f"/v1/{case.path}/{case.key}", json=case.body)
    exported = await admin.get(f"/v1/{case.path}.csv")
    assert exported.headers["content-type"] == "text/csv; charset=utf-8"
    assert exported.headers["content-disposition"] == f'attachment; filename="{case.path}.csv"'
    imported = await admin.post(
        f"/v1/{case.path}:import", content=exported.content, headers={"content-type": "text/csv"}
    )
    report = imported.json()
    assert (imported.status_code, report["created"], report["updated"], report["refused"]) == (200, 0, 0, 0)
    assert report["unchanged"] == len(exported.content.splitlines()) - 1


@every_master
async def test_another_lists_cursor_is_refused(admin: httpx.AsyncClient, case: Case) -> None:
    other = "products" if case.path != "products" else "warehouses"
    for number in range(2):
        await admin.put(f"/v1/{other}/P-{number}", json={"name": "P"})
    cursor = (await admin.get(f"/v1/{other}?limit=1")).json()["next_cursor"]
    for wrong in (cursor, cursor[:-1], "x", "é", "A" * 400):
        problem = problem_of(await admin.get(f"/v1/{case.path}", params={"cursor": wrong}), 422, "invalid_request")
        assert [(one.parameter, one.code) for one in problem.errors or []] == [("cursor", "invalid_cursor")]


async def test_filters_choose_what_is_listed_and_exported(admin: httpx.AsyncClient) -> None:
    for sku, category, active in (("A", "home", True), ("B", "home", False), ("C", "food", True)):
        await admin.put(f"/v1/products/{sku}", json={"name": sku, "category": category, "active": active})
    listed = (await admin.get("/v1/products", params={"category": "home", "active": "true"})).json()
    assert [row["sku"] for row in listed["data"]] == ["A"]
    exported = await admin.get("/v1/products.csv", params={"category": "home"})
    assert [line.split(",")[-1] for line in exported.text.split()] == ["sku", "A", "B"]
    people = (await admin.get("/v1/people", params={"role": "gm"})).json()
    assert [row["person_id"] for row in people["data"]] == ["gm"]


async def test_price_and_currency_go_together(admin: httpx.AsyncClient) -> None:
    for body in ({"name": "P", "price_minor": 1}, {"name": "P", "currency": "CNY"}):
        refused = problem_of(await admin.put("/v1/products/P", json=body), 422, "invalid_request")
        assert [(one.pointer, one.code) for one in refused.errors or []] == [("#", "price_and_currency")]
    refused = problem_of(await admin.put("/v1/customers/C", json={"credit_limit_minor": 1}), 422, "invalid_request")
    assert [(one.pointer, one.code) for one in refused.errors or []] == [("#", "credit_needs_currency")]


async def test_superiors_are_known_and_form_no_ring(admin: httpx.AsyncClient) -> None:
    for person, superior in (("a", "b"), ("a", "a")):
        body = {"name": person, "superior_id": superior}
        problem_of(await admin.put(f"/v1/people/{person}", json=body), 422, "unknown_superior")
    await admin.put("/v1/people/b", json={"name": "B"})
    await admin.put("/v1/people/a", json={"name": "A", "superior_id": "b"})
    problem_of(await admin.put("/v1/people/b", json={"name": "B", "superior_id": "a"}), 422, "unknown_superior")
    assert (await admin.get("/v1/people/b")).json()["superior_id"] is None


async def test_a_fresh_system_maps_every_role_of_accounts(admin: httpx.AsyncClient) -> None:
    listed = (await admin.get("/v1/entities/main/accounts?limit=200")).json()["data"]
    assert {row["role"]: row["account"] for row in listed} == {
        role.value: account.code for role, account in DEFAULT_ACCOUNTS.items()
    }
    assert {row["valid_from"] for row in listed} == {"1970-01-01"}
