"""What was read, sent in batches through the API's own door; every item comes back placed, already there or refused."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import httpx

from cli.importing.door import GivenUp, problem_in, said_by
from importing.answers import problems_in
from importing.items import ORDERS, PAYMENTS, STOCK, Item, Refusal

Post = Callable[[str, Mapping[str, Any]], Awaitable[httpx.Response]]

# Well below what the API takes (1 MiB), so that a batch of large orders still passes as one request.
_BATCH_BYTES: Final = 400_000
_SPLITTABLE: Final = frozenset({400, 413, 422})


@dataclass(frozen=True, slots=True)
class Route:
    """Where items of a subject go, and how many at a time. Without a field name they go one by one, as they are."""

    path: str
    field: str | None
    at_once: int
    # What a batch says beside its items.
    said: Mapping[str, str] | None = None


ROUTES: Final[Mapping[str, Route]] = {
    STOCK: Route("/v1/stock/receipts", None, 1),
    ORDERS: Route("/v1/orders:batch", "orders", 100, {"source": "import"}),
    PAYMENTS: Route("/v1/payments:batch", "payments", 200),
}


@dataclass(slots=True)
class Outcome:
    """What became of the items of one subject so far. Whoever is in none of the lists was not sent."""

    taken: list[Item] = field(default_factory=list)
    repeated: list[Item] = field(default_factory=list)
    refused: list[Refusal] = field(default_factory=list)

    @property
    def settled(self) -> int:
        return len(self.taken) + len(self.repeated) + len(self.refused)


@dataclass(frozen=True, slots=True)
class Sending:
    """One way to the API. `on_progress` is told how many items have just been settled."""

    post: Post
    concurrency: int
    on_progress: Callable[[int], None]

    async def send(self, subject: str, items: Sequence[Item], outcome: Outcome) -> None:
        """Afterwards every item is in `outcome`. Raises GivenUp, with `outcome` as far as it came."""
        route = ROUTES[subject]
        # One iterator for all workers: each takes the next batch as soon as it is free.
        waiting = iter(list(batches(items, route.at_once)))
        works = [asyncio.ensure_future(self._work(route, waiting, outcome)) for _ in range(self.concurrency)]
        try:
            await asyncio.gather(*works)
        finally:
            for work in works:
                work.cancel()
            await asyncio.gather(*works, return_exceptions=True)

    async def _work(self, route: Route, waiting: Iterator[list[Item]], outcome: Outcome) -> None:
        for batch in waiting:
            await self._settle(route, batch, outcome)

    async def _settle(self, route: Route, batch: Sequence[Item], outcome: Outcome) -> None:
        before = outcome.settled
        body = (
            batch[0].body if route.field is None else {**(route.said or {}), route.field: [item.body for item in batch]}
        )
        answer = await self.post(route.path, body)
        if answer.status_code in _SPLITTABLE and len(batch) > 1:
            middle = len(batch) // 2
            await self._settle(route, batch[:middle], outcome)
            await self._settle(route, batch[middle:], outcome)
            return
        if route.field is None or not answer.is_success:
            for item in batch:
                _sort(item, _fate(answer), outcome)
        else:
            _sort_all(batch, answer, outcome)
        self.on_progress(outcome.settled - before)


def batches(items: Sequence[Item], at_once: int) -> Iterator[list[Item]]:
    """The items in their order, at most `at_once` together and no more than the API reads as one body."""
    batch: list[Item] = []
    size = 0
    for item in items:
        weight = len(json.dumps(item.body))
        if batch and (len(batch) == at_once or size + weight > _BATCH_BYTES):
            yield batch
            batch, size = [], 0
        batch.append(item)
        size += weight
    if batch:
        yield batch


def _fate(answer: httpx.Response) -> Mapping[str, Any]:
    """The answer to a request of one item, in the words that a batch uses for it."""
    if answer.is_success:
        return {"status": answer.status_code, "replayed": "Idempotent-Replayed" in answer.headers, "problem": None}
    return {"status": answer.status_code, "problem": problem_in(answer) or {"detail": said_by(answer)}}


def _sort_all(batch: Sequence[Item], answer: httpx.Response, outcome: Outcome) -> None:
    results = sorted(answer.json()["results"], key=lambda result: int(result["index"]))
    if [result["index"] for result in results] != list(range(len(batch))):
        raise GivenUp(f"{answer.request.url} does not say what became of each item")
    for item, result in zip(batch, results, strict=True):
        _sort(item, result, outcome)


def _sort(item: Item, fate: Mapping[str, Any], outcome: Outcome) -> None:
    if fate.get("problem"):
        outcome.refused.append(Refusal(item.subject, item.key, item.rows, problems_in(item, fate["problem"])))
    else:
        (outcome.repeated if fate.get("replayed") else outcome.taken).append(item)
