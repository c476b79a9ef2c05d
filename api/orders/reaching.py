"""Asking an order's workflow for something, whichever run of it answers, or none."""

from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

from temporalio.client import Client, WorkflowUpdateFailedError
from temporalio.exceptions import ApplicationError
from temporalio.service import RPCError, RPCStatusCode

from api.errors import RETRY_AFTER
from api.inbox.hand_over import load_input
from api.orders.seen import Seen
from api.problem import Refused
from workflows.order.handle import OrderHandle

Answer = TypeVar("Answer")

# A run that ends while it is asked is followed by another one, or the order has ended: seldom more than one of them.
_RUNS_ASKED: Final = 4
# What a run says that has only just begun, and has not come back to where the order stands.
_NOT_THERE_YET: Final = frozenset({"no_open_hold", "order_not_parked"})
# What Temporal says in the name of a run that was closed after it had taken the question on.
_CLOSED_UNANSWERED: Final = "AcceptedUpdateCompletedWorkflow"


class OrderHasEnded(Exception):
    """Nobody is there to answer, because the order has ended. The route says what that means for what was asked."""


class Unanswered(Refused):
    """Every run that was asked was closed before it answered; whether it did what was asked stands in the database."""

    def __init__(self) -> None:
        super().__init__(503, "temporal_unavailable", "The order could not be reached; ask again.", headers=RETRY_AFTER)


async def reached(seen: Seen, handle: OrderHandle, ask: Callable[[OrderHandle], Awaitable[Answer]]) -> Answer:
    """What the order answers; it is started if nothing runs although it is open.

    Raises OrderHasEnded, with the order of `seen` read again; Unanswered when no run lives long enough to answer, or
    the one that was started does not know yet.
    """
    for run in range(_RUNS_ASKED):
        try:
            return await ask(handle)
        except RPCError as missing:
            # None runs, or the one that was asked was closed before it had looked at the question.
            if missing.status is not RPCStatusCode.NOT_FOUND:
                raise
        except WorkflowUpdateFailedError as failed:
            reason = reason_of(failed)
            if run > 0 and reason in _NOT_THERE_YET:
                break
            if reason != _CLOSED_UNANSWERED:
                raise
        await _start_if_open(seen, handle)
    raise Unanswered


async def _start_if_open(seen: Seen, handle: OrderHandle) -> None:
    """Afterwards the order's workflow runs, if the order is open: its message may not have reached Temporal yet."""
    await seen.read_again()
    order = await load_input(seen.session, seen.order_no, seen.time_scale)
    await seen.let_go()
    if order.ended:
        raise OrderHasEnded
    await handle.start(order.input)


def handle_of(client: Client | None, order_no: str) -> OrderHandle:
    """The order's workflow. Raises Unanswered in a process without Temporal."""
    if client is None:
        raise Unanswered
    return OrderHandle(client, order_no)


def reason_of(failed: WorkflowUpdateFailedError) -> str:
    """The stable word for why a workflow refused."""
    cause = failed.cause
    return (cause.type or "") if isinstance(cause, ApplicationError) else "refused"
