"""An order from its placing to recognised revenue, as everybody outside sees it."""

import asyncio

from tests.factories.requests import an_order
from tests.factories.sales import PRICE, a_sale
from tests.fakes.caller import Caller

LIFE = [
    "order.received",
    "order.accepted",
    "stock.reserved",
    "order.waiting",
    "payment.received",
    "order.fulfilling",
    "shipment.booked",
    "order.waiting",
    "shipment.handed_over",
    "shipment.delivered",
    "revenue.recognised",
    "invoice.issued",
    "order.completed",
]


async def test_paid_order_is_shipped_and_ends_in_the_books(caller: Caller, sku: str) -> None:
    await caller.receive(sku, 5)
    order_no = await caller.place(a_sale(sku))
    waiting = await caller.until(order_no, waiting_for="payment.full", lifecycle="accepted")
    assert (waiting["payment"], waiting["fulfilment"], waiting["revenue"]) == ("unpaid", "allocated", "none")
    assert await caller.stock(sku) == (5, 2, 3)
    await caller.pay(order_no, 2 * PRICE)
    done = await caller.deliver(order_no)

    statuses = {name: done[name] for name in ("payment", "fulfilment", "return", "invoice", "revenue", "waiting_for")}
    assert statuses == {
        "payment": "paid",
        "fulfilment": "delivered",
        "return": "none",
        "invoice": "full",
        "revenue": "full",
        "waiting_for": None,
    }
    assert await caller.stock(sku) == (3, 0, 3)
    assert await caller.balances(done["voucher_no"]) == {
        "wallet": 22_600,
        "contract_liability": 0,
        "output_vat_pending": 0,
        "output_vat": -2_600,
        "revenue": -20_000,
        "inventory": -12_000,
        "goods_in_transit": 0,
        "cost_of_sales": 12_000,
    }
    assert await caller.kinds(order_no) == LIFE


async def test_invoice_says_what_was_sold(caller: Caller, sku: str) -> None:
    await caller.receive(sku, 2)
    order_no = await caller.place(a_sale(sku))
    await caller.pay(order_no, 2 * PRICE)
    done = await caller.deliver(order_no)
    [invoice] = done["invoices"]
    assert (invoice["kind"], invoice["state"], invoice["voucher_no"]) == ("blue", "issued", done["voucher_no"])
    assert (invoice["net_minor"], invoice["tax_minor"], invoice["gross_minor"]) == (20_000, 2_600, 22_600)
    [line] = invoice["lines"]
    assert (line["sku"], line["quantity"], line["tax_rate"], line["gross_minor"]) == (sku, 2, "0.13", 22_600)
    listed = await caller.read("/v1/invoices", order_no=order_no)
    assert [one["invoice_no"] for one in listed["data"]] == [invoice["invoice_no"]]


async def test_coupon_and_shipping_fee_are_part_of_the_revenue(caller: Caller, sku: str) -> None:
    await caller.receive(sku, 2)
    lines = a_sale(sku)["lines"]
    order_no = await caller.place(an_order(f"T-{sku}", lines=lines))
    await caller.pay(order_no, 22_600 - 2_000 + 1_000)
    done = await caller.deliver(order_no)
    books = await caller.balances(done["voucher_no"])
    # 216.00 with 13% in it: 191.15 and 24.85.
    assert (books["revenue"], books["output_vat"], books["wallet"]) == (-19_115, -2_485, 21_600)


async def test_stream_tells_every_change_in_order_and_ends_with_the_order(caller: Caller, sku: str) -> None:
    await caller.receive(sku, 2)
    order_no = await caller.place(a_sale(sku))
    following = asyncio.create_task(_streamed(caller, order_no))
    await caller.until(order_no, waiting_for="payment.full")
    await caller.pay(order_no, 2 * PRICE)
    await caller.deliver(order_no)
    async with asyncio.timeout(30):
        told = await following
    assert [kind for _, kind in told] == LIFE
    assert [seq for seq, _ in told] == list(range(1, len(LIFE) + 1))


async def test_shipping_note_can_be_printed(caller: Caller, sku: str) -> None:
    await caller.receive(sku, 2)
    order_no = await caller.place(a_sale(sku))
    await caller.pay(order_no, 2 * PRICE)
    note = (await caller.booked(order_no))["shipments"][0]["links"]["note"]
    answer = await caller.ask("GET", note, "warehouse")
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/pdf")
    assert answer.content.startswith(b"%PDF-")


async def test_same_request_names_the_same_order(caller: Caller, sku: str) -> None:
    await caller.receive(sku, 10)
    body = a_sale(sku)
    first, *others = await asyncio.gather(*(caller.place(body) for _ in range(10)))
    assert set(others) == {first}
    await caller.until(first, fulfilment="allocated")
    assert await caller.stock(sku) == (10, 2, 8)


async def _streamed(caller: Caller, order_no: str) -> list[tuple[int, str]]:
    told: list[tuple[int, str]] = []
    kind = ""
    headers = {"Authorization": f"Bearer {caller.token('admin')}"}
    async with caller.http.stream("GET", f"/v1/orders/{order_no}/events", headers=headers) as stream:
        async for line in stream.aiter_lines():
            kind = line.removeprefix("event: ") if line.startswith("event: ") else kind
            if line.startswith("id: "):
                told.append((int(line.removeprefix("id: ")), kind))
    return told
