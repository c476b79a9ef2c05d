"""Settling the hold of an order, by whoever its reason belongs to."""

from datetime import timedelta
from typing import Final

from pydantic import BaseModel
from temporalio.client import Client, WorkflowUpdateFailedError
from temporalio.service import RPCError, RPCStatusCode

from api.inbox.door import asked, note
from api.orders.cancelling import handle_of, reason_of, start_if_open
from api.orders.schemas import ResolveHold
from api.orders.seen import Seen
from api.problem import Refused
from domain.access import Permission
from models.order import OrderHold
from store.listing import orders as listing
from workflows.order.contract import ResolveRequest

_WAIT: Final = timedelta(seconds=8)
_CONFLICTS: Final = {
    "no_open_hold": "The order is not held.",
    "choice_not_offered": "The order's flow does not offer this choice here.",
}


class ResolveAnswer(BaseModel):
    """What was chosen, and the node of the flow that it was chosen at."""

    order_no: str
    choice: str
    node: str


async def resolve(seen: Seen, client: Client | None, body: ResolveHold, key: str | None) -> ResolveAnswer:
    """The hold is settled as chosen. Raises Refused: 403 for others' holds, 409 without a hold or for other choices."""
    held = (await listing.open_holds(seen.session, [seen.order_no])).get(seen.order_no, [])
    _check(seen, body, held)
    request_id, actor = _request_id(held, body, key), seen.caller.actor
    message = asked("hold.settled", seen.order_no, request_id, body.model_dump(mode="json"), actor)
    request = ResolveRequest(request_id, actor, body.choice, (await note(seen.session, message)).inbox_id)
    await seen.let_go()
    handle = handle_of(client, seen.order_no)
    try:
        try:
            done = await handle.resolve(request, _WAIT)
        except RPCError as missing:
            if missing.status is not RPCStatusCode.NOT_FOUND:
                raise
            await start_if_open(seen, handle)
            done = await handle.resolve(request, _WAIT)
    except WorkflowUpdateFailedError as failed:
        code = reason_of(failed)
        raise Refused(409, code, _CONFLICTS.get(code, "The choice cannot be carried out.")) from None
    return ResolveAnswer(order_no=done.order_no, choice=done.choice, node=done.node)


def _check(seen: Seen, body: ResolveHold, held: list[OrderHold]) -> None:
    if not held:
        raise Refused(409, "no_open_hold", _CONFLICTS["no_open_hold"])
    if not any(seen.caller.works_for(hold.owner_role) for hold in held):
        raise Refused(403, "not_the_owner", "The hold belongs to another role.")
    if body.choice == "cancel" and not seen.caller.may(Permission.ORDERS_CANCEL):
        raise Refused(403, "forbidden", f"This choice needs the permission {Permission.ORDERS_CANCEL.value}.")


def _request_id(held: list[OrderHold], body: ResolveHold, key: str | None) -> str:
    """The same for the same choice about the same attempt; the next failed attempt can be settled anew."""
    if key is not None:
        return f"resolve/{key}"
    latest = held[-1]
    return f"resolve/{latest.hold_id}/{latest.attempts}/{body.choice}"
