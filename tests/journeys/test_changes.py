"""Orders that are changed before they are packed, as everybody outside sees them, down to books and invoice."""

import asyncio
from pathlib import Path

from tests.factories.sales import PRICE, a_sale
from tests.fakes.caller import Caller, View
from tests.fakes.patience import eventually
from tests.journeys.test_checks import check

NET, VAT = 10_000, 1_300


async def change(caller: Caller, order_no: str, change_id: str, **wanted: object) -> View:
    """The change, made as its preview showed it; asked anew where the order went on in between."""
    path, body = f"/v1/orders/{order_no}/changes", {"change_id": change_id, "reason": "the buyer rang"} | wanted
    for _again in range(5):
        preview = await caller.ask("POST", path, "channel", json=body, params={"preview": "true"})
        assert preview.status_code == 200, preview.text
        shown: View = preview.json()
        answer = await caller.ask("POST", path, "channel", json=body | {"version": shown["version"]})
        if answer.status_code == 200:
            break
        assert answer.json()["code"] in ("preview_stale", "temporal_unavailable"), answer.text
    made: View = answer.json()
    assert (made["delta_minor"], made["refund_minor"]) == (shown["delta_minor"], shown["refund_minor"])
    assert made["after"]["total_minor"] == shown["after"]["total_minor"]
    return made


async def test_an_unpaid_order_becomes_another_one_and_goes_its_way(caller: Caller, sku: str, open_dir: Path) -> None:
    await caller.receive(sku, 5)
    await caller.receive(f"{sku}-b", 5)
    order_no = await caller.place(a_sale(sku))
    await caller.until(order_no, waiting_for="payment.full")
    new = {"line_id": "2", "sku": f"{sku}-b", "quantity": 2, "unit_price_minor": PRICE, "tax_rate": "0.13"}
    to = {"country": "CN", "city": "Shanghai", "street": "Nanjing Road 2", "name": "Li Lei"}
    made = await change(caller, order_no, "C-1", lines=[{"line_id": "1", "quantity": 1}], add=[new], ship_to=to)
    assert (made["delta_minor"], made["after"]["units"]) == (PRICE, {"1": 1, "2": 2})
    assert (await caller.stock(sku), await caller.stock(f"{sku}-b")) == ((5, 1, 4), (5, 2, 3))
    await caller.pay(order_no, 3 * PRICE)
    done = await caller.deliver(order_no)
    assert [one["gross_minor"] for one in done["invoices"]] == [3 * PRICE]
    books = await caller.balances(done["voucher_no"])
    assert (books["wallet"], books["revenue"], books["output_vat"]) == (3 * PRICE, -3 * NET, -3 * VAT)
    assert (books["contract_liability"], books["cost_of_sales"]) == (0, 18_000)
    status, told = await asyncio.to_thread(check, open_dir / "journeys", "--order", order_no)
    assert (status, told["found"]) == (0, {})


async def test_money_goes_back_and_is_asked_for_again_and_what_is_taken_out_never_ships(
    caller: Caller, sku: str, open_dir: Path
) -> None:
    await caller.receive(sku, 4)
    order_no = await caller.place(a_sale(sku))
    await caller.until(order_no, waiting_for="payment.full")
    held = await caller.ask("POST", f"/v1/orders/{order_no}/holds", "service", json={"reason": "the buyer hesitates"})
    assert held.status_code == 201, held.text
    await caller.pay(order_no, 2 * PRICE)
    await caller.until(order_no, payment="paid", held=["manual"])
    assert (await change(caller, order_no, "C-1", lines=[{"line_id": "1", "quantity": 1}]))["refund_minor"] == PRICE
    refund = f"/v1/orders/{order_no}/refunds/change-C-1"
    await eventually(lambda: caller.read(refund), lambda view: view["state"] == "paid", 60.0)
    new = {"line_id": "2", "sku": sku, "quantity": 1, "unit_price_minor": PRICE, "tax_rate": "0.13"}
    made = await change(
        caller, order_no, "C-2", lines=[{"line_id": "1", "quantity": 0}], add=[new, new | {"line_id": "3"}]
    )
    assert (made["delta_minor"], made["balance_minor"]) == (PRICE, PRICE)
    settled = {
        "choice": "retry",
        "reason_code": "checked",
        "reason": "they are sure",
        "hold_id": held.json()["hold_id"],
    }
    answer = await caller.ask("POST", f"/v1/orders/{order_no}/exception", json=settled)
    assert answer.status_code == 202, answer.text
    await caller.until(order_no, held=["change_unpaid"])
    await caller.pay(order_no, PRICE, "P-2")
    done = await caller.deliver(order_no)
    assert [(line["line_id"], line["delivered"], line["cancelled"]) for line in done["lines"]] == [
        ("1", 0, 1),
        ("2", 1, 0),
        ("3", 1, 0),
    ]
    books = await caller.balances(done["voucher_no"])
    assert (books["wallet"], books["revenue"], books["refund_payable"]) == (2 * PRICE, -2 * NET, 0)
    assert (books["contract_liability"], books["output_vat_pending"], await caller.stock(sku)) == (0, 0, (2, 0, 2))
    status, told = await asyncio.to_thread(check, open_dir / "journeys", "--order", order_no)
    assert (status, told["found"]) == (0, {})
