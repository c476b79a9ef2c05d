"""Settling the hold of an order, by whoever its reason belongs to."""

from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Final, TypeVar

from pydantic import BaseModel
from temporalio.client import Client, WorkflowUpdateFailedError

from api.holds.deciding import decide, may_settle
from api.holds.schemas import DecisionTaken
from api.inbox.door import asked, note
from api.inbox.hand_over import HandOver
from api.orders.reaching import OrderHasEnded, handle_of, reached, reason_of
from api.orders.schemas import HoldOrder, ResolveHold
from api.orders.seen import Seen
from api.problem import Refused
from domain.access import Permission
from models.order import OrderHold
from store.listing import orders as listing
from workflows.order.contract import HoldRequest, ResolveRequest
from workflows.order.handle import OrderHandle

_WAIT: Final = timedelta(seconds=8)
Answer = TypeVar("Answer")
_REFUSALS: Final = {
    "no_open_hold": "The order is not held.",
    "not_the_owner": "What the order stands at belongs to another role.",
    "too_late_to_hold": "The order is with the carrier, or has ended.",
    "choice_not_offered": "The order's flow does not offer this choice here.",
}


class HoldAnswer(BaseModel):
    """The hold that keeps the order from being shipped."""

    order_no: str
    hold_id: str


class ResolveAnswer(BaseModel):
    """What was chosen, and the node of the flow that it was chosen at."""

    order_no: str
    choice: str
    node: str


async def resolve(
    seen: Seen, client: Client | None, hand_over: HandOver | None, body: ResolveHold, key: str | None
) -> ResolveAnswer | DecisionTaken:
    """The hold is settled as chosen. Raises Refused: 403 for others' holds, 409 without a hold or for other choices."""
    held = (await listing.open_holds(seen.session, [seen.order_no])).get(seen.order_no, [])
    named = [hold for hold in held if body.hold_id in (None, hold.hold_id)]
    _check(seen, body, named)
    if body.hold_id is not None and body.choice in ("retry", "refund", "resend"):
        # One hold by itself, whatever the order is doing: a decision that is kept, and not a question to the order.
        said = body.model_dump(include={"choice", "reason_code", "reason"})
        return await decide(seen.session, hand_over, seen.caller, named[0], said)
    return await _ask(seen, client, body, named, key)


async def hold(seen: Seen, client: Client | None, body: HoldOrder, key: str | None) -> HoldAnswer:
    """The order will not be shipped before the hold is settled. Raises Refused (409) when it is too late for that."""
    request_id = f"hold/{key}" if key is not None else f"hold/{await _holds_so_far(seen)}"
    said = body.model_dump(mode="json", exclude_none=True)
    noted = await note(seen.session, asked("hold.requested", seen.order_no, request_id, said, seen.caller.actor))
    request = HoldRequest(request_id, seen.caller.actor, noted.inbox_id)
    await seen.let_go()
    done = await _answered(
        seen, handle_of(client, seen.order_no), lambda handle: handle.hold(request, _WAIT), "too_late_to_hold"
    )
    return HoldAnswer(order_no=done.order_no, hold_id=done.hold_id)


async def _holds_so_far(seen: Seen) -> int:
    """The same for a request that is repeated, another one once its hold is settled."""
    return await listing.count_events(seen.session, seen.order_no, "order.hold_resolved")


async def _ask(
    seen: Seen, client: Client | None, body: ResolveHold, held: list[OrderHold], key: str | None
) -> ResolveAnswer:
    request_id, actor = _request_id(held, body, key), seen.caller.actor
    reasons = tuple(hold.reason_code for hold in held if may_settle(seen.caller, hold))
    message = asked("hold.settled", seen.order_no, request_id, body.model_dump(mode="json"), actor)
    inbox_id = (await note(seen.session, message)).inbox_id
    request = ResolveRequest(request_id, actor, body.choice, inbox_id, body.target or "", reasons)
    await seen.let_go()
    done = await _answered(
        seen, handle_of(client, seen.order_no), lambda handle: handle.resolve(request, _WAIT), "no_open_hold"
    )
    return ResolveAnswer(order_no=done.order_no, choice=done.choice, node=done.node)


async def _answered(
    seen: Seen, handle: OrderHandle, ask: Callable[[OrderHandle], Awaitable[Answer]], over: str
) -> Answer:
    """What the order answers. Raises Refused: what it objects, or that it is `over`."""
    try:
        return await reached(seen, handle, ask)
    except OrderHasEnded:
        raise Refused(409, over, _REFUSALS[over]) from None
    except WorkflowUpdateFailedError as failed:
        code = reason_of(failed)
        status = 403 if code == "not_the_owner" else 409
        raise Refused(status, code, _REFUSALS.get(code, "The choice cannot be carried out.")) from None


def _check(seen: Seen, body: ResolveHold, held: list[OrderHold]) -> None:
    if not held:
        raise Refused(409, "no_open_hold", _REFUSALS["no_open_hold"])
    if not any(may_settle(seen.caller, hold) for hold in held):
        raise Refused(403, "not_the_owner", _REFUSALS["not_the_owner"])
    if body.choice == "cancel" and not seen.caller.may(Permission.ORDERS_CANCEL):
        raise Refused(403, "forbidden", f"This choice needs the permission {Permission.ORDERS_CANCEL.value}.")


def _request_id(held: list[OrderHold], body: ResolveHold, key: str | None) -> str:
    """The same for the same choice about the same attempt; the next failed attempt can be settled anew."""
    if key is not None:
        return f"resolve/{key}"
    latest = held[-1]
    return f"resolve/{latest.hold_id}/{latest.attempts}/{body.choice}{body.target or ''}"
