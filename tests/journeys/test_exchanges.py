"""Goods that are exchanged, as everybody outside sees it; afterwards the checks find nothing on either order."""

import asyncio
from pathlib import Path
from typing import Any

from tests.factories.sales import PRICE, a_sale
from tests.fakes.caller import Caller, View
from tests.fakes.patience import eventually
from tests.journeys.test_checks import check
from tests.journeys.test_returns import receive, until


async def sold(caller: Caller, sku: str, quantity: int = 1) -> str:
    """An order that was paid and has arrived."""
    await caller.receive(sku, 5)
    order_no = await caller.place(a_sale(sku, quantity))
    await caller.pay(order_no, quantity * PRICE)
    await caller.deliver(order_no)
    return order_no


async def listed(caller: Caller, price_minor: int, sku: str) -> str:
    """Another SKU that is in the catalogue at this price and in stock."""
    product = {"name": sku, "price_minor": price_minor, "currency": "CNY", "tax_rate": "0.13"}
    assert (await caller.ask("PUT", f"/v1/products/{sku}", json=product)).status_code in (200, 201)
    await caller.receive(sku, 3)
    return sku


async def exchange(caller: Caller, order_no: str, sku: str, due_minor: int, *, quantity: int = 1) -> View:
    """The order that goes out instead, once the goods have come back; the customer was shown what it comes to."""
    wish: dict[str, Any] = {
        "return_id": "A-1",
        "kind": "exchange",
        "lines": [{"line_id": "1", "quantity": quantity, "reason_code": "wrong_item"}],
        "instead": [{"line_id": "1", "sku": sku, "quantity": quantity}],
    }
    path = f"/v1/orders/{order_no}/returns"
    shown = await caller.ask("POST", path, "channel", json=wish, params={"preview": "true"})
    assert (shown.status_code, shown.json()["due_minor"] - shown.json()["refund_minor"]) == (200, due_minor)
    answer = await caller.ask("POST", path, "channel", json=wish)
    assert answer.status_code == 202, answer.text
    return_no = answer.json()["return_no"]
    await until(caller, return_no, "approved")
    assert await receive(caller, return_no, resellable=quantity) == 202
    closed = await until(caller, return_no, "closed")
    replacement = await caller.order(closed["replacement_no"])
    assert replacement["replaces"] == {"order_no": order_no, "return_no": return_no}
    return replacement


async def agrees(folder: Path, *order_nos: str) -> None:
    """Whether the checks find nothing on these orders."""
    for order_no in order_nos:
        status, told = await asyncio.to_thread(check, folder, "--order", order_no)
        assert status == 0, told


async def together(caller: Caller, *orders: View) -> dict[str, int]:
    """What all their vouchers leave on each account, those at zero left out."""
    left: dict[str, int] = {}
    for order in orders:
        for role, minor in (await caller.balances(order["voucher_no"])).items():
            left[role] = left.get(role, 0) + minor
    return {role: minor for role, minor in sorted(left.items()) if minor}


async def test_an_even_swap_costs_nothing_and_goes_out_by_itself(caller: Caller, open_dir: Path, sku: str) -> None:
    order_no = await sold(caller, sku, 2)
    new = await exchange(caller, order_no, sku, 0)
    done = await caller.deliver(new["order_no"])
    assert (done["type"], done["payment"], done["invoice"], done["flow"]["key"]) == (
        "replacement",
        "paid",
        "full",
        "replacement",
    )

    def credited(order: View) -> bool:
        return [(one["kind"], one["state"]) for one in order["invoices"]] == [("blue", "issued"), ("red", "issued")]

    order = await eventually(lambda: caller.order(order_no), credited, 60.0)
    assert [(one["state"], one["credited_to"]) for one in order["refunds"]] == [("succeeded", new["order_no"])]
    assert await together(caller, order, done) == {
        "cost_of_sales": 12_000,
        "inventory": -12_000,
        "output_vat": -2_600,
        "revenue": -20_000,
        "wallet": 2 * PRICE,
    }
    assert (await caller.kinds(new["order_no"]))[:2] == ["order.received", "payment.received"]
    await agrees(open_dir / "journeys", order_no, new["order_no"])


async def test_what_is_dearer_waits_for_the_rest(caller: Caller, open_dir: Path, sku: str) -> None:
    order_no = await sold(caller, sku)
    new = await exchange(caller, order_no, await listed(caller, 15_000, f"{sku}-B"), 3_700)
    waiting = await caller.until(new["order_no"], waiting_for="payment.full", lifecycle="accepted")
    assert (waiting["payment"], waiting["shipments"], waiting["holds"]) == ("partial", [], [])
    assert "notice.order.payment_due" in await caller.kinds(new["order_no"])
    await caller.pay(new["order_no"], 3_700, "P-2")
    done = await caller.deliver(new["order_no"])
    assert (await together(caller, await caller.order(order_no), done))["wallet"] == 15_000
    await agrees(open_dir / "journeys", order_no, new["order_no"])


async def test_what_is_cheaper_gives_the_rest_back(caller: Caller, open_dir: Path, sku: str) -> None:
    order_no = await sold(caller, sku)
    new = await exchange(caller, order_no, await listed(caller, 8_000, f"{sku}-B"), -3_300)
    done = await caller.deliver(new["order_no"])
    order = await caller.until(order_no, payment="refunded")
    assert sorted((one["amount_minor"], one["credited_to"]) for one in order["refunds"]) == [
        (3_300, None),
        (8_000, new["order_no"]),
    ]
    assert (await together(caller, order, done))["wallet"] == 8_000
    await agrees(open_dir / "journeys", order_no, new["order_no"])


async def test_a_replacement_that_is_called_off_gives_everything_back(caller: Caller, open_dir: Path, sku: str) -> None:
    order_no = await sold(caller, sku)
    other = await listed(caller, 15_000, f"{sku}-B")
    new = await exchange(caller, order_no, other, 3_700)
    await caller.until(new["order_no"], waiting_for="payment.full")
    answer = await caller.cancel(new["order_no"])
    assert answer.status_code == 200, answer.text
    gone = await caller.until(new["order_no"], lifecycle="cancelled", payment="refunded")
    # What the customer sends all the same goes back as well.
    await caller.pay(new["order_no"], 3_700, "P-2")

    def all_back(order: View) -> bool:
        return [one["state"] for one in order["refunds"]] == ["succeeded", "succeeded"]

    gone = await eventually(lambda: caller.order(new["order_no"]), all_back, 60.0)
    assert await together(caller, await caller.order(order_no), gone) == {}
    assert (await caller.stock(other), await caller.stock(sku)) == ((3, 0, 3), (5, 0, 5))
    await agrees(open_dir / "journeys", order_no, new["order_no"])
