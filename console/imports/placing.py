"""Orders of a file placed one by one through the door, beside whatever else this process does."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import structlog

from api.errors import domain_answer
from api.orders.intake import Intake
from api.problem import Answer, Refused, problem_of
from domain.access import Principal
from domain.errors import DomainError
from importing.answers import problems_in
from importing.apart import reading_of
from importing.items import Item
from importing.table import Problem
from models.importing import OrderImport
from store import imports
from store.imports import Fate

_AT_ONCE: Final = 20
_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Placing:
    """One import on its way, in the name of whoever said so."""

    intake: Intake
    caller: Principal
    # The same one that batches of the API go through, so that both together leave connections to others.
    gate: asyncio.Semaphore

    async def run(self, row: OrderImport) -> None:
        """Afterwards every order of the file has its fate on record, or the rest is for whoever takes it up again."""
        try:
            await self._place_all(row)
        except Exception as failed:
            # The database may be away: then the lease runs out by itself, and the page offers to go on.
            _log.warning("an import was interrupted", import_id=row.import_id, error=type(failed).__name__)
            async with self.intake.sessions() as session, session.begin():
                await imports.let_go(session, row.import_id)
            raise

    async def _place_all(self, row: OrderImport) -> None:
        items = reading_of(imports.reading_of(row, self.intake.keys)).readout.items
        async with self.intake.sessions() as session:
            done = await imports.positions(session, row.import_id)
        left = [(at, item) for at, item in enumerate(items) if at not in done]
        for start in range(0, len(left), _AT_ONCE):
            fates = await asyncio.gather(*(self._place(row, *one) for one in left[start : start + _AT_ONCE]))
            async with self.intake.sessions() as session, session.begin():
                await imports.record(session, row.import_id, fates)
        async with self.intake.sessions() as session, session.begin():
            await imports.finish(session, row.import_id)

    async def _place(self, row: OrderImport, at: int, item: Item) -> Fate:
        async with self.gate:
            try:
                placed = await self.intake.take(item.body, self.caller, "import")
            except (Refused, DomainError) as refused:
                return Fate(at, item.key, "refused", problems=tuple(map(told, _problems(item, refused))))
            there = placed.repeated and not await self._is_own(row, placed.order_no)
        return Fate(at, item.key, "there" if there else "placed", placed.order_no)

    async def _is_own(self, row: OrderImport, order_no: str) -> bool:
        async with self.intake.sessions() as session:
            return await imports.placed_since(session, order_no, row)


class Placings:
    """The imports that this process has on its way."""

    def __init__(self) -> None:
        self._under_way: set[asyncio.Task[None]] = set()

    def begin(self, placing: Placing, row: OrderImport) -> None:
        """Afterwards the import goes on by itself, whoever looks."""
        task = asyncio.create_task(placing.run(row))
        self._under_way.add(task)
        task.add_done_callback(self._over)

    async def stop(self) -> None:
        """Afterwards none goes on; what was placed is placed, and the rest waits for somebody to go on."""
        tasks = tuple(self._under_way)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _over(self, task: asyncio.Task[None]) -> None:
        self._under_way.discard(task)
        if not task.cancelled():
            # Told already; to ask for it keeps the loop from telling it again.
            task.exception()


def told(problem: Problem) -> dict[str, Any]:
    """A problem as it is kept."""
    return {
        "row": problem.row,
        "column": problem.column,
        "code": problem.code,
        "words": problem.words,
        "values": dict(problem.values),
    }


def _problems(item: Item, refused: Refused | DomainError) -> Sequence[Problem]:
    if isinstance(refused, DomainError):
        answer = domain_answer(refused)
    else:
        answer = Answer(refused.status, refused.code, refused.detail, errors=refused.errors)
    return problems_in(item, problem_of("import", answer).model_dump())
