"""Approvals in work lists: who sees which, sorted by the time that is left."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, exists, literal, tuple_
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from domain.access import Principal
from domain.approval import ApprovalState
from domain.flow.vocabulary import Role
from domain.signing import SIGNED
from models.approval import Approval, ApprovalAssignment, ApprovalCopy
from store.approvals import IN_ORDER, ApprovalNotFound
from store.listing.sight import of_orders_in_sight


@dataclass(frozen=True, slots=True)
class ApprovalFilter:
    """Which approvals a list shows; None: whatever they are. `assignee`: a person who still has to decide, or did;
    `signed_by`: one who did, be the approval over or not; `cc`: one who is told; `ended`: only those that are over."""

    assignee: str | None = None
    state: str | None = None
    role: str | None = None
    order_no: str | None = None
    cc: str | None = None
    signed_by: str | None = None
    ended: bool = False
    latest_first: bool = False

    def conditions(self) -> list[ColumnElement[bool]]:
        equal = {Approval.state: self.state, Approval.order_no: self.order_no}
        conditions = [col(column) == value for column, value in equal.items() if value is not None]
        if self.ended:
            conditions.append(col(Approval.state) != ApprovalState.OPEN)
        if self.assignee is not None:
            states = ("asked",) if self.state == "open" else ("asked", *SIGNED)
            asked = col(ApprovalAssignment.state).in_(states)
            conditions.append(_assigned(col(ApprovalAssignment.person_id) == self.assignee, asked))
        if self.signed_by is not None:
            signed = col(ApprovalAssignment.state).in_(SIGNED)
            conditions.append(_assigned(col(ApprovalAssignment.person_id) == self.signed_by, signed))
        if self.cc is not None:
            conditions.append(_told(self.cc))
        if self.role is not None:
            conditions.append(_assigned(col(ApprovalAssignment.role) == self.role))
        return conditions


def in_sight(caller: Principal) -> list[ColumnElement[bool]]:
    """Approvals that name the caller, or a role of theirs, are told to them, or are about their own order; operations
    sees all."""
    conditions = of_orders_in_sight(caller, col(Approval.order_no))
    if not caller.roles & {Role.OPERATIONS, Role.ADMIN}:
        named = col(ApprovalAssignment.person_id) == caller.actor
        named |= col(ApprovalAssignment.role).in_([role.value for role in caller.roles])
        own = col(Approval.interested).contains([caller.actor])
        conditions.append(_assigned(named) | _told(caller.actor) | own)
    return conditions


async def page(
    session: AsyncSession,
    caller: Principal,
    wanted: ApprovalFilter,
    after: tuple[datetime, str] | None,
    limit: int,
) -> Sequence[Approval]:
    """Up to `limit + 1` approvals, least time left first, those behind (`deadline_at`, `approval_id`) if given."""
    key = (col(Approval.deadline_at), col(Approval.approval_id))
    query = select(Approval).where(*wanted.conditions(), *in_sight(caller)).limit(limit + 1)
    query = query.order_by(*(column.desc() if wanted.latest_first else column for column in key))
    if after is not None:
        behind = tuple_(*(literal(value) for value in after))
        query = query.where(tuple_(*key) < behind if wanted.latest_first else tuple_(*key) > behind)
    return (await session.exec(query)).all()


async def approval_in_sight(session: AsyncSession, approval_id: str, caller: Principal) -> Approval:
    """The approval. Raises ApprovalNotFound also for one that exists for others only."""
    query = select(Approval).where(col(Approval.approval_id) == approval_id, *in_sight(caller))
    approval = (await session.exec(query)).one_or_none()
    if approval is None:
        raise ApprovalNotFound(approval_id=approval_id)
    return approval


async def asked(session: AsyncSession, approval_ids: Sequence[str]) -> Mapping[str, Sequence[ApprovalAssignment]]:
    """Everybody who was ever asked, for several approvals at once."""
    query = select(ApprovalAssignment).where(col(ApprovalAssignment.approval_id).in_(approval_ids)).order_by(*IN_ORDER)
    found: dict[str, list[ApprovalAssignment]] = {approval_id: [] for approval_id in approval_ids}
    for row in (await session.exec(query)).all():
        found[row.approval_id].append(row)
    return found


def _told(person: str) -> ColumnElement[bool]:
    about = col(ApprovalCopy.approval_id) == col(Approval.approval_id)
    return exists().where(about, col(ApprovalCopy.person_id) == person)


def _assigned(*conditions: ColumnElement[bool]) -> ColumnElement[bool]:
    return exists().where(col(ApprovalAssignment.approval_id) == col(Approval.approval_id), *conditions)
