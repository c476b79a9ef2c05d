"""Files of orders that people have brought: what they said about them, and what became of each order."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import CheckConstraint, LargeBinary
from sqlmodel import Field, SQLModel

from models.columns import Document, Utc, moment, written_at


class OrderImport(SQLModel, table=True):
    """One file. Its content, and what was read of it, are encrypted and kept for a short time only."""

    __tablename__ = "order_imports"
    __table_args__ = (CheckConstraint("state IN ('read', 'placing', 'done')", name="order_import_state"),)

    import_id: str = Field(primary_key=True)
    file_name: str
    file_hash: str = Field(index=True)
    file: bytes | None = Field(default=None, sa_type=LargeBinary)
    reading: bytes | None = Field(default=None, sa_type=LargeBinary)
    choice: dict[str, Any] = Field(sa_type=Document)
    state: str = "read"
    orders: int
    unreadable: int
    brought_by: str
    brought_at: datetime = written_at()
    placed_by: str | None = None
    started_at: datetime | None = moment()
    leased_until: datetime | None = moment()
    finished_at: datetime | None = moment()


class ImportedOrder(SQLModel, table=True):
    """What became of one order of a file: placed, there before, or refused and why."""

    __tablename__ = "imported_orders"
    __table_args__ = (CheckConstraint("fate IN ('placed', 'there', 'refused')", name="imported_order_fate"),)

    import_id: str = Field(primary_key=True, foreign_key="order_imports.import_id", ondelete="CASCADE")
    position: int = Field(primary_key=True)
    called: str
    order_no: str | None = None
    fate: str
    problems: list[dict[str, Any]] = Field(sa_type=Document)
    at: datetime = Field(sa_type=Utc)
