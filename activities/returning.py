"""Returns: opened by rule or by a person's decision, taken in by the warehouse, given back and restocked."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlmodel.ext.asyncio.session import AsyncSession
from temporalio import activity

from activities.exchange_drafts import check_offered
from activities.exchanging import conclude
from activities.failures import translated
from activities.posting import post_unposted
from activities.restocking import take_in
from activities.return_messages import Announcement, Receipt, read
from activities.revenue import recognise
from activities.step import StepResult
from domain.approval import ApprovalState
from domain.exchanging import EXCHANGE, ExchangeNotOffered
from domain.returning import NotReturnable, ReturnPolicy, ReturnState, check_returnable
from models.columns import now
from models.inbox import InboxMessage
from models.order import Order
from models.returning import ExchangeLine, Return, ReturnLine
from runtime.database import Sessions
from store import approvals, events, holds, inbox, orders, returning, stock
from store.events import Event
from store.holds import Reason
from store.journal import PostingContext

RETURN_REQUESTED = "return.requested"
RETURN_RECEIVED = "return.received"
_UNDECIDED = "return_undecided"


@dataclass(frozen=True)
class ReturnStep:
    """One return of an order. `time_scale`: spans of its policy times this, as those of flows."""

    order_no: str
    return_no: str
    time_scale: float = 1.0


@dataclass(frozen=True)
class ReturnFact:
    """A message about a return; the row says what it is."""

    order_no: str
    return_no: str
    inbox_id: int


@dataclass(frozen=True)
class ReturnConsent:
    """An approval of a return that is over."""

    order_no: str
    return_no: str
    approval_id: str
    time_scale: float = 1.0


@dataclass(frozen=True)
class ReturnResult(StepResult):
    """How the return stands after the step; `granted`: money is to go back. No state: there is no such return.

    `units` and `worth_minor` are what is to come back, and what it comes to in the order's currency.
    """

    state: str | None = None
    goods_due_at: datetime | None = None
    granted: bool = False
    requested_by: str = ""
    units: dict[str, int] = field(default_factory=dict)
    worth_minor: int = 0


class ReturnActivities:
    """What is decided about goods that come back, and what their coming does. What a replacement is dearer by at most
    `tolerance_minor` is written off to rounding.
    """

    def __init__(self, sessions: Sessions, tolerance_minor: int) -> None:
        self._sessions = sessions
        self._tolerance_minor = tolerance_minor

    @activity.defn
    async def open_return(self, step: ReturnStep) -> ReturnResult:
        """Effect: the return is on record: approved by rule, to be decided by people, or rejected.
        Key: the return's number.
        Fails: order_not_found, return_unreadable (final).
        """
        with translated():
            async with self._sessions() as session, session.begin():
                order = await orders.lock(session, step.order_no)
                row = await returning.find(session, step.return_no)
                if row is None:
                    message = await inbox.find(session, "api", f"return/{step.return_no}")
                    if message is None or message.order_no != step.order_no or message.kind != RETURN_REQUESTED:
                        return await _result(session, step.order_no, None, "ignored")
                    row = await _open(session, order, step, message)
                    inbox.mark_applied(message, row.state)
                return await _result(session, step.order_no, row)

    @activity.defn
    async def settle_return(self, consent: ReturnConsent) -> ReturnResult:
        """Effect: the return is approved or rejected as people have decided. Where nobody did in time, a hold says that
            it waits still, until somebody does.
        Key: the return's state; the open hold.
        Fails: order_not_found, approval_not_found (final).
        """
        with translated():
            async with self._sessions() as session, session.begin():
                order = await orders.lock(session, consent.order_no)
                row = await returning.find(session, consent.return_no)
                if row is not None and row.state == ReturnState.REQUESTED:
                    await _settle(session, order, row, consent)
                return await _result(session, consent.order_no, row)

    @activity.defn
    async def receive_return(self, fact: ReturnFact) -> ReturnResult:
        """Effect: what came in is accepted as inspected: goods are restocked, their cost, revenue and VAT reversed, and
            their price is to go back. What cannot be (more than announced, too late) changes nothing and is on record.
        Key: (return, receipt id), the movement and postings of the receipt, the refund of the receipt.
        Fails: order_not_found, return_unreadable, account_mapping_missing, fx_rate_missing (final).
        """
        with translated():
            async with self._sessions() as session, session.begin():
                order = await orders.lock(session, fact.order_no, fact.inbox_id)
                row = await returning.find(session, fact.return_no)
                message = await _message(session, order, fact, RETURN_RECEIVED)
                if row is None or message is None:
                    return await _result(session, fact.order_no, row, "ignored")
                if message.applied_at is not None:
                    return await _result(session, fact.order_no, row, message.outcome or "repeated", granted=True)
                held = await post_unposted(session, order)
                if held is not None:
                    return await _result(session, fact.order_no, row, "held", held=held)
                await recognise(session, order, "return")
                outcome = await take_in(session, order, row, read(message, Receipt), message)
                if outcome == "applied" and row.closed_at is not None and row.kind == EXCHANGE:
                    await conclude(session, order, row, self._tolerance_minor)
                inbox.mark_applied(message, outcome)
                result = await _result(session, fact.order_no, row, outcome, granted=outcome == "applied")
                await stock.wake(session)
                return result

    @activity.defn
    async def expire_return(self, step: ReturnStep) -> ReturnResult:
        """Effect: a return whose goods have not come in time is over; what had come before was given back then, or is
            exchanged now.
        Key: the return's state.
        Fails: order_not_found (final).
        """
        with translated():
            async with self._sessions() as session, session.begin():
                order = await orders.lock(session, step.order_no)
                row = await returning.find(session, step.return_no)
                if row is not None and row.state == ReturnState.APPROVED:
                    row.state, row.closed_at = ReturnState.EXPIRED.value, now()
                    await events.record(session, order, Event("return.expired", {"return_no": row.return_no}))
                    if row.kind == EXCHANGE:
                        await conclude(session, order, row, self._tolerance_minor)
                exchanged = row is not None and row.kind == EXCHANGE
                return await _result(session, step.order_no, row, granted=exchanged)


async def _result(
    session: AsyncSession,
    order_no: str,
    row: Return | None,
    outcome: str = "applied",
    *,
    held: str | None = None,
    granted: bool = False,
) -> ReturnResult:
    standing = await orders.standing(session, order_no)
    if row is None:
        return ReturnResult(standing, held, outcome)
    units = {line.line_id: line.quantity for line in await returning.lines_of(session, row.return_no)}
    return ReturnResult(
        standing,
        held,
        outcome,
        row.state,
        row.goods_due_at,
        granted,
        row.requested_by,
        units,
        row.worth_minor or 0,
    )


async def _message(session: AsyncSession, order: Order, fact: ReturnFact, kind: str) -> InboxMessage | None:
    """The message that the fact names; None, and on record as forged, where our door let no such message in."""
    message = await inbox.of_order(session, fact.inbox_id, order.order_no)
    about = f"return/{fact.return_no}/"
    if message is None or message.kind != kind or not message.message_id.startswith(about):
        await events.record_forged(session, order, fact.inbox_id)
        return None
    return message


async def _open(session: AsyncSession, order: Order, step: ReturnStep, message: InboxMessage) -> Return:
    said, return_no = read(message, Announcement), step.return_no
    units = {line.line_id: line.quantity for line in said.lines}
    row = Return(
        return_no=return_no,
        order_no=order.order_no,
        return_id=said.return_id,
        kind=said.kind,
        reason=said.reason,
        currency=order.currency,
        requested_by=message.actor,
        requested_at=message.received_at,
        ship_to=said.ship_to,
    )
    session.add(row)
    try:
        check_returnable(units, await returning.returnable(session, order.order_no))
        if row.kind == EXCHANGE:
            await check_offered(session, order)
    except (NotReturnable, ExchangeNotOffered) as refused:
        row.state, row.refusal, row.closed_at = ReturnState.REJECTED.value, refused.code, now()
        refusal = {"return_no": return_no, "code": refused.code}
        await events.record(session, order, _event("return.rejected", refusal, message))
        return row
    await _write_down(session, row, said, units)
    told = {
        "return_no": row.return_no,
        "kind": row.kind,
        "units": units,
        "worth_minor": row.worth_minor,
        "currency": order.currency,
    }
    await events.record(session, order, _event("return.requested", told, message))
    await _judge(session, order, row, step.time_scale)
    return row


async def _write_down(session: AsyncSession, row: Return, said: Announcement, units: dict[str, int]) -> None:
    """Afterwards the return has its lines, what is to go out instead of them, and what they were sold for."""
    lines = {line.line_id: line for line in await orders.lines(session, row.order_no)}
    row.worth_minor = returning.worth_of(units, list(lines.values()))
    await session.flush()
    session.add_all(
        ReturnLine(
            return_no=row.return_no,
            line_id=line.line_id,
            order_no=row.order_no,
            sku=lines[line.line_id].sku,
            quantity=line.quantity,
            reason_code=line.reason_code,
        )
        for line in said.lines
    )
    session.add_all(
        ExchangeLine(return_no=row.return_no, position=at, **line.model_dump())
        for at, line in enumerate(said.instead, start=1)
    )


async def _judge(session: AsyncSession, order: Order, row: Return, time_scale: float) -> None:
    """Afterwards the return is approved, if the rule says so."""
    policy = (await returning.policy_of(session, order.entity_id)).scaled(time_scale)
    line_ids = [line.line_id for line in await returning.lines_of(session, row.return_no)]
    known = await returning.arrived(session, order.order_no)
    since = [known[line_id].delivered_at for line_id in line_ids]
    worth = PostingContext.of(order, now()).conversion.base_of(row.worth_minor)
    if policy.approves(worth, since, row.requested_at):
        event = Event("return.approved", {"return_no": row.return_no, "by": "rule"})
        await _approve(session, order, row, policy, event)


async def _approve(session: AsyncSession, order: Order, row: Return, policy: ReturnPolicy, event: Event) -> None:
    row.state, row.decided_at = ReturnState.APPROVED.value, now()
    row.goods_due_at = row.decided_at + policy.goods_within
    row.decided_by = event.actor
    await events.record(session, order, event)


async def _settle(session: AsyncSession, order: Order, row: Return, consent: ReturnConsent) -> None:
    approval = await approvals.get(session, consent.approval_id)
    told = {"return_no": row.return_no, "by": approval.closed_by, "approval_id": approval.approval_id}
    match ApprovalState(approval.state):
        case ApprovalState.APPROVED:
            row.decision_reason = await approvals.last_comment(session, approval.approval_id)
            policy = (await returning.policy_of(session, order.entity_id)).scaled(consent.time_scale)
            event = Event("return.approved", told, actor=approval.closed_by or "")
            await _approve(session, order, row, policy, event)
        case ApprovalState.REJECTED | ApprovalState.WITHDRAWN:
            row.decision_reason = await approvals.last_comment(session, approval.approval_id)
            row.state, row.decided_by = ReturnState.REJECTED.value, approval.closed_by
            row.decided_at = row.closed_at = now()
            await events.record(session, order, Event("return.rejected", told, actor=approval.closed_by or ""))
        case ApprovalState.TIMED_OUT:
            facts = {"return_no": row.return_no, "worth_minor": row.worth_minor, "currency": row.currency}
            reason = Reason(_UNDECIDED, "nobody has decided about a return in time", facts, blocking=False)
            await holds.open_hold(session, order, reason)
        case _:
            return
    waiting = [one for one in await returning.of_order(session, order.order_no) if one.row.state == "requested"]
    if not waiting:
        decided = f"return {row.state}"
        await holds.resolve(session, order, (_UNDECIDED,), "decided", by=approval.closed_by or "", reason=decided)


def _event(kind: str, told: dict[str, Any], message: InboxMessage) -> Event:
    return Event(kind, told, actor=message.actor, source=message.source, message_id=message.message_id)
