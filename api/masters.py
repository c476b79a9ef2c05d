"""What every master answers alike: a list, one record, a record put, a table taken in and a table given out."""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, Generic, TypeVar
from urllib.parse import quote

from fastapi import Request
from pydantic import BaseModel
from sqlalchemy import ColumnElement
from sqlmodel import SQLModel
from sqlmodel.ext.asyncio.session import AsyncSession
from starlette.responses import StreamingResponse

from api import csv_body
from api.errors import domain_answer
from api.paging import Exchange, Keyset, ListQuery, Page, page_of
from api.problem import FieldProblem, in_body
from domain.errors import DomainError
from store import masters
from store.masters import Put

Row = TypeVar("Row", bound=SQLModel)
View = TypeVar("View", bound=BaseModel)
Line = TypeVar("Line", bound=BaseModel)
Where = Sequence[ColumnElement[bool]]
_EXPORT_BATCH: Final = 1000


@dataclass(frozen=True, slots=True)
class Master(Generic[Row, View]):
    """One kind of master: its table, how a row is shown, and the order of its list."""

    table: type[Row]
    view: Callable[[Row], View]
    keyset: Keyset
    key_of: Callable[[Row], Sequence[Any]]


class LineResult(BaseModel):
    """What became of one line of an import."""

    line: int
    outcome: str
    errors: list[FieldProblem] | None


class ImportReport(BaseModel):
    """What became of a whole import; `refused` lines changed nothing, all others are in force."""

    created: int
    updated: int
    unchanged: int
    refused: int
    results: list[LineResult]


async def listed(
    master: Master[Row, View], session: AsyncSession, query: ListQuery, exchange: Exchange, where: Where = ()
) -> Page[View]:
    """One page of the rows that fit, by key."""
    rows = await masters.page(session, master.table, master.keyset.decode(query.cursor), query.limit, where)
    return page_of(rows, query, exchange, (master.keyset, master.key_of), master.view)


async def shown(master: Master[Row, View], session: AsyncSession, *key: Any) -> View:
    """The record of this key. Raises MasterNotFound."""
    return master.view(await masters.get(session, master.table, *key))


async def answered(master: Master[Row, View], session: AsyncSession, done: Put, exchange: Exchange, *key: Any) -> View:
    """Commits, and shows the record as it now is: 201 with its address when it is new, else 200."""
    await session.commit()
    session.expire_all()
    if done is Put.CREATED:
        exchange.response.status_code = 201
        exchange.response.headers["Location"] = quote(exchange.request.url.path)
    return await shown(master, session, *key)


async def imported(
    request: Request,
    session: AsyncSession,
    model: type[Line],
    put: Callable[[AsyncSession, Line], Awaitable[Put]],
) -> ImportReport:
    """Puts every line that can be put, each by itself, and tells what became of each."""
    results = []
    for line in await csv_body.read_rows(request, model):
        if line.row is None:
            results.append(LineResult(line=line.line, outcome="refused", errors=list(line.problems)))
        else:
            results.append(await _put_line(session, line.line, line.row, put))
    await session.commit()
    counts = {outcome: sum(one.outcome == outcome for one in results) for outcome in (*Put, "refused")}
    return ImportReport(results=results, **{str(outcome): count for outcome, count in counts.items()})


async def _put_line(
    session: AsyncSession, number: int, row: Line, put: Callable[[AsyncSession, Line], Awaitable[Put]]
) -> LineResult:
    try:
        async with session.begin_nested():
            done = await put(session, row)
    except DomainError as refused:
        answer = domain_answer(refused)
        problem = in_body("#", answer.code, answer.detail)
        return LineResult(line=number, outcome="refused", errors=[problem])
    return LineResult(line=number, outcome=done.value, errors=None)


async def exported(
    master: Master[Row, View], request: Request, model: type[BaseModel], where: Where = ()
) -> StreamingResponse:
    """All rows that fit as CSV, in the columns that an import takes."""
    batches = _batches(master, request, where)
    # Asked for now, so that a database that is away is a 503 and not half a file.
    first = await anext(batches, ())
    return StreamingResponse(
        csv_body.written(model, _chained(first, batches)),
        media_type="text/csv; charset=utf-8",
        headers={"Content-Disposition": f'attachment; filename="{master.keyset.name}.csv"'},
    )


async def _batches(master: Master[Row, View], request: Request, where: Where) -> AsyncIterator[Sequence[View]]:
    after: Sequence[Any] | None = None
    while True:
        async with request.app.state.sessions() as session:
            rows = await masters.page(session, master.table, after, _EXPORT_BATCH, where)
        yield [master.view(row) for row in rows[:_EXPORT_BATCH]]
        if len(rows) <= _EXPORT_BATCH:
            return
        after = master.key_of(rows[_EXPORT_BATCH - 1])


async def _chained(first: Sequence[View], rest: AsyncIterator[Sequence[View]]) -> AsyncIterator[Sequence[View]]:
    yield first
    async for batch in rest:
        yield batch
