"""The order's own steps: checking it, deciding a branch, waiting, holding, cancelling and closing."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta

from sqlmodel.ext.asyncio.session import AsyncSession
from temporalio import activity

from activities.checking import objection
from activities.deposits import is_lost_by_cancelling
from activities.failures import translated
from activities.late_payments import came_back
from activities.posting import post_cured, post_unposted
from activities.step import Fact, Step, StepResult
from domain.approval import ApprovalState
from domain.errors import DomainError
from domain.flow.decide import decide
from domain.flow.nodes import BranchNode
from domain.order import Lifecycle, OrderNotCancellable, has_ended, moved
from models.columns import now
from models.order import Order, OrderDecision
from runtime.database import Sessions
from store import approvals, events, holds, inbox, orders, shipping, trade
from store.events import Event
from store.facts import known_now
from store.holds import Reason

_UNCHECKED = (Lifecycle.RECEIVED, Lifecycle.IN_REVIEW)
_CHECKED = ("unknown_sku", "price_mismatch", "customer_blocked", "fx_rate_missing")


class RevenueMissing(DomainError):
    """An order may not complete while delivered goods are not in the books."""

    code = "posting_failed"


@dataclass(frozen=True)
class BranchInput:
    """A branch to decide, on the facts the order was placed with and what is known of it by now."""

    order_no: str
    node: str
    visit: int
    flow_key: str
    flow_version: int
    branch: BranchNode
    facts: dict[str, bool | int | str | list[str]] = field(default_factory=dict)


@dataclass(frozen=True)
class BranchResult:
    """The case taken and the node it leads to."""

    label: str
    next: str


@dataclass(frozen=True)
class WaitInput:
    """What the order is about to wait for, at this visit since its story began (anew, where the order was changed).

    `until`: a moment that is agreed. Otherwise `keep` is how long, unless an earlier wait had set a deadline already.
    """

    order_no: str
    node: str
    visit: int
    event: str
    keep: timedelta
    until: datetime | None = None


@dataclass(frozen=True)
class WaitResult:
    """How the order stands, and until when it waits."""

    result: StepResult
    deadline: datetime


@dataclass(frozen=True)
class HoldInput:
    """A reason to hold the order at a node.

    `opened`: the step has put it on record already. `sla`: what the lane allows, where that is not the reason's own.
    `try_after`: how long until it is tried again without anybody's click.
    """

    order_no: str
    node: str
    reason_code: str
    detail: str
    blocking: bool = True
    opened: bool = False
    sla: timedelta | None = None
    try_after: timedelta | None = None


@dataclass(frozen=True)
class ResolveInput:
    """How holds of the order were settled, and by whom. Words that a person gave lie in the inbox row, not here.

    Settled are those of these `reasons`, and those that were opened at this `node`; without either all of them.
    """

    order_no: str
    resolution: str
    by: str
    inbox_id: int = 0
    reasons: tuple[str, ...] = ()
    node: str = ""


@dataclass(frozen=True)
class CancelInput:
    """Who wants the order undone; why lies in the inbox row, which may be about a person."""

    order_no: str
    actor: str
    inbox_id: int = 0


@dataclass(frozen=True)
class CloseInput:
    """The end that the order has come to; `seen` is the latest of its events that whoever ends it knows of."""

    order_no: str
    result: str
    seen: int = 0


@dataclass(frozen=True)
class NotifyInput:
    """What a notify node or a reminder tells, and whom."""

    order_no: str
    node: str
    visit: int
    event: str
    audience: tuple[str, ...] = ()
    template: str | None = None


class OrderActivities:
    """Steps that write nothing but the order itself."""

    def __init__(self, sessions: Sessions) -> None:
        self._sessions = sessions

    @activity.defn
    async def check_order(self, step: Step) -> StepResult:
        """Effect: the order is accepted, or held with the first reason that speaks against it.
        Key: the order's lifecycle; an accepted order is not checked again.
        Fails: order_not_found (final).
        """
        with translated():
            async with self._sessions() as session, session.begin():
                order = await orders.lock(session, step.order_no)
                if order.lifecycle not in _UNCHECKED or order.cancel_requested_at is not None:
                    return StepResult(await orders.standing(session, step.order_no))
                reason = await objection(session, order, step.node)
                if reason is not None:
                    await holds.open_hold(session, order, reason)
                    return StepResult(await orders.standing(session, step.order_no), held=reason.code)
                await holds.resolve(session, order, _CHECKED, "retried", by="orderflow", reason="check passed")
                order.lifecycle = moved(order.lifecycle, Lifecycle.ACCEPTED)
                await events.record(session, order, Event("order.accepted", node=step.node))
                held = await post_unposted(session, order, step.node)
                return StepResult(await orders.standing(session, step.order_no), held=held)

    @activity.defn
    async def decide_branch(self, branch: BranchInput) -> BranchResult:
        """Effect: the case taken is on record with its expression and facts.
        Key: (order, node, visit); the first decision stays.
        Fails: condition_failed (final).
        """
        with translated():
            async with self._sessions() as session, session.begin():
                order = await orders.lock(session, branch.order_no)
                if known := await session.get(OrderDecision, (branch.order_no, branch.node, branch.visit)):
                    node, chosen = branch.branch, known.chosen
                    return BranchResult(chosen, {one.label: one.next for one in node.ways}.get(chosen, node.default))
                facts = dict(branch.facts) | await known_now(session, order)
                decision = decide(branch.branch, facts)
                session.add(
                    OrderDecision(
                        order_no=branch.order_no,
                        node=branch.node,
                        visit=branch.visit,
                        flow_key=branch.flow_key,
                        flow_version=branch.flow_version,
                        chosen=decision.label,
                        expression=decision.when or None,
                        facts=facts,
                    )
                )
                told = {"case": decision.label, "next": decision.next}
                await events.record(session, order, Event("order.branched", told, node=branch.node))
                return BranchResult(decision.label, decision.next)

    @activity.defn
    async def open_wait(self, wait: WaitInput) -> WaitResult:
        """Effect: the order says what it waits for and until when.
        Key: (order, event); a first visit that was already waiting keeps its deadline.
        Fails: order_not_found (final).
        """
        with translated():
            async with self._sessions() as session, session.begin():
                order = await orders.lock(session, wait.order_no)
                waited = wait.visit == 1 and order.waiting_for == wait.event and order.deadline_at is not None
                if (until := wait.until or await trade.closes_at(session, order, wait.event)) or not waited:
                    orders.note_waiting(order, wait.event, until or now() + wait.keep)
                    await events.record(session, order, Event("order.waiting", {"event": wait.event}, node=wait.node))
                standing = await orders.standing(session, wait.order_no)
                return WaitResult(StepResult(standing), order.deadline_at or now() + wait.keep)

    @activity.defn
    async def open_hold(self, hold: HoldInput) -> StepResult:
        """Effect: the order is held for this reason, and the hold is due when its lane says so.
        Key: (order, reason) among open holds.
        Fails: order_not_found (final).
        """
        with translated():
            async with self._sessions() as session, session.begin():
                order = await orders.lock(session, hold.order_no)
                if hold.opened:
                    held = await holds.find_open(session, hold.order_no, hold.reason_code)
                else:
                    reason = Reason(hold.reason_code, hold.detail, node=hold.node, blocking=hold.blocking)
                    held = await holds.open_hold(session, order, reason)
                if held is not None:
                    held.next_try_at = None if hold.try_after is None else now() + hold.try_after
                    if hold.sla is not None:
                        holds.give_until(held, hold.sla)
                return StepResult(await orders.standing(session, hold.order_no), held=hold.reason_code)

    @activity.defn
    async def resolve_holds(self, resolve: ResolveInput) -> StepResult:
        """Effect: the holds that the choice answers are settled, and say by whom, how and why; others stay as they
            are. Money that could not be posted now is.
        Key: open holds; what is settled stays as it was settled.
        Fails: order_not_found (final).
        """
        with translated():
            async with self._sessions() as session, session.begin():
                order = await orders.lock(session, resolve.order_no)
                reason = await inbox.reason_in(session, resolve.inbox_id, resolve.order_no)
                told = {"by": resolve.by, "reason": reason or resolve.resolution}
                at_node = await holds.open_at(session, resolve.order_no, resolve.node) if resolve.node else ()
                settled = await holds.resolve(session, order, resolve.reasons + at_node, resolve.resolution, **told)
                await post_cured(session, order, settled)
                return StepResult(await orders.standing(session, resolve.order_no))

    @activity.defn
    async def begin_cancel(self, cancel: CancelInput) -> StepResult:
        """Effect: no step takes the order further from now on.
        Key: `cancel_requested_at`; the first request stays.
        Fails: order_not_cancellable once goods that have left may still arrive, or the order has ended (final).
        """
        with translated():
            async with self._sessions() as session, session.begin():
                order = await orders.lock(session, cancel.order_no)
                standing = await orders.standing(session, cancel.order_no)
                gone = standing.handed_over and not await shipping.none_will_arrive(session, cancel.order_no)
                if gone or has_ended(order.lifecycle):
                    raise OrderNotCancellable(order_no=cancel.order_no)
                if order.cancel_requested_at is None:
                    order.cancel_requested_at = now()
                    order.forfeit_deposit = await is_lost_by_cancelling(session, order, standing, cancel.inbox_id)
                    order.cancel_reason = await inbox.reason_in(session, cancel.inbox_id, cancel.order_no)
                    await approvals.void(session, order, "the order is being cancelled", (ApprovalState.OPEN,))
                    asked = Event("order.cancel_requested", actor=cancel.actor, reason=order.cancel_reason)
                    await events.record(session, order, asked)
                return StepResult(await orders.standing(session, cancel.order_no))

    @activity.defn
    async def withdraw_cancel(self, cancel: CancelInput) -> StepResult:
        """Effect: the order goes on as if nobody had asked: the carrier has the goods already.
        Key: `cancel_requested_at`.
        Fails: order_not_found (final).
        """
        with translated():
            async with self._sessions() as session, session.begin():
                order = await orders.lock(session, cancel.order_no)
                if order.cancel_requested_at is not None:
                    order.cancel_requested_at, order.cancel_reason, order.forfeit_deposit = None, None, False
                    refused = Event("order.cancel_refused", actor=cancel.actor, reason="the carrier has the goods")
                    await events.record(session, order, refused)
                return StepResult(await orders.standing(session, cancel.order_no))

    @activity.defn
    async def close_order(self, close: CloseInput) -> StepResult:
        """Effect: the order has ended, and nothing of it waits or is held; one that came back since is not ended again.
        Key: `closed_at`.
        Fails: posting_failed when a completed order's goods are not all in the books (final).
        """
        with translated():
            async with self._sessions() as session, session.begin():
                order = await orders.lock(session, close.order_no)
                if order.closed_at is None and not await came_back(session, order, close.result, close.seen):
                    await _close(session, order, Lifecycle(close.result))
                return StepResult(await orders.standing(session, close.order_no))

    @activity.defn
    async def notify(self, note: NotifyInput) -> StepResult:
        """Effect: the notice is queued for every destination that listens.
        Key: (order, node, visit); told once.
        Fails: order_not_found (final).
        """
        with translated():
            async with self._sessions() as session, session.begin():
                order = await orders.lock(session, note.order_no)
                told = {"notice": note.event, "audience": list(note.audience), "template": note.template}
                message_id = f"notify/{note.node}/{note.visit}/{note.event}"
                if not await events.has_message(session, order.order_no, message_id):
                    told_event = Event(f"notice.{note.event}", told, node=note.node, message_id=message_id)
                    await events.record(session, order, told_event)
                return StepResult(await orders.standing(session, note.order_no))

    @activity.defn
    async def acknowledge(self, fact: Fact) -> StepResult:
        """Effect: the inbox row says that its wake-up was heard; a signal without a row is on record as ignored.
        Key: the inbox row.
        Fails: order_not_found (final).
        """
        with translated():
            async with self._sessions() as session, session.begin():
                order = await orders.lock(session, fact.order_no, fact.inbox_id)
                message = await inbox.of_order(session, fact.inbox_id, fact.order_no)
                if message is None or message.kind not in inbox.WAKE_UPS:
                    await events.record_forged(session, order, fact.inbox_id)
                    return StepResult(await orders.standing(session, fact.order_no), outcome="ignored")
                inbox.mark_applied(message, "heard")
                return StepResult(await orders.standing(session, fact.order_no))


async def _close(session: AsyncSession, order: Order, result: Lifecycle) -> None:
    lines = await orders.lines(session, order.order_no)
    if result is Lifecycle.COMPLETED:
        if any(line.recognised < line.quantity - line.cancelled for line in lines):
            raise RevenueMissing(order_no=order.order_no)
    else:
        for line in lines:
            line.cancelled = line.quantity - line.allocated
    order.lifecycle, order.closed_at = moved(order.lifecycle, result), now()
    orders.note_waiting(order, None, None)
    await approvals.void(session, order, f"the order has ended: {result}", (ApprovalState.OPEN,))
    await holds.close(session, order, f"order {result}", keeping_money=result is Lifecycle.COMPLETED)
    await events.record(session, order, Event(f"order.{result}", reason=order.cancel_reason))
