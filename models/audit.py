"""What is kept of anchors: the heads of the chains of events, written down outside of the database."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import BigInteger
from sqlmodel import Field, SQLModel

from models.columns import written_at


class AuditAnchor(SQLModel, table=True):
    """One anchor that was written. The anchor itself lies elsewhere; a row without its anchor is a finding."""

    __tablename__ = "audit_anchors"

    number: int = Field(primary_key=True, sa_type=BigInteger)
    digest: str
    heads: int
    # Every event up to this one is in this anchor or in one before it.
    settled_event_id: int = Field(sa_type=BigInteger)
    written_at: datetime = written_at()
