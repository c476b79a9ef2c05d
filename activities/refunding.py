"""Refunds that somebody asked for: decided once, whatever their order is doing meanwhile."""

from dataclasses import dataclass
from typing import Annotated

from pydantic import BaseModel, Field, ValidationError
from sqlmodel.ext.asyncio.session import AsyncSession
from temporalio import activity

from activities.failures import translated
from activities.granting import REFUSALS, Grant, draft, grant
from activities.posting import post_unposted
from activities.revenue import recognise
from activities.step import Fact, StepResult
from domain.errors import DomainError
from domain.refunding import RefundAsk, RefundKind
from models.inbox import InboxMessage
from models.order import Order
from models.refunding import GrantedRefund
from runtime.database import Sessions
from store import events, inbox, orders, refunding, stock
from store.events import Event

REFUND_REQUESTED = "refund.requested"


class RefundUnreadable(DomainError):
    """A request for a refund that our door let in does not say what a request has to say."""

    code = "refund_unreadable"


class _UnitsAsked(BaseModel):
    line_id: str
    quantity: Annotated[int, Field(gt=0)]


class _ShippingAsked(BaseModel):
    amount_minor: Annotated[int, Field(gt=0)] | None = None


class _GoodwillAsked(BaseModel):
    amount_minor: Annotated[int, Field(gt=0)]


class _Request(BaseModel):
    """What the message says; the API has refused whatever names more or less than one kind."""

    refund_id: Annotated[str, Field(min_length=1)]
    lines: list[_UnitsAsked] | None = None
    shipping: _ShippingAsked | None = None
    goodwill: _GoodwillAsked | None = None
    reason_code: str
    reason: str | None = None

    @property
    def ask(self) -> RefundAsk:
        if self.lines:
            units = {line.line_id: line.quantity for line in self.lines}
            return RefundAsk(RefundKind.UNITS, self.reason_code, units)
        if self.shipping is not None:
            return RefundAsk(RefundKind.SHIPPING, self.reason_code, minor=self.shipping.amount_minor)
        minor = self.goodwill.amount_minor if self.goodwill else None
        return RefundAsk(RefundKind.GOODWILL, self.reason_code, minor=minor)


@dataclass(frozen=True)
class _Wish:
    """A request as it is being decided, and the message that brought it."""

    message: InboxMessage
    request: _Request

    @property
    def grant(self) -> Grant:
        message, request = self.message, self.request
        return Grant(request.refund_id, request.ask, message.actor, request.reason, message_id=message.message_id)


class RefundActivities:
    """What is decided about giving back; the money itself is the payment provider's."""

    def __init__(self, sessions: Sessions) -> None:
        self._sessions = sessions

    @activity.defn
    async def grant_refund(self, fact: Fact) -> StepResult:
        """Effect: the refund is granted or refused, once: lines, stock, books and what is to be paid out follow it.
            Revenue of what was delivered is in the books before. Money that cannot be posted yet holds the order.
        Key: (order, refund id) and the posting `granted/<order_no>/<refund_id>`.
        Fails: order_not_found, refund_unreadable, account_mapping_missing, fx_rate_missing (final).
        """
        with translated():
            async with self._sessions() as session, session.begin():
                order = await orders.lock(session, fact.order_no, fact.inbox_id)
                message = await inbox.of_order(session, fact.inbox_id, fact.order_no)
                if message is None or message.kind != REFUND_REQUESTED:
                    await events.record_forged(session, order, fact.inbox_id)
                    return StepResult(await orders.standing(session, fact.order_no), outcome="ignored")
                held = await post_unposted(session, order)
                if held is not None:
                    return StepResult(await orders.standing(session, fact.order_no), held=held)
                granted = await _decide(session, order, _Wish(message, _read(message)))
                inbox.mark_applied(message, granted.state)
                standing = await orders.standing(session, fact.order_no)
                await stock.wake(session)
                return StepResult(standing, outcome=granted.state)


async def _decide(session: AsyncSession, order: Order, wish: _Wish) -> GrantedRefund:
    known = await refunding.find(session, order.order_no, wish.request.refund_id)
    if known is not None:
        return known
    await recognise(session, order, "refund")
    try:
        worked_out = await draft(session, order, wish.request.ask)
    except REFUSALS as refused:
        return await _refuse(session, order, wish, refused.code)
    return await grant(session, order, wish.grant, worked_out, "refund")


async def _refuse(session: AsyncSession, order: Order, wish: _Wish, code: str) -> GrantedRefund:
    request, message = wish.request, wish.message
    row = GrantedRefund(
        order_no=order.order_no,
        grant_id=request.refund_id,
        kind=request.ask.kind.value,
        reason_code=request.reason_code,
        reason=request.reason,
        state="refused",
        refusal=code,
        currency=order.currency,
        granted_by=message.actor,
    )
    session.add(row)
    told = {"refund_id": request.refund_id, "kind": row.kind, "code": code}
    refused = Event("refund.declined", told, actor=message.actor, message_id=message.message_id)
    await events.record(session, order, refused)
    return row


def _read(message: InboxMessage) -> _Request:
    try:
        return _Request.model_validate_json(message.body)
    except ValidationError:
        raise RefundUnreadable(inbox_id=message.inbox_id) from None
