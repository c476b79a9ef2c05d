"""Approvals as a workflow runs them: opened, reminded of, escalated, and what people say to them."""

from dataclasses import dataclass
from datetime import datetime

from sqlmodel.ext.asyncio.session import AsyncSession
from temporalio import activity

from activities.failures import translated
from activities.hearing import check_content, hear, hear_waiting
from activities.signing import tell_of_turn
from activities.step import Fact, StepResult
from domain.approval import ApprovalState, Case, first_round, next_round, outcome_of, schedule, told_of
from domain.flow.approval_node import ApprovalNode
from domain.order import Lifecycle, has_ended, moved
from domain.signers import Signers
from models.approval import Approval, ApprovalCopy
from models.columns import now
from models.order import Order
from runtime.database import Sessions
from store import approvals, calendars, events, inbox, orders
from store.approvals import Told


@dataclass(frozen=True)
class ApprovalInput:
    """An approval to open for one visit of a node; `content`: what is approved, where that is not the order itself."""

    order_no: str
    node: str
    visit: int
    flow_key: str
    flow_version: int
    approval: ApprovalNode
    content: str = ""
    # Whether the order itself stands still until it is decided; otherwise it may have ended.
    order_waits: bool = True
    # Who wants it, where that is not who placed the order; they do not decide about it either.
    submitter: str = ""
    # What it is about comes to, in the order's currency, where that is not the order itself.
    amount_minor: int | None = None


@dataclass(frozen=True)
class ApprovalMoment:
    """A moment of an approval's level has come: a reminder's, or its end."""

    order_no: str
    approval_id: str
    level: int
    # Which of the level's clocks: the moments of an earlier one are nobody's any more.
    clock: int = 0


@dataclass(frozen=True)
class ApprovalResult:
    """How an approval stands. `next_at` is when it moves by itself: `reminds` says whether only to remind people."""

    result: StepResult
    approval_id: str
    state: str
    outcome: str
    level: int
    deadline: datetime
    next_at: datetime
    reminds: bool
    clock: int = 0

    @property
    def is_open(self) -> bool:
        return self.state == ApprovalState.OPEN


class ApprovalActivities:
    """Writes approvals and nothing of the order but what it waits for."""

    def __init__(self, sessions: Sessions) -> None:
        self._sessions = sessions

    @activity.defn
    async def open_approval(self, asked: ApprovalInput) -> ApprovalResult:
        """Effect: people are asked, an order that was not accepted yet is in review; or the approval is as it was left.
            One that was given for another content is void. An order that is being undone asks nobody: void as well.
        Key: (order, node, visit).
        Fails: order_not_found (final).
        """
        with translated():
            async with self._sessions() as session, session.begin():
                order = await orders.lock(session, asked.order_no)
                approval_id = approvals.approval_id_of(asked.order_no, asked.node, asked.visit)
                approval = await session.get(Approval, approval_id)
                if approval is not None:
                    await check_content(session, order, approval)
                elif not asked.order_waits or not (order.cancel_requested_at or has_ended(order.lifecycle)):
                    approval = await _open(session, order, asked)
                else:
                    standing = StepResult(await orders.standing(session, asked.order_no))
                    return ApprovalResult(standing, approval_id, "voided", "voided", 0, now(), now(), reminds=False)
                return await _result(session, approval)

    @activity.defn
    async def remind_approval(self, moment: ApprovalMoment) -> ApprovalResult:
        """Effect: those who are asked are told once more; what was said in the meantime is heard first.
        Key: the reminders of the level that are due and not yet given.
        Fails: order_not_found, approval_not_found (final).
        """
        with translated():
            async with self._sessions() as session, session.begin():
                order, approval = await _in_turn(session, moment)
                if _is_now(approval, moment):
                    await _remind(session, order, approval)
                return await _result(session, approval)

    @activity.defn
    async def escalate_approval(self, moment: ApprovalMoment) -> ApprovalResult:
        """Effect: the next level is asked, or the approval has timed out. Whatever was said before counts first, so
            that a decision which comes together with the end of the level is either effective or not, never both.
        Key: the level that is over.
        Fails: order_not_found, approval_not_found (final).
        """
        with translated():
            async with self._sessions() as session, session.begin():
                order, approval = await _in_turn(session, moment)
                if _is_now(approval, moment):
                    await _escalate(session, order, approval)
                return await _result(session, approval)

    @activity.defn
    async def apply_decision(self, fact: Fact) -> StepResult:
        """Effect: a person's word has had its effect, and its outcome is on the inbox row and in the trail.
        Key: the inbox row; what was heard is not heard again. A signal without a row is on record as ignored.
        Fails: order_not_found (final).
        """
        with translated():
            async with self._sessions() as session, session.begin():
                order = await orders.lock(session, fact.order_no, fact.inbox_id)
                message = await inbox.of_order(session, fact.inbox_id, fact.order_no)
                outcome = None if message is None else await hear(session, order, message)
                if outcome is None:
                    await events.record_forged(session, order, fact.inbox_id)
                return StepResult(await orders.standing(session, fact.order_no), outcome=outcome or "ignored")


async def _in_turn(session: AsyncSession, moment: ApprovalMoment) -> tuple[Order, Approval]:
    """The order, locked, and its approval with everything heard that was said by now."""
    order = await orders.lock(session, moment.order_no)
    approval = await approvals.get(session, moment.approval_id)
    await check_content(session, order, approval)
    await hear_waiting(session, order, approval)
    return order, approval


def _is_now(approval: Approval, moment: ApprovalMoment) -> bool:
    at = (approval.level, approval.clock)
    return approval.state == ApprovalState.OPEN and at == (moment.level, moment.clock)


async def _open(session: AsyncSession, order: Order, asked: ApprovalInput) -> Approval:
    people = await approvals.people(session)
    case = approvals.case_of(order, people, asked.submitter)
    node = asked.approval
    opened = first_round(node, people, case)
    times = schedule(node, 0, now(), await calendars.of_nodes(session, (node,)))
    approval = Approval(
        approval_id=approvals.approval_id_of(asked.order_no, asked.node, asked.visit),
        order_no=order.order_no,
        node=asked.node,
        visit=asked.visit,
        workflow_id=activity.info().workflow_id or "",
        flow_key=asked.flow_key,
        flow_version=asked.flow_version,
        rules=node.model_dump(mode="json", exclude_defaults=True),
        submitter=case.submitter or "",
        interested=sorted(case.interested),
        content=asked.content,
        content_sha256=await approvals.content_of(session, order, asked.content),
        amount_minor=order.total_minor if asked.amount_minor is None else asked.amount_minor,
        currency=order.currency,
        deadline_at=times.deadline,
        remind_at=list(times.reminders),
    )
    session.add(approval)
    await session.flush()
    for copy in told_of(node, opened, people, case):
        session.add(ApprovalCopy(approval_id=approval.approval_id, person_id=copy.person, role=copy.role))
    signers = Signers(node, people, case.interested).opened(opened, keep=True)
    await approvals.keep(session, approval, signers)
    if asked.order_waits:
        if order.lifecycle == Lifecycle.RECEIVED:
            order.lifecycle = moved(order.lifecycle, Lifecycle.IN_REVIEW)
        orders.note_waiting(order, approvals.waiting_word(asked.node), times.deadline)
    await tell_of_turn(session, (order, approval), "opened", signers.asked, times)
    return approval


async def _remind(session: AsyncSession, order: Order, approval: Approval) -> None:
    due = sum(moment <= now() for moment in approval.remind_at)
    # The workflow's clock says that one is due, even where ours is a little behind.
    approval.reminded = max(due, min(approval.reminded + 1, len(approval.remind_at)))
    asked = await approvals.assignments(session, approval.approval_id)
    told = {"people": sorted({one.person_id for one in asked if one.state == "asked"})}
    told_until = {"deadline": approval.deadline_at.isoformat()}
    await approvals.note(session, order, approval, Told("reminded", data=told | told_until))


async def _escalate(session: AsyncSession, order: Order, approval: Approval) -> None:
    people = await approvals.people(session)
    before = await approvals.signers(session, approval, people)
    node = before.node
    case = Case(approval.submitter or None, frozenset(approval.interested))
    opened = next_round(node, approval.level, before.silent, people, case)
    if opened is None:
        approvals.close(order, approval, ApprovalState.TIMED_OUT, "orderflow")
        told = {"goes_as": outcome_of(ApprovalState.TIMED_OUT, node.on_exhausted)}
        await approvals.note(session, order, approval, Told("timed_out", data=told))
        return
    times = schedule(node, opened.level, now(), await calendars.of_nodes(session, (node,)))
    after = before.opened(opened, keep=node.levels[opened.level].keep_previous)
    await approvals.keep(session, approval, after)
    approvals.start_clock(order, approval, opened.level, times)
    asked = [one for one in after.asked if one.level == opened.level]
    await tell_of_turn(session, (order, approval), "escalated", asked, times, opened.passed)


async def _result(session: AsyncSession, approval: Approval) -> ApprovalResult:
    rules = ApprovalNode.model_validate(approval.rules)
    due = [*approval.remind_at[approval.reminded :], approval.deadline_at]
    return ApprovalResult(
        result=StepResult(await orders.standing(session, approval.order_no)),
        approval_id=approval.approval_id,
        state=approval.state,
        outcome=outcome_of(approval.state, rules.on_exhausted),
        level=approval.level,
        deadline=approval.deadline_at,
        next_at=due[0],
        reminds=len(due) > 1,
        clock=approval.clock,
    )
