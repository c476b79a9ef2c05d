"""Following one order's events in the database, and how many such streams one process keeps open."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from sqlmodel.ext.asyncio.session import AsyncSession

from api.problem import Refused
from models.order import OrderEvent
from runtime.database import Sessions
from store import access
from store.listing import orders as listing

MAX_STREAMS: Final = 200
_LOOK_EVERY_S: Final = 1.0
_BATCH: Final = 200
# A key that was revoked, or a session that has ended, keeps a stream open for no longer than this.
_CHECK_KEY_EVERY_S: Final = 30.0


class Streams:
    """How many streams this process has open, and may have."""

    def __init__(self, limit: int = MAX_STREAMS) -> None:
        self.limit = limit
        self.open = 0


@contextmanager
def a_place(streams: Streams) -> Iterator[None]:
    """A place for one stream, given back at the end. Raises Refused (503) when all are taken."""
    if streams.open >= streams.limit:
        detail = "Too many event streams are open; read the timeline, or try again later."
        raise Refused(503, "too_many_streams", detail, headers={"Retry-After": "30"})
    streams.open += 1
    try:
        yield
    finally:
        streams.open -= 1


@dataclass(frozen=True, slots=True)
class Following:
    """Which order is followed, behind which event, and how it is found out that the one who follows still may."""

    order_no: str
    after: int
    still_may: Callable[[AsyncSession], Awaitable[bool]]


def with_key(authorization: str) -> Callable[[AsyncSession], Awaitable[bool]]:
    """Whether the key of this header still opens something."""
    token = authorization.partition(" ")[2].strip()

    async def still_may(session: AsyncSession) -> bool:
        return await access.authenticate(session, token) is not None

    return still_may


async def follow(sessions: Sessions, following: Following) -> AsyncIterator[OrderEvent]:
    """The order's events as they come, until it has ended and all are told, or the one who follows may no longer."""
    after, check_at = following.after, time.monotonic() + _CHECK_KEY_EVERY_S
    while True:
        async with sessions() as session:
            # Read before the events: an order that has ended by now has all its events behind it.
            closed = await listing.has_closed(session, following.order_no)
            found = await listing.events(session, following.order_no, after, _BATCH)
            if time.monotonic() > check_at:
                check_at = time.monotonic() + _CHECK_KEY_EVERY_S
                if not await following.still_may(session):
                    return
        for event in found:
            after = event.seq
            yield event
        if closed and len(found) < _BATCH:
            return
        if len(found) < _BATCH:
            await asyncio.sleep(_LOOK_EVERY_S)
