"""Carrier, e-invoice and payment provider hang, drop, babble and refuse: one label each, and nobody else waits."""

import asyncio
import os
import time
from collections.abc import Sequence

import pytest

from tests.fakes.caller import View
from tests.fakes.figures import tell
from tests.fakes.middlebox import (
    Mishap,
    garbage_after,
    lost_after,
    lost_before,
    no_answer,
    overloaded,
    slow,
)
from tests.fakes.patience import eventually
from tests.faults.laboratory import Lab
from workers.main import PARTY_CALLS

FULL = os.environ.get("ORDERFLOW_FULL_FAULTS") == "1"
TIMES_DOWN = 5 if FULL else 2
MISHAPS: dict[str, Sequence[Mishap]] = {
    "slow": [slow(30 if FULL else 4)],
    "hung": [no_answer],
    "down": [overloaded] * TIMES_DOWN,
    "babbling": [garbage_after, garbage_after],
    "cut before it heard": [lost_before],
    "cut after it did it": [lost_after],
    "cut, then down, then babbling": [lost_after, overloaded, garbage_after],
}
OTHERS = 12
# What other orders may take longer while the carrier hangs. Standing behind one of its calls would be 10 s more; the
# seconds are for a machine that has other things to do meanwhile.
SLOWER_TIMES, SLOWER_BY_S = 1.5, 5.0


async def test_every_order_gets_one_label_one_invoice_and_one_refund(
    lab: Lab, sku: str, capsys: pytest.CaptureFixture[str]
) -> None:
    await lab.stocked(sku, 2 * len(MISHAPS))
    kept = await lab.waiting(sku, len(MISHAPS))
    called_off = await lab.waiting(sku, len(MISHAPS))
    for order_no, mishaps in zip(kept, MISHAPS.values(), strict=True):
        lab.world.carrier.upset(order_no, *mishaps)
        lab.world.einvoice.upset(order_no, *mishaps)
    for order_no, mishaps in zip(called_off, MISHAPS.values(), strict=True):
        lab.world.payment.upset(order_no, *mishaps)
    began = time.monotonic()
    await asyncio.gather(*map(lab.pay, kept + called_off))
    delivered = asyncio.gather(*(lab.caller.deliver(order_no) for order_no in kept))
    await asyncio.gather(*map(lab.caller.booked, called_off))
    answers = await asyncio.gather(*map(lab.caller.cancel, called_off))
    assert {answer.status_code for answer in answers} <= {200, 202}
    undone = await lab.all(called_off, lifecycle="cancelled")
    await delivered
    took = time.monotonic() - began

    for order_no in kept:
        assert [label["voided"] for label in lab.world.labels(order_no)] == [False]
        assert [invoice["result"]["status"] for invoice in lab.world.invoices(order_no)] == ["issued"]
    for order_no, view in zip(called_off, undone, strict=True):
        assert [refund["outcome"]["status"] for refund in lab.world.refunds(order_no)] == ["succeeded"]
        assert view["totals"]["refunded_minor"] == view["totals"]["paid_minor"] > 0
        assert [label["voided"] for label in lab.world.labels(order_no)] == [True]
    assert await lab.caller.stock(sku) == (2 * len(MISHAPS), 0, 2 * len(MISHAPS))
    asked = sum(len(lab.world.carrier.about(order_no)) for order_no in kept)
    tell(
        capsys,
        f"{len(MISHAPS)} kinds of trouble at carrier, e-invoice and payment provider: {asked} calls for {len(kept)} "
        f"labels, one each; {len(kept)} invoices, {len(called_off)} refunds; all through after {took:.1f} s",
    )


async def test_orders_that_need_no_carrier_do_not_wait_for_one_that_hangs(
    lab: Lab, sku: str, capsys: pytest.CaptureFixture[str]
) -> None:
    # More than the worker has hands for carriers.
    stuck = PARTY_CALLS + 4
    await lab.stocked(sku, stuck + 3 * OTHERS)
    await _acceptance(lab, sku)
    before = await _acceptance(lab, sku)
    waiting = await lab.waiting(sku, stuck)
    for order_no in waiting:
        lab.world.carrier.upset(order_no, no_answer)
    await asyncio.gather(*map(lab.pay, waiting))

    async def hanging() -> int:
        return sum(bool(lab.world.carrier.about(order_no)) for order_no in waiting)

    await eventually(hanging, lambda count: count >= PARTY_CALLS)
    meanwhile = await _acceptance(lab, sku)
    for order_no in waiting:
        lab.world.carrier.calm(order_no)
    await asyncio.gather(*map(lab.caller.booked, waiting))
    assert {len(lab.world.labels(order_no)) for order_no in waiting} == {1}
    assert meanwhile < before * SLOWER_TIMES + SLOWER_BY_S
    tell(
        capsys,
        f"carrier hung in {PARTY_CALLS} calls: 95 % of other orders had their stock within {meanwhile:.2f} s "
        f"({before:.2f} s before), and all {stuck} orders got one label afterwards",
    )


async def _acceptance(lab: Lab, sku: str) -> float:
    """Seconds within which 95 of 100 new orders have their stock and wait for their money."""

    async def one() -> float:
        began = time.monotonic()
        [order_no] = await lab.placed(sku)
        await eventually(lambda: lab.caller.order(order_no), _waits)
        return time.monotonic() - began

    took = sorted([await one() for _ in range(OTHERS)])
    return took[int(len(took) * 0.95)]


def _waits(order: View) -> bool:
    return bool(order["waiting_for"] == "payment.full")
