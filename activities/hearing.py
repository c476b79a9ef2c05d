"""What people say to an approval, heard in turn: each word once, each with its outcome on record."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Final, Literal

from pydantic import BaseModel, ValidationError
from sqlmodel.ext.asyncio.session import AsyncSession

from domain.approval import ApprovalState, Asked, Assignment, Colleague, Decision, Outcome, Standing, Verdict, judge
from domain.flow.approval_node import ApprovalNode
from domain.order import Lifecycle
from models.approval import Approval, ApprovalAssignment
from models.columns import now
from models.inbox import InboxMessage
from models.order import Order
from store import approvals, inbox
from store.approvals import Told

NUDGE_PAUSE: Final = timedelta(minutes=5)
_NOT_SENT: Final = (Lifecycle.RECEIVED, Lifecycle.IN_REVIEW, Lifecycle.ACCEPTED)
_KEEPERS: Final = frozenset({"operations", "admin"})


class Said(BaseModel):
    """What a person says to an approval, as the inbox keeps it."""

    approval_id: str
    action: Literal["approve", "reject", "return", "transfer", "withdraw", "nudge"]
    comment: str | None = None
    to: str | None = None


@dataclass(frozen=True)
class _Word:
    """A word in its turn: about which approval, said by whom, to whom the approval belongs by now."""

    order: Order
    approval: Approval
    message: InboxMessage
    said: Said
    asked: Sequence[ApprovalAssignment]
    people: dict[str, Colleague]

    @property
    def actor(self) -> str:
        return self.message.actor

    @property
    def keeps_order(self) -> bool:
        """Whether operations speaks, who may do what a person who is away cannot."""
        known = self.people.get(self.actor)
        return known is not None and bool(known.roles & _KEEPERS)


async def hear(session: AsyncSession, order: Order, message: InboxMessage) -> str | None:
    """Afterwards the word has had its effect or its refusal, once; None when it is no word to an approval of the order.

    The order's row must be locked.
    """
    if message.kind != approvals.DECIDED:
        return None
    if message.applied_at is not None:
        return message.outcome
    try:
        said = Said.model_validate_json(message.body)
    except ValidationError:
        return None
    approval = await session.get(Approval, said.approval_id)
    if approval is None or approval.order_no != order.order_no:
        return None
    await check_content(session, order, approval)
    asked = await approvals.assignments(session, approval.approval_id)
    word = _Word(order, approval, message, said, asked, await approvals.people(session))
    outcome = (await _effect(session, word)).value
    inbox.mark_applied(message, outcome)
    return outcome


async def hear_waiting(session: AsyncSession, order: Order, approval: Approval) -> None:
    """Afterwards nothing that was said before is unheard: it was said in time, however late its signal comes."""
    for message in await approvals.waiting_words(session, approval):
        await hear(session, order, message)


async def check_content(session: AsyncSession, order: Order, approval: Approval) -> None:
    """Afterwards an approval of something that is no longer what the order is about is void.

    One that was granted has served once goods are on their way: what changes then is not asked about again.
    """
    unused = approval.state == ApprovalState.APPROVED and order.lifecycle in _NOT_SENT
    if (approval.state == ApprovalState.OPEN or unused) and approval.content_sha256 != await approvals.content_of(
        session, order, approval.content
    ):
        await approvals.void_one(session, order, approval, "the order has changed")


async def _effect(session: AsyncSession, word: _Word) -> Outcome:
    match word.said.action:
        case "transfer":
            return await _transfer(session, word)
        case "withdraw":
            return await _withdraw(session, word)
        case "nudge":
            return await _nudge(session, word)
        case _:
            return await _decide(session, word, Decision(word.said.action))


async def _decide(session: AsyncSession, word: _Word, decision: Decision) -> Outcome:
    approval = word.approval
    rules = ApprovalNode.model_validate(approval.rules)
    listed = tuple(Assignment(one.level, one.person_id, one.state) for one in word.asked)
    standing = Standing(ApprovalState(approval.state), rules.mode, listed, returns=rules.outcomes.returned is not None)
    verdict = judge(standing, word.actor, decision)
    if verdict.outcome is Outcome.EFFECTIVE and word.actor not in word.people:
        verdict = Verdict(Outcome.NOT_ASSIGNEE)
    row = next((one for one in word.asked if (one.level, one.person_id) == (verdict.level, word.actor)), None)
    if verdict.outcome is Outcome.EFFECTIVE:
        _sign(word, decision)
        if verdict.state is not ApprovalState.OPEN:
            approvals.close(word.order, approval, verdict.state, word.actor)
    told = Told(
        "decided",
        actor=word.actor,
        on_behalf_of=row.on_behalf_of if row else None,
        level=verdict.level,
        decision=decision.value,
        outcome=verdict.outcome.value,
        comment=word.said.comment,
        inbox_id=word.message.inbox_id,
        data=_by_whom(approval) if verdict.outcome is not Outcome.EFFECTIVE else {},
    )
    await approvals.note(session, word.order, approval, told)
    return verdict.outcome


def _sign(word: _Word, decision: Decision) -> None:
    states = {Decision.APPROVE: "approved", Decision.REJECT: "rejected", Decision.RETURN: "returned"}
    for one in word.asked:
        if one.person_id == word.actor and one.state == "asked":
            one.state = states[decision]


def _by_whom(approval: Approval) -> dict[str, str]:
    """Who was first, and when."""
    if approval.closed_at is None:
        return {}
    return {"closed_by": approval.closed_by or "", "closed_at": approval.closed_at.isoformat()}


async def _transfer(session: AsyncSession, word: _Word) -> Outcome:
    approval, to = word.approval, word.said.to or ""
    own = max(
        (one for one in word.asked if one.person_id == word.actor and one.state == "asked"),
        key=lambda one: one.level,
        default=None,
    )
    busy = {one.person_id for one in word.asked if one.state in ("asked", "approved")}
    allowed = to in word.people and to not in approval.interested and to not in busy
    outcome = _open_or_late(approval)
    if outcome is Outcome.EFFECTIVE and (not allowed or (own is None and not word.keeps_order)):
        outcome = Outcome.NOT_ASSIGNEE
    if outcome is Outcome.EFFECTIVE:
        if own is not None:
            own.state = "transferred"
        await approvals.add_assignment(session, approval, Asked(to, None, own.role if own else None))
    await _tell(session, word, "transferred", outcome, {"to": to})
    return outcome


async def _withdraw(session: AsyncSession, word: _Word) -> Outcome:
    approval = word.approval
    outcome = _open_or_late(approval)
    if outcome is Outcome.EFFECTIVE and not (word.actor in approval.interested or word.keeps_order):
        outcome = Outcome.NOT_ASSIGNEE
    if outcome is Outcome.EFFECTIVE:
        approvals.close(word.order, approval, ApprovalState.WITHDRAWN, word.actor)
    await _tell(session, word, "withdrawn", outcome)
    return outcome


async def _nudge(session: AsyncSession, word: _Word) -> Outcome:
    approval = word.approval
    outcome = _open_or_late(approval)
    last = await approvals.last_told(session, approval.approval_id, "nudged")
    if outcome is Outcome.EFFECTIVE and last is not None and now() - last < NUDGE_PAUSE:
        outcome = Outcome.SUPERSEDED
    await _tell(
        session, word, "nudged", outcome, {"people": sorted(o.person_id for o in word.asked if o.state == "asked")}
    )
    return outcome


def _open_or_late(approval: Approval) -> Outcome:
    return Outcome.EFFECTIVE if approval.state == ApprovalState.OPEN else Outcome.TOO_LATE


async def _tell(
    session: AsyncSession, word: _Word, kind: str, outcome: Outcome, data: dict[str, str | list[str]] | None = None
) -> None:
    told = Told(
        kind,
        actor=word.actor,
        outcome=outcome.value,
        comment=word.said.comment,
        inbox_id=word.message.inbox_id,
        data=dict(data or {}),
    )
    await approvals.note(session, word.order, word.approval, told)
