"""Money of an order: what comes in is counted and posted once, what has to go back goes back once."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated, Self

from pydantic import AwareDatetime, BaseModel, Field, ValidationError, model_validator
from sqlmodel.ext.asyncio.session import AsyncSession
from temporalio import activity

from activities import refunds, surplus
from activities.failures import translated
from activities.late_payments import LatePolicy, revive, tell_of_refund
from activities.posting import post_unposted
from activities.step import Fact, Step, StepResult
from activities.surplus import SurplusPolicy
from domain.errors import DomainError
from domain.order import Figures, Lifecycle, axes_of, has_ended
from integrations.failure import PartyFailure
from integrations.payment.port import PaymentProvider, RefundStatus
from models.inbox import InboxMessage
from models.order import Order
from models.payment import Payment
from runtime.database import Sessions
from store import events, holds, inbox, orders, payments, refunding
from store.events import Event
from store.holds import Reason

_KIND = "payment.settled"


class PaymentUnreadable(DomainError):
    """A payment message that our door let in does not say what a payment has to say."""

    code = "payment_unreadable"


class RefundPending(PartyFailure):
    """The provider has accepted a refund and not settled it yet: ask again."""

    retryable = True


class _Report(BaseModel):
    """What a payment message says; who brought it may say more."""

    payment_id: Annotated[str, Field(min_length=1)]
    method: str
    kind: str | None = None
    amount_minor: Annotated[int, Field(gt=0)]
    fee_minor: Annotated[int, Field(ge=0)] = 0
    currency: str
    paid_at: AwareDatetime | None = None

    @model_validator(mode="after")
    def _fee_is_part_of_it(self) -> Self:
        if self.fee_minor > self.amount_minor:
            raise ValueError("the fee is more than the payment")
        return self


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
            "kind": payment.kind,
            "currency": payment.currency,
            "payment": _status(order),
        }
        return Event(kind, told, actor=message.actor, source=message.source, message_id=message.message_id)


@dataclass(frozen=True)
class MoneyPolicy:
    """What becomes of a surplus, and of money that comes too late.

    `reservation_ttl`: how long stock is promised to an order that late money brings back.
    """

    surplus: SurplusPolicy = SurplusPolicy.DUPLICATES
    late: LatePolicy = LatePolicy.REVIVE
    reservation_ttl: timedelta | None = None


class PaymentActivities:
    """Payments that are reported and refunds that are asked for; `tolerance_minor` is written off to rounding."""

    def __init__(
        self,
        sessions: Sessions,
        provider: PaymentProvider,
        tolerance_minor: int,
        policy: MoneyPolicy = MoneyPolicy(),
    ) -> None:
        self._sessions = sessions
        self._provider = provider
        self._tolerance_minor = tolerance_minor
        self._policy = policy

    @activity.defn
    async def apply_payment(self, fact: Fact) -> StepResult:
        """Effect: the payment is on record, counted and posted; a difference holds the order. An order that was undone
            only keeps it to give it back. Money that cannot be posted yet is counted all the same and holds the order.
        Key: (order, payment id) and the posting `payment/<order_no>/<payment_id>`.
        Fails: order_not_found, payment_unreadable (final).
        """
        with translated():
            async with self._sessions() as session, session.begin():
                order = await orders.lock(session, fact.order_no, fact.inbox_id)
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
            return await self._give_all_back(step, asked, held)

    @activity.defn
    async def pay_refunds(self, step: Step) -> StepResult:
        """Effect: every refund that was granted is with who paid; or the order is held.
        Key: the refund's number, after a refusal with the count of refusals.
        Fails: payment_unavailable, refund_pending (retryable); account_mapping_missing (final).
        """
        with translated():
            async with self._sessions() as session, session.begin():
                asked = await refunds.to_ask(session, await orders.lock(session, step.order_no))
            return await self._give_all_back(step, asked, None)

    @activity.defn
    async def refund_surplus(self, step: Step) -> StepResult:
        """Effect: money that the order has no use for is back with those who paid it; or a hold says why not.
        Key: one such refund per payment; its number is the provider's key, after a refusal with the count of refusals.
        Fails: payment_unavailable, refund_pending (retryable); account_mapping_missing (final).
        """
        with translated():
            async with self._sessions() as session, session.begin():
                order = await orders.lock(session, step.order_no)
                held = await post_unposted(session, order, step.node)
                asked = [] if held else await refunds.to_ask(session, order, refunds.SURPLUS)
            return await self._give_all_back(step, asked, held, refunds.SURPLUS)

    async def _receive(self, session: AsyncSession, order: Order, message: InboxMessage) -> tuple[str, str | None]:
        report = _read(message)
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
        late = _is_broken_off(order) and not await self._revived(session, order, payment)
        minor, tolerance_minor = payment.amount_minor, self._tolerance_minor
        is_twice = not late and await surplus.is_duplicate(session, order, minor, tolerance_minor)
        if is_twice:
            payment.kind = payments.DUPLICATE
        order.paid_minor += payment.amount_minor
        session.add(payment)
        if not late and not is_twice:
            order.written_off_minor = self._written_off(await refunding.still_due(session, order))
        await events.record(session, order, receipt.event("payment.received"))
        held = await post_unposted(session, order, new=payment)
        if late:
            await tell_of_refund(session, order, payment)
            return "too_late", held
        await self._judge(session, order, payment)
        return payments.DUPLICATE if is_twice else "applied", held

    async def _revived(self, session: AsyncSession, order: Order, payment: Payment) -> bool:
        is_full = payment.amount_minor >= order.total_minor - self._tolerance_minor
        if self._policy.late is LatePolicy.REFUND or not is_full:
            return False
        return await revive(session, order, payment, self._policy.reservation_ttl)

    def _written_off(self, difference_minor: int) -> int:
        return difference_minor if abs(difference_minor) <= self._tolerance_minor else 0

    async def _judge(self, session: AsyncSession, order: Order, payment: Payment) -> None:
        """Afterwards a difference between what was paid and what is due is dealt with, and none holds the order."""
        due_minor = await refunding.still_due(session, order) - order.written_off_minor
        # Once the deposit is complete, how the balance comes is the plan's business until its window closes.
        as_planned = due_minor <= 0 or orders.plan(order).awaits_balance(order.paid_minor)
        if as_planned and order.paid_minor > payment.amount_minor:
            await holds.resolve(session, order, ("payment_short",), "paid", by="orderflow", reason="the rest has come")
        if due_minor <= 0:
            balance = "the balance has come"
            await holds.resolve(session, order, ("change_unpaid",), "paid", by="orderflow", reason=balance)
        if due_minor < 0 or payment.kind == payments.DUPLICATE:
            await surplus.judge(session, order, payment, self._policy.surplus)
        elif not as_planned:
            await _note_shortage(session, order, due_minor)

    async def _approve(self, step: Step) -> tuple[list[refunds.Asked], str | None]:
        async with self._sessions() as session, session.begin():
            order = await orders.lock(session, step.order_no)
            if step.ended and not has_ended(order.lifecycle):
                # It has come back since: what was paid for it now is not to go back.
                return [], None
            return await refunds.approve(session, order, step.node)

    async def _give_all_back(
        self, step: Step, asked: Sequence[refunds.Asked], held: str | None, cause: str | None = None
    ) -> StepResult:
        statuses = [await self._give_back(step, request) for request in asked]
        if RefundStatus.PENDING in statuses:
            raise RefundPending("refund_pending", "the provider has not settled it yet")
        async with self._sessions() as session:
            held = held or await refunds.hold_of(session, step.order_no, cause)
            return StepResult(await orders.standing(session, step.order_no), held=held)

    async def _give_back(self, step: Step, asked: refunds.Asked) -> RefundStatus:
        answer = await self._provider.refund(asked.request, asked.key)
        if answer.status is not RefundStatus.PENDING:
            async with self._sessions() as session, session.begin():
                order = await orders.lock(session, step.order_no)
                await refunds.settle(session, order, asked, answer, step.node)
        return answer.status


def _read(message: InboxMessage) -> _Report:
    try:
        return _Report.model_validate_json(message.body)
    except ValidationError:
        raise PaymentUnreadable(inbox_id=message.inbox_id) from None


def _payment(order: Order, message: InboxMessage, report: _Report) -> Payment:
    if message.inbox_id is None:
        raise ValueError("an inbox message has its number once it is stored")
    return Payment(
        order_no=order.order_no,
        payment_id=report.payment_id,
        inbox_id=message.inbox_id,
        method=report.method,
        category="",
        kind=report.kind or orders.plan(order).next_kind(order.paid_minor, report.amount_minor).value,
        amount_minor=report.amount_minor,
        fee_minor=report.fee_minor,
        currency=report.currency,
        state=payments.UNPOSTED,
        paid_at=report.paid_at or message.received_at,
    )


async def _recall(session: AsyncSession, order: Order, known: Payment, report: _Report) -> tuple[str, str | None]:
    """The first report of a payment stands; one that says another sum is for people to look into."""
    if (known.amount_minor, known.currency) == (report.amount_minor, report.currency):
        return "repeated", None
    told = {"payment_id": known.payment_id, "amount_minor": known.amount_minor, "reported_minor": report.amount_minor}
    told |= {"currency": known.currency, "reported_currency": report.currency}
    reason = Reason("payment_conflict", "the same payment was reported with another sum", told)
    await holds.open_hold(session, order, reason)
    return "conflict", reason.code


async def _set_aside(session: AsyncSession, receipt: _Receipt) -> tuple[str, str | None]:
    order, payment = receipt.order, receipt.payment
    category = await payments.category_of(session, payment.method)
    payment.category, payment.state = category.value if category else "", payments.UNAPPLIED
    session.add(payment)
    await events.record(session, order, receipt.event("payment.set_aside"))
    told = {"payment_id": payment.payment_id, "amount_minor": payment.amount_minor, "currency": payment.currency}
    reason = Reason("payment_currency", f"the order is in {order.currency}", told)
    await holds.open_hold(session, order, reason)
    return "unapplied", reason.code


async def _note_shortage(session: AsyncSession, order: Order, due_minor: int) -> None:
    """Afterwards finance sees what is missing, and the customer is asked for it; the wait's deadline still stands."""
    told = {"paid_minor": order.paid_minor, "due_minor": due_minor, "currency": order.currency}
    reason = Reason("payment_short", "a part of the order is not paid", told, blocking=False)
    await holds.open_hold(session, order, reason)
    asked = {"notice": "payment.short", "audience": ["customer"], "template": None, **told}
    await events.record(session, order, Event("notice.payment.short", asked))


def _is_broken_off(order: Order) -> bool:
    return has_ended(order.lifecycle) and order.lifecycle != Lifecycle.COMPLETED


def _status(order: Order) -> str:
    money = (order.total_minor, order.paid_minor, order.refunded_minor, order.written_off_minor)
    return axes_of(Figures(*money, 0, 0, 0, 0, 0, 0, 0, 0, reduced_minor=order.reduced_minor)).payment
