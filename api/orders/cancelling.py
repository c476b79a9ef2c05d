"""Undoing an order on somebody's request, and waiting a moment for it."""

from datetime import timedelta
from typing import Final

from pydantic import BaseModel
from temporalio.client import Client, WorkflowUpdateFailedError, WorkflowUpdateRPCTimeoutOrCancelledError
from temporalio.exceptions import ApplicationError
from temporalio.service import RPCError

from api.errors import is_temporal_away
from api.inbox.door import asked, note
from api.orders.reaching import OrderHasEnded, Unanswered, handle_of, reached, reason_of
from api.orders.schemas import CancelOrder
from api.orders.seen import Seen
from api.payments.schemas import RefundView
from api.problem import Refused
from domain.access import Permission
from domain.order import Lifecycle, OrderNotCancellable
from store import payments
from store.listing import orders as listing
from workflows.order.contract import CancelRequest

_WAIT: Final = timedelta(seconds=8)


class CancelAnswer(BaseModel):
    """How far the order has been undone, and the money on its way back."""

    order_no: str
    lifecycle: str
    refunds: list[RefundView]


async def cancel(seen: Seen, client: Client | None, body: CancelOrder, key: str | None) -> CancelAnswer:
    """The order is undone, or is being undone. Raises OrderNotCancellable; Refused (503) when nobody took it on.

    Refused (403): giving a deposit back against the terms is for those who settle holds.
    """
    if body.deposit == "refund" and not seen.caller.may(Permission.ORDERS_RESOLVE):
        raise Refused(403, "forbidden", "This key may not give a deposit back against the terms.")
    if seen.order.closed_at is None:
        request_id, actor = await _request_id(seen, key), seen.caller.actor
        message = asked("cancel.requested", seen.order_no, request_id, body.model_dump(mode="json"), actor)
        request = CancelRequest(request_id, actor, (await note(seen.session, message)).inbox_id)
        await seen.let_go()
        refusal = await _ask(seen, client, request)
        await seen.read_again()
        if refusal is not None and seen.order.lifecycle != Lifecycle.CANCELLED:
            raise refusal
    return await _answer(seen)


async def _request_id(seen: Seen, key: str | None) -> str:
    """The same for the same request. Without a key it changes once a request was refused, so that one can ask again."""
    if key is not None:
        return f"cancel/{key}"
    refused = await listing.count_events(seen.session, seen.order_no, "order.cancel_refused")
    return f"cancel/{seen.order_no}/{refused}"


async def _ask(seen: Seen, client: Client | None, request: CancelRequest) -> OrderNotCancellable | None:
    """What the workflow has against it; None also when it has not finished within the wait."""
    handle = handle_of(client, seen.order_no)
    try:
        await reached(seen, handle, lambda order: order.cancel(request, _WAIT))
    except OrderHasEnded:
        return OrderNotCancellable(order_no=seen.order_no, lifecycle=seen.order.lifecycle)
    except (WorkflowUpdateRPCTimeoutOrCancelledError, Unanswered):
        return None
    except RPCError as lost:
        # The answer is lost, also where a workflow task was given up for something that came in as it ended. How far
        # the order is undone stands in the database.
        if not is_temporal_away(lost):
            raise
        return None
    except WorkflowUpdateFailedError as failed:
        return OrderNotCancellable(_words(failed), order_no=seen.order_no, reason=reason_of(failed))
    return None


def _words(failed: WorkflowUpdateFailedError) -> str:
    cause = failed.cause
    said = cause.message if isinstance(cause, ApplicationError) else ""
    return "" if said == OrderNotCancellable.code else f"The order goes on: {said}"


async def _answer(seen: Seen) -> CancelAnswer:
    order = seen.order
    if order.lifecycle != Lifecycle.CANCELLED:
        if order.closed_at is not None:
            raise OrderNotCancellable(order_no=order.order_no, lifecycle=order.lifecycle)
        if order.cancel_requested_at is None:
            raise Unanswered
    refunds = await payments.refunds_of(seen.session, order.order_no)
    shown = [RefundView.of(refund) for refund in refunds]
    return CancelAnswer(order_no=order.order_no, lifecycle=order.lifecycle, refunds=shown)
