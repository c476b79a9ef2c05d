"""What the terms of payment ask of an order beyond its money: credit that is not exceeded, a deposit that is lost."""

from sqlmodel.ext.asyncio.session import AsyncSession
from temporalio import activity

from activities import deposits
from activities.failures import translated
from activities.hearing import check_content
from activities.step import Step, StepResult
from domain.approval import ApprovalState
from domain.credit import CreditLine
from domain.order import has_ended
from models.approval import Approval
from models.order import Order
from runtime.database import Sessions
from store import approvals, credit, events, orders, rates
from store.events import Event
from store.journal import RateMissing


class TermsActivities:
    """Steps of orders that are not simply paid before they are shipped."""

    def __init__(self, sessions: Sessions) -> None:
        self._sessions = sessions

    @activity.defn
    async def check_credit(self, step: Step) -> StepResult:
        """Effect: the order takes its part of its customer's credit, because it fits in or because people have approved
            that it exceeds it; otherwise it is above. Orders of one customer are checked one after the other.
        Key: the order's `credit_state`; what was let in is not checked again. What did not fit: the visit.
        Fails: order_not_found, fx_rate_missing (final).
        """
        with translated():
            async with self._sessions() as session, session.begin():
                order = await orders.lock(session, step.order_no)
                done = order.credit_state in credit.LET_IN or has_ended(order.lifecycle)
                if not done and order.cancel_requested_at is None:
                    await _check(session, order, step)
                return StepResult(await orders.standing(session, step.order_no))

    @activity.defn
    async def forfeit_deposit(self, step: Step) -> StepResult:
        """Effect: the deposit stays with us when the order is undone; not if all is paid by now, or it is refundable.
        Key: the order's `forfeit_deposit`.
        Fails: order_not_found (final).
        """
        with translated():
            async with self._sessions() as session, session.begin():
                order = await orders.lock(session, step.order_no)
                if not has_ended(order.lifecycle):
                    await deposits.forfeit(session, order, step.node)
                return StepResult(await orders.standing(session, step.order_no))


async def _check(session: AsyncSession, order: Order, step: Step) -> None:
    if not await rates.take_rate(session, order):
        raise RateMissing(currency=order.currency)
    customer = await credit.lock_customer(session, order)
    order.payment_days = customer.payment_days if customer else 0
    line = await credit.of_order(session, order, customer)
    told = _told(order, line)
    granted = await _granted(session, order) if line.is_exceeded else None
    if granted is not None:
        order.credit_state = credit.GRANTED
        told |= {"approval_id": granted.approval_id}
        await events.record(
            session, order, Event("credit.granted", told, actor=granted.closed_by or "", node=step.node)
        )
    elif line.is_exceeded:
        order.credit_state = credit.ABOVE
        key = f"credit/{step.node}/{step.visit}"
        if not await events.has_message(session, order.order_no, key):
            await events.record(session, order, Event("credit.exceeded", told, node=step.node, message_id=key))
    else:
        order.credit_state = credit.WITHIN
        await events.record(session, order, Event("credit.taken", told, node=step.node))


async def _granted(session: AsyncSession, order: Order) -> Approval | None:
    """The approval by which people let this very order exceed its customer's credit, if they did."""
    approval = await approvals.granting(session, order.order_no, "credit")
    if approval is not None:
        await check_content(session, order, approval)
    return approval if approval is not None and approval.state == ApprovalState.APPROVED else None


def _told(order: Order, line: CreditLine) -> dict[str, object]:
    return {
        "customer_id": order.customer_id,
        "limit_minor": line.limit_minor,
        "used_minor": line.used_minor,
        "overdue_minor": line.overdue_minor,
        "wanted_minor": line.wanted_minor,
        "currency": order.functional_currency,
    }
