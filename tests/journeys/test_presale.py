"""A presale as everybody outside sees it: its balance comes, comes early, or does not come."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

from tests.factories.sales import PRICE, a_sale
from tests.fakes.caller import Caller, View
from tests.fakes.patience import eventually

TOTAL, DEPOSIT = 2 * PRICE, 6_780
BALANCE = TOTAL - DEPOSIT


def moment(in_seconds: float) -> str:
    return (datetime.now(UTC) + timedelta(seconds=in_seconds)).isoformat()


async def presale(caller: Caller, sku: str, opens_in: float, closes_in: float, **terms: Any) -> str:
    """A presale of two units of which there are five, with the balance's window so many seconds from now."""
    await caller.receive(sku, 5)
    plan = {"terms": "deposit_balance", "deposit_minor": DEPOSIT} | terms
    window = {"balance_opens_at": moment(opens_in), "balance_closes_at": moment(closes_in)}
    body = a_sale(sku, type="presale", payment={"method": "alipay", **plan, **window})
    order_no = await caller.place(body)
    order = await caller.until(order_no, waiting_for="payment.deposit")
    assert (order["flow"], order["fulfilment"]) == ({"key": "presale", "version": 1}, "unallocated")
    return order_no


async def pay_deposit(caller: Caller, order_no: str) -> View:
    """The order, whose goods are locked and of which nothing ships."""
    await caller.pay(order_no, DEPOSIT, "P-1")
    order = await caller.until(order_no, fulfilment="allocated", payment="partial", waiting_for="payment.balance")
    assert (order["shipments"], order["held"]) == ([], [])
    return order


def plan_of(order: View) -> list[tuple[str, int, int, str]]:
    parts = order["payment_plan"]
    return [(part["kind"], part["amount_minor"], part["paid_minor"], part["state"]) for part in parts]


async def asked(caller: Caller, order_no: str) -> list[str]:
    """The kinds of the order's events, once the customer has been told that the balance is due."""
    return await eventually(lambda: caller.kinds(order_no), lambda kinds: "notice.order.balance_due" in kinds, 60)


async def test_balance_ships_the_goods_that_the_deposit_has_locked(caller: Caller, sku: str) -> None:
    order_no = await presale(caller, sku, opens_in=4, closes_in=3_600)
    order = await pay_deposit(caller, order_no)
    assert await caller.stock(sku) == (5, 2, 3)
    assert plan_of(order)[0] == ("deposit", DEPOSIT, DEPOSIT, "paid")
    assert await caller.balances(order["voucher_no"]) == {
        "wallet": DEPOSIT,
        "contract_liability": -6_000,
        "output_vat_pending": -780,
    }
    await asked(caller, order_no)
    order = await caller.order(order_no)
    assert (order["shipments"], plan_of(order)[1]) == ([], ("balance", BALANCE, 0, "open"))
    await caller.pay(order_no, BALANCE - 1_000, "P-2")
    await caller.until(order_no, payment="partial", held=[], shipments=[])
    await caller.pay(order_no, 1_000, "P-3")
    done = await caller.deliver(order_no)
    assert plan_of(done) == [("deposit", DEPOSIT, DEPOSIT, "paid"), ("balance", BALANCE, BALANCE, "paid")]
    assert [payment["kind"] for payment in done["payments"]] == ["deposit", "balance", "balance"]
    assert (done["payment"], done["revenue"], done["invoice"]) == ("paid", "full", "full")
    books = await caller.balances(done["voucher_no"])
    assert (books["wallet"], books["revenue"], books["output_vat"]) == (TOTAL, -20_000, -2_600)
    assert (books["contract_liability"], books["output_vat_pending"]) == (0, 0)


async def test_missed_balance_releases_the_goods_and_costs_the_deposit_unless_it_is_refundable(
    caller: Caller, sku: str
) -> None:
    # Both at once: most of it is waiting.
    await asyncio.gather(
        _missed(caller, f"{sku}-kept", refundable=False), _missed(caller, f"{sku}-back", refundable=True)
    )


async def _missed(caller: Caller, sku: str, *, refundable: bool) -> None:
    payment, kept = ("refunded", 0) if refundable else ("forfeited", DEPOSIT)
    order_no = await presale(caller, sku, opens_in=8, closes_in=14, deposit_refundable=refundable)
    await pay_deposit(caller, order_no)
    order = await caller.until(order_no, lifecycle="expired", payment=payment, held=[])
    assert await caller.stock(sku) == (5, 0, 5)
    assert (order["shipments"], order["totals"]["forfeited_minor"]) == ([], kept)
    assert [state for *_, state in plan_of(order)] == ["forfeited" if kept else "void", "void"]
    books = await caller.balances(order["voucher_no"])
    assert {role: minor for role, minor in books.items() if minor} == (
        {"wallet": kept, "forfeited_deposit": -kept} if kept else {}
    )


async def test_all_at_once_ships_without_waiting_for_the_window(caller: Caller, sku: str) -> None:
    order_no = await presale(caller, sku, opens_in=3_600, closes_in=7_200)
    await caller.pay(order_no, TOTAL)
    done = await caller.deliver(order_no)
    assert [payment["kind"] for payment in done["payments"]] == ["full"]
    assert "notice.order.balance_due" not in await caller.kinds(order_no)


async def test_cancelling_shows_first_what_it_costs_and_keeps_the_deposit(caller: Caller, sku: str) -> None:
    order_no = await presale(caller, sku, opens_in=3_600, closes_in=7_200)
    order = await pay_deposit(caller, order_no)
    preview = (await caller.cancel(order_no, preview="true")).json()
    assert (preview["refund"], preview["refund_minor"], preview["forfeit_minor"]) == ([], 0, DEPOSIT)
    assert (await caller.cancel(order_no)).status_code == 200
    done = await caller.until(order_no, lifecycle="cancelled", payment="forfeited")
    assert await caller.stock(sku) == (5, 0, 5)
    books = await caller.balances(order["voucher_no"])
    assert {role: minor for role, minor in books.items() if minor} == {"wallet": DEPOSIT, "forfeited_deposit": -DEPOSIT}
    assert done["refunds"] == []


async def test_deposit_is_given_back_by_those_who_may_and_by_no_shop(caller: Caller, sku: str) -> None:
    order_no = await presale(caller, sku, opens_in=3_600, closes_in=7_200)
    await pay_deposit(caller, order_no)
    wish = {"reason": "goodwill", "deposit": "refund"}
    refused = await caller.ask("POST", f"/v1/orders/{order_no}/cancel", "channel", json=wish)
    assert (refused.status_code, refused.json()["code"]) == (403, "forbidden")
    assert (await caller.order(order_no))["cancel_requested_at"] is None
    assert (await caller.ask("POST", f"/v1/orders/{order_no}/cancel", "service", json=wish)).status_code == 200
    order = await caller.until(order_no, lifecycle="cancelled", payment="refunded")
    assert set((await caller.balances(order["voucher_no"])).values()) == {0}


async def test_presale_called_off_before_its_deposit_costs_nothing(caller: Caller, sku: str) -> None:
    order_no = await presale(caller, sku, opens_in=3_600, closes_in=7_200)
    await caller.pay(order_no, DEPOSIT - 1, "P-1")
    await caller.until(order_no, payment="partial", fulfilment="unallocated")
    assert (await caller.cancel(order_no)).status_code == 200
    order = await caller.until(order_no, lifecycle="cancelled", payment="refunded")
    assert set((await caller.balances(order["voucher_no"])).values()) == {0}
