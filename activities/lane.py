"""What happens to single holds: a person opens one or settles one, and one that nobody settles in time goes up."""

from dataclasses import dataclass

from pydantic import BaseModel, ValidationError
from sqlmodel.ext.asyncio.session import AsyncSession
from temporalio import activity

from activities import undelivered
from activities.failures import translated
from activities.posting import post_cured
from activities.step import Fact, StepResult
from activities.surplus import give_back_what
from activities.undelivered import Decision
from domain.errors import DomainError
from domain.flow.vocabulary import HOLD_REASONS
from domain.order import has_ended
from models.inbox import InboxMessage
from models.order import Order, OrderHold
from runtime.database import Sessions
from store import events, holds, inbox, orders, shipping
from store.holds import Reason

DECIDED = "hold.decided"
REQUESTED = "hold.requested"


class DecisionUnreadable(DomainError):
    """A decision about a hold that our door let in does not say what a decision has to say."""

    code = "decision_unreadable"


class _Decision(BaseModel):
    """What a person has decided about one hold."""

    hold_id: str
    choice: str
    reason_code: str
    reason: str

    @property
    def words(self) -> str:
        return f"{self.reason_code}: {self.reason}"


class _Wish(BaseModel):
    """Why a person wants an order to stand still, and who is to look into it."""

    reason: str
    owner_role: str | None = None


@dataclass(frozen=True)
class HoldOrderInput:
    """A person's wish that the order does not ship; the inbox row says why."""

    order_no: str
    node: str
    actor: str
    inbox_id: int


@dataclass(frozen=True)
class HoldOrderResult:
    """The hold that stops the order; None: its goods are with the carrier, or it has ended, and nothing was changed."""

    result: StepResult
    hold_id: str | None = None


class LaneActivities:
    """Holds that people open and settle one by one, and holds that nobody has settled in time."""

    def __init__(self, sessions: Sessions) -> None:
        self._sessions = sessions

    @activity.defn
    async def hold_order(self, hold: HoldOrderInput) -> HoldOrderResult:
        """Effect: no parcel of the order is made until a person has settled the hold; or it was too late for that.
        Key: (order, `manual`) among open holds.
        Fails: order_not_found (final).
        """
        with translated():
            async with self._sessions() as session, session.begin():
                order = await orders.lock(session, hold.order_no)
                message = await inbox.of_order(session, hold.inbox_id, hold.order_no)
                if message is None or message.kind != REQUESTED:
                    await events.record_forged(session, order, hold.inbox_id)
                    return HoldOrderResult(StepResult(await orders.standing(session, hold.order_no)))
                if await _is_too_late(session, order):
                    return HoldOrderResult(StepResult(await orders.standing(session, hold.order_no)))
                opened = await holds.find_open(session, hold.order_no, "manual")
                if opened is None:
                    wish = _Wish.model_validate_json(message.body)
                    reason = Reason("manual", wish.reason, {}, hold.node, owner=wish.owner_role, actor=hold.actor)
                    opened = await holds.open_hold(session, order, reason)
                inbox.mark_applied(message, "held")
                return HoldOrderResult(StepResult(await orders.standing(session, hold.order_no)), opened.hold_id)

    @activity.defn
    async def settle_hold(self, fact: Fact) -> StepResult:
        """Effect: the one hold that a person decided about is settled as they said, and money they want back with who
            paid it has its refund; or it was settled before, or the money is not in the books yet. Goods that did not
            arrive are to be sent anew (the outcome is `resend`), or have their refund.
        Key: the hold; the first decision stays, a later one is `superseded`.
        Fails: order_not_found, decision_unreadable (final).
        """
        with translated():
            async with self._sessions() as session, session.begin():
                order = await orders.lock(session, fact.order_no, fact.inbox_id)
                message = await inbox.of_order(session, fact.inbox_id, fact.order_no)
                if message is None or message.kind != DECIDED:
                    await events.record_forged(session, order, fact.inbox_id)
                    return StepResult(await orders.standing(session, fact.order_no), outcome="ignored")
                outcome = message.outcome or await self._settle(session, order, message)
                inbox.mark_applied(message, outcome)
                return StepResult(await orders.standing(session, fact.order_no), outcome=outcome)

    @activity.defn
    async def escalate_holds(self, order_no: str) -> StepResult:
        """Effect: every hold of the order whose deadline has passed has gone up to the next role, which is told.
        Key: the hold's level; its next deadline is set with it.
        Fails: order_not_found (final).
        """
        with translated():
            async with self._sessions() as session, session.begin():
                order = await orders.lock(session, order_no)
                await holds.escalate_overdue(session, order)
                return StepResult(await orders.standing(session, order_no))

    async def _settle(self, session: AsyncSession, order: Order, message: InboxMessage) -> str:
        decision = _read(message)
        hold = await session.get(OrderHold, decision.hold_id)
        if hold is None or hold.order_no != order.order_no or hold.resolved_at is not None:
            return "superseded"
        if HOLD_REASONS[hold.reason_code].resendable and decision.choice != "retry":
            return await undelivered.settle(
                session, order, hold, Decision(decision.choice, message.actor, decision.words)
            )
        if decision.choice == "refund" and not await give_back_what(session, order, hold):
            return "not_posted"
        told = {"by": message.actor, "reason": decision.words}
        await holds.settle(session, order, hold, decision.choice, **told)
        await post_cured(session, order, [hold])
        return "effective"


async def _is_too_late(session: AsyncSession, order: Order) -> bool:
    """Whether the order has parcels that are not empty, made under this lock; or nothing goes on with it any more."""
    packed = await shipping.parcels(session, order.order_no)
    is_packed = any(not one.is_empty for one in packed)
    return is_packed or has_ended(order.lifecycle) or order.cancel_requested_at is not None


def _read(message: InboxMessage) -> _Decision:
    try:
        return _Decision.model_validate_json(message.body)
    except ValidationError:
        raise DecisionUnreadable(inbox_id=message.inbox_id) from None
