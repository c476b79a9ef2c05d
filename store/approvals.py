"""Approvals: opened, asked of people, told of, and closed. The order's row must be locked by whoever changes one."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import sha256
from typing import Any, Final

from sqlalchemy import text
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from domain.approval import ApprovalState, Case, Colleague, Outcome, People, Schedule
from domain.errors import DomainError
from domain.flow.approval_node import ApprovalNode
from domain.signers import Signers
from domain.signing import Assignment
from models.approval import Approval, ApprovalAssignment, ApprovalCopy, ApprovalTrailEntry
from models.columns import now
from models.inbox import InboxMessage
from models.order import Order
from store import events, orders, whole
from store.events import Event

DECIDED: Final = "approval.decided"
"""Under this kind the inbox keeps what people say to approvals."""

IN_ORDER: Final = (
    col(ApprovalAssignment.level),
    col(ApprovalAssignment.seat),
    col(ApprovalAssignment.place),
    col(ApprovalAssignment.person_id),
)
"""The order in which people sign."""

# What those who are told hear of besides how it ends.
_TOLD: Final = ("opened", "copied")
_STANDING = (ApprovalState.OPEN, ApprovalState.APPROVED)


class ApprovalNotFound(DomainError):
    """There is no such approval, or none that the asker may see."""

    code = "approval_not_found"


@dataclass(frozen=True, slots=True)
class Told:
    """What happened to an approval, and who did it for whom; `comment` are a person's own words."""

    kind: str
    actor: str = "orderflow"
    on_behalf_of: str | None = None
    level: int | None = None
    decision: str | None = None
    outcome: str | None = None
    comment: str | None = None
    inbox_id: int | None = None
    data: dict[str, Any] = field(default_factory=dict)


def approval_id_of(order_no: str, node: str, visit: int) -> str:
    """The same for the same visit of the same node, whoever asks how often."""
    return f"AP{sha256(f'{order_no}/{node}/{visit}'.encode()).hexdigest()[:18].upper()}"


async def get(session: AsyncSession, approval_id: str) -> Approval:
    """The approval. Raises ApprovalNotFound."""
    approval = await session.get(Approval, approval_id)
    if approval is None:
        raise ApprovalNotFound(approval_id=approval_id)
    return approval


async def assignments(session: AsyncSession, approval_id: str) -> Sequence[ApprovalAssignment]:
    """Everybody who was ever asked, level by level, in the order in which they sign."""
    query = select(ApprovalAssignment).where(ApprovalAssignment.approval_id == approval_id)
    return (await session.exec(query.order_by(*IN_ORDER))).all()


async def trail(session: AsyncSession, approval_id: str) -> Sequence[ApprovalTrailEntry]:
    """The approval's story from its beginning."""
    query = select(ApprovalTrailEntry).where(ApprovalTrailEntry.approval_id == approval_id)
    return (await session.exec(query.order_by(col(ApprovalTrailEntry.seq)))).all()


@dataclass(frozen=True, slots=True)
class Parts:
    """What belongs to an approval: everybody who was ever asked, who is told, and its story."""

    asked: Sequence[ApprovalAssignment]
    copies: Sequence[ApprovalCopy]
    trail: Sequence[ApprovalTrailEntry]


async def parts(session: AsyncSession, approval_id: str) -> Parts:
    """All that belongs to the approval."""
    asked, told = await assignments(session, approval_id), await copies(session, approval_id)
    return Parts(asked, told, await trail(session, approval_id))


async def granting(session: AsyncSession, order_no: str, what: str) -> Approval | None:
    """The latest approval by which people have granted this to the order, and which counts."""
    query = select(Approval).where(
        Approval.order_no == order_no,
        Approval.state == ApprovalState.APPROVED,
        col(Approval.rules)["grants"].astext == what,
    )
    return (await session.exec(query.order_by(col(Approval.closed_at).desc()).limit(1))).first()


async def last_told(session: AsyncSession, approval_id: str, kind: str) -> datetime | None:
    """When this last happened to the approval with effect."""
    found = await session.execute(
        text("""
        SELECT max(at) FROM approval_trail
        WHERE approval_id = :approval_id AND kind = :kind AND coalesce(outcome, 'effective') = 'effective'
        """),
        {"approval_id": approval_id, "kind": kind},
    )
    at: datetime | None = found.scalar_one()
    return at


async def content_of(session: AsyncSession, order: Order, own: str = "") -> str:
    """The hash of what is approved: the asker's own matter, or else amount, lines and country of the order."""
    if own:
        return sha256(own.encode()).hexdigest()
    lines = [
        (one.line_id, one.sku, one.quantity, one.gross_minor) for one in await orders.lines(session, order.order_no)
    ]
    content = [order.total_minor, order.currency, order.ship_to.get("country", ""), lines]
    return sha256(json.dumps(content, ensure_ascii=False).encode()).hexdigest()


_PEOPLE = text("""
SELECT p.person_id, p.roles, p.superior_id,
       (SELECT a.delegate_id FROM absences a WHERE a.person_id = p.person_id AND a.starts_at <= :at AND a.ends_at > :at
        ORDER BY a.starts_at DESC, a.absence_id LIMIT 1) AS delegate
FROM people p WHERE p.active
""")


async def people(session: AsyncSession) -> dict[str, Colleague]:
    """Everybody active, with who stands in for them at this moment."""
    rows = await session.execute(_PEOPLE, {"at": now()})
    return {
        row.person_id: Colleague(row.person_id, frozenset(row.roles), row.superior_id, row.delegate) for row in rows
    }


def case_of(order: Order, people: dict[str, Colleague], asker: str = "") -> Case:
    """Whose wish it is: the asker's, the salesperson's if they are one of us, or else of whoever placed the order."""
    interested = frozenset({order.placed_by, order.salesperson, asker} - {None, ""})
    submitter = asker or (order.salesperson if order.salesperson in people else order.placed_by)
    return Case(submitter, frozenset(str(person) for person in interested))


async def note(session: AsyncSession, order: Order, approval: Approval, told: Told) -> None:
    """Afterwards the approval's trail says so, and so does the order's story, there without anybody's own words."""
    approval.last_trail_seq += 1
    over = approval.state != ApprovalState.OPEN and told.outcome in (None, Outcome.EFFECTIVE)
    to = [one.person_id for one in await copies(session, approval.approval_id)] if over or told.kind in _TOLD else []
    level = approval.level if told.level is None else told.level
    session.add(
        ApprovalTrailEntry(
            approval_id=approval.approval_id,
            seq=approval.last_trail_seq,
            kind=told.kind,
            actor=told.actor,
            on_behalf_of=told.on_behalf_of,
            level=level,
            decision=told.decision,
            outcome=told.outcome,
            comment=told.comment,
            inbox_id=told.inbox_id,
            flow_version=approval.flow_version,
            data=told.data,
        )
    )
    said = {"decision": told.decision, "outcome": told.outcome}
    data = {"approval_id": approval.approval_id, "state": approval.state, "level": level, **told.data}
    data |= {name: value for name, value in said.items() if value is not None} | ({"cc": to} if to else {})
    event = Event(f"approval.{told.kind}", data, actor=told.actor, node=approval.node, on_behalf_of=told.on_behalf_of)
    await events.record(session, order, event)


async def signers(session: AsyncSession, approval: Approval, people: People) -> Signers:
    """Everybody on the approval's lists, as they work here now."""
    listed = [
        Assignment(
            level=row.level,
            person=row.person_id,
            state=row.state,
            seat=row.seat,
            place=row.place,
            on_behalf_of=row.on_behalf_of,
            role=row.role,
            added_by=row.added_by,
        )
        for row in await assignments(session, approval.approval_id)
    ]
    node = ApprovalNode.model_validate(approval.rules)
    return Signers(node, people, frozenset(approval.interested), tuple(listed))


async def keep(session: AsyncSession, approval: Approval, after: Signers) -> None:
    """Afterwards the approval's lists are these."""
    rows = {(row.level, row.person_id): row for row in await assignments(session, approval.approval_id)}
    for one in after.listed:
        row = rows.pop(one.key, None)
        if row is None:
            row = ApprovalAssignment(approval_id=approval.approval_id, level=one.level, person_id=one.person, state="")
            session.add(row)
        if one.state == "asked" and row.state != "asked":
            row.since = now()
        row.state, row.seat, row.place = one.state, one.seat, one.place
        row.on_behalf_of, row.role, row.added_by = one.on_behalf_of, one.role, one.added_by
    for row in rows.values():
        await session.delete(row)
    await session.flush()


def start_clock(order: Order, approval: Approval, level: int, times: Schedule) -> None:
    """Afterwards the level has its whole time, reminders included."""
    approval.clock = approval.clock + 1 if level == approval.level else 0
    approval.level, approval.deadline_at = level, times.deadline
    approval.remind_at, approval.reminded = list(times.reminders), 0
    if order.waiting_for == waiting_word(approval.node):
        order.deadline_at = times.deadline


async def copies(session: AsyncSession, approval_id: str) -> Sequence[ApprovalCopy]:
    """Everybody who is told of the approval and does not decide."""
    query = select(ApprovalCopy).where(ApprovalCopy.approval_id == approval_id)
    return (await session.exec(query.order_by(col(ApprovalCopy.person_id)))).all()


def close(order: Order, approval: Approval, state: ApprovalState, by: str) -> None:
    """Afterwards the approval is over in this state, and the order does not wait for it."""
    approval.state, approval.closed_at, approval.closed_by = state.value, now(), by
    if order.waiting_for == waiting_word(approval.node):
        orders.note_waiting(order, None, None)


def waiting_word(node: str) -> str:
    """What an order waits for while an approval of this node is open."""
    return f"approval.{node}"


async def void(
    session: AsyncSession, order: Order, reason: str, states: Sequence[ApprovalState] = _STANDING
) -> list[str]:
    """Afterwards no approval of the order is open or granted: what was approved is no longer so. Returns their ids.

    Whoever changes what an order is about calls this; who only breaks it off names the open ones alone. What others ask
    about the order, such as a return of it, stays as it is.
    """
    asked = await whole.rows(session, Approval, order.order_no)
    found = [approval for approval in asked if approval.content == "" and approval.state in states]
    for approval in sorted(found, key=lambda approval: approval.approval_id):
        await void_one(session, order, approval, reason)
    return [approval.approval_id for approval in found]


async def void_one(session: AsyncSession, order: Order, approval: Approval, reason: str) -> None:
    """Afterwards this approval counts for nothing."""
    close(order, approval, ApprovalState.VOIDED, "orderflow")
    await note(session, order, approval, Told("voided", data={"reason": reason}))


async def last_comment(session: AsyncSession, approval_id: str) -> str | None:
    """What whoever closed the approval had to say."""
    closing = [one for one in await trail(session, approval_id) if one.kind in ("decided", "withdrawn")]
    return next((one.comment for one in reversed(closing) if one.outcome == Outcome.EFFECTIVE), None)


async def waiting_words(session: AsyncSession, approval: Approval) -> Sequence[InboxMessage]:
    """What people have said to the approval and nobody has looked at yet, in the order in which it came."""
    query = (
        select(InboxMessage)
        .where(
            InboxMessage.order_no == approval.order_no,
            InboxMessage.kind == DECIDED,
            col(InboxMessage.applied_at).is_(None),
            # Only of its own kind: nobody knows that other messages are JSON.
            text(
                "CASE WHEN kind = 'approval.decided' THEN body::jsonb ->> 'approval_id' END = :approval_id"
            ).bindparams(approval_id=approval.approval_id),
        )
        .order_by(col(InboxMessage.inbox_id))
    )
    return (await session.exec(query)).all()


async def asking_workflow(session: AsyncSession, inbox_id: int) -> str | None:
    """The workflow that waits for the approval which this message is about; None when there is no such approval."""
    found = await session.execute(
        text("""
        SELECT a.workflow_id FROM inbox_messages m
        JOIN approvals a ON a.order_no = m.order_no
            AND a.approval_id = CASE WHEN m.kind = 'approval.decided' THEN m.body::jsonb ->> 'approval_id' END
        WHERE m.inbox_id = :inbox_id
        """),
        {"inbox_id": inbox_id},
    )
    workflow_id: str | None = found.scalar_one_or_none()
    return workflow_id
