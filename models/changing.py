"""What was changed of an order after it was placed."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import CheckConstraint
from sqlmodel import Field, SQLModel

from models.columns import Document, minor, written_at


class OrderChange(SQLModel, table=True):
    """A change that had effect, under the id its sender gave it: units and totals before and after, no address."""

    __tablename__ = "order_changes"
    __table_args__ = (
        CheckConstraint("refund_minor >= 0 AND balance_minor >= 0", name="change_money_not_negative"),
        CheckConstraint("refund_minor = 0 OR balance_minor = 0", name="change_refunds_or_asks"),
    )

    order_no: str = Field(primary_key=True, foreign_key="orders.order_no")
    change_id: str = Field(primary_key=True)
    # The order's version that it was previewed with.
    version: int
    reason: str
    before: dict[str, Any] = Field(default_factory=dict, sa_type=Document)
    after: dict[str, Any] = Field(default_factory=dict, sa_type=Document)
    address_changed: bool = False
    # Whether it is another order to whoever approved it: in lines, amount or country.
    relevant: bool = False
    currency: str
    # What the order comes to more (or, below zero, less); what of that goes back; what is to be paid before it ships.
    delta_minor: int = minor()
    refund_minor: int = minor()
    balance_minor: int = minor()
    changed_by: str
    changed_at: datetime = written_at()
