"""What a person says to an approval: looked at first, committed, signalled, and waited for if they like."""

import asyncio
import json
import re
from dataclasses import dataclass
from datetime import timedelta
from hashlib import sha256
from typing import Annotated, Any, Final

from fastapi import Header
from sqlmodel.ext.asyncio.session import AsyncSession

from activities.hearing import NUDGE_PAUSE, Said, check_copy
from api.inbox.door import API, take
from api.inbox.hand_over import HandOver
from api.problem import Refused, in_body, unprocessable
from api.turnstile import end_turn
from domain.access import Principal
from domain.approval import (
    AbstentionNotOffered,
    AlreadyDecided,
    ApprovalNotOpen,
    ApprovalState,
    CannotBeAsked,
    NotAssignee,
    ReturnNotOffered,
)
from domain.flow.approval_node import Vote
from domain.flow.vocabulary import Role
from domain.signers import Joining, Signers, Where
from domain.signing import SIGNED
from models.approval import Approval
from models.columns import now
from models.inbox import InboxMessage
from runtime.database import Sessions
from store import approvals, inbox
from store.approvals import DECIDED
from store.inbox import Incoming
from store.listing.approvals import approval_in_sight

LONGEST_WAIT: Final = timedelta(seconds=10)
_LOOK_AGAIN_S: Final = 0.1
_WAIT: Final = re.compile(r"(?:^|[,;\s])wait\s*=\s*\"?(\d{1,6})\"?(?:$|[,;\s])")
_STATE_OF: Final = {"approve": "approved", "reject": "rejected", "return": "returned", "abstain": "abstained"}

PreferHeader = Annotated[
    str | None, Header(description="`wait=5`: up to ten seconds for what becomes of it", max_length=200)
]


@dataclass(frozen=True, slots=True)
class Spoken:
    """A word that is committed, and whether it had been said before."""

    approval: Approval
    inbox_id: int
    repeated: bool


@dataclass(frozen=True, slots=True)
class Speaker:
    """Who speaks, in which transaction, and what brings the word to its workflow."""

    session: AsyncSession
    caller: Principal
    hand_over: HandOver | None


async def say(speaker: Speaker, approval_id: str, said: dict[str, Any], key: str | None = None) -> Spoken:
    """Afterwards the word is committed and on its way. The same word again is the same one.

    Raises ApprovalNotFound, NotAssignee, NotASigner, TooManySigners, ApprovalNotOpen, AlreadyDecided, ReturnNotOffered,
    AbstentionNotOffered; Refused (422) where a comment is missing or nobody of this name can be asked, (429) for a
    nudge that comes too soon.
    """
    session, caller = speaker.session, speaker.caller
    approval = await approval_in_sight(session, approval_id, caller)
    word = Said.model_validate(said | {"approval_id": approval_id})
    meaning = word.model_dump(mode="json", exclude_none=True)
    message_id = await _message_id(session, approval, caller.actor, word, key)
    message = Incoming(API, message_id, DECIDED, approval.order_no, json.dumps(meaning), meaning, caller.actor)
    if await inbox.find(session, API, message_id) is None:
        await _check(session, approval, caller, word)
    receipt = await take(session, message, speaker.hand_over)
    return Spoken(approval, receipt.inbox_id, receipt.repeated)


async def _message_id(session: AsyncSession, approval: Approval, actor: str, word: Said, key: str | None) -> str:
    own = f"approval/{approval.approval_id}/{word.action if word.action not in _STATE_OF else 'decide'}"
    if key is not None:
        return f"{own}/{actor}/key/{sha256(key.encode()).hexdigest()[:24]}"
    if word.action == "nudge":
        # Once in a pause; the next nudge after it is another one.
        last = await approvals.last_told(session, approval.approval_id, "nudged")
        return f"{own}/{actor}/{last.isoformat() if last else 'first'}"
    return f"{own}/{actor}/{approval.level}" + (f"/{word.to}" if word.to else "")


async def _check(session: AsyncSession, approval: Approval, caller: Principal, word: Said) -> None:
    """Says no at once where the workflow would; it looks again when the word comes to its turn."""
    if approval.state != ApprovalState.OPEN:
        closed_at = approval.closed_at.isoformat() if approval.closed_at else ""
        facts = {"state": approval.state, "closed_by": approval.closed_by or "", "closed_at": closed_at}
        raise ApprovalNotOpen("The approval is not open any more.", **facts)
    keeps = bool(caller.roles & {Role.OPERATIONS, Role.ADMIN})
    signers = await approvals.signers(session, approval, await approvals.people(session))
    match word.action:
        case "nudge":
            await _check_pause(session, approval)
        case "withdraw":
            if caller.actor not in approval.interested and not keeps:
                raise NotAssignee("Only the submitter or operations withdraws an approval.")
        case "transfer" | "add_signer" | "remove_signer" | "copy":
            copied = {one.person_id for one in await approvals.copies(session, approval.approval_id)}
            _check_person(signers, copied, approval.level, word, caller.actor, keeps=keeps)
        case _:
            _check_decision(signers, caller.actor, word)


def _check_decision(signers: Signers, actor: str, word: Said) -> None:
    own = {one.state for one in signers.listed if one.person == actor}
    if "asked" not in own:
        if own & set(SIGNED):
            raise AlreadyDecided("You have decided about this already.")
        if "waiting" in own:
            raise NotAssignee("Your turn has not come yet.")
        raise NotAssignee("Others are asked to decide about this.")
    if word.action == "return" and signers.node.outcomes.returned is None:
        raise ReturnNotOffered("This approval cannot send the order back.")
    if word.action == "abstain" and not isinstance(signers.node.mode, Vote):
        raise AbstentionNotOffered("Only in a vote may a person abstain.")
    if _STATE_OF[word.action] in signers.node.comment_required and not (word.comment or "").strip():
        raise unprocessable([in_body("#/comment", "comment_required", "This decision needs a comment")])


def _check_person(signers: Signers, copied: set[str], level: int, word: Said, actor: str, *, keeps: bool) -> None:
    """Whether this person may be asked, taken off the list or told; decided by the very rules that will apply it."""
    to = word.to or ""
    try:
        match word.action:
            case "transfer":
                signers.handed_on(actor, to, level, keeps=keeps)
            case "add_signer":
                signers.joined(actor, Joining(to, word.where or Where.BESIDE, word.of), level, keeps=keeps)
            case "remove_signer":
                signers.removed(actor, to, keeps=keeps)
            case _:
                check_copy(signers, copied, actor, to, keeps=keeps)
        known = signers.people.get(to)
        if word.action != "remove_signer" and (known is None or not known.roles):
            raise CannotBeAsked("This person cannot be asked.")
    except CannotBeAsked:
        field = "#/person" if word.action == "add_signer" else "#/to"
        raise unprocessable([in_body(field, "cannot_be_asked", "This person cannot be asked")]) from None


async def _check_pause(session: AsyncSession, approval: Approval) -> None:
    last = await approvals.last_told(session, approval.approval_id, "nudged")
    left = last + NUDGE_PAUSE - now() if last is not None else timedelta(0)
    if left > timedelta(0):
        seconds = str(int(left.total_seconds()) + 1)
        raise Refused(429, "nudged_already", "They were nudged a moment ago.", headers={"Retry-After": seconds})


def wait_in(prefer: str | None) -> timedelta:
    """How long a `Prefer: wait=N` header asks to wait, ten seconds at most; not at all without one."""
    found = _WAIT.search(prefer or "")
    return min(timedelta(seconds=int(found[1])), LONGEST_WAIT) if found else timedelta(0)


async def heard(sessions: Sessions, spoken: Spoken, wait: timedelta) -> tuple[InboxMessage, Approval]:
    """The word and its approval as they are now, or once the word was heard, for which this waits so long."""
    until = now() + wait
    # Whoever waits for a workflow keeps nobody else from the database.
    end_turn()
    while True:
        async with sessions() as session:
            message = await session.get_one(InboxMessage, spoken.inbox_id)
            approval = await session.get_one(Approval, spoken.approval.approval_id)
        if message.applied_at is not None or now() >= until:
            return message, approval
        await asyncio.sleep(_LOOK_AGAIN_S)


async def word_of(session: AsyncSession, approval: Approval, decision_id: int) -> InboxMessage:
    """A word that was said to this approval. Raises ApprovalNotFound for anything else in the inbox."""
    message = await inbox.of_order(session, decision_id, approval.order_no)
    if message is None or message.kind != DECIDED or said_in(message).approval_id != approval.approval_id:
        raise approvals.ApprovalNotFound(approval_id=approval.approval_id)
    return message


def said_in(message: InboxMessage) -> Said:
    """What the message says."""
    return Said.model_validate_json(message.body)
