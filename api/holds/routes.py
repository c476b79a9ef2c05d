"""/v1/holds: what waits for a person, longest open first."""

from datetime import datetime
from typing import Annotated, Final

from fastapi import APIRouter, Query

from api.dependencies import SessionDep, requires
from api.holds.schemas import HoldItem, HoldQuery
from api.paging import ExchangeDep, Keyset, Page, page_of
from domain.access import Permission, Principal
from store.listing import holds as listing

router = APIRouter(tags=["holds"])
_OLDEST: Final = Keyset("holds", (datetime, str))
Reader = Annotated[Principal, requires(Permission.ORDERS_READ)]


@router.get("/v1/holds", summary="List open holds")
async def list_holds(
    query: Annotated[HoldQuery, Query()], caller: Reader, session: SessionDep, exchange: ExchangeDep
) -> Page[HoldItem]:
    rows = await listing.open_page(session, caller, query.wanted(), _OLDEST.decode(query.cursor), query.limit)
    key = (_OLDEST, lambda pair: (pair[0].opened_at, pair[0].hold_id))
    return page_of(rows, query, exchange, key, lambda pair: HoldItem.listed(pair[0], pair[1], caller))
