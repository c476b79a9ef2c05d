"""Approvals: what is asked of people, of whom, and every word that was said about it."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, CheckConstraint, Column, DateTime, Identity, Index, UniqueConstraint, text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlmodel import Field, SQLModel

from models.columns import Document, TextList, Utc, minor, moment, written_at


class Approval(SQLModel, table=True):
    """One visit of one approval node. `content_sha256`: what is approved; an order that differs voids it.

    `content` is what is approved where that is not the order itself, because somebody else than the order asks; then
    `amount_minor` is what that comes to.
    """

    __tablename__ = "approvals"
    __table_args__ = (
        UniqueConstraint("order_no", "node", "visit", name="approval_of_visit"),
        Index("approvals_open_of_order", "order_no", postgresql_where=text("state = 'open'")),
        Index("approvals_by_deadline", "state", "deadline_at", "approval_id"),
        CheckConstraint("(state = 'open') = (closed_at IS NULL)", name="approval_closed_once"),
    )

    approval_id: str = Field(primary_key=True)
    order_no: str = Field(foreign_key="orders.order_no")
    node: str
    visit: int
    # The workflow that waits for the outcome.
    workflow_id: str
    flow_key: str
    flow_version: int
    rules: dict[str, Any] = Field(sa_type=Document)
    submitter: str
    # Those who do not decide here, because the order is theirs.
    interested: list[str] = Field(default_factory=list, sa_type=TextList)
    content: str = ""
    content_sha256: str
    amount_minor: int = minor()
    currency: str
    state: str = "open"
    level: int = 0
    deadline_at: datetime = Field(sa_type=Utc)
    remind_at: list[datetime] = Field(default_factory=list, sa_type=ARRAY(DateTime(timezone=True)))
    reminded: int = 0
    # How often the level's time has begun anew, because none but new people were asked.
    clock: int = 0
    opened_at: datetime = written_at()
    closed_at: datetime | None = moment()
    closed_by: str | None = None
    last_trail_seq: int = 0


class ApprovalAssignment(SQLModel, table=True):
    """A person on the list of one level; `role`: the one they were found by.

    Those of one `seat` have one word, which is yes once they have agreed, `place` after `place`.
    """

    __tablename__ = "approval_assignments"
    __table_args__ = (
        Index("approval_assignments_of_person", "person_id", "approval_id"),
        Index("approval_assignments_of_role", "role", "approval_id"),
    )

    approval_id: str = Field(primary_key=True, foreign_key="approvals.approval_id")
    level: int = Field(primary_key=True)
    person_id: str = Field(primary_key=True)
    on_behalf_of: str | None = None
    role: str | None = None
    # waiting <-> asked -> approved | rejected | returned | abstained | transferred | dropped | excused | removed
    state: str = "asked"
    seat: int = 0
    place: int = 0
    added_by: str | None = None
    since: datetime = written_at()


class ApprovalCopy(SQLModel, table=True):
    """A person who is told of an approval and of its outcome, and does not decide; `added_by`: whoever wanted that."""

    __tablename__ = "approval_copies"
    __table_args__ = (Index("approval_copies_of_person", "person_id", "approval_id"),)

    approval_id: str = Field(primary_key=True, foreign_key="approvals.approval_id")
    person_id: str = Field(primary_key=True)
    role: str | None = None
    added_by: str | None = None
    since: datetime = written_at()


class ApprovalTrailEntry(SQLModel, table=True):
    """One append-only line of an approval's story. People's own words are here and in the inbox, nowhere else."""

    __tablename__ = "approval_trail"
    __table_args__ = (
        UniqueConstraint("approval_id", "seq", name="approval_trail_seq"),
        UniqueConstraint("approval_id", "inbox_id", name="approval_trail_message_once"),
    )

    trail_id: int | None = Field(
        default=None, sa_column=Column("trail_id", BigInteger, Identity(always=True), primary_key=True)
    )
    approval_id: str = Field(foreign_key="approvals.approval_id")
    seq: int
    kind: str
    actor: str
    on_behalf_of: str | None = None
    level: int
    decision: str | None = None
    outcome: str | None = None
    comment: str | None = None
    inbox_id: int | None = Field(default=None, sa_type=BigInteger)
    flow_version: int
    data: dict[str, Any] = Field(default_factory=dict, sa_type=Document)
    at: datetime = written_at()
