"""/v1/returns: goods that come back, from the wish to send them to the warehouse that takes them in."""

from datetime import datetime
from typing import Annotated, Final

from fastapi import APIRouter, Query, Request, Response

from api.dependencies import SnapshotDep
from api.idempotency import REPLAYED
from api.inbox.door import HandOverDep
from api.orders.seen import ToReturn
from api.paging import ExchangeDep, Keyset, Page, page_of
from api.problem import Refused
from api.refunding.schemas import RefundQuery
from api.returning.asking import ask, preview, take_in
from api.returning.schemas import ReturnAsked, ReturnPreview, ReturnQuery, ReturnReceived, ReturnTaken, ReturnView
from api.returning.seen import Reader, ReturnToRead, ReturnToReceive
from api.verbatim import verbatim
from store import returning

router = APIRouter(tags=["returns"])
_NEWEST: Final = Keyset("returns", (datetime, str))


@router.post(
    "/v1/orders/{order_no}/returns",
    status_code=202,
    summary="Announce a return or an exchange",
    responses={200: {"model": ReturnPreview}},
)
async def announce_return(
    seen: ToReturn,
    asked: ReturnAsked,
    query: Annotated[RefundQuery, Query()],
    request: Request,
    response: Response,
    hand_over: HandOverDep,
) -> ReturnTaken | ReturnPreview:
    """Delivered goods are to come back. Approved by rule or by people (`/v1/approvals`); then its goods are awaited.

    Their price goes back, or pays for what goes out instead. With `preview=true` 200: what it would come to; nothing is
    done.
    """
    if query.preview:
        response.status_code = 200
        return await preview(seen, asked)
    return _answered(response, *await ask(seen, asked, await verbatim(request), hand_over))


@router.get("/v1/returns", summary="List returns")
async def list_returns(
    query: Annotated[ReturnQuery, Query()], caller: Reader, session: SnapshotDep, exchange: ExchangeDep
) -> Page[ReturnView]:
    rows = await returning.page(session, caller, query.wanted(), _NEWEST.decode(query.cursor), query.limit)
    key = (_NEWEST, lambda found: (found.row.requested_at, found.row.return_no))
    return page_of(rows, query, exchange, key, lambda found: ReturnView.of(found, caller))


@router.get("/v1/returns/{return_no}", summary="One return")
async def get_return(seen: ReturnToRead) -> ReturnView:
    return ReturnView.of(seen.found, seen.caller)


@router.post("/v1/returns/{return_no}/receipt", status_code=202, summary="Take returned goods in")
async def receive_return(
    seen: ReturnToReceive, sent: ReturnReceived, request: Request, response: Response, hand_over: HandOverDep
) -> ReturnTaken:
    """How they were found decides what happens: accepted units are refunded, resellable ones are on sale again."""
    if not seen.caller.sees_warehouse(sent.warehouse):
        raise Refused(403, "warehouse_not_allowed", "This key is not for goods of this warehouse.")
    return _answered(response, *await take_in(seen, sent, await verbatim(request), hand_over))


def _answered(response: Response, taken: ReturnTaken, repeated: bool) -> ReturnTaken:
    response.headers["Location"] = taken.links["self"]
    if repeated:
        response.headers.update(REPLAYED)
    return taken
