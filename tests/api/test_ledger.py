"""The journal and invoices over HTTP."""

from datetime import date, datetime
from typing import Any
from zoneinfo import ZoneInfo

import httpx
import pytest

from models.invoice import Invoice
from models.order import Order
from tests.api.conftest import Api, As
from tests.factories import orders
from tests.factories.deliveries import DELIVERED_AT, UNIT_COST, deliver

DAY = DELIVERED_AT.date().isoformat()


@pytest.fixture
async def finance(api: Api, as_role: As) -> httpx.AsyncClient:
    """The finance role, with the cost of three parcels in the books."""
    for at in range(1, 4):
        await orders.place(api.database.sessions, f"SO-{at}")
        await deliver(api.database.sessions, {"1": 1}, f"S-{at}", f"SO-{at}")
    return as_role("finance")


async def found(client: httpx.AsyncClient, **params: Any) -> list[dict[str, Any]]:
    answer = await client.get("/v1/ledger/entries", params=params)
    assert answer.status_code == 200, answer.text
    data: list[dict[str, Any]] = answer.json()["data"]
    return data


async def test_entries_come_in_the_order_of_posting(finance: httpx.AsyncClient) -> None:
    first = await finance.get("/v1/ledger/entries", params={"limit": 2})
    rest = await finance.get(first.links["next"]["url"])
    shown = first.json()["data"] + rest.json()["data"]
    assert [entry["order_no"] for entry in shown] == ["SO-1", "SO-2", "SO-3"]
    assert (shown[0]["voucher_no"], shown[0]["accounting_date"], shown[0]["fx_rate"]) == ("V-SO-1", DAY, "1")
    sides = {line["side"]: (line["amount_minor"], line["base_minor"]) for line in shown[0]["lines"]}
    assert sides == {"Dr": (UNIT_COST, UNIT_COST), "Cr": (UNIT_COST, UNIT_COST)}


async def test_entries_are_found_by_voucher_order_account_and_day(finance: httpx.AsyncClient) -> None:
    (entry,) = await found(finance, voucher_no="V-SO-2")
    assert await found(finance, order_no="SO-2") == [entry]
    account = entry["lines"][0]["account"]
    assert len(await found(finance, account=account)) == 3
    assert await found(finance, account="0000") == []
    assert len(await found(finance, **{"from": DAY, "to": DAY})) == 3
    assert await found(finance, to="2026-11-24") == []
    assert await found(finance, **{"from": "2026-11-26"}) == []
    assert await found(finance, entity_id="other") == []


async def test_balances_add_up_per_day_and_per_voucher(finance: httpx.AsyncClient) -> None:
    everything = (await finance.get("/v1/ledger/balances", params={"as_of": DAY})).json()
    assert (everything["debit_minor"], everything["credit_minor"]) == (3 * UNIT_COST, 3 * UNIT_COST)
    assert sum(row["balance_minor"] for row in everything["data"]) == 0
    one = (await finance.get("/v1/ledger/balances", params={"as_of": DAY, "voucher_no": "V-SO-1"})).json()
    assert (one["debit_minor"], one["voucher_no"], one["functional_currency"]) == (UNIT_COST, "V-SO-1", "CNY")
    before = (await finance.get("/v1/ledger/balances", params={"as_of": "2026-11-24"})).json()
    assert (before["data"], before["debit_minor"]) == ([], 0)
    earliest = datetime.now(ZoneInfo("Asia/Shanghai")).date()
    today = date.fromisoformat((await finance.get("/v1/ledger/balances")).json()["as_of"])
    assert earliest <= today <= datetime.now(ZoneInfo("Asia/Shanghai")).date()


@pytest.mark.parametrize(
    ("path", "params", "status"),
    [
        ("entries", {"from": "yesterday"}, 422),
        ("entries", {"from": "86400"}, 422),
        ("entries", {"from_date": DAY}, 422),
        ("entries", {"cursor": "x"}, 422),
        ("entries", {"limit": 500}, 422),
        ("balances", {"as_of": "2026-02-30"}, 422),
        ("balances", {"limit": 5}, 422),
        ("balances", {"entity_id": "nobody"}, 404),
    ],
)
async def test_the_ledger_refuses_what_it_does_not_know(
    finance: httpx.AsyncClient, path: str, params: dict[str, Any], status: int
) -> None:
    assert (await finance.get(f"/v1/ledger/{path}", params=params)).status_code == status


async def test_the_ledger_is_for_those_who_keep_it(as_role: As) -> None:
    for path in ("/v1/ledger/entries", "/v1/ledger/balances"):
        assert (await as_role().get(path)).status_code == 401
        for role in ("channel", "warehouse", "sales", "service", "operations"):
            assert (await as_role(role).get(path)).status_code == 403, (role, path)


async def add_invoice(api: Api, key: str, **columns: Any) -> None:
    async with api.database.sessions() as session, session.begin():
        order = await session.get_one(Order, "SO-1")
        known = {"entity_id": "main", "order_no": "SO-1", "voucher_no": order.voucher_no, "currency": "CNY"}
        amounts = {"net_minor": 100, "tax_minor": 13, "gross_minor": 113}
        session.add(Invoice(**({"invoice_key": key, "buyer": {"name": "王小明"}} | known | amounts | columns)))


async def test_invoices_are_listed_newest_first_and_by_filter(api: Api, as_role: As) -> None:
    await orders.place(api.database.sessions, "SO-1")
    await add_invoice(api, "SO-1-I1", state="issued", submitted_at=datetime.fromisoformat("2026-11-22T10:00:00Z"))
    await add_invoice(
        api, "SO-1-R1", kind="red", original_key="SO-1-I1", submitted_at=datetime.fromisoformat("2026-11-23T10:00:00Z")
    )
    finance, manager = as_role("finance"), as_role("manager")
    first = await finance.get("/v1/invoices", params={"limit": 1})
    rest = await finance.get(first.links["next"]["url"])
    assert [one["invoice_key"] for one in first.json()["data"] + rest.json()["data"]] == ["SO-1-R1", "SO-1-I1"]
    for filters in ({"kind": "red"}, {"state": "submitted"}):
        shown = (await finance.get("/v1/invoices", params=filters)).json()["data"]
        assert [one["invoice_key"] for one in shown] == ["SO-1-R1"], filters
    assert (await finance.get("/v1/invoices/SO-1-I1")).json()["buyer"] is None
    assert (await manager.get("/v1/invoices/SO-1-I1")).json()["buyer"] == {"name": "王小明"}
    unknown = await finance.get("/v1/invoices/SO-1-I2")
    assert (unknown.status_code, unknown.json()["code"]) == (404, "invoice_not_found")
    assert (await finance.get("/v1/invoices", params={"kind": "green"})).status_code == 422
