"""Goods that come back: what was announced, what was decided about it, and what the warehouse found."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import CheckConstraint, Index, UniqueConstraint, text
from sqlmodel import Field, SQLModel

from models.columns import Document, Minor, Rate, minor, moment, written_at


class Return(SQLModel, table=True):
    """A wish to send delivered goods back, and how far it has come."""

    __tablename__ = "returns"
    __table_args__ = (
        UniqueConstraint("order_no", "return_id", name="return_of_order"),
        Index("returns_newest", "requested_at", "return_no"),
        Index("returns_open", "order_no", postgresql_where=text("closed_at IS NULL")),
    )

    return_no: str = Field(primary_key=True)
    order_no: str = Field(foreign_key="orders.order_no")
    return_id: str
    # refund | exchange: what the customer gets for the goods
    kind: str = "refund"
    # requested -> approved | rejected; approved -> closed | expired
    state: str = "requested"
    refusal: str | None = None
    reason: str | None = None
    currency: str
    # What the announced units were sold for.
    worth_minor: int = minor()
    requested_by: str
    requested_at: datetime = written_at()
    decided_by: str | None = None
    decision_reason: str | None = None
    decided_at: datetime | None = moment()
    goods_due_at: datetime | None = moment()
    closed_at: datetime | None = moment()
    # Of an exchange: where its goods go, if not to where the order's went, and the order they went out by.
    ship_to: dict[str, Any] | None = Field(default=None, sa_type=Document)
    replacement_no: str | None = Field(default=None, foreign_key="orders.order_no", unique=True)


class ExchangeLine(SQLModel, table=True):
    """Units that are to go out instead of a line of an exchange, at the price agreed when it was asked for.

    Those of the line's own SKU cost what is credited for it and need none, but for units beyond those that come back.
    """

    __tablename__ = "exchange_lines"
    __table_args__ = (CheckConstraint("quantity > 0", name="exchange_line_quantity_positive"),)

    return_no: str = Field(primary_key=True, foreign_key="returns.return_no")
    position: int = Field(primary_key=True)
    line_id: str
    sku: str
    quantity: int
    unit_price_minor: int | None = Field(default=None, sa_type=Minor)
    tax_rate: Decimal | None = Field(default=None, sa_type=Rate)
    category: str | None = None


class ReturnLine(SQLModel, table=True):
    """Units of an order line that are to come back, and what was found of them."""

    __tablename__ = "return_lines"
    __table_args__ = (
        CheckConstraint("quantity > 0", name="return_line_quantity_positive"),
        CheckConstraint(
            "resellable >= 0 AND damaged >= 0 AND resellable + damaged <= received AND received <= quantity",
            name="return_line_received_within_announced",
        ),
    )

    return_no: str = Field(primary_key=True, foreign_key="returns.return_no")
    line_id: str = Field(primary_key=True)
    order_no: str = Field(index=True)
    sku: str
    quantity: int
    reason_code: str
    received: int = 0
    resellable: int = 0
    damaged: int = 0


class ReturnReceipt(SQLModel, table=True):
    """Returned goods that came into a warehouse under one receipt id, and how they were found; append-only."""

    __tablename__ = "return_receipts"

    return_no: str = Field(primary_key=True, foreign_key="returns.return_no")
    receipt_id: str = Field(primary_key=True)
    warehouse: str
    # Per line: resellable, damaged and refused units.
    lines: list[dict[str, Any]] = Field(default_factory=list, sa_type=Document)
    received_by: str
    received_at: datetime = written_at()
