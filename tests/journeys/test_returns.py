"""Goods that come back of an order that has ended, as everybody outside sees it."""

from temporalio.client import Client
from temporalio.contrib.pydantic import pydantic_data_converter

from tests.factories.sales import PRICE, a_sale
from tests.fakes.caller import Caller, View
from tests.fakes.patience import eventually
from tests.fakes.running_stack import RunningStack
from workflows.order.contract import FactSignal
from workflows.returns.contract import return_workflow_id


async def announce(caller: Caller, order_no: str, quantity: int) -> str:
    """The number of the return, which waits for its goods."""
    lines = [{"line_id": "1", "quantity": quantity, "reason_code": "defective"}]
    path, wish = f"/v1/orders/{order_no}/returns", {"return_id": "A-1", "lines": lines}
    answer = await caller.ask("POST", path, "channel", json=wish)
    assert answer.status_code == 202, answer.text
    return_no: str = answer.json()["return_no"]
    return return_no


async def until(caller: Caller, return_no: str, state: str) -> View:
    async def look() -> View:
        answer = await caller.ask("GET", f"/v1/returns/{return_no}")
        view: View = answer.json()
        return view

    return await eventually(look, lambda view: view.get("state") == state, 60.0)


async def receive(caller: Caller, return_no: str, **found: int) -> int:
    receipt = {"receipt_id": "W-1", "warehouse": "main", "lines": [{"line_id": "1", **found}]}
    answer = await caller.ask("POST", f"/v1/returns/{return_no}/receipt", "warehouse", json=receipt)
    return answer.status_code


async def test_a_part_of_a_delivered_order_comes_back(caller: Caller, sku: str) -> None:
    await caller.receive(sku, 5)
    order_no = await caller.place(a_sale(sku))
    await caller.pay(order_no, 2 * PRICE)
    await caller.deliver(order_no)
    return_no = await announce(caller, order_no, 1)
    waiting = await until(caller, return_no, "approved")
    assert (waiting["worth_minor"], waiting["decided_by"]) == (PRICE, "orderflow")
    assert [await receive(caller, return_no, resellable=2), await receive(caller, return_no, resellable=1)] == [
        409,
        202,
    ]
    done = await until(caller, return_no, "closed")
    assert [(one["received"], one["resellable"], one["damaged"]) for one in done["lines"]] == [(1, 1, 0)]

    def settled(order: View) -> bool:
        return (
            order["payment"] == "partially_refunded" and [one["state"] for one in order["invoices"]] == ["issued"] * 2
        )

    order = await eventually(lambda: caller.order(order_no), settled, 60.0)
    assert (order["lifecycle"], order["return"], order["holds"]) == ("completed", "partial", [])
    assert [one["return_no"] for one in order["returns"]] == [return_no]
    assert [(one["kind"], one["gross_minor"]) for one in order["invoices"]] == [("blue", 2 * PRICE), ("red", PRICE)]
    assert await caller.stock(sku) == (4, 0, 4)
    assert await caller.balances(order["voucher_no"]) == {
        "wallet": PRICE,
        "contract_liability": 0,
        "output_vat_pending": 0,
        "output_vat": -1_300,
        "revenue": -10_000,
        "inventory": -6_000,
        "goods_in_transit": 0,
        "cost_of_sales": 6_000,
        "refund_payable": 0,
    }
    kinds = await caller.kinds(order_no)
    assert kinds[-7:-3] == ["return.requested", "return.approved", "refund.granted", "refund.requested"]
    assert sorted(kinds[-3:]) == ["invoice.credited", "refund.succeeded", "return.received"]


async def test_what_the_rule_does_not_take_back_is_for_a_person_to_decide(
    caller: Caller, stack: RunningStack, sku: str
) -> None:
    await caller.receive(sku, 6)
    order_no = await caller.place(a_sale(sku, 6))
    await caller.pay(order_no, 6 * PRICE)
    await caller.deliver(order_no)
    return_no = await announce(caller, order_no, 6)
    await until(caller, return_no, "requested")
    assert await receive(caller, return_no, resellable=6) == 409
    client = await Client.connect(stack.facts["temporal_address"], data_converter=pydantic_data_converter)
    # Whoever gets at Temporal decides nothing, and that is on record.
    forged = client.get_workflow_handle(return_workflow_id(return_no))
    await forged.signal("approval_decided", FactSignal(999_999))
    await eventually(lambda: caller.kinds(order_no), lambda kinds: "signal.ignored" in kinds, 60.0)
    await until(caller, return_no, "requested")
    approval = await caller.decide(order_no, "service")
    assert approval["node"] == f"return.{return_no}"
    approved = await until(caller, return_no, "approved")
    assert (approved["decided_by"], approved["decision_reason"]) == ("service", "looked into it")
    assert await receive(caller, return_no, resellable=5, damaged=1) == 202
    order = await caller.until(order_no, payment="refunded")
    assert (order["return"], await caller.stock(sku)) == ("full", (5, 0, 5))
    books = await caller.balances(order["voucher_no"])
    assert (books["wallet"], books["revenue"], books["cost_of_sales"]) == (0, 0, 0)
    assert (books["count_difference"], books["inventory"]) == (6_000, -6_000)
