"""What people say to an approval, heard in turn: each word once, each with its outcome on record."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Final, Literal

from pydantic import BaseModel, ValidationError
from sqlmodel.ext.asyncio.session import AsyncSession

from activities.signing import pass_on, settle, votes_of
from domain.approval import ApprovalState, CannotBeAsked, Decision, NotAssignee, Outcome
from domain.errors import DomainError
from domain.order import Lifecycle
from domain.signers import Joining, Signers, Where
from domain.signing import Verdict
from models.approval import Approval, ApprovalCopy
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
    action: Literal[
        "approve",
        "reject",
        "return",
        "abstain",
        "transfer",
        "withdraw",
        "nudge",
        "add_signer",
        "remove_signer",
        "copy",
    ]
    comment: str | None = None
    to: str | None = None
    where: Where | None = None
    of: str | None = None


@dataclass(frozen=True)
class _Word:
    """A word in its turn: about which approval, said by whom, to whom the approval belongs by now."""

    order: Order
    approval: Approval
    message: InboxMessage
    said: Said
    signers: Signers

    @property
    def actor(self) -> str:
        return self.message.actor

    @property
    def about(self) -> tuple[Order, Approval]:
        return self.order, self.approval

    @property
    def keeps_order(self) -> bool:
        """Whether operations speaks, who may do what a person who is away cannot."""
        known = self.signers.people.get(self.actor)
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
    signers = await approvals.signers(session, approval, await approvals.people(session))
    word = _Word(order, approval, message, said, signers)
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
        case "add_signer":
            return await _add_signer(session, word)
        case "remove_signer":
            return await _remove_signer(session, word)
        case "copy":
            return await _copy(session, word)
        case "withdraw":
            return await _withdraw(session, word)
        case "nudge":
            return await _nudge(session, word)
        case _:
            return await _decide(session, word, Decision(word.said.action))


async def _decide(session: AsyncSession, word: _Word, decision: Decision) -> Outcome:
    approval, before = word.approval, word.signers
    verdict = before.judged(ApprovalState(approval.state), word.actor, decision)
    if verdict.outcome is Outcome.EFFECTIVE and word.actor not in before.people:
        verdict = Verdict(Outcome.NOT_ASSIGNEE)
    after = before.said(word.actor, decision) if verdict.outcome is Outcome.EFFECTIVE else before
    if after is not before:
        await settle(session, word.about, after, word.actor)
    told = Told(
        "decided",
        actor=word.actor,
        on_behalf_of=_on_behalf_of(word, verdict.level),
        level=verdict.level,
        decision=decision.value,
        outcome=verdict.outcome.value,
        comment=word.said.comment,
        inbox_id=word.message.inbox_id,
        data=_by_whom(approval) if after is before else dict(votes_of(after, verdict.level or 0)),
    )
    await approvals.note(session, word.order, approval, told)
    if after is not before:
        await pass_on(session, word.about, before, after)
    return verdict.outcome


def _on_behalf_of(word: _Word, level: int | None = None) -> str | None:
    own = [one for one in word.signers.listed if one.person == word.actor and level in (None, one.level)]
    return max(own, key=lambda one: one.level).on_behalf_of if own else None


def _by_whom(approval: Approval) -> dict[str, str]:
    """Who was first, and when."""
    if approval.closed_at is None:
        return {}
    return {"closed_by": approval.closed_by or "", "closed_at": approval.closed_at.isoformat()}


async def _transfer(session: AsyncSession, word: _Word) -> Outcome:
    to, level = word.said.to or "", word.approval.level

    def change() -> Signers:
        return word.signers.handed_on(word.actor, to, level, keeps=word.keeps_order)

    outcome, _after = await _change(session, word, "transferred", change, {"to": to})
    return outcome


async def _add_signer(session: AsyncSession, word: _Word) -> Outcome:
    joins = Joining(word.said.to or "", word.said.where or Where.BESIDE, word.said.of)

    def change() -> Signers:
        return word.signers.joined(word.actor, joins, word.approval.level, keeps=word.keeps_order)

    place = {"to": joins.person, "where": joins.where.value, "of": joins.of or word.actor}
    outcome, after = await _change(session, word, "signer_added", change, place)
    await pass_on(session, word.about, word.signers, after)
    return outcome


async def _remove_signer(session: AsyncSession, word: _Word) -> Outcome:
    person = word.said.to or ""

    def change() -> Signers:
        return word.signers.removed(word.actor, person, keeps=word.keeps_order)

    outcome, after = await _change(session, word, "signer_removed", change, {"person": person})
    await pass_on(session, word.about, word.signers, after)
    return outcome


async def _change(
    session: AsyncSession, word: _Word, kind: str, change: Callable[[], Signers], told: dict[str, str]
) -> tuple[Outcome, Signers]:
    """Afterwards the lists have changed, if they may; what was said may have decided now that somebody is gone."""
    outcome, after = _open_or_late(word.approval), word.signers
    if outcome is Outcome.EFFECTIVE:
        try:
            after = change()
        except DomainError:
            outcome = Outcome.NOT_ASSIGNEE
    if outcome is Outcome.EFFECTIVE:
        await settle(session, word.about, after, word.actor)
    await _tell(session, word, kind, outcome, dict(told))
    return outcome, after


async def _copy(session: AsyncSession, word: _Word) -> Outcome:
    approval, to = word.approval, word.said.to or ""
    outcome = _open_or_late(approval)
    told_already = {one.person_id for one in await approvals.copies(session, approval.approval_id)}
    if outcome is Outcome.EFFECTIVE:
        try:
            check_copy(word.signers, told_already, word.actor, to, keeps=word.keeps_order)
        except DomainError:
            outcome = Outcome.NOT_ASSIGNEE
    if outcome is Outcome.EFFECTIVE:
        session.add(ApprovalCopy(approval_id=approval.approval_id, person_id=to, added_by=word.actor))
        await session.flush()
    await _tell(session, word, "copied", outcome, {"to": to})
    return outcome


def check_copy(signers: Signers, told: set[str], by: str, to: str, *, keeps: bool) -> None:
    """Whether this person may have that one told. Raises NotAssignee, CannotBeAsked."""
    listed = {one.person for one in signers.listed if one.state not in ("dropped", "excused", "transferred", "removed")}
    if by not in listed and not keeps:
        raise NotAssignee("Only who decides, or operations, has others told.")
    if to in told or to in listed or to not in signers.people:
        raise CannotBeAsked("This person need not be told.", person=to)


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
    await _tell(session, word, "nudged", outcome, {"people": sorted({one.person for one in word.signers.asked})})
    return outcome


def _open_or_late(approval: Approval) -> Outcome:
    return Outcome.EFFECTIVE if approval.state == ApprovalState.OPEN else Outcome.TOO_LATE


async def _tell(
    session: AsyncSession, word: _Word, kind: str, outcome: Outcome, data: dict[str, str | list[str]] | None = None
) -> None:
    told = Told(
        kind,
        actor=word.actor,
        on_behalf_of=_on_behalf_of(word),
        outcome=outcome.value,
        comment=word.said.comment,
        inbox_id=word.message.inbox_id,
        data=dict(data or {}),
    )
    await approvals.note(session, word.order, word.approval, told)
