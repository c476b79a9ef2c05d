"""Stock: levels that only movements change, receipts that bring goods, reservations that promise them."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import BigInteger, CheckConstraint, Column, Identity, Index, UniqueConstraint, text
from sqlmodel import Field, SQLModel

from models.columns import minor, moment, written_at


class StockLevel(SQLModel, table=True):
    """Units of one SKU in one warehouse. `value_minor / on_hand` is the moving-average unit cost."""

    __tablename__ = "stock_levels"
    __table_args__ = (
        CheckConstraint("reserved >= 0 AND reserved <= on_hand", name="stock_reserved_within_on_hand"),
        CheckConstraint("value_minor >= 0", name="stock_value_not_negative"),
    )

    sku: str = Field(primary_key=True, foreign_key="products.sku")
    warehouse: str = Field(primary_key=True, foreign_key="warehouses.code")
    on_hand: int = Field(default=0, sa_type=BigInteger)
    reserved: int = Field(default=0, sa_type=BigInteger)
    value_minor: int = minor()


class StockReceipt(SQLModel, table=True):
    """Goods that came in under one receipt id; a repeated id has no second effect."""

    __tablename__ = "stock_receipts"

    receipt_id: str = Field(primary_key=True)
    warehouse: str
    fingerprint: str
    line_count: int
    received_by: str
    received_at: datetime = written_at()


class StockMovement(SQLModel, table=True):
    """One change of a level, append-only; `movement_key` makes its effect happen once."""

    __tablename__ = "stock_movements"
    __table_args__ = (
        UniqueConstraint("movement_key", name="stock_movement_once"),
        Index("stock_movements_by_sku", "sku", "warehouse", "movement_id"),
    )

    movement_id: int | None = Field(
        default=None, sa_column=Column("movement_id", BigInteger, Identity(always=True), primary_key=True)
    )
    movement_key: str
    kind: str
    sku: str
    warehouse: str
    # Positive: goods in; negative: goods out. The value moves the same way, in functional currency.
    quantity: int = Field(sa_type=BigInteger)
    value_minor: int = minor()
    document_no: str
    at: datetime = written_at()


class Reservation(SQLModel, table=True):
    """Units of a level promised to an order line, until shipped, released or expired."""

    __tablename__ = "reservations"
    __table_args__ = (
        CheckConstraint("quantity > 0", name="reservation_quantity_positive"),
        Index("reservations_active_by_sku", "sku", "warehouse", postgresql_where=text("state = 'active'")),
        Index("reservations_expiring", "expires_at", postgresql_where=text("state = 'active'")),
    )

    order_no: str = Field(primary_key=True, foreign_key="orders.order_no")
    line_id: str = Field(primary_key=True)
    warehouse: str = Field(primary_key=True)
    sku: str
    quantity: int
    # active -> shipped | released; a released row becomes active again when the order reserves anew.
    state: str = "active"
    expires_at: datetime | None = moment()
    updated_at: datetime = written_at()
