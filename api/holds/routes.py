"""/v1/holds: what waits for a person, how much of it there is, and trying again what one cause has stopped."""

from datetime import datetime
from typing import Annotated, Final

from fastapi import APIRouter, Query

from api.dependencies import SessionDep, SnapshotDep, requires
from api.holds.deciding import retry_all
from api.holds.schemas import (
    CountsQuery,
    HoldCounts,
    HoldItem,
    HoldQuery,
    OpenCount,
    OpenedCount,
    RetriedHolds,
    RetryHolds,
)
from api.inbox.door import HandOverDep
from api.paging import ExchangeDep, Keyset, Page, page_of
from domain.access import Permission, Principal
from store.listing import holds as listing

router = APIRouter(tags=["holds"])
_OLDEST: Final = Keyset("holds", (datetime, str))
Reader = Annotated[Principal, requires(Permission.ORDERS_READ)]
Resolver = Annotated[Principal, requires(Permission.ORDERS_RESOLVE)]


@router.get("/v1/holds", summary="List open holds")
async def list_holds(
    query: Annotated[HoldQuery, Query()], caller: Reader, session: SessionDep, exchange: ExchangeDep
) -> Page[HoldItem]:
    rows = await listing.open_page(session, caller, query.wanted(), _OLDEST.decode(query.cursor), query.limit)
    key = (_OLDEST, lambda pair: (pair[0].opened_at, pair[0].hold_id))
    return page_of(rows, query, exchange, key, lambda pair: HoldItem.listed(pair[0], pair[1], caller))


@router.get("/v1/holds/counts", summary="Count holds by reason")
async def count_holds(query: Annotated[CountsQuery, Query()], caller: Reader, session: SnapshotDep) -> HoldCounts:
    """Open holds by reason and age, and how many were opened of each reason on each day (UTC) of a span."""
    first, last = query.days
    return HoldCounts(
        open=[OpenCount.of(row) for row in await listing.open_counts(session, caller)],
        opened=[OpenedCount.of(row) for row in await listing.opened_counts(session, caller, first, last)],
    )


@router.post("/v1/holds:retry", summary="Try again whatever is held for one reason")
async def retry_holds(body: RetryHolds, caller: Resolver, session: SessionDep, hand_over: HandOverDep) -> RetriedHolds:
    """Each open hold of the reason is settled as `retry`, oldest first; others' holds are refused one by one."""
    return await retry_all(session, hand_over, caller, body)
