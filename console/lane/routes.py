"""The exception lane: where orders stand still, for how long and why; and trying again what one cause has stopped."""

from collections import defaultdict
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Final

from fastapi import APIRouter, Form, Request, Response
from pydantic import ValidationError

from api.dependencies import SessionDep, SessionsDep
from api.holds.deciding import may_settle, retry_all
from api.holds.schemas import HoldItem, HoldQuery, OpenCount, RetryHolds
from api.inbox.door import HandOverDep
from api.paging import Exchange, Keyset, page_of
from api.problem import Refused
from console.guard import HOME, Visitor, allowed
from console.lane.columns import columns_of
from console.pages import REFUSALS, Page, PageDep
from domain.access import Permission
from store.listing import holds as listing

router = APIRouter()
Reader = Annotated[Visitor, allowed(Permission.ORDERS_READ)]
Resolver = Annotated[Visitor, allowed(Permission.ORDERS_RESOLVE)]
Line = Annotated[str, Form(max_length=4000)]
LANE: Final = f"{HOME}lane"
OWNERS: Final = ("sales", "service", "warehouse", "finance", "operations")
_OLDEST: Final = Keyset("holds", (datetime, str))
_PAGE: Final = 50
_DAYS: Final = 14


@router.get("/lane")
async def show_lane(request: Request, page: PageDep, visitor: Reader, session: SessionDep) -> Response:
    return await _lane(request, page, visitor, session)


@router.post("/lane/retry")
async def retry_reason(
    request: Request,
    page: PageDep,
    visitor: Resolver,
    session: SessionDep,
    sessions: SessionsDep,
    hand_over: HandOverDep,
    reason_code: Line,
    reason: Line,
) -> Response:
    """Every hold of the reason that is the visitor's to settle is tried again."""
    try:
        wish = RetryHolds.model_validate({"reason_code": reason_code, "reason": reason.strip()})
        done = await retry_all(session, hand_over, visitor.caller, wish)
    except REFUSALS as refused:
        async with sessions() as fresh:
            return await _lane(request, page, visitor, fresh, refused)
    if done.refused:
        words = "{n} are tried again, {m} are not yours to settle."
        return page.go(LANE, words, "warn", n=done.accepted, m=done.refused)
    return page.go(LANE, "{n} are tried again.", n=done.accepted)


async def _lane(
    request: Request, page: Page, visitor: Visitor, session: Any, refused: Exception | None = None
) -> Response:
    status, trouble = (200, "") if refused is None else page.refusal(refused)
    asked = {name: value for name, value in request.query_params.items() if value}
    try:
        query = HoldQuery.model_validate({"limit": _PAGE} | asked)
        after = _OLDEST.decode(query.cursor)
    except (ValidationError, Refused):
        query, after, status = HoldQuery(limit=_PAGE), None, 422
        trouble = page.words.text("Nothing can be searched for like this.")
    rows = await listing.open_page(session, visitor.caller, query.wanted(), after, query.limit)
    key = (_OLDEST, lambda pair: (pair[0].opened_at, pair[0].hold_id))
    exchange = Exchange(request, Response())
    found = page_of(rows, query, exchange, key, lambda pair: HoldItem.listed(pair[0], pair[1], visitor.caller))
    today = datetime.now(UTC).date()
    opened = await listing.opened_counts(session, visitor.caller, today - timedelta(days=_DAYS - 1), today)
    content = {
        "holds": found.data,
        "settles": {hold.hold_id for hold, _order in rows if may_settle(visitor.caller, hold)},
        "counts": [OpenCount.of(row) for row in await listing.open_counts(session, visitor.caller)],
        "columns": columns_of(opened, today, _DAYS),
        "following": str(request.url.include_query_params(cursor=found.next_cursor)) if found.next_cursor else "",
    }
    return page.show(
        "lane.html", visitor, status, asked=defaultdict(str, asked), owners=OWNERS, trouble=trouble, **content
    )
