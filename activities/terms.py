"""What the terms of payment ask of an order beyond its money: credit that is not exceeded, a deposit that is lost."""

from sqlmodel.ext.asyncio.session import AsyncSession
from temporalio import activity

from activities import deposits
from activities.failures import translated
from activities.step import Step, StepResult
from domain.credit import CreditLine
from domain.order import has_ended
from models.order import Order
from runtime.database import Sessions
from store import credit, events, holds, orders, rates
from store.events import Event
from store.holds import Reason
from store.journal import RateMissing


class TermsActivities:
    """Steps of orders that are not simply paid before they are shipped."""

    def __init__(self, sessions: Sessions) -> None:
        self._sessions = sessions

    @activity.defn
    async def check_credit(self, step: Step) -> StepResult:
        """Effect: the order is within its customer's credit and takes its part of it; or it is held `credit_exceeded`.
            Orders of one customer are checked one after the other.
        Key: the order's `credit_state`; what was let in is not checked again.
        Fails: order_not_found, fx_rate_missing (final).
        """
        with translated():
            async with self._sessions() as session, session.begin():
                order = await orders.lock(session, step.order_no)
                done = order.credit_state == credit.WITHIN or has_ended(order.lifecycle)
                held = None
                if not done and order.cancel_requested_at is None:
                    held = await _check(session, order, step.node)
                return StepResult(await orders.standing(session, step.order_no), held=held)

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


async def _check(session: AsyncSession, order: Order, node: str) -> str | None:
    if not await rates.take_rate(session, order):
        raise RateMissing(currency=order.currency)
    customer = await credit.lock_customer(session, order)
    order.payment_days = customer.payment_days if customer else 0
    line = await credit.of_order(session, order, customer)
    told = _told(order, line)
    if line.is_exceeded:
        order.credit_state = credit.ABOVE
        reason = Reason("credit_exceeded", "above the customer's credit, or something is overdue", told, node)
        await holds.open_hold(session, order, reason)
        return reason.code
    order.credit_state = credit.WITHIN
    await holds.resolve(session, order, ("credit_exceeded",), "retried", by="orderflow", reason="within the credit")
    await events.record(session, order, Event("credit.taken", told, node=node))
    return None


def _told(order: Order, line: CreditLine) -> dict[str, object]:
    return {
        "customer_id": order.customer_id,
        "limit_minor": line.limit_minor,
        "used_minor": line.used_minor,
        "overdue_minor": line.overdue_minor,
        "wanted_minor": line.wanted_minor,
        "currency": order.functional_currency,
    }
