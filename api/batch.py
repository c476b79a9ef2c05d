"""Requests of many items: each is done or refused by itself, a few at a time, and the answer tells each one's fate."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final

from fastapi import Request
from pydantic import BaseModel

from api.errors import domain_answer, request_id_of
from api.problem import Answer, Problem, Refused, problem_of
from domain.errors import DomainError

# Items of all batches together: few enough to leave most database connections to others.
ITEMS_AT_ONCE: Final = 4


class ItemResult(BaseModel):
    """What became of one item: the status it would have been answered with alone, and its result or its problem."""

    index: int
    status: int
    order_no: str | None
    replayed: bool
    problem: Problem | None


class BatchResult(BaseModel):
    """What became of every item, in the order in which they were sent."""

    accepted: int
    refused: int
    results: list[ItemResult]


Taken = tuple[str, bool]
"""The order's number, and whether the item had come before."""


async def one_by_one(
    request: Request, items: Sequence[dict[str, Any]], take: Callable[[dict[str, Any]], Awaitable[Taken]]
) -> BatchResult:
    """Every item through `take`. What it raises as Refused or DomainError is that item's problem alone.

    Any other failure (the database going away) fails the request; what was taken by then is found again when it is
    repeated.
    """
    gate: asyncio.Semaphore = request.app.state.batch_gate

    async def one(index: int, item: dict[str, Any]) -> ItemResult:
        async with gate:
            try:
                order_no, replayed = await take(item)
            except (Refused, DomainError) as refused:
                return _refused(request, index, refused)
        return ItemResult(index=index, status=202, order_no=order_no, replayed=replayed, problem=None)

    results = await _all([one(index, item) for index, item in enumerate(items)])
    accepted = sum(result.problem is None for result in results)
    return BatchResult(accepted=accepted, refused=len(results) - accepted, results=results)


def _refused(request: Request, index: int, refused: Refused | DomainError) -> ItemResult:
    if isinstance(refused, DomainError):
        answer = domain_answer(refused)
    else:
        answer = Answer(refused.status, refused.code, refused.detail, errors=refused.errors)
    problem = problem_of(request_id_of(request), answer)
    return ItemResult(index=index, status=answer.status, order_no=None, replayed=False, problem=problem)


async def _all(works: Sequence[Awaitable[ItemResult]]) -> list[ItemResult]:
    """All results, or the first failure once nothing is under way any more."""
    tasks = [asyncio.ensure_future(work) for work in works]
    try:
        return await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
