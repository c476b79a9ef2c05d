"""Approvals as people and programs read them, and what they may say to one."""

from collections.abc import Sequence
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, Field

from api.fields import Body, Key, LongText, Moment
from api.paging import ListQuery
from domain.access import Principal
from domain.approval import ApprovalState
from domain.flow.approval_node import ApprovalNode, Vote
from domain.flow.vocabulary import Role
from domain.signers import Where
from domain.signing import Assignment, tally
from models.approval import Approval, ApprovalAssignment, ApprovalCopy, ApprovalTrailEntry
from models.columns import now
from models.inbox import InboxMessage
from store.approvals import Parts
from store.listing.approvals import ApprovalFilter

ME = "me"
MAX_BATCH = 200


class Words(Body):
    """What a person has to say, for those who read the trail."""

    comment: LongText | None = None


class Decide(Words):
    """A decision. Whether a comment is needed is told by the approval's `comment_required`; `abstain` is for votes."""

    decision: Literal["approve", "reject", "return", "abstain"]


class DecideOne(Decide):
    """A decision that says itself which approval it is about."""

    approval_id: Key


class DecisionBatch(Body):
    """Up to 200 decisions, each taken or refused by itself. An item is `{approval_id, decision, comment}`."""

    decisions: Annotated[list[dict[str, Any]], Field(min_length=1, max_length=MAX_BATCH)]


class Transfer(Words):
    """Who is asked instead."""

    to: Key


class Reasoned(Body):
    """Why, for those who read the trail."""

    reason: LongText


class AddSigner(Reasoned):
    """Who signs, too: before, after or beside the caller, or with `of` whoever is meant, which is for operations."""

    person: Key
    where: Where
    of: Key | None = None


class CopyTo(Words):
    """Who is told of the approval and its outcome."""

    to: Key


class AssigneeView(BaseModel):
    """A person who is asked, or was; `on_behalf_of`: whose delegate they are, `added_by`: who wanted them to sign.

    In a sequence seats sign one after the other. Those of one `seat` have one word, which is yes once all of them have
    agreed, `place` after `place`. `state` is `waiting` until it is their turn.
    """

    person_id: str
    on_behalf_of: str | None
    role: str | None
    level: int
    seat: int
    place: int
    added_by: str | None
    state: str
    since: Moment

    @classmethod
    def of(cls, row: ApprovalAssignment) -> Self:
        return cls.model_validate(row, from_attributes=True)


class CopyView(BaseModel):
    """A person who is told; `added_by`: who wanted that, null where it was the flow."""

    person_id: str
    role: str | None
    added_by: str | None
    since: Moment

    @classmethod
    def of(cls, row: ApprovalCopy) -> Self:
        return cls.model_validate(row, from_attributes=True)


class VotesView(BaseModel):
    """A vote on the present level. `wanted`: the flow's count or share; `needed`: how many have to agree as it is."""

    wanted: float
    needed: int
    agreed: int
    rejected: int
    abstained: int
    silent: int


class ApprovalItem(BaseModel):
    """An approval in a list. `seconds_left`: until the next level is asked or the approval has timed out."""

    approval_id: str
    order_no: str
    node: str
    visit: int
    state: str
    level: int
    last_level: int
    deadline_at: Moment
    seconds_left: int | None
    amount_minor: int | None
    currency: str
    submitter: str
    assignees: list[AssigneeView]
    opened_at: Moment
    closed_at: Moment | None
    closed_by: str | None
    links: dict[str, str]

    @classmethod
    def of(cls, row: Approval, asked: Sequence[ApprovalAssignment], caller: Principal) -> Self:
        return cls.model_validate(shown(row, asked, caller))


class TrailView(BaseModel):
    """One line of an approval's story."""

    seq: int
    kind: str
    at: Moment
    actor: str
    on_behalf_of: str | None
    level: int
    decision: str | None
    outcome: str | None
    comment: str | None
    data: dict[str, Any]

    @classmethod
    def of(cls, row: ApprovalTrailEntry) -> Self:
        return cls.model_validate(row, from_attributes=True)


class ApprovalView(ApprovalItem):
    """An approval with its rules and its whole story. `mode`: any, all, sequence or vote; `cc` are told of it."""

    flow_key: str
    flow_version: int
    mode: str
    votes: VotesView | None
    cc: list[CopyView]
    may_return: bool
    may_abstain: bool
    comment_required: list[str]
    on_exhausted: str
    trail: list[TrailView]

    @classmethod
    def whole(cls, row: Approval, parts: Parts, caller: Principal) -> Self:
        node = ApprovalNode.model_validate(row.rules)
        rules = {
            "flow_key": row.flow_key,
            "flow_version": row.flow_version,
            "mode": "vote" if isinstance(node.mode, Vote) else node.mode,
            "votes": _votes(node.mode, row.level, parts.asked) if isinstance(node.mode, Vote) else None,
            "cc": [CopyView.of(copy) for copy in parts.copies],
            "may_return": node.outcomes.returned is not None,
            "may_abstain": isinstance(node.mode, Vote),
            "comment_required": list(node.comment_required),
            "on_exhausted": node.on_exhausted,
            "trail": [TrailView.of(line) for line in parts.trail],
        }
        return cls.model_validate(shown(row, parts.asked, caller) | rules)


def _votes(vote: Vote, level: int, asked: Sequence[ApprovalAssignment]) -> VotesView:
    listed = [Assignment(one.level, one.person_id, one.state, one.seat, one.place) for one in asked]
    found = tally(vote, listed, level)
    return VotesView(
        wanted=vote.vote,
        needed=found.needed,
        agreed=found.agreed,
        rejected=found.rejected,
        abstained=found.abstained,
        silent=found.silent,
    )


def shown(row: Approval, asked: Sequence[ApprovalAssignment], caller: Principal) -> dict[str, Any]:
    """What every view of an approval has, with amounts for those who may see them."""
    own = f"/v1/approvals/{row.approval_id}"
    is_open = row.state == ApprovalState.OPEN
    left = max(int((row.deadline_at - now()).total_seconds()), 0) if is_open else None
    return row.model_dump() | {
        "last_level": len(ApprovalNode.model_validate(row.rules).levels) - 1,
        "seconds_left": left,
        "amount_minor": row.amount_minor if caller.sees_money else None,
        "assignees": [AssigneeView.of(one) for one in asked],
        "links": {"self": own, "decision": f"{own}/decision", "order": f"/v1/orders/{row.order_no}"},
    }


class DecisionView(BaseModel):
    """A person's word to an approval. `state` is `received` until it was heard, then what became of it.

    `effective`: it counts. `superseded`: somebody was first. `not_assignee`: others were asked by then. `too_late`: the
    approval had timed out, was withdrawn, or the order has changed.
    """

    decision_id: str
    approval_id: str
    decision: str
    state: str
    by: str
    received_at: Moment
    heard_at: Moment | None
    approval_state: str
    closed_by: str | None
    closed_at: Moment | None
    links: dict[str, str]

    @classmethod
    def of(cls, message: InboxMessage, decision: str, approval: Approval) -> Self:
        own = f"/v1/approvals/{approval.approval_id}"
        return cls(
            decision_id=str(message.inbox_id),
            approval_id=approval.approval_id,
            decision=decision,
            state=message.outcome or "received",
            by=message.actor,
            received_at=message.received_at,
            heard_at=message.applied_at,
            approval_state=approval.state,
            closed_by=approval.closed_by,
            closed_at=approval.closed_at,
            links={"self": f"{own}/decisions/{message.inbox_id}", "approval": own},
        )


class ApprovalQuery(ListQuery):
    """Filters of the list. `assignee=me`: what the caller has to decide, or has decided; `decided_by=me`: what they
    have said their word to; `cc=me`: what they are told of. Open ones, unless `state` says another one, or `all`."""

    assignee: Key | None = None
    decided_by: Key | None = None
    state: ApprovalState | Literal["all"] = ApprovalState.OPEN
    role: Role | None = None
    order_no: Key | None = None
    cc: Key | None = None

    def wanted(self, caller: Principal) -> ApprovalFilter:
        named = (caller.actor if one == ME else one for one in (self.assignee, self.decided_by, self.cc))
        person, signed, told = named
        role = self.role.value if self.role else None
        state = None if self.state == "all" else self.state.value
        return ApprovalFilter(person, state, role, self.order_no, told, signed)
