import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from integrations.carrier.port import CarrierEvent, CarrierStatus
from integrations.carrier.simulated import CarrierBehaviour, SimulatedCarrier
from integrations.clock import utc_now
from integrations.memory import Memory
from tests.factories.outside_parties import CONSIGNMENT

KEY = "SO2611-7KQ3M9TX/book/1"
AT_ONCE = CarrierBehaviour(pick_up_after_seconds=0.0, deliver_after_seconds=0.0)
Told = asyncio.Queue[CarrierEvent]


@contextlib.asynccontextmanager
async def flying(
    path: Path | None, behaviour: CarrierBehaviour, report: Callable[[CarrierEvent], Awaitable[None]]
) -> AsyncIterator[SimulatedCarrier]:
    memory, stop = Memory(path), asyncio.Event()
    carrier = SimulatedCarrier(memory, behaviour, report)
    running = asyncio.create_task(carrier.run_autopilot(stop))
    try:
        yield carrier
    finally:
        stop.set()
        await running
        memory.close()


async def heard(told: Told, count: int) -> list[CarrierEvent]:
    async with asyncio.timeout(30):
        return [await told.get() for _ in range(count)]


async def test_every_parcel_is_picked_up_and_then_delivered() -> None:
    told = Told()
    async with flying(None, AT_ONCE, told.put) as carrier:
        before = utc_now()
        await carrier.book(CONSIGNMENT, KEY)
        picked_up, delivered = await heard(told, 2)

    assert (picked_up.status, delivered.status) == (CarrierStatus.PICKED_UP, CarrierStatus.DELIVERED)
    assert {picked_up.shipment_no, delivered.shipment_no} == {CONSIGNMENT.shipment_no}
    assert picked_up.event_id != delivered.event_id
    assert before <= picked_up.occurred_at <= utc_now()
    assert told.empty()


async def test_a_booking_that_falls_due_sooner_ends_the_pause() -> None:
    told = Told()
    async with flying(None, CarrierBehaviour(pick_up_after_seconds=0.8), told.put) as carrier:
        await carrier.book(CONSIGNMENT, KEY)
        carrier.behaviour = AT_ONCE
        await carrier.book(replace(CONSIGNMENT, shipment_no="SH-soon"), "soon")
        (first,) = await heard(told, 1)

    assert first.shipment_no == "SH-soon"


async def test_an_event_is_told_until_it_is_heard_and_is_the_same_every_time() -> None:
    tries: list[CarrierEvent] = []
    told = Told()

    async def deaf_at_first(event: CarrierEvent) -> None:
        tries.append(event)
        if len(tries) < 4:
            raise ConnectionError
        await told.put(event)

    async with flying(None, AT_ONCE, deaf_at_first) as carrier:
        await carrier.book(CONSIGNMENT, KEY)
        picked_up, delivered = await heard(told, 2)

    assert tries == [picked_up] * 4 + [delivered]


async def test_one_deaf_ear_does_not_hold_up_other_parcels() -> None:
    told = Told()

    async def deaf_to_one(event: CarrierEvent) -> None:
        if event.shipment_no == CONSIGNMENT.shipment_no:
            raise ConnectionError
        await told.put(event)

    async with flying(None, AT_ONCE, deaf_to_one) as carrier:
        await carrier.book(CONSIGNMENT, KEY)
        await carrier.book(replace(CONSIGNMENT, shipment_no="SH-2"), "other")
        events = await heard(told, 2)

    assert [event.shipment_no for event in events] == ["SH-2", "SH-2"]


async def test_a_restarted_process_tells_what_its_predecessor_could_not(tmp_path: Path) -> None:
    async def deaf(_: CarrierEvent) -> None:
        raise ConnectionError

    told = Told()
    async with flying(tmp_path / "carrier.db", CarrierBehaviour(pick_up_after_seconds=0.05), deaf) as carrier:
        booking = await carrier.book(CONSIGNMENT, KEY)
    async with flying(tmp_path / "carrier.db", AT_ONCE, told.put) as carrier:
        events = await heard(told, 2)

        assert [event.status for event in events] == [CarrierStatus.PICKED_UP, CarrierStatus.DELIVERED]
        assert await carrier.find(KEY) == booking


async def test_a_parcel_claimed_by_a_killed_process_is_told_by_another_later(tmp_path: Path) -> None:
    told, begun = Told(), asyncio.Event()

    async def never_returns(_: CarrierEvent) -> None:
        begun.set()
        await asyncio.Event().wait()

    memory = Memory(tmp_path / "carrier.db")
    carrier = SimulatedCarrier(memory, AT_ONCE, never_returns)
    await carrier.book(CONSIGNMENT, KEY)
    killed = asyncio.create_task(carrier.run_autopilot(asyncio.Event()))
    await begun.wait()
    killed.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await killed
    memory.close()

    memory = Memory(tmp_path / "carrier.db")
    stop = asyncio.Event()
    successor = SimulatedCarrier(memory, AT_ONCE, told.put, clock=lambda: utc_now() + timedelta(seconds=11))
    running = asyncio.create_task(successor.run_autopilot(stop))
    events = await heard(told, 2)
    stop.set()
    await running
    memory.close()

    assert [event.status for event in events] == [CarrierStatus.PICKED_UP, CarrierStatus.DELIVERED]


async def test_duplicates_and_disorder_come_as_scripted() -> None:
    told = Told()
    async with flying(None, replace(AT_ONCE, duplicate_share=1.0, disorder_share=1.0), told.put) as carrier:
        await carrier.book(CONSIGNMENT, KEY)
        events = await heard(told, 4)

    assert [event.status for event in events] == ["delivered", "delivered", "picked_up", "picked_up"]
    assert events[0] == events[1]
    assert events[2] == events[3]


async def test_a_share_of_parcels_is_lost_and_it_is_always_the_same_ones() -> None:
    async def outcome() -> dict[str, CarrierStatus]:
        told = Told()
        async with flying(None, replace(AT_ONCE, seed=7, lost_parcel_share=0.5), told.put) as carrier:
            for number in range(40):
                await carrier.book(replace(CONSIGNMENT, shipment_no=f"SH-{number}"), f"key-{number}")
            events = await heard(told, 80)
        return {event.shipment_no: event.status for event in events if event.status != CarrierStatus.PICKED_UP}

    first, second = await outcome(), await outcome()

    assert first == second
    assert 5 < Counter(first.values())[CarrierStatus.LOST] < 35


async def test_two_processes_on_one_memory_share_hundreds_of_parcels(tmp_path: Path) -> None:
    told = Told()
    path = tmp_path / "carrier.db"
    async with flying(path, AT_ONCE, told.put) as one, flying(path, AT_ONCE, told.put) as other:
        for number in range(300):
            carrier = one if number % 2 else other
            await carrier.book(replace(CONSIGNMENT, shipment_no=f"SH-{number}"), f"key-{number}")
        events = await heard(told, 600)

    assert set(Counter(event.event_id for event in events).values()) == {1}


@pytest.mark.timeout(10)
async def test_without_anyone_to_tell_the_autopilot_ends_at_once() -> None:
    memory = Memory()
    await SimulatedCarrier(memory).run_autopilot(asyncio.Event())
    memory.close()
