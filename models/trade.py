"""What kinds of trade ask for beyond the order itself: groups that buy together, and documents for customs."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import CheckConstraint
from sqlmodel import Field, SQLModel

from models.columns import Utc, moment, written_at


class BuyingGroup(SQLModel, table=True):
    """Orders that are only sent once enough of them are paid, by the time the group closes."""

    __tablename__ = "buying_groups"
    __table_args__ = (CheckConstraint("minimum_orders > 0", name="group_minimum_positive"),)

    group_id: str = Field(primary_key=True)
    minimum_orders: int
    closes_at: datetime = Field(sa_type=Utc)
    completed_at: datetime | None = moment()
    updated_at: datetime = written_at()


class CustomsDocument(SQLModel, table=True):
    """One of the three documents that customs match for an order, and what they last said of it."""

    __tablename__ = "customs_documents"

    order_no: str = Field(primary_key=True, foreign_key="orders.order_no")
    document: str = Field(primary_key=True)
    state: str
    reason: str | None = None
    reported_by: str
    reported_at: datetime = written_at()
