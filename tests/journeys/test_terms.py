"""Samples, cash on delivery and orders on credit, as everybody outside sees them."""

import asyncio
import csv
import io
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from tests.factories.requests import Body
from tests.factories.sales import PRICE, a_sale
from tests.fakes.caller import Caller, View
from tests.fakes.live_stack import settings_of
from tests.fakes.patience import eventually
from tests.fakes.running_stack import ROOT

TOTAL = 2 * PRICE
COD = {"method": "cod", "terms": "cash_on_delivery"}
SAMPLE: Body = {"type": "sample", "payment": {"method": "none", "terms": "none"}}
CREDIT = {"method": "bank_transfer", "terms": "on_credit"}
FAR_AHEAD = "2126-01-01T00:00:00Z"


def not_zero(books: dict[str, int]) -> dict[str, int]:
    return {role: minor for role, minor in books.items() if minor}


async def trusted(caller: Caller, sku: str, limit_minor: int) -> dict[str, str]:
    """A customer of this test alone, with so much credit for 45 days."""
    credit = {"credit_limit_minor": limit_minor, "credit_currency": "CNY", "payment_days": 45}
    answer = await caller.ask("PUT", f"/v1/customers/C-{sku}", json=credit)
    assert answer.status_code in (200, 201), answer.text
    return {"id": f"C-{sku}"}


async def test_sample_leaves_stock_as_an_expense_without_revenue_or_invoice(caller: Caller, sku: str) -> None:
    await caller.receive(sku, 5)
    order_no = await caller.place(a_sale(sku, **SAMPLE))
    order = await caller.until(order_no, waiting_for="approval.manager", lifecycle="in_review")
    assert (order["fulfilment"], await caller.stock(sku)) == ("unallocated", (5, 0, 5))
    await caller.decide(order_no, "manager")
    done = await caller.deliver(order_no)
    assert (done["flow"]["key"], done["totals"]["total_minor"], done["payment_plan"]) == ("sample", 0, [])
    assert (done["revenue"], done["invoices"]) == ("full", [])
    assert await caller.stock(sku) == (3, 0, 3)
    # Two units that cost 60.00 and would have brought 13.00 of VAT each.
    books = {"sample_expense": 14_600, "inventory": -12_000, "output_vat": -2_600}
    assert not_zero(await caller.balances(done["voucher_no"])) == books


async def test_sample_that_is_rejected_ends_and_leaves_nothing_behind(caller: Caller, sku: str) -> None:
    await caller.receive(sku, 5)
    order_no = await caller.place(a_sale(sku, **SAMPLE))
    approval = await caller.decide(order_no, "manager", "reject")
    order = await caller.until(order_no, lifecycle="rejected", held=[], waiting_for=None)
    assert (order["shipments"], order["invoices"], await caller.stock(sku)) == ([], [], (5, 0, 5))
    assert await caller.balances(order["voucher_no"]) == {}
    told = await caller.read(f"/v1/approvals/{approval['approval_id']}")
    assert (told["state"], told["closed_by"]) == ("rejected", "manager")


async def test_courier_collects_and_passes_on_less_a_fee_after_the_order_has_ended(caller: Caller, sku: str) -> None:
    await caller.receive(sku, 2)
    order_no = await caller.place(a_sale(sku, payment=COD))
    done = await caller.deliver(order_no)
    assert (done["flow"]["key"], done["payment"], done["revenue"]) == ("cash_on_delivery", "unpaid", "full")
    books = await caller.balances(done["voucher_no"])
    assert (books["cod_receivable"], books["revenue"], books["output_vat"]) == (TOTAL, -20_000, -2_600)
    await caller.pay(order_no, TOTAL, method="cod", fee_minor=339)
    paid = await caller.until(order_no, payment="paid")
    assert (paid["lifecycle"], paid["payments"][0]["fee_minor"]) == ("completed", 339)
    books = await caller.balances(done["voucher_no"])
    assert (books["cod_receivable"], books["bank"], books["gateway_fee"]) == (0, TOTAL - 339, 339)


@pytest.mark.parametrize("terms", [COD, CREDIT], ids=["cod", "credit"])
async def test_parcel_that_is_refused_at_the_door_is_in_stock_again_and_nothing_was_sold(
    caller: Caller, sku: str, terms: dict[str, str]
) -> None:
    await caller.receive(sku, 5)
    order_no = await caller.place(a_sale(sku, payment=terms, customer=await trusted(caller, sku, TOTAL)))
    shipment_no = (await caller.booked(order_no))["shipments"][0]["shipment_no"]
    for status in ("picked_up", "returned"):
        await caller.scan(shipment_no, status)
    order = await caller.until(order_no, lifecycle="cancelled", held=[])
    assert (order["return"], order["revenue"], order["payment"]) == ("full", "none", "unpaid")
    assert await caller.stock(sku) == (5, 0, 5)
    assert not_zero(await caller.balances(order["voucher_no"])) == {}


async def test_goods_on_credit_are_owed_from_their_delivery_and_paid_later(caller: Caller, sku: str) -> None:
    await caller.receive(sku, 2)
    order_no = await caller.place(a_sale(sku, payment=CREDIT, customer=await trusted(caller, sku, TOTAL)))
    done = await caller.deliver(order_no)
    due_on = (datetime.now(UTC).astimezone(ZoneInfo("Asia/Shanghai")) + timedelta(days=45)).date()
    assert (done["flow"]["key"], done["payment"], done["payment_due_on"]) == ("on_credit", "unpaid", str(due_on))
    [part] = done["payment_plan"]
    assert (part["kind"], part["amount_minor"], part["state"]) == ("full", TOTAL, "open")
    books = await caller.balances(done["voucher_no"])
    assert (books["receivable"], books["revenue"]) == (TOTAL, -20_000)
    await caller.pay(order_no, TOTAL - 1, method="bank_transfer")
    await caller.until(order_no, payment="paid", held=[])
    books = await caller.balances(done["voucher_no"])
    assert (books["receivable"], books["bank"], books["rounding"]) == (0, TOTAL - 1, 1)


async def test_order_above_the_credit_waits_until_it_is_let_pass_or_paid_for(caller: Caller, sku: str) -> None:
    await caller.receive(sku, 6)
    customer = await trusted(caller, sku, TOTAL + PRICE)
    first = await caller.place(a_sale(sku, payment=CREDIT, customer=customer))
    await caller.deliver(first)
    second = await caller.place(a_sale(sku, payment=CREDIT, customer=customer))
    third = await caller.place(a_sale(sku, payment=CREDIT, customer=customer))
    for order_no in (second, third):
        order = await caller.until(order_no, waiting_for="approval.ask", held=[])
        assert order["fulfilment"] == "unallocated"
    approval = await caller.decide(second, "manager")
    await caller.deliver(second)
    [granted] = [event for event in await caller.events(second) if event["kind"] == "credit.granted"]
    assert (granted["actor"], granted["data"]["approval_id"]) == ("manager", approval["approval_id"])
    assert granted["data"]["used_minor"] + granted["data"]["wanted_minor"] > granted["data"]["limit_minor"]
    await caller.decide(third, "manager", "reject")
    order = await caller.until(third, held=["credit_exceeded"])
    assert (order["fulfilment"], order["holds"][0]["owner_role"]) == ("unallocated", "finance")
    for order_no in (first, second):
        await caller.pay(order_no, TOTAL, method="bank_transfer")
        await caller.until(order_no, payment="paid")
    assert (await caller.resolve(third, "jump", target="credit")).status_code == 200
    await caller.deliver(third)


async def test_orders_of_one_customer_at_once_do_not_pass_the_limit_together(caller: Caller, sku: str) -> None:
    await caller.receive(sku, 20)
    customer = await trusted(caller, sku, 2 * TOTAL)
    numbers = await asyncio.gather(*(caller.place(a_sale(sku, payment=CREDIT, customer=customer)) for _ in range(6)))
    ended = [await _decided(caller, number) for number in numbers]
    assert sorted(ended) == ["approval.ask"] * 4 + ["booked"] * 2


async def test_imported_orders_follow_the_flow_of_their_terms(
    caller: Caller, sku: str, tmp_path: Path, open_dir: Path
) -> None:
    await caller.receive(sku, 20)
    customer = await trusted(caller, sku, TOTAL)
    rows = [
        {"type": "presale", "payment_terms": "deposit_balance", "deposit": "20.00", "balance_closes_at": FAR_AHEAD},
        {"type": "normal", "payment_terms": "cash_on_delivery"},
        {"type": "normal", "payment_terms": "on_credit"},
        {"type": "sample", "payment_terms": "none"},
    ]
    common = {"channel": "web", "currency": "CNY", "customer_id": customer["id"], "country": "CN", "line_id": "1"}
    common |= {"sku": sku, "quantity": "2", "unit_price": "113.00", "tax_rate": "0.13", "line_shipping_fee": "0.00"}
    common |= {"payment_method": "alipay", "placed_at": "2026-11-22T10:00:00Z", "deposit": "", "balance_closes_at": ""}
    unsaid = ("customer_level", "region", "city", "postal_code", "category", "store", "balance_opens_at")
    empty = dict.fromkeys(unsaid, "")
    file = tmp_path / "orders.csv"
    file.write_text(_csv([empty | common | {"external_id": f"I-{sku}-{at}"} | row for at, row in enumerate(rows)]))
    await _import(open_dir / "journeys", file)
    for at, key in enumerate(("presale", "cash_on_delivery", "on_credit", "sample")):
        [listed] = (await caller.read("/v1/orders", external_id=f"I-{sku}-{at}"))["data"]
        waiting = {"presale": "payment.deposit", "sample": "approval.manager"}.get(key, "shipment.delivered")
        order = await caller.until(listed["order_no"], waiting_for=waiting, held=[])
        assert (order["flow"]["key"], order["source"]) == (key, "import")


async def _decided(caller: Caller, order_no: str) -> str:
    def decided(order: View) -> bool:
        return order["waiting_for"] == "approval.ask" or bool(order["shipments"])

    order = await eventually(lambda: caller.order(order_no), decided, 60)
    return "booked" if order["shipments"] else str(order["waiting_for"])


def _csv(rows: list[dict[str, str]]) -> str:
    out = io.StringIO()
    writer = csv.DictWriter(out, rows[0])
    writer.writeheader()
    writer.writerows(rows)
    return out.getvalue()


async def _import(data_dir: Path, file: Path) -> None:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "cli.main", "import", str(file), "--data", str(data_dir), "--json"),
        cwd=ROOT,
        env=settings_of(),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    _, complaint = await process.communicate()
    assert process.returncode == 0, complaint.decode()
