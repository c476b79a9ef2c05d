"""What the business fears most is told without any monitoring beside us: alerts to the destinations that listen."""

import asyncio
import contextlib

import structlog
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from runtime.database import Sessions
from store import overdue
from store.overdue import Told

_log = structlog.get_logger(__name__)


class Alarms:
    """Looks every `every_s` seconds. Any number of them may run: each thing is told once."""

    def __init__(self, sessions: Sessions, every_s: float) -> None:
        self._sessions = sessions
        self._every_s = every_s
        self._logged: set[Told] = set()

    async def run(self, stop: asyncio.Event) -> None:
        """Looks until `stop` is set; a look that fails is told and comes again."""
        while not stop.is_set():
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), self._every_s)
                return
            try:
                await self.look()
            except (SQLAlchemyError, PoolTimeout, OSError) as failed:
                _log.warning("alarms", error=type(failed).__name__)

    async def look(self) -> None:
        """Afterwards whoever listens has been told of everything that is overdue, and the log of what is new."""
        async with self._sessions() as session, session.begin():
            found = set(await overdue.tell(session))
        for one in sorted(found - self._logged, key=lambda told: (told.kind, told.key)):
            _log.error("overdue", what=one.kind, about=one.about, key=one.key)
        self._logged = found
