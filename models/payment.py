"""Money in and money back."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import BigInteger, CheckConstraint, UniqueConstraint
from sqlmodel import Field, SQLModel

from models.columns import Minor, minor, moment, written_at


class Payment(SQLModel, table=True):
    """A payment fact for an order; `unapplied` money is recorded but not set against the order."""

    __tablename__ = "payments"
    __table_args__ = (
        CheckConstraint("amount_minor > 0", name="payment_amount_positive"),
        CheckConstraint("fee_minor >= 0 AND fee_minor <= amount_minor", name="payment_fee_within_amount"),
    )

    order_no: str = Field(primary_key=True, foreign_key="orders.order_no")
    payment_id: str = Field(primary_key=True)
    inbox_id: int = Field(foreign_key="inbox_messages.inbox_id", sa_type=BigInteger)
    method: str
    category: str
    kind: str
    # What it settles of the order; `fee_minor` of it stayed with whoever passed it on.
    amount_minor: int = Field(sa_type=Minor)
    fee_minor: int = minor()
    currency: str
    state: str = "applied"
    paid_at: datetime = written_at()
    recorded_at: datetime = written_at()


class Refund(SQLModel, table=True):
    """Money that goes back for one payment and one cause; requested first, then settled by the provider."""

    __tablename__ = "refunds"
    __table_args__ = (
        UniqueConstraint("order_no", "payment_id", "cause", name="refund_once_per_cause"),
        CheckConstraint("amount_minor > 0", name="refund_amount_positive"),
    )

    refund_id: str = Field(primary_key=True)
    order_no: str = Field(foreign_key="orders.order_no", index=True)
    payment_id: str
    cause: str
    amount_minor: int = Field(sa_type=Minor)
    currency: str
    # requested -> succeeded | refused
    state: str = "requested"
    provider_ref: str | None = None
    # The order whose goods it pays for instead: an exchange, until its goods go out `requested`, then `succeeded`.
    credited_to: str | None = None
    requested_at: datetime = written_at()
    settled_at: datetime | None = moment()
