"""Column shapes that every table shares: aware UTC times, text lists and JSON documents."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import BigInteger, DateTime, Numeric, Text
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlmodel import Field

Utc = DateTime(timezone=True)
Minor = BigInteger
Rate = Numeric(18, 10)
TextList = ARRAY(Text)
Document = JSONB


def now() -> datetime:
    """The present moment, aware UTC: default of columns that record when a row was written."""
    return datetime.now(UTC)


def minor(default: int = 0) -> Any:
    """A bigint column of integer minor units, zero unless given."""
    return Field(default=default, sa_type=BigInteger)


def moment(*, index: bool = False) -> Any:
    """A nullable timestamptz column."""
    return Field(default=None, sa_type=Utc, nullable=True, index=index)


def written_at() -> Any:
    """A timestamptz column that takes the time of writing."""
    return Field(default_factory=now, sa_type=Utc)
