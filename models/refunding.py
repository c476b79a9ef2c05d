"""What is given back of a sale: decided once, then paid out by refunds and taken off invoices by credit notes."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import CheckConstraint
from sqlmodel import Field, SQLModel

from models.columns import minor, written_at


class GrantedRefund(SQLModel, table=True):
    """A decision to give value back, under the id its sender gave it; a refused one says why and gives nothing."""

    __tablename__ = "granted_refunds"
    __table_args__ = (
        CheckConstraint("payout_minor >= 0 AND absorbed_minor >= 0", name="grant_parts_not_negative"),
        CheckConstraint("compensation_minor IN (0, payout_minor)", name="grant_compensation_is_paid_out"),
    )

    order_no: str = Field(primary_key=True, foreign_key="orders.order_no")
    grant_id: str = Field(primary_key=True)
    # units | shipping | goodwill
    kind: str
    reason_code: str
    reason: str | None = None
    # granted | refused
    state: str = "granted"
    refusal: str | None = None
    return_no: str | None = Field(default=None, index=True)
    currency: str
    # What the price falls by: for the customer, and for a platform that pays a part of it.
    reduction_minor: int = minor()
    platform_minor: int = minor()
    tax_minor: int = minor()
    # What of it is money that goes back, and what was given as compensation before and counts towards it now.
    payout_minor: int = minor()
    absorbed_minor: int = minor()
    # Money that goes back at our own expense and leaves the price as it was.
    compensation_minor: int = minor()
    granted_by: str
    granted_at: datetime = written_at()


class GrantedRefundLine(SQLModel, table=True):
    """What a granted refund takes of one line; the order's line counts the same."""

    __tablename__ = "granted_refund_lines"
    __table_args__ = (CheckConstraint("unshipped >= 0 AND delivered >= 0", name="granted_units_not_negative"),)

    order_no: str = Field(primary_key=True)
    grant_id: str = Field(primary_key=True)
    line_id: str = Field(primary_key=True)
    unshipped: int = 0
    delivered: int = 0
    gross_minor: int = minor()
    tax_minor: int = minor()
    platform_minor: int = minor()
    shipping_minor: int = minor()
