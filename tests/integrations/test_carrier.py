"""What every carrier keeps to: the simulated one, and the HTTP adapter talking to a real server in front of it."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace

import pytest

from integrations.carrier.over_http import HttpCarrier
from integrations.carrier.port import (
    AlreadyCollected,
    Carrier,
    CarrierEvent,
    CarrierRefused,
    CarrierUnavailable,
)
from integrations.carrier.simulated import CarrierBehaviour, SimulatedCarrier
from integrations.http_client import build_client
from integrations.memory import Memory
from tests.factories.outside_parties import CONSIGNMENT
from tests.fakes.carrier_server import TOKEN, carrier_app
from tests.fakes.http_server import misbehaving, relaying_but_cutting, serving

KEY = "SO2611-7KQ3M9TX/book/1"


@dataclass
class Party:
    """The carrier under test and the simulator that decides how it behaves; `told` is what it reported."""

    carrier: Carrier
    simulated: SimulatedCarrier
    told: asyncio.Queue[CarrierEvent]


@pytest.fixture(params=["simulated", "over_http"])
async def party(request: pytest.FixtureRequest) -> AsyncIterator[Party]:
    memory, told = Memory(), asyncio.Queue[CarrierEvent]()
    simulated = SimulatedCarrier(memory, report=told.put)
    if request.param == "simulated":
        yield Party(simulated, simulated, told)
    else:
        async with serving(carrier_app(simulated)) as url, build_client() as client:
            yield Party(HttpCarrier(url, client, TOKEN), simulated, told)
    memory.close()


async def test_a_repeated_booking_is_the_first_one(party: Party) -> None:
    bookings = await asyncio.gather(*(party.carrier.book(CONSIGNMENT, KEY) for _ in range(20)))

    assert len(set(bookings)) == 1
    assert await party.carrier.find(KEY) == bookings[0]


async def test_other_keys_get_other_labels(party: Party) -> None:
    first = await party.carrier.book(CONSIGNMENT, KEY)
    second = await party.carrier.book(replace(CONSIGNMENT, shipment_no="SH-2"), "SO2611-7KQ3M9TX/book/2")

    assert first.tracking_no != second.tracking_no


async def test_nothing_is_found_for_a_key_that_was_never_booked(party: Party) -> None:
    assert await party.carrier.find(KEY) is None


@pytest.mark.parametrize("key", ["a b", "..", "a/../b", "a?b#c", "100%", "订单/1", "x" * 200])
async def test_any_key_names_its_own_booking(party: Party, key: str) -> None:
    booking = await party.carrier.book(CONSIGNMENT, f"odd:{key}")

    assert await party.carrier.find(f"odd:{key}") == booking


async def test_a_booking_whose_reply_was_lost_is_found_and_not_repeated(party: Party) -> None:
    party.simulated.behaviour = CarrierBehaviour(lost_reply_share=1.0)
    with pytest.raises(CarrierUnavailable) as lost:
        await party.carrier.book(CONSIGNMENT, KEY)
    found = await party.carrier.find(KEY)

    assert (lost.value.code, lost.value.retryable) == ("carrier_unavailable", True)
    assert found is not None
    assert await party.carrier.book(CONSIGNMENT, KEY) == found


@pytest.mark.parametrize(
    ("behaviour", "code"),
    [
        (CarrierBehaviour(refused_postal_codes=frozenset({"310000"})), "address_unserviceable"),
        (CarrierBehaviour(refused_cities=frozenset({"杭州市"})), "address_unserviceable"),
        (CarrierBehaviour(refused_keys=frozenset({KEY})), "consignment_refused"),
    ],
)
async def test_a_refusal_names_its_reason_and_books_nothing(
    party: Party, behaviour: CarrierBehaviour, code: str
) -> None:
    party.simulated.behaviour = behaviour
    with pytest.raises(CarrierRefused) as refusal:
        await party.carrier.book(CONSIGNMENT, KEY)

    assert (refusal.value.code, refusal.value.retryable) == (code, False)
    assert await party.carrier.find(KEY) is None


async def test_a_rule_made_later_does_not_undo_a_booking(party: Party) -> None:
    booking = await party.carrier.book(CONSIGNMENT, KEY)
    party.simulated.behaviour = CarrierBehaviour(refused_keys=frozenset({KEY}))

    assert await party.carrier.book(CONSIGNMENT, KEY) == booking


async def test_voiding_what_was_never_booked_is_harmless(party: Party) -> None:
    await party.carrier.void(KEY)

    assert await party.carrier.find(KEY) is None
    await party.carrier.book(CONSIGNMENT, KEY)


async def test_a_voided_booking_is_gone_for_good_and_never_collected(party: Party) -> None:
    await party.carrier.book(CONSIGNMENT, KEY)
    await party.carrier.void(KEY)
    await party.carrier.void(KEY)

    assert await party.carrier.find(KEY) is None
    with pytest.raises(CarrierRefused, match="consignment_voided"):
        await party.carrier.book(CONSIGNMENT, KEY)


async def test_a_collected_parcel_cannot_be_voided(party: Party) -> None:
    party.simulated.behaviour = CarrierBehaviour(pick_up_after_seconds=0, deliver_after_seconds=3600)
    booking = await party.carrier.book(CONSIGNMENT, KEY)
    stop = asyncio.Event()
    flying = asyncio.create_task(party.simulated.run_autopilot(stop))
    event = await party.told.get()
    stop.set()
    await flying

    assert event.status == "picked_up"
    with pytest.raises(AlreadyCollected) as refusal:
        await party.carrier.void(KEY)
    assert (refusal.value.code, refusal.value.retryable) == ("already_collected", False)
    assert await party.carrier.find(KEY) == booking


async def test_a_carrier_that_is_down_is_unavailable(party: Party) -> None:
    async with build_client() as client:
        unreachable = HttpCarrier("http://127.0.0.1:1", client, TOKEN)
        carrier = party.carrier if party.carrier is party.simulated else unreachable
        party.simulated.behaviour = CarrierBehaviour(down=True)
        for call in (carrier.book(CONSIGNMENT, KEY), carrier.find(KEY), carrier.void(KEY)):
            with pytest.raises(CarrierUnavailable, match="carrier_unavailable"):
                await call


async def test_a_connection_cut_after_the_booking_leaves_one_label() -> None:
    memory = Memory()
    simulated = SimulatedCarrier(memory)
    async with serving(carrier_app(simulated)) as url, build_client() as client:
        async with misbehaving(relaying_but_cutting(url)) as cut_url:
            with pytest.raises(CarrierUnavailable, match="carrier_unavailable"):
                await HttpCarrier(cut_url, client, TOKEN).book(CONSIGNMENT, KEY)
        booked = await simulated.find(KEY)

        assert booked is not None
        assert await HttpCarrier(url, client, TOKEN).find(KEY) == booked
        assert await HttpCarrier(url, client, TOKEN).book(CONSIGNMENT, KEY) == booked
    memory.close()


async def test_a_wrong_token_can_be_mended_and_retried() -> None:
    memory = Memory()
    async with serving(carrier_app(SimulatedCarrier(memory))) as url, build_client() as client:
        with pytest.raises(CarrierUnavailable) as refusal:
            await HttpCarrier(url, client, "wrong").book(CONSIGNMENT, KEY)
    memory.close()

    assert (refusal.value.code, refusal.value.retryable) == ("carrier_denied", True)


async def test_the_pause_that_a_carrier_asks_for_is_passed_on() -> None:
    memory = Memory()
    simulated = SimulatedCarrier(memory, CarrierBehaviour(lost_reply_share=1.0))
    async with serving(carrier_app(simulated)) as url, build_client() as client:
        with pytest.raises(CarrierUnavailable) as busy:
            await HttpCarrier(url, client, TOKEN).book(CONSIGNMENT, KEY)
    memory.close()

    assert busy.value.retry_after_seconds == 7.0
