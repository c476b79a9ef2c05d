"""/v1/stock: levels, goods that come in, and every movement of goods."""

from collections.abc import Sequence
from typing import Annotated, Final

from fastapi import APIRouter, Query, Response

from api.dependencies import SessionDep, requires
from api.idempotency import REPLAYED
from api.inbox.door import STOCK_REPLENISHED, HandOverDep
from api.inbox.hand_over import HandOver
from api.paging import ExchangeDep, Keyset, Page, page_of
from api.problem import Refused
from api.stock.schemas import (
    LevelQuery,
    LevelView,
    MovementQuery,
    MovementView,
    ReceiptSent,
    ReceiptTaken,
    movements_of,
)
from domain.access import Permission, Principal
from store import stock
from store.inbox import Pending
from store.listing import stock as listing
from store.stock import Woken

router = APIRouter(tags=["stock"])
_LEVELS: Final = Keyset("stock", (str, str))
_MOVEMENTS: Final = Keyset("stock/movements", (int,))
Reader = Annotated[Principal, requires(Permission.STOCK_READ)]
Receiver = Annotated[Principal, requires(Permission.STOCK_RECEIVE)]


@router.get("/v1/stock", summary="List stock levels")
async def list_stock(
    query: Annotated[LevelQuery, Query()], caller: Reader, session: SessionDep, exchange: ExchangeDep
) -> Page[LevelView]:
    rows = await stock.levels(
        session,
        sku=query.sku,
        warehouses=_warehouses(query.warehouse, caller),
        after=_LEVELS.decode(query.cursor),
        limit=query.limit + 1,
    )
    return page_of(rows, query, exchange, (_LEVELS, lambda row: (row.sku, row.warehouse)), LevelView.of)


@router.post(
    "/v1/stock/receipts",
    status_code=201,
    summary="Take goods in",
    responses={200: {"model": ReceiptTaken, "description": "The receipt had come before"}},
)
async def receive_goods(
    sent: ReceiptSent, caller: Receiver, session: SessionDep, hand_over: HandOverDep, response: Response
) -> ReceiptTaken:
    """A receipt counts once; the same id with other content gets 422. Orders that waited for the goods go on."""
    if not caller.sees_warehouse(sent.warehouse):
        raise Refused(403, "warehouse_not_allowed", "This key is not for goods of this warehouse.")
    outcome = await stock.receive(session, sent.receipt(), caller.actor)
    await session.commit()
    _tell(hand_over, outcome.woken)
    response.headers["Location"] = movements_of(sent.receipt_id)
    if outcome.repeated:
        response.status_code = 200
        response.headers.update(REPLAYED)
    return ReceiptTaken.of(sent)


@router.get("/v1/stock/movements", summary="List stock movements")
async def list_movements(
    query: Annotated[MovementQuery, Query()], caller: Reader, session: SessionDep, exchange: ExchangeDep
) -> Page[MovementView]:
    before = _MOVEMENTS.decode(query.cursor)
    rows = await listing.movements(session, caller, query.wanted(), before[0] if before else None, query.limit)
    key = (_MOVEMENTS, lambda row: (row.movement_id,))
    return page_of(rows, query, exchange, key, lambda row: MovementView.of(row, caller))


def _warehouses(asked: str | None, caller: Principal) -> Sequence[str] | None:
    """Those to be shown; None: all."""
    if asked is None:
        return None if caller.warehouses is None else sorted(caller.warehouses)
    return [asked] if caller.sees_warehouse(asked) else []


def _tell(hand_over: HandOver | None, woken: Sequence[Woken]) -> None:
    if hand_over is not None:
        for one in woken:
            hand_over.soon(Pending(one.inbox_id, one.order_no, STOCK_REPLENISHED, ""))
