"""Decisions about single holds: committed as they were made, then on their way to the order, running or ended."""

from sqlmodel.ext.asyncio.session import AsyncSession

from activities.undelivered import objection
from api.errors import SITUATIONS
from api.holds.schemas import DecisionTaken, RetriedHold, RetriedHolds, RetryHolds
from api.inbox.door import asked, take
from api.inbox.hand_over import HOLD_DECIDED, HandOver
from api.problem import Refused
from domain.access import Principal
from domain.flow.vocabulary import HOLD_REASONS, superiors_of
from models.order import OrderHold
from store import orders
from store.listing import holds as listing
from store.listing.holds import HoldFilter


def may_settle(caller: Principal, hold: OrderHold) -> bool:
    """Whether the hold is the caller's to settle: their role owns it, or it has gone up to their role."""
    above = superiors_of(hold.reason_code, hold.owner_role)[: hold.level]
    return any(caller.works_for(role) for role in (hold.owner_role, *above))


async def decide(
    session: AsyncSession, hand_over: HandOver | None, caller: Principal, hold: OrderHold, said: dict[str, str]
) -> DecisionTaken:
    """Afterwards the decision is committed; `said` has choice, reason_code and reason. Raises Refused: 403, 409."""
    if hold.resolved_at is not None:
        raise Refused(409, "no_open_hold", "The hold is settled.")
    if not may_settle(caller, hold):
        raise Refused(403, "not_the_owner", "The hold belongs to another role.")
    await _check(session, hold, said["choice"])
    # Of the same attempt: the next failed one can be decided about anew.
    request_id = f"decide/{hold.hold_id}/{hold.attempts}"
    message = asked(HOLD_DECIDED, hold.order_no, request_id, said | {"hold_id": hold.hold_id}, caller.actor)
    await take(session, message, hand_over)
    return DecisionTaken.of(hold, said["choice"])


async def _check(session: AsyncSession, hold: OrderHold, choice: str) -> None:
    known = HOLD_REASONS[hold.reason_code]
    if (choice == "refund" and not known.refundable) or (choice == "resend" and not known.resendable):
        raise Refused(409, "choice_not_offered", "This hold is not about what could go back, or be sent again.")
    if choice == "retry" or not known.resendable:
        return
    against = await objection(session, await orders.get(session, hold.order_no), choice)
    if against is not None:
        status, title = SITUATIONS.get(against, (409, "No parcel of the order is lost or has come back."))
        raise Refused(status, against, title)


async def retry_all(
    session: AsyncSession, hand_over: HandOver | None, caller: Principal, wish: RetryHolds
) -> RetriedHolds:
    """Afterwards every open hold of the reason that is the caller's to settle is about to be tried again."""
    wanted = HoldFilter(reason_code=wish.reason_code)
    rows = await listing.open_page(session, caller, wanted, None, wish.limit)
    said = {"choice": "retry", "reason_code": "bulk_retry", "reason": wish.reason}
    results = [await _retried(session, hand_over, caller, hold, said) for hold, _order in rows[: wish.limit]]
    accepted = sum(result.code is None for result in results)
    return RetriedHolds(
        reason_code=wish.reason_code,
        accepted=accepted,
        refused=len(results) - accepted,
        more=len(rows) > wish.limit,
        results=results,
    )


async def _retried(
    session: AsyncSession, hand_over: HandOver | None, caller: Principal, hold: OrderHold, said: dict[str, str]
) -> RetriedHold:
    hold_id, order_no = hold.hold_id, hold.order_no
    try:
        await decide(session, hand_over, caller, hold, said)
    except Refused as refused:
        return RetriedHold(hold_id=hold_id, order_no=order_no, status=refused.status, code=refused.code)
    return RetriedHold(hold_id=hold_id, order_no=order_no, status=202, code=None)
