"""Changes of orders: other units, other lines, another address, before the goods are packed."""

from typing import Annotated

from fastapi import APIRouter, Query, Response

from api.changing.asking import change, of_order, preview
from api.changing.schemas import ChangeAsked, ChangeList, ChangePreview, ChangeQuery, ChangeView
from api.dependencies import ClientDep
from api.idempotency import REPLAYED
from api.orders.seen import ToChange

router = APIRouter(tags=["orders"])


@router.post("/v1/orders/{order_no}/changes", summary="Change an order")
async def change_order(
    seen: ToChange, asked: ChangeAsked, query: Annotated[ChangeQuery, Query()], client: ClientDep, response: Response
) -> ChangeView | ChangePreview:
    """It has been changed. With `preview=true`: what it would come to; nothing is done.

    409: it can no longer be changed like this, or is not what it was when the change was shown.
    """
    if query.preview:
        return await preview(seen, asked)
    changed, repeated = await change(seen, client, asked)
    if repeated:
        response.headers.update(REPLAYED)
    return changed


@router.get("/v1/orders/{order_no}/changes", summary="The changes of an order")
async def list_changes(seen: ToChange) -> ChangeList:
    return ChangeList(data=await of_order(seen), next_cursor=None)
