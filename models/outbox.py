"""What others must hear: rows written with the change they tell, delivered by a relay per destination."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import BigInteger, Column, Identity, Index, Text, UniqueConstraint, text
from sqlmodel import Field, SQLModel

from models.columns import TextList, moment, written_at


class Destination(SQLModel, table=True):
    """An HTTP endpoint that is told of changes; one relay serves it."""

    __tablename__ = "destinations"

    name: str = Field(primary_key=True)
    url: str
    secret: str
    # Prefixes of event types; an empty list means all of them.
    event_types: list[str] = Field(default_factory=list, sa_type=TextList)
    enabled: bool = True
    disabled_reason: str | None = None
    updated_at: datetime = written_at()


class OutboxMessage(SQLModel, table=True):
    """One message for one destination, unique by its event."""

    __tablename__ = "outbox_messages"
    __table_args__ = (
        UniqueConstraint("destination", "message_id", name="outbox_once"),
        Index(
            "outbox_pending",
            "destination",
            "order_no",
            "outbox_id",
            postgresql_where=text("state = 'pending'"),
        ),
        Index("outbox_refused", "destination", "outbox_id", postgresql_where=text("state = 'refused'")),
        # Oldest first, for whoever removes them. Alerts stay: that they are there is why they are not told twice.
        Index(
            "outbox_delivered",
            "delivered_at",
            postgresql_where=text("state = 'delivered' AND event_type NOT LIKE 'alert.%'"),
        ),
    )

    outbox_id: int | None = Field(
        default=None, sa_column=Column("outbox_id", BigInteger, Identity(always=True), primary_key=True)
    )
    destination: str = Field(foreign_key="destinations.name")
    message_id: str
    order_no: str
    event_type: str
    body: str = Field(sa_type=Text)
    occurred_at: datetime = written_at()
    # pending -> delivered | refused
    state: str = "pending"
    attempts: int = 0
    next_attempt_at: datetime | None = moment()
    last_error: str | None = None
    delivered_at: datetime | None = moment()
