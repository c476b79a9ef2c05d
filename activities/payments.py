"""Money of an order: what comes in is counted and posted once, what has to go back goes back once."""

import json
from dataclasses import dataclass, replace
from typing import Annotated

from pydantic import AwareDatetime, BaseModel, Field, ValidationError
from sqlmodel.ext.asyncio.session import AsyncSession
from temporalio import activity

from activities import refunds
from activities.failures import translated
from activities.posting import post_unposted
from activities.step import Fact, Step, StepResult
from domain.order import Figures, Lifecycle, axes_of, has_ended
from integrations.payment.port import PaymentProvider, RefundStatus
from models.inbox import InboxMessage
from models.order import Order
from models.payment import Payment
from runtime.database import Sessions
from store import events, holds, inbox, orders, payments
from store.events import Event
from store.holds import Reason

_KIND = "payment.settled"


class _Report(BaseModel):
    """What a payment message says; who brought it may say more."""

    payment_id: Annotated[str, Field(min_length=1)]
    method: str
    kind: str | None = None
    amount_minor: Annotated[int, Field(gt=0)]
    currency: str
    paid_at: AwareDatetime | None = None


@dataclass(frozen=True)
class _Receipt:
    """A payment as it is being recorded, and the message that told of it."""

    order: Order
    message: InboxMessage
    payment: Payment

    def event(self, kind: str) -> Event:
        payment, order, message = self.payment, self.order, self.message
        told = {
            "payment_id": payment.payment_id,
            "method": payment.method,
            "amount_minor": payment.amount_minor,
            "currency": payment.currency,
            "payment": _status(order),
        }
        return Event(kind, told, actor=message.actor, source=message.source, message_id=message.message_id)


class PaymentActivities:
    """Payments that are reported and refunds that are asked for; `tolerance_minor` is written off to rounding."""

    def __init__(self, sessions: Sessions, provider: PaymentProvider, tolerance_minor: int) -> None:
        self._sessions = sessions
        self._provider = provider
        self._tolerance_minor = tolerance_minor

    @activity.defn
    async def apply_payment(self, fact: Fact) -> StepResult:
        """Effect: the payment is on record, counted and posted; a difference holds the order. An order that was undone
            only keeps it to give it back. Money that cannot be posted yet is counted all the same and holds the order.
        Key: (order, payment id) and the posting `payment/<order_no>/<payment_id>`.
        Fails: order_not_found (final).
        """
        with translated():
            async with self._sessions() as session, session.begin():
                order = await orders.lock(session, fact.order_no)
                message = await inbox.of_order(session, fact.inbox_id, fact.order_no)
                if message is None or message.kind != _KIND:
                    await events.record_forged(session, order, fact.inbox_id)
                    return StepResult(await orders.standing(session, fact.order_no), outcome="ignored")
                outcome, held = await self._receive(session, order, message)
                inbox.mark_applied(message, outcome)
                standing = await orders.standing(session, fact.order_no)
                orders.note_progress(order, standing)
                return StepResult(standing, held=held, outcome=outcome)

    @activity.defn
    async def refund_payments(self, step: Step) -> StepResult:
        """Effect: all money of an order that is not to be is back with those who paid; or the order is held.
        Key: one refund per payment; its number is the provider's key, after a refusal with the count of refusals.
        Fails: payment_unavailable, refund_pending (retryable); account_mapping_missing (final).
        """
        with translated():
            asked, held = await self._approve(step)
            if held is not None:
                return await self._standing(step.order_no, held)
            statuses = [await self._give_back(step, request) for request in asked]
            if RefundStatus.PENDING in statuses:
                raise refunds.RefundPending("refund_pending", "the provider has not settled it yet")
            return await self._standing(step.order_no)

    async def _receive(self, session: AsyncSession, order: Order, message: InboxMessage) -> tuple[str, str | None]:
        report = _read(message)
        if report is None:
            reason = Reason("payment_unreadable", "a payment message cannot be read", {"inbox_id": message.inbox_id})
            await holds.open_hold(session, order, reason)
            return "unreadable", reason.code
        known = await payments.find(session, order.order_no, report.payment_id)
        if known is not None:
            return await _recall(session, order, known, report)
        receipt = _Receipt(order, message, _payment(order, message, report))
        if report.currency != order.currency:
            return await _set_aside(session, receipt)
        return await self._count(session, receipt)

    async def _count(self, session: AsyncSession, receipt: _Receipt) -> tuple[str, str | None]:
        order, payment = receipt.order, receipt.payment
        category = await payments.category_of(session, payment.method)
        payment.category = category.value if category else ""
        broken_off = has_ended(order.lifecycle) and order.lifecycle != Lifecycle.COMPLETED
        order.paid_minor += payment.amount_minor
        if not broken_off:
            order.written_off_minor = self._written_off(order)
        session.add(payment)
        await events.record(session, order, receipt.event("payment.received"))
        held = await post_unposted(session, order, new=payment)
        if broken_off:
            return "too_late", held
        await _judge(session, order, payment)
        return "applied", held

    def _written_off(self, order: Order) -> int:
        difference = order.total_minor - order.paid_minor
        return difference if abs(difference) <= self._tolerance_minor else 0

    async def _approve(self, step: Step) -> tuple[list[refunds.Asked], str | None]:
        async with self._sessions() as session, session.begin():
            order = await orders.lock(session, step.order_no)
            return await refunds.approve(session, order, step.node)

    async def _give_back(self, step: Step, asked: refunds.Asked) -> RefundStatus:
        answer = await self._provider.refund(asked.request, asked.key)
        if answer.status is not RefundStatus.PENDING:
            async with self._sessions() as session, session.begin():
                order = await orders.lock(session, step.order_no)
                await refunds.settle(session, order, asked, answer, step.node)
        return answer.status

    async def _standing(self, order_no: str, held: str | None = None) -> StepResult:
        async with self._sessions() as session:
            held = held or await refunds.refused(session, order_no)
            return StepResult(await orders.standing(session, order_no), held=held)


def _read(message: InboxMessage) -> _Report | None:
    try:
        return _Report.model_validate_json(message.body)
    except ValidationError:
        return None
