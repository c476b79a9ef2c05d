"""The double-entry journal. The database refuses an entry that does not balance and any change of one."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal

from sqlalchemy import BigInteger, CheckConstraint, Column, Identity, Index, UniqueConstraint
from sqlmodel import Field, SQLModel

from models.columns import Minor, Rate, written_at


class JournalEntry(SQLModel, table=True):
    """One posted event of a voucher. `event_key` is the business key that makes a posting happen once."""

    __tablename__ = "journal_entries"
    __table_args__ = (
        UniqueConstraint("event_key", name="journal_event_once"),
        UniqueConstraint("reverses_entry_id", name="journal_reversed_once"),
        Index("journal_by_voucher", "voucher_no", "entry_id"),
        Index("journal_by_date", "entity_id", "accounting_date"),
    )

    entry_id: int | None = Field(
        default=None, sa_column=Column("entry_id", BigInteger, Identity(always=True), primary_key=True)
    )
    event_key: str
    entity_id: str = Field(foreign_key="legal_entities.entity_id")
    voucher_no: str
    order_no: str | None = Field(default=None, index=True)
    event: str
    currency: str
    functional_currency: str
    fx_rate: Decimal = Field(sa_type=Rate)
    # A date in the entity's time zone; `event_at` is when the thing itself happened.
    accounting_date: date
    event_at: datetime = written_at()
    posted_at: datetime = written_at()
    reverses_entry_id: int | None = Field(default=None, foreign_key="journal_entries.entry_id", sa_type=BigInteger)


class JournalLine(SQLModel, table=True):
    """One side of an entry: the amount in the document's currency and in the functional one."""

    __tablename__ = "journal_lines"
    __table_args__ = (
        CheckConstraint("side IN ('Dr', 'Cr')", name="journal_line_side"),
        CheckConstraint("amount_minor >= 0 AND base_minor >= 0", name="journal_line_not_negative"),
        # A rounding difference of the functional currency alone has no document amount.
        CheckConstraint("amount_minor > 0 OR base_minor > 0", name="journal_line_not_empty"),
        Index("journal_lines_by_account", "account"),
    )

    entry_id: int = Field(primary_key=True, foreign_key="journal_entries.entry_id", sa_type=BigInteger)
    line_no: int = Field(primary_key=True)
    role: str
    account: str
    side: str
    amount_minor: int = Field(sa_type=Minor)
    base_minor: int = Field(sa_type=Minor)
