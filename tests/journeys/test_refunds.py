"""Refunds of orders as everybody outside sees them: before anything is sent, and after everything has arrived."""

from tests.factories.requests import a_line
from tests.factories.sales import PRICE, a_sale
from tests.fakes.caller import Caller, View
from tests.fakes.patience import eventually


async def refund(caller: Caller, order_no: str, **asked: object) -> View:
    """The refund, once it is paid."""
    path = f"/v1/orders/{order_no}/refunds"
    answer = await caller.ask("POST", path, "service", json={"refund_id": "F-1"} | asked)
    assert answer.status_code == 202, answer.text
    return await eventually(lambda: caller.read(f"{path}/F-1"), lambda view: view["state"] == "paid", 60.0)


async def test_a_part_of_a_delivered_order_goes_back(caller: Caller, sku: str) -> None:
    await caller.receive(sku, 5)
    order_no = await caller.place(a_sale(sku))
    await caller.pay(order_no, 2 * PRICE)
    await caller.deliver(order_no)
    done = await refund(caller, order_no, lines=[{"line_id": "1", "quantity": 1}], reason_code="damaged")
    assert (done["reduction_minor"], done["payout_minor"], done["lines"][0]["delivered"]) == (PRICE, PRICE, 1)

    def credited(order: View) -> bool:
        return [one["state"] for one in order["invoices"]] == ["issued", "issued"]

    order = await eventually(lambda: caller.order(order_no), credited, 60.0)
    assert [(one["kind"], one["gross_minor"]) for one in order["invoices"]] == [("blue", 2 * PRICE), ("red", PRICE)]
    assert (order["payment"], order["return"], order["invoice"]) == ("partially_refunded", "none", "full")
    books = await caller.balances(order["voucher_no"])
    assert (books["wallet"], books["revenue"], books["output_vat"]) == (PRICE, -10_000, -1_300)
    assert (books["refund_payable"], books["cost_of_sales"], await caller.stock(sku)) == (0, 12_000, (3, 0, 3))


async def test_what_cannot_be_sent_goes_back_and_the_rest_goes_on(caller: Caller, sku: str) -> None:
    scarce = f"{sku}-scarce"
    await caller.receive(sku, 1)
    await caller.receive(scarce, 1)
    lines = [a_line("1", sku=sku), a_line("2", sku=scarce, quantity=2)]
    order_no = await caller.place(a_sale(sku, lines=lines))
    await caller.pay(order_no, 3 * PRICE)
    await caller.until(order_no, held=["out_of_stock"], payment="paid")
    await refund(caller, order_no, lines=[{"line_id": "2", "quantity": 1}], reason_code="out_of_stock")
    # Nobody had to click: with one unit less to send the order is no longer short.
    done = await caller.deliver(order_no)
    assert [(line["cancelled"], line["delivered"]) for line in done["lines"]] == [(0, 1), (1, 1)]
    assert [one["gross_minor"] for one in done["invoices"]] == [2 * PRICE]
    books = await caller.balances(done["voucher_no"])
    assert (books["wallet"], books["revenue"], books["contract_liability"]) == (2 * PRICE, -20_000, 0)
