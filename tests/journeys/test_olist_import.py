"""Real marketplace orders from CSV into a running system, checked against what the files themselves say.

A slice of 300 orders that holds every odd case runs by default; `ORDERFLOW_IMPORT_ORDERS` chooses another number, and
`ORDERFLOW_FULL_IMPORT=1` runs all 3,680.
"""

import asyncio
import csv
import json
import os
import sys
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

import pytest

from tests.fakes.caller import Caller
from tests.fakes.live_stack import live_stack, settings_of
from tests.fakes.patience import eventually
from tests.fakes.running_stack import ROOT, RunningStack

DATA: Final = ROOT.parent / "shared" / "data" / "orders_olist"
FULL: Final = os.environ.get("ORDERFLOW_FULL_IMPORT") == "1"
SLICE: Final = int(os.environ.get("ORDERFLOW_IMPORT_ORDERS", "300"))
SETTLED_WITHIN_S: Final = 3_000.0 if FULL else 400.0
ODD: Final = {"partial": ["payment_short"], "overpaid": ["payment_over"]}

Row = dict[str, str]


@dataclass(frozen=True)
class Files:
    """The three files of a run, and what each order comes to and was paid, in cents."""

    folder: Path
    totals: Mapping[str, int]
    paid: Mapping[str, int]
    units: Mapping[str, int]
    payments: int

    def payment_of(self, external_id: str) -> str:
        """The payment status that the files ask for; a difference of one cent is written off."""
        difference = self.paid[external_id] - self.totals[external_id]
        if abs(difference) <= 1:
            return "paid"
        return "overpaid" if difference > 0 else "partial"

    @property
    def odd(self) -> dict[str, str]:
        named = {external_id: self.payment_of(external_id) for external_id in self.totals}
        return {external_id: status for external_id, status in named.items() if status != "paid"}

    @property
    def off_by_one(self) -> dict[str, int]:
        differences = {one: self.totals[one] - self.paid[one] for one in self.totals}
        return {one: difference for one, difference in differences.items() if abs(difference) == 1}


@pytest.fixture
def files(tmp_path: Path) -> Files:
    if not DATA.is_dir():
        pytest.skip(f"the marketplace's files are not on this machine ({DATA})")
    orders, payments = _read("orders"), _read("payments")
    totals, paid = Counter[str](), Counter[str]()
    for row in orders:
        totals[row["external_id"]] += _cents(row["unit_price"]) * int(row["quantity"])
        totals[row["external_id"]] += _cents(row["line_shipping_fee"])
    for row in payments:
        paid[row["external_id"]] += _cents(row["amount"])
    without_money = {row["external_id"] for row in payments if _cents(row["amount"]) == 0}
    # The cases worth looking at come first, so that a slice has all of them.
    chosen = sorted(totals, key=lambda one: totals[one] == paid[one] and one not in without_money)
    wanted = set(chosen if FULL else chosen[:SLICE])
    units = Counter[str]()
    for row in orders:
        units[row["sku"]] += int(row["quantity"]) * (row["external_id"] in wanted)
    stock = [row | {"quantity": str(units[row["sku"]])} for row in _read("stock") if units[row["sku"]]]
    kept = {"orders": [row for row in orders if row["external_id"] in wanted], "stock": stock}
    kept["payments"] = [row for row in payments if row["external_id"] in wanted]
    for name, rows in kept.items():
        _write(tmp_path / f"{name}.csv", rows)
    return Files(
        tmp_path,
        {one: totals[one] for one in wanted},
        {one: paid[one] for one in wanted},
        +units,
        len(kept["payments"]),
    )


@pytest.fixture
def stack(open_dir: Path, files: Files) -> Iterator[RunningStack]:
    with live_stack(open_dir / "olist", carrier_autopilot="0") as running:
        yield running


@pytest.mark.timeout(3_600 if FULL else 600)
async def test_real_orders_are_placed_paid_reserved_and_shipped_as_the_files_say(
    stack: RunningStack, files: Files, open_dir: Path
) -> None:
    started = time.monotonic()
    told = await _import(open_dir / "olist", files)
    total = sum(files.totals.values())
    # An answer that comes too late is asked for again, and what it placed is there already.
    placed, money = (_sent(told[name]) for name in ("orders", "payments"))
    assert (placed, told["orders"]["totals_minor"]) == ((len(files.totals), 0, 0), {"BRL": total})
    assert money == (files.payments - 2, 2, 0)
    assert [one["problems"][0]["reason"] for one in told["refusals"]] == ["amount must be positive"] * 2
    if FULL:
        assert (len(files.totals), total, len(files.odd), len(files.off_by_one)) == (3_680, 63_345_253, 17, 4)

    caller = Caller(stack, timeout=60)
    orders = await eventually(lambda: _all_orders(caller), lambda seen: not _unsettled(seen, files), SETTLED_WITHIN_S)
    seconds = time.monotonic() - started
    print(f"{len(orders)} orders in {seconds:.0f} s: {len(orders) / seconds:.1f}/s")  # noqa: T201 - the figure is wanted
    assert sum(order["total_minor"] for order in orders.values()) == total
    assert len({order["voucher_no"] for order in orders.values()}) == len(orders)
    await _check_stock(caller, files)
    await _check_rounding(caller, files, orders)
    again = await _import(open_dir / "olist", files)
    assert (again["orders"]["already_there"], again["payments"]["already_there"]) == (
        len(files.totals),
        files.payments - 2,
    )
    assert await _all_orders(caller) == orders
    await caller.http.aclose()


def _unsettled(orders: Mapping[str, Any], files: Files) -> list[str]:
    """Orders that are not yet as the files ask for: paid ones ship, all others are held with the reason."""
    odd = files.odd
    found = []
    for external_id in files.totals:
        order = orders.get(external_id)
        status = odd.get(external_id, "paid")
        wanted = (status, ODD.get(status, []), "allocated" if status in ODD else "shipping")
        if order is None or (order["payment"], order["holds"], order["fulfilment"]) != wanted:
            found.append(external_id)
    return found


async def _all_orders(caller: Caller) -> dict[str, Any]:
    """Every order as the list shows it, by the channel's name for it."""
    found: dict[str, Any] = {}
    cursor: str | None = ""
    while cursor is not None:
        asked = {"limit": "200", "sort": "oldest"} | ({"cursor": cursor} if cursor else {})
        page = await caller.read("/v1/orders", **asked)
        found |= {order["external_id"]: order for order in page["data"]}
        cursor = page["next_cursor"]
    return found


async def _check_stock(caller: Caller, files: Files) -> None:
    levels: dict[str, tuple[int, int, int]] = {}
    cursor: str | None = ""
    while cursor is not None:
        page = await caller.read("/v1/stock", limit="200", **({"cursor": cursor} if cursor else {}))
        levels |= {one["sku"]: (one["on_hand"], one["reserved"], one["available"]) for one in page["data"]}
        cursor = page["next_cursor"]
    # Nothing is collected by a carrier here: everything that came in is reserved.
    assert levels == {sku: (units, units, 0) for sku, units in files.units.items()}


async def _check_rounding(caller: Caller, files: Files, orders: Mapping[str, Any]) -> None:
    for external_id, difference in files.off_by_one.items():
        order = await caller.order(orders[external_id]["order_no"])
        assert order["totals"]["written_off_minor"] == difference
        books = await caller.balances(order["voucher_no"])
        assert books["rounding"] != 0
    books = await caller.read("/v1/ledger/balances")
    assert books["debit_minor"] == books["credit_minor"]


async def _import(data_dir: Path, files: Files) -> dict[str, Any]:
    named = {name: str(files.folder / f"{name}.csv") for name in ("orders", "payments", "stock")}
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "cli.main", "import", named["orders"], "--payments", named["payments"]),
        *("--stock", named["stock"], "--data", str(data_dir), "--json"),
        cwd=ROOT,
        env=settings_of(),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    said, complaint = await process.communicate()
    assert process.returncode == 0, complaint.decode()
    told: dict[str, Any] = json.loads(said)
    return told


def _sent(told: Mapping[str, Any]) -> tuple[int, int, int]:
    """Items that are there now, refused, and not sent."""
    taken = told.get("placed", 0) + told.get("recorded", 0) + told["already_there"]
    return taken, told["refused"], told["not_sent"]


def _read(name: str) -> list[Row]:
    with (DATA / f"{name}.csv").open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def _write(file: Path, rows: list[Row]) -> None:
    with file.open("w", newline="", encoding="utf-8") as out:
        writer = csv.DictWriter(out, rows[0])
        writer.writeheader()
        writer.writerows(rows)


def _cents(text: str) -> int:
    return int(Decimal(text) * 100)
