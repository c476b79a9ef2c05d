"""The one door: everything that enters is committed here, verbatim, before anything else happens."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import BigInteger, Column, Identity, Index, Text, UniqueConstraint, text
from sqlmodel import Field, SQLModel

from models.columns import moment, written_at

LARGEST_ID = 2**63 - 1


class InboxMessage(SQLModel, table=True):
    """A message as it came. `handed_over_at`: Temporal has it; `applied_at`: its effect is recorded."""

    __tablename__ = "inbox_messages"
    __table_args__ = (
        UniqueConstraint("source", "message_id", name="inbox_once"),
        Index(
            "inbox_key_once",
            "source",
            "idempotency_key",
            unique=True,
            postgresql_where=text("idempotency_key IS NOT NULL"),
        ),
        Index("inbox_waiting", "inbox_id", postgresql_where=text("handed_over_at IS NULL")),
        Index("inbox_by_order", "order_no", "inbox_id"),
    )

    inbox_id: int | None = Field(
        default=None, sa_column=Column("inbox_id", BigInteger, Identity(always=True), primary_key=True)
    )
    source: str
    message_id: str
    kind: str
    order_no: str | None = None
    idempotency_key: str | None = None
    fingerprint: str
    body: str = Field(sa_type=Text)
    actor: str
    received_at: datetime = written_at()
    handed_over_at: datetime | None = moment()
    hand_over_attempts: int = 0
    next_hand_over_at: datetime | None = moment()
    applied_at: datetime | None = moment()
    outcome: str | None = None
