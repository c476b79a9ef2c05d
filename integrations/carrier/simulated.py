"""A carrier that behaves like a real one, badly where told so, and remembers its parcels over restarts."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from pydantic import TypeAdapter

from integrations.carrier.autopilot import Autopilot, Report
from integrations.carrier.port import (
    AlreadyCollected,
    Booking,
    CarrierEvent,
    CarrierRefused,
    CarrierStatus,
    CarrierUnavailable,
    Consignment,
)
from integrations.chance import chance, digits
from integrations.clock import Clock, utc_now
from integrations.memory import Memory, Shelves

_BOOKINGS = "carrier.bookings"
_BOOKING = TypeAdapter(Booking)
_CARRIER = "simulated"


@dataclass(frozen=True)
class CarrierBehaviour:
    """The carrier's script. A share between 0 and 1 picks parcels by seed and key: the same ones at every run.

    `lost_reply_share`: the parcel is booked, but the first caller never hears of it. `duplicate_share`: every event
    twice. `disorder_share`: delivery reported before pick-up. `lost_parcel_share`: lost instead of delivered.
    """

    seed: int = 0
    down: bool = False
    reply_delay_seconds: float = 0.0
    refused_postal_codes: frozenset[str] = frozenset()
    refused_cities: frozenset[str] = frozenset()
    refused_keys: frozenset[str] = frozenset()
    lost_reply_share: float = 0.0
    pick_up_after_seconds: float = 1.0
    deliver_after_seconds: float = 2.0
    duplicate_share: float = 0.0
    disorder_share: float = 0.0
    lost_parcel_share: float = 0.0

    def refusal(self, consignment: Consignment, key: str) -> str | None:
        """The code of the refusal that the script has for this parcel, if any."""
        ship_to = consignment.ship_to
        if ship_to.postal_code in self.refused_postal_codes or ship_to.city in self.refused_cities:
            return "address_unserviceable"
        return "consignment_refused" if key in self.refused_keys else None

    def hits(self, share: float, what: str, key: str) -> bool:
        """Whether this parcel is among the share that it happens to."""
        return chance(self.seed, what, key) < share


class SimulatedCarrier:
    """Carrier in our own process. `behaviour` may be replaced at any time and holds from the next call on.

    With `report`, `run_autopilot` tells of every pick-up and delivery until it was heard, also after a restart.
    """

    def __init__(
        self,
        memory: Memory,
        behaviour: CarrierBehaviour | None = None,
        report: Callable[[CarrierEvent], Awaitable[None]] | None = None,
        clock: Clock = utc_now,
    ) -> None:
        self.behaviour = behaviour or CarrierBehaviour()
        self._memory = memory
        self._clock = clock
        self._autopilot = Autopilot(memory, clock)
        self._report: Report | None = report

    async def book(self, consignment: Consignment, key: str) -> Booking:
        self._answer_if_up()
        booking, first_event_at = await self._memory.change(lambda shelves: self._accept(shelves, consignment, key))
        if first_event_at is not None:
            self._autopilot.wake_by(first_event_at)
        await asyncio.sleep(self.behaviour.reply_delay_seconds)
        if first_event_at is not None and self.behaviour.hits(self.behaviour.lost_reply_share, "lost reply", key):
            raise CarrierUnavailable("carrier_unavailable", "the reply was lost after the parcel was booked")
        return booking

    async def find(self, key: str) -> Booking | None:
        self._answer_if_up()
        kept = await self._memory.read(lambda shelves: shelves.get(_BOOKINGS, key))
        await asyncio.sleep(self.behaviour.reply_delay_seconds)
        return None if kept is None or kept["voided"] else _BOOKING.validate_python(kept["booking"])

    async def void(self, key: str) -> None:
        self._answer_if_up()
        await self._memory.change(lambda shelves: self._forget(shelves, key))
        await asyncio.sleep(self.behaviour.reply_delay_seconds)

    async def run_autopilot(self, stop: asyncio.Event) -> None:
        """Report what falls due until `stop` is set; returns at once if there is nobody to report to."""
        if self._report is not None:
            await self._autopilot.run(self._report, stop)

    def _answer_if_up(self) -> None:
        if self.behaviour.down:
            raise CarrierUnavailable("carrier_unavailable", "the carrier is down")

    def _accept(self, shelves: Shelves, consignment: Consignment, key: str) -> tuple[Booking, datetime | None]:
        kept = shelves.get(_BOOKINGS, key)
        if kept is not None and kept["voided"]:
            raise CarrierRefused("consignment_voided")
        if kept is not None:
            return _BOOKING.validate_python(kept["booking"]), None
        refusal = self.behaviour.refusal(consignment, key)
        if refusal is not None:
            raise CarrierRefused(refusal)
        tracking_no = f"SIM{digits(12, key)}"
        booking = Booking(_CARRIER, tracking_no, f"https://carrier.example/labels/{tracking_no}")
        shelves.put(_BOOKINGS, key, {"booking": _BOOKING.dump_python(booking), "voided": False})
        return booking, self._autopilot.plan(shelves, key, self._events(consignment.shipment_no, key))

    def _events(self, shipment_no: str, key: str) -> list[dict[str, Any]]:
        script, booked_at = self.behaviour, self._clock()
        is_lost = script.hits(script.lost_parcel_share, "lost parcel", key)
        journey = [
            (CarrierStatus.PICKED_UP, script.pick_up_after_seconds),
            (CarrierStatus.LOST if is_lost else CarrierStatus.DELIVERED, script.deliver_after_seconds),
        ]
        times = 2 if script.hits(script.duplicate_share, "duplicate", key) else 1
        events = [
            {
                "event_id": f"{shipment_no}-{status}",
                "shipment_no": shipment_no,
                "status": status,
                "occurred_at": (booked_at + timedelta(seconds=after)).isoformat(),
                "times": times,
            }
            for status, after in journey
        ]
        return events[::-1] if script.hits(script.disorder_share, "disorder", key) else events

    def _forget(self, shelves: Shelves, key: str) -> None:
        kept = shelves.get(_BOOKINGS, key)
        if kept is None or kept["voided"]:
            return
        if self._autopilot.has_begun(shelves, key):
            raise AlreadyCollected
        self._autopilot.cancel(shelves, key)
        shelves.put(_BOOKINGS, key, {**kept, "voided": True})
