"""What checks have found: runs, and the discrepancies that each of them saw."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, Column, Identity, Index, UniqueConstraint, text
from sqlmodel import Field, SQLModel

from models.columns import Document, moment, written_at


class ConsistencyRun(SQLModel, table=True):
    """One run of all checks, over all orders or over one."""

    __tablename__ = "consistency_runs"
    __table_args__ = (Index("consistency_runs_newest", "started_at"),)

    run_id: str = Field(primary_key=True)
    # daily | weekly | command
    cause: str
    order_no: str | None = None
    started_at: datetime = written_at()
    finished_at: datetime | None = moment()
    # Check name to the number of its findings.
    found: dict[str, Any] = Field(default_factory=dict, sa_type=Document)


class Discrepancy(SQLModel, table=True):
    """Two sides that should agree and do not; the same one found again is the same row."""

    __tablename__ = "discrepancies"
    __table_args__ = (
        UniqueConstraint("check_name", "key", name="discrepancy_once"),
        Index("discrepancies_open", "discrepancy_id", postgresql_where=text("state = 'open'")),
        Index("discrepancies_by_order", "order_no"),
    )

    discrepancy_id: int | None = Field(
        default=None, sa_column=Column("discrepancy_id", BigInteger, Identity(always=True), primary_key=True)
    )
    check_name: str
    key: str
    order_no: str | None = None
    lhs: str
    rhs: str
    severity: str
    # open -> explained | fixed; found again it is open again, unless it is what was explained
    state: str = "open"
    # How often it came up: at first, and each time after it had been fixed or had become another.
    times: int = 1
    run_id: str
    first_seen_at: datetime = written_at()
    last_seen_at: datetime = written_at()
    fixed_at: datetime | None = moment()
    explained_by: str | None = None
    explained_at: datetime | None = moment()
    reason: str | None = None
