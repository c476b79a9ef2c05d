"""What a person may ask of a running order: to undo it, or to go on where it is held."""

from typing import Annotated

from fastapi import APIRouter, Query, Response
from pydantic import BaseModel, ConfigDict

from api.dependencies import ClientDep
from api.holds.schemas import DecisionTaken
from api.idempotency import KeyDep
from api.inbox.door import HandOverDep
from api.orders.cancelling import CancelAnswer, cancel
from api.orders.preview import CancelPreview, preview_of
from api.orders.resolving import HoldAnswer, ResolveAnswer, hold, resolve
from api.orders.schemas import CancelOrder, HoldOrder, ResolveHold
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


@router.post(
    "/v1/orders/{order_no}/exception",
    summary="Settle the hold of an order",
    responses={202: {"model": DecisionTaken, "description": "One hold is being settled by itself"}},
)
async def resolve_exception(
    seen: ToResolve, body: ResolveHold, key: KeyDep, client: ClientDep, hand_over: HandOverDep, response: Response
) -> ResolveAnswer | DecisionTaken:
    """`retry` the step that is held, `skip` it where the flow allows, `jump` to a target of its lane, or `cancel`.

    Without `hold_id` the choice answers what the order stands at; holds that facts have opened elsewhere stay. With it,
    `retry` settles that hold alone, and `refund` sends back the money that it is about.
    """
    answer = await resolve(seen, client, hand_over, body, key)
    response.status_code = 202 if isinstance(answer, DecisionTaken) else 200
    return answer


@router.post("/v1/orders/{order_no}/holds", status_code=201, summary="Keep an order from being shipped")
async def hold_order(seen: ToResolve, body: HoldOrder, key: KeyDep, client: ClientDep) -> HoldAnswer:
    """It goes on as far as it can without shipping: money still comes in. 409: its goods are with the carrier."""
    return await hold(seen, client, body, key)
