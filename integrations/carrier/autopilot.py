"""Tells what happens to simulated parcels: each event when it falls due, again and again until it was heard.

A parcel's next event is told only after the one before it was heard, so order is kept unless the plan itself is out
of order. Several processes may run this on one memory: a claim gives a parcel to one of them for a while.
"""

import asyncio
import itertools
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from functools import partial
from typing import Any

import structlog
from pydantic import TypeAdapter

from integrations.carrier.port import CarrierEvent
from integrations.clock import Clock
from integrations.memory import JsonObject, Memory, Shelves

Report = Callable[[CarrierEvent], Awaitable[None]]

_JOURNEYS = "carrier.journeys"
_EVENT = TypeAdapter(CarrierEvent)
_BATCH = 256
_REPORTS_AT_ONCE = 16
_REPORT_SECONDS = 10.0
# A claim ends after this long, so that what a killed process had claimed is told by its successor.
_CLAIM = timedelta(seconds=10)
# Bookings made by another process on the same memory do not wake us; we look this often.
_LOOK_SECONDS = 1.0
_LONGEST_PAUSE_SECONDS = 5.0

_log = structlog.get_logger(__name__)


class Autopilot:
    """The journeys of booked parcels. `plan`, `has_begun` and `cancel` are steps of the caller's transaction."""

    def __init__(self, memory: Memory, clock: Clock) -> None:
        self._memory = memory
        self._clock = clock
        self._woken = asyncio.Event()
        self._resting_until: datetime | None = None

    def plan(self, shelves: Shelves, key: str, events: list[dict[str, Any]]) -> datetime:
        """The events are told one after the other, each not before its time; the first one's time is returned."""
        due_at = _due_at(events)
        shelves.put(_JOURNEYS, key, {"events": events, "begun": False, "failures": 0}, due_at)
        return due_at

    def has_begun(self, shelves: Shelves, key: str) -> bool:
        """Whether the first event was told or is being told."""
        journey = shelves.get(_JOURNEYS, key)
        return journey is not None and bool(journey["begun"])

    def cancel(self, shelves: Shelves, key: str) -> None:
        """Nothing more is told about the parcel."""
        shelves.delete(_JOURNEYS, key)

    def wake_by(self, due_at: datetime) -> None:
        """A pause that would end after `due_at` ends now: something was planned."""
        if self._resting_until is not None and due_at < self._resting_until:
            self._woken.set()

    async def run(self, report: Report, stop: asyncio.Event) -> None:
        """Tell every due event until `stop` is set; what was not heard is told by the next run."""
        while not stop.is_set():
            claimed = await self._memory.change(self._claim)
            if claimed:
                heard = await _tell_all(report, [journey["events"][0] for _, journey in claimed])
                await self._memory.change(partial(self._settle, claimed=claimed, heard=heard))
            else:
                await self._rest(stop)

    def _claim(self, shelves: Shelves) -> list[tuple[str, JsonObject]]:
        now = self._clock()
        claimed = shelves.due(_JOURNEYS, now, _BATCH)
        for key, journey in claimed:
            journey["begun"] = True
            shelves.put(_JOURNEYS, key, journey, now + _CLAIM)
        return claimed

    def _settle(self, shelves: Shelves, claimed: list[tuple[str, JsonObject]], heard: list[bool]) -> None:
        for (key, journey), was_heard in zip(claimed, heard, strict=True):
            if was_heard:
                left = journey["events"][1:]
                after: JsonObject = {**journey, "events": left, "failures": 0}
                # An entry without due time stays for has_begun, and is never looked at again.
                shelves.put(_JOURNEYS, key, after, _due_at(left) if left else None)
            else:
                failures = journey["failures"] + 1
                pause = min(0.1 * 2 ** min(failures, 10), _LONGEST_PAUSE_SECONDS)
                again_at = self._clock() + timedelta(seconds=pause)
                shelves.put(_JOURNEYS, key, {**journey, "failures": failures}, again_at)

    async def _rest(self, stop: asyncio.Event) -> None:
        # Set before the look: what is planned during it must end the pause that follows.
        self._woken.clear()
        self._resting_until = self._clock() + timedelta(seconds=_LOOK_SECONDS)
        next_due = await self._memory.read(lambda shelves: shelves.next_due(_JOURNEYS))
        if next_due is not None:
            self._resting_until = min(self._resting_until, next_due)
        pause = max((self._resting_until - self._clock()).total_seconds(), 0.0)
        waits = [asyncio.ensure_future(event.wait()) for event in (stop, self._woken)]
        try:
            await asyncio.wait(waits, timeout=pause, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._resting_until = None
            for wait in waits:
                wait.cancel()


async def _tell_all(report: Report, events: list[JsonObject]) -> list[bool]:
    places = asyncio.Semaphore(_REPORTS_AT_ONCE)
    outcomes = await asyncio.gather(*(_tell(report, event, places) for event in events), return_exceptions=True)
    for event, outcome in zip(events, outcomes, strict=True):
        if outcome is not None:
            _log.warning("carrier_event_not_heard", event_id=event["event_id"], reason=type(outcome).__name__)
    return [outcome is None for outcome in outcomes]


async def _tell(report: Report, event: JsonObject, places: asyncio.Semaphore) -> None:
    told = _EVENT.validate_python({name: value for name, value in event.items() if name != "times"})
    async with places:
        for _ in itertools.repeat(None, event["times"]):
            async with asyncio.timeout(_REPORT_SECONDS):
                await report(told)


def _due_at(events: list[dict[str, Any]]) -> datetime:
    return datetime.fromisoformat(events[0]["occurred_at"])
