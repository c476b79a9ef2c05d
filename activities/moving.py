"""An order that is parked is moved to another version of its flow."""

from dataclasses import dataclass, field
from typing import Any

from temporalio import activity

from activities.failures import translated
from activities.step import StepResult
from runtime.database import Sessions
from store import events, inbox, orders
from store.events import Event


@dataclass(frozen=True)
class MoveInput:
    """The version that the order goes on in, from which node to which, and so in each of its branches; why lies in the
    inbox row."""

    order_no: str
    version: int
    left: str
    entered: str
    actor: str
    inbox_id: int
    branches: dict[str, str] = field(default_factory=dict)


class MoveActivities:
    """Changes of an order's flow while it stands still."""

    def __init__(self, sessions: Sessions) -> None:
        self._sessions = sessions

    @activity.defn
    async def move_order(self, move: MoveInput) -> StepResult:
        """Effect: the order belongs to this version of its flow, and its story says who moved it, whence, and why.
        Key: the request's inbox row.
        Fails: order_not_found (final).
        """
        with translated():
            async with self._sessions() as session, session.begin():
                order = await orders.lock(session, move.order_no)
                message_id = f"moved/{move.inbox_id}"
                if not await events.has_message(session, move.order_no, message_id):
                    reason = await inbox.reason_in(session, move.inbox_id, move.order_no)
                    versions = {"from_version": order.flow_version, "to_version": move.version}
                    told: dict[str, Any] = {**versions, "left": move.left, "entered": move.entered}
                    told |= {"branches": move.branches} if move.branches else {}
                    order.flow_version = move.version
                    moved = Event("order.moved", told, actor=move.actor, reason=reason, message_id=message_id)
                    await events.record(session, order, moved)
                return StepResult(await orders.standing(session, move.order_no))
