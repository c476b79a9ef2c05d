"""Refunds: what of an order's price goes back, by lines, shipping or goodwill, and how far it has come."""

from typing import Annotated

from fastapi import APIRouter, Query, Request, Response

from api.fields import Key
from api.idempotency import REPLAYED
from api.inbox.door import HandOverDep
from api.orders.seen import PaymentsOf, ToRefund
from api.refunding.asking import ask, of_order, one, preview
from api.refunding.schemas import (
    GrantedRefundList,
    GrantedRefundView,
    RefundAsked,
    RefundMoney,
    RefundQuery,
    RefundTaken,
)
from api.verbatim import verbatim

router = APIRouter(tags=["refunds"])


@router.post(
    "/v1/orders/{order_no}/refunds", status_code=202, summary="Refund an order", responses={200: {"model": RefundMoney}}
)
async def refund_order(
    seen: ToRefund,
    asked: RefundAsked,
    query: Annotated[RefundQuery, Query()],
    request: Request,
    response: Response,
    hand_over: HandOverDep,
) -> RefundTaken | RefundMoney:
    """202: it is committed and will be paid out. With `preview=true` 200: what it would come to; nothing is done."""
    if query.preview:
        response.status_code = 200
        return await preview(seen, asked)
    taken, repeated = await ask(seen, asked, await verbatim(request), hand_over)
    response.headers["Location"] = taken.links["self"]
    if repeated:
        response.headers.update(REPLAYED)
    return taken


@router.get("/v1/orders/{order_no}/refunds", summary="The refunds of an order")
async def list_refunds(seen: PaymentsOf) -> GrantedRefundList:
    return GrantedRefundList(data=await of_order(seen), next_cursor=None)


@router.get("/v1/orders/{order_no}/refunds/{refund_id}", summary="One refund of an order")
async def get_refund(refund_id: Key, seen: PaymentsOf) -> GrantedRefundView:
    """Found from the moment it was asked for; `received` until it is decided."""
    return await one(seen, refund_id)
