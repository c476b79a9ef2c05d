"""A worker dies within a call of an outside party or a step of our own: nothing happens twice, and soon it goes on."""

import asyncio
import contextlib
import os
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field

import psycopg
import pytest

from activities.advance import PARTY_AT_ONCE_S
from tests.factories.sales import PRICE
from tests.fakes.figures import tell
from tests.fakes.middlebox import Gate, Middlebox
from tests.fakes.patience import eventually
from tests.faults.laboratory import Lab

FULL = os.environ.get("ORDERFLOW_FULL_FAULTS") == "1"
ROUNDS = 20 if FULL else 2
STARTED = "the next worker"
MOMENTS = ("before the effect", "after the effect", "after some heartbeats")
# Longer than a party has to answer within a step, and then than the pause between two heartbeats; shorter than we wait
# for an answer of it on its own queue.
BEATS_S = PARTY_AT_ONCE_S + 3.5
RECOVERED_WITHIN_S = 12.0
# On a busy machine the next worker itself may take longer than that to start; from then on it has so long.
AFTER_START_S = 6.0


@dataclass
class Victim:
    """An order within a call, when the worker dies; the event `further` says that it has gone on from there."""

    order_no: str
    within: str
    further: str
    gate: Gate = field(default_factory=Gate)

    def stands_at(self, box: Middlebox, moment: str) -> None:
        # Asked within the step first, and when it has not answered at once, on its own queue, after being looked up:
        # all of that stops until the gate is opened.
        stops = self.gate.after if moment == "after the effect" else self.gate.before
        box.upset(self.order_no, stops, stops, stops, stops)


@pytest.mark.timeout(3_000 if FULL else 300)
async def test_call_that_a_worker_died_in_is_made_good_by_the_next_one(
    lab: Lab, sku: str, capsys: pytest.CaptureFixture[str]
) -> None:
    times: dict[str, list[float]] = {}
    for _ in range(ROUNDS):
        for within, seconds in (await _round(lab, sku)).items():
            times.setdefault(within, []).append(seconds)
    worst = {within: max(seconds) for within, seconds in times.items()}
    started = worst.pop(STARTED)
    told = ", ".join(f"{within} {seconds:.1f} s" for within, seconds in sorted(worst.items()))
    tell(
        capsys,
        f"worker killed {ROUNDS} times within calls, the next one at work after {started:.1f} s; "
        f"at the longest it took to go on: {told}; nothing twice",
    )
    assert max(worst.values()) < max(RECOVERED_WITHIN_S, started + AFTER_START_S)


async def _round(lab: Lab, sku: str) -> dict[str, float]:
    """Seconds from the death of the worker until each of the orders has gone on."""
    await lab.stocked(sku, 3 * len(MOMENTS) + 1)
    own = Victim((await lab.waiting(sku))[0], "a step of our own", "payment.received")
    sets = await asyncio.gather(*(_before_calls(lab, sku, moment) for moment in MOMENTS))
    cancelling = [asyncio.create_task(_into_calls(lab, victims)) for victims in sets]
    victims = [victim for three in sets for victim in three]
    for victim in victims:
        await asyncio.wait_for(victim.gate.reached.wait(), 60)
    await asyncio.sleep(BEATS_S)
    async with _locked(lab, own.order_no):
        await lab.pay(own.order_no)
        await _until_a_step_waits(lab)
        assert await _moments(lab, victims) == []
        await lab.kill("worker")
        died = time.time()
    for victim in victims:
        victim.gate.opened.set()
    await lab.worker_back()
    took = {STARTED: time.time() - died}
    went_on = await eventually(lambda: _moments(lab, [*victims, own]), lambda rows: len(rows) == len(victims) + 1, 90)
    for victim in [*victims, own]:
        took[victim.within] = next(at for order_no, at in went_on if order_no == victim.order_no) - died
    await asyncio.gather(*cancelling, *(_check(lab, victim) for victim in victims))
    await lab.caller.deliver(own.order_no)
    return took


async def _before_calls(lab: Lab, sku: str, moment: str) -> list[Victim]:
    """Three orders: next for each is a call of the carrier, the e-invoice provider, the payment provider."""
    order_nos = await lab.waiting(sku, 3)
    booking, invoicing, refunding = (
        Victim(order_nos[0], f"carrier, {moment}", "shipment.booked"),
        Victim(order_nos[1], f"e-invoice, {moment}", "invoice.issued"),
        Victim(order_nos[2], f"refund, {moment}", "refund.succeeded"),
    )
    await asyncio.gather(*map(lab.pay, order_nos[1:]))
    await asyncio.gather(*map(lab.caller.booked, order_nos[1:]))
    await lab.caller.scan(f"{invoicing.order_no}-S1", "picked_up")
    await lab.all([invoicing.order_no], fulfilment="shipped")
    booking.stands_at(lab.world.carrier, moment)
    invoicing.stands_at(lab.world.einvoice, moment)
    refunding.stands_at(lab.world.payment, moment)
    return [booking, invoicing, refunding]


async def _into_calls(lab: Lab, victims: list[Victim]) -> None:
    booking, invoicing, refunding = victims
    await lab.pay(booking.order_no)
    await lab.caller.scan(f"{invoicing.order_no}-S1", "delivered")
    assert (await lab.caller.cancel(refunding.order_no)).status_code in (200, 202)


@contextlib.asynccontextmanager
async def _locked(lab: Lab, order_no: str) -> AsyncIterator[None]:
    """Nobody else gets the order's row while the block lasts."""
    address = lab.database_url.replace("+psycopg", "", 1)
    async with await psycopg.AsyncConnection.connect(address) as connection:
        await connection.execute("SELECT 1 FROM orders WHERE order_no = %s FOR UPDATE", [order_no])
        yield


async def _until_a_step_waits(lab: Lab) -> None:
    waiting = (
        "SELECT count(*) > 0 FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND application_name = 'orderflow'"
    )
    await lab.until(waiting, [(True,)])


async def _moments(lab: Lab, victims: list[Victim]) -> list[tuple[str, float]]:
    """When each of the orders went on that have gone on, by the clock of the machine."""
    await asyncio.sleep(0.2)
    wanted = " OR ".join(f"(order_no = '{one.order_no}' AND kind = '{one.further}')" for one in victims)
    query = f"SELECT order_no, extract(epoch FROM max(at))::float8 FROM order_events WHERE {wanted} GROUP BY order_no"
    return [(order_no, at) for order_no, at in await lab.ask(query)]


async def _check(lab: Lab, victim: Victim) -> None:
    """Each party was asked for one thing only, and the books say so, too."""
    checks: dict[str, Callable[[str], Awaitable[None]]] = {
        "carrier": lambda order_no: _once_booked(lab, order_no),
        "e-invoice": lambda order_no: _once_invoiced(lab, order_no),
        "refund": lambda order_no: _once_refunded(lab, order_no),
    }
    await checks[victim.within.split(",")[0]](victim.order_no)


async def _once_booked(lab: Lab, order_no: str) -> None:
    await lab.caller.deliver(order_no)
    assert [label["voided"] for label in lab.world.labels(order_no)] == [False]
    assert (await lab.caller.kinds(order_no)).count("shipment.booked") == 1


async def _once_invoiced(lab: Lab, order_no: str) -> None:
    assert [one["result"]["status"] for one in lab.world.invoices(order_no)] == ["issued"]
    [invoice] = (await lab.caller.order(order_no))["invoices"]
    assert (await lab.caller.kinds(order_no)).count("invoice.issued") == 1
    assert invoice["invoice_no"]


async def _once_refunded(lab: Lab, order_no: str) -> None:
    assert len(lab.world.refunds(order_no)) == 1
    order = await lab.caller.order(order_no)
    assert order["totals"]["refunded_minor"] == 2 * PRICE
    assert (await lab.caller.kinds(order_no)).count("refund.succeeded") == 1
    assert set((await lab.caller.balances(order["voucher_no"])).values()) <= {0}
