"""Orders called off while their parcel is being booked, while their money goes back, while it cannot go back."""

import asyncio
import os

import pytest

from tests.factories.sales import PRICE
from tests.fakes.caller import View
from tests.fakes.figures import tell
from tests.fakes.middlebox import Gate, overloaded
from tests.fakes.patience import eventually
from tests.faults.laboratory import Lab

FULL = os.environ.get("ORDERFLOW_FULL_FAULTS") == "1"
EACH = 20 if FULL else 4
TIMES_FAILED = 6 if FULL else 3


async def test_order_called_off_at_any_step_is_undone_or_goes_on_and_never_both(
    lab: Lab, sku: str, capsys: pytest.CaptureFixture[str]
) -> None:
    await lab.stocked(sku, 6 * EACH)
    placed = await lab.placed(sku, EACH)
    waiting, booking, booked, leaving, refunding = [await lab.waiting(sku, EACH) for _ in range(5)]
    gates = {order_no: Gate() for order_no in booking + refunding}
    for order_no in booking:
        lab.world.carrier.upset(order_no, gates[order_no].after)
    for order_no in refunding:
        lab.world.payment.upset(order_no, gates[order_no].after)
    await asyncio.gather(*map(lab.pay, booking + booked + leaving + refunding))
    await asyncio.gather(*map(lab.caller.booked, booked + leaving + refunding))
    first = [asyncio.create_task(lab.caller.cancel(order_no)) for order_no in refunding]
    await asyncio.gather(*(gate.reached.wait() for gate in gates.values()))

    # All of it at the same moment; some of those about to leave are fetched before anybody calls them off.
    fetched = [lab.caller.scan(f"{order_no}-S1", "picked_up") for order_no in leaving]
    called_off = [lab.caller.cancel(order_no) for order_no in placed + waiting + booking + booked + leaving + refunding]
    answers = asyncio.gather(*called_off)
    await asyncio.gather(*fetched)
    for gate in gates.values():
        gate.opened.set()
    statuses = [answer.status_code for answer in await answers]
    assert {answer.status_code for answer in await asyncio.gather(*first)} <= {200, 202}
    assert set(statuses) <= {200, 202, 409}

    certain = placed + waiting + booking + booked + refunding
    undone = 0
    for order_no in [*certain[: 4 * EACH], *leaving, *refunding]:
        left = await _went_on(lab, order_no) if order_no in leaving else False
        await (_check_delivered if left else _check_undone)(lab, order_no)
        undone += not left
    assert undone >= len(certain)
    shipped = len(statuses) - undone
    assert await lab.caller.stock(sku) == (12 * EACH - 2 * shipped, 0, 12 * EACH - 2 * shipped)
    tell(
        capsys,
        f"{len(statuses)} orders called off at 6 steps at once: {undone} undone to the last cent and unit, {shipped} "
        "that the carrier had fetched went on; none both",
    )


async def _went_on(lab: Lab, order_no: str) -> bool:
    """Whether the parcel was fetched first; the order has settled for one of the two by now."""

    def settled(order: View) -> bool:
        return bool(order["lifecycle"] == "cancelled" or order["fulfilment"] == "shipped")

    order = await eventually(lambda: lab.caller.order(order_no), settled)
    return bool(order["lifecycle"] != "cancelled")


async def _check_undone(lab: Lab, order_no: str) -> None:
    order = await lab.caller.until(order_no, 120, lifecycle="cancelled")
    assert order["totals"]["refunded_minor"] == order["totals"]["paid_minor"]
    assert len(lab.world.refunds(order_no)) == (1 if order["totals"]["paid_minor"] else 0)
    assert [label for label in lab.world.labels(order_no) if not label["voided"]] == []
    assert set((await lab.caller.balances(order["voucher_no"])).values()) <= {0}


async def _check_delivered(lab: Lab, order_no: str) -> None:
    await lab.caller.scan(f"{order_no}-S1", "delivered")
    order = await lab.caller.until(order_no, 120, lifecycle="completed")
    assert (order["totals"]["refunded_minor"], lab.world.refunds(order_no)) == (0, [])
    # Fetched while the carrier agreed to leave it: people are told that it travels with a label that counts no more.
    [label] = lab.world.labels(order_no)
    reasons = {event["data"].get("reason_code") for event in await lab.caller.events(order_no)}
    assert label["voided"] == ("picked_up_after_cancel" in reasons)


async def test_refund_that_fails_again_and_again_is_seen_all_the_while_and_made_in_the_end(
    lab: Lab, sku: str, capsys: pytest.CaptureFixture[str]
) -> None:
    await lab.stocked(sku, 2)
    refused, down = await lab.waiting(sku, 2)
    await asyncio.gather(*(lab.caller.pay(order_no, 2 * PRICE, f"P-{sku}-{order_no}") for order_no in (refused, down)))
    await asyncio.gather(*map(lab.caller.booked, (refused, down)))
    lab.world.payment.upset(down, *[overloaded] * TIMES_FAILED)
    behaviour = lab.world.provider_itself.behaviour
    payment = frozenset({f"P-{sku}-{refused}"})
    lab.world.provider_itself.behaviour = type(behaviour)(refused_payment_ids=payment)
    try:
        for order_no in (refused, down):
            assert (await lab.caller.cancel(order_no)).status_code in (200, 202)
        for times in range(1, TIMES_FAILED + 1):
            order = await _refused(lab, refused, times)
            [hold] = order["holds"]
            assert (hold["owner_role"], hold["due_at"] > hold["opened_at"]) == ("finance", True)
            assert [(one["amount_minor"], one["state"]) for one in order["refunds"]] == [(2 * PRICE, "refused")]
            if times < TIMES_FAILED:
                assert (await lab.caller.resolve(refused)).status_code == 200
    finally:
        lab.world.provider_itself.behaviour = behaviour
    assert (await lab.caller.resolve(refused)).status_code == 200
    for order_no in (refused, down):
        order = await lab.caller.until(order_no, 120, lifecycle="cancelled")
        assert [(one["amount_minor"], one["state"]) for one in order["refunds"]] == [(2 * PRICE, "succeeded")]
        assert set((await lab.caller.balances(order["voucher_no"])).values()) <= {0}
    # Every refusal has a key of its own, and only the last of them moved money; a provider that is down is asked again.
    outcomes = [one["outcome"]["status"] for one in lab.world.refunds(refused)]
    assert (outcomes[-1], outcomes.count("succeeded"), len(outcomes)) == ("succeeded", 1, TIMES_FAILED + 1)
    assert len(lab.world.refunds(down)) == 1
    tell(capsys, f"refund refused {TIMES_FAILED} times, held each time, then made; answered 500 as often, made once")


async def _refused(lab: Lab, order_no: str, times: int) -> View:
    """The order, held, once its refund has been refused so often."""

    async def count() -> int:
        return (await lab.caller.kinds(order_no)).count("refund.refused")

    await eventually(count, lambda found: found == times)
    return await lab.caller.until(order_no, held=["refund_failed"], payment="paid")
