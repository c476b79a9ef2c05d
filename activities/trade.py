"""Steps of orders whose kind asks for more: data for customs and their clearance, and the number of a group."""

from collections.abc import Mapping

from pydantic import BaseModel, ValidationError
from sqlmodel.ext.asyncio.session import AsyncSession
from temporalio import activity

from activities.failures import translated
from activities.step import Fact, Step, StepResult
from domain import customs
from domain.customs import Document, DocumentState
from domain.errors import DomainError
from domain.order import has_ended
from models.columns import now
from models.inbox import InboxMessage
from models.order import Order
from models.trade import CustomsDocument
from runtime.database import Sessions
from store import events, holds, inbox, orders, trade
from store.events import Event
from store.holds import Reason
from store.trade import CUSTOMS_CLEARED, GROUP_COMPLETE


class ReportUnreadable(DomainError):
    """A report that our door let in does not say what a report of customs has to say."""

    code = "report_unreadable"


class _Report(BaseModel):
    document: Document
    state: DocumentState
    reason: str | None = None


class TradeActivities:
    """Steps for groups that buy together, and for orders that cross a border."""

    def __init__(self, sessions: Sessions) -> None:
        self._sessions = sessions

    @activity.defn
    async def check_customs(self, step: Step) -> StepResult:
        """Effect: the order has everything that customs ask of its buyer and its lines, or is held for what it lacks.
        Key: the hold's reason; what is complete stays so.
        Fails: order_not_found (final).
        """
        with translated():
            async with self._sessions() as session, session.begin():
                order = await orders.lock(session, step.order_no)
                if has_ended(order.lifecycle):
                    return StepResult(await orders.standing(session, step.order_no))
                lines = await orders.lines(session, step.order_no)
                lacking = customs.missing(order.customs, [one.line_id for one in lines if one.quantity > one.cancelled])
                if lacking:
                    reason = Reason("customs_data_missing", "customs ask for more", {"fields": lacking[:50]}, step.node)
                    await holds.open_hold(session, order, reason)
                    return StepResult(await orders.standing(session, step.order_no), held=reason.code)
                await holds.resolve(session, order, ("customs_data_missing",), "retried", by="orderflow", reason="told")
                return StepResult(await orders.standing(session, step.order_no))

    @activity.defn
    async def join_group(self, step: Step) -> StepResult:
        """Effect: the order counts for its group. The one that makes up the number has all others told.
        Key: the order's `group_joined_at`, the group's `completed_at`, one message for each order.
        Fails: order_not_found (final).
        """
        with translated():
            async with self._sessions() as session, session.begin():
                order = await orders.lock(session, step.order_no)
                if has_ended(order.lifecycle) or order.cancel_requested_at is not None:
                    return StepResult(await orders.standing(session, step.order_no))
                held = await _join(session, order, step)
                return StepResult(await orders.standing(session, step.order_no), held=held)

    @activity.defn
    async def apply_arrival(self, fact: Fact) -> StepResult:
        """Effect: what has come for the order is on record: a word of customs, or that its group has its number.
        Key: the inbox row.
        Fails: order_not_found, report_unreadable (final).
        """
        with translated():
            async with self._sessions() as session, session.begin():
                order = await orders.lock(session, fact.order_no, fact.inbox_id)
                message = await inbox.of_order(session, fact.inbox_id, fact.order_no)
                if message is None or message.kind not in trade.ARRIVALS:
                    await events.record_forged(session, order, fact.inbox_id)
                    return StepResult(await orders.standing(session, fact.order_no), outcome="ignored")
                if message.applied_at is None:
                    outcome = await _applied(session, order, message)
                    inbox.mark_applied(message, outcome)
                standing = await orders.standing(session, fact.order_no)
                orders.note_progress(order, standing)
                return StepResult(standing, outcome=message.outcome or "applied")


async def _join(session: AsyncSession, order: Order, step: Step) -> str | None:
    group = await trade.lock_group(session, order.group_id)
    if group is None:
        reason = Reason("group_unknown", "no such group", {"group_id": order.group_id or ""}, step.node)
        await holds.open_hold(session, order, reason)
        return reason.code
    await holds.resolve(session, order, ("group_unknown",), "retried", by="orderflow", reason="the group is known")
    if order.group_joined_at is None:
        order.group_joined_at = now()
        await events.record(session, order, Event("group.joined", {"group_id": group.group_id}, node=step.node))
        await session.flush()
    members = await trade.joined(session, group.group_id)
    if group.completed_at is None and len(members) >= group.minimum_orders and now() < group.closes_at:
        group.completed_at = now()
        for other in members:
            if other != order.order_no:
                await trade.tell_complete(session, group.group_id, other)
    if group.completed_at is not None:
        await _came(session, order, GROUP_COMPLETE, {"group_id": group.group_id})
    return None


async def _applied(session: AsyncSession, order: Order, message: InboxMessage) -> str:
    if message.kind == trade.GROUP_COMPLETED:
        await _came(session, order, GROUP_COMPLETE, {"group_id": order.group_id or ""})
        return "applied"
    try:
        report = _Report.model_validate_json(message.body)
    except ValidationError as unreadable:
        raise ReportUnreadable(inbox_id=message.inbox_id or 0) from unreadable
    row = CustomsDocument(
        order_no=order.order_no,
        document=report.document.value,
        state=report.state.value,
        reason=report.reason,
        reported_by=message.actor,
    )
    await trade.put_document(session, row)
    told = {"document": report.document.value, "state": report.state.value}
    said = Event(f"customs.{report.state}", told, actor=message.actor, message_id=message.message_id)
    await events.record(session, order, said)
    if report.state is DocumentState.REJECTED:
        await holds.open_hold(session, order, Reason("customs_rejected", "customs have rejected a document", told))
    known = await trade.documents(session, order.order_no)
    if customs.is_cleared({name: document.state for name, document in known.items()}):
        await holds.resolve(session, order, ("customs_rejected",), "retried", by="orderflow", reason="accepted")
        await _came(session, order, CUSTOMS_CLEARED, {})
    return "applied"


async def _came(session: AsyncSession, order: Order, event: str, told: Mapping[str, str]) -> None:
    if event not in order.came:
        order.came = [*order.came, event]
        await events.record(session, order, Event(event, dict(told)))
