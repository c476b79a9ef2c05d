"""What a person may ask of a running order: to undo it, or to go on where it is held."""

from typing import Annotated

from fastapi import APIRouter, Query, Response
from pydantic import BaseModel, ConfigDict

from api.dependencies import ClientDep
from api.idempotency import KeyDep
from api.orders.cancelling import CancelAnswer, cancel
from api.orders.preview import CancelPreview, preview_of
from api.orders.resolving import ResolveAnswer, resolve
from api.orders.schemas import CancelOrder, ResolveHold
from api.orders.seen import ToCancel, ToResolve

router = APIRouter(tags=["orders"])


class CancelQuery(BaseModel):
    """With `preview=true` nothing is done: the answer says what would be."""

    model_config = ConfigDict(extra="forbid")

    preview: bool = False


@router.post("/v1/orders/{order_no}/cancel", summary="Cancel an order", responses={202: {"model": CancelAnswer}})
async def cancel_order(
    seen: ToCancel,
    body: CancelOrder,
    query: Annotated[CancelQuery, Query()],
    key: KeyDep,
    client: ClientDep,
    response: Response,
) -> CancelAnswer | CancelPreview:
    """200: it is undone. 202: it is being undone; read the order again later. 409: it can no longer be undone."""
    if query.preview:
        return await preview_of(seen)
    answer = await cancel(seen, client, body, key)
    response.status_code = 200 if answer.lifecycle == "cancelled" else 202
    return answer


@router.post("/v1/orders/{order_no}/exception", summary="Settle the hold of an order")
async def resolve_exception(seen: ToResolve, body: ResolveHold, key: KeyDep, client: ClientDep) -> ResolveAnswer:
    """`retry` the step that is held, `skip` it where the flow allows, or `cancel` the order."""
    return await resolve(seen, client, body, key)
