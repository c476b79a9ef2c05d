"""The journal in lists, and balances of the accounts of one voucher or of all."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from sqlalchemy import ColumnElement, exists, text
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from domain.access import Principal
from models.journal import JournalEntry, JournalLine
from store.journal import PostedEntry
from store.listing.sight import of_orders_in_sight


@dataclass(frozen=True, slots=True)
class EntryFilter:
    """Which entries a list shows; None: whatever they are. Both days are accounting dates and belong to the span."""

    entity_id: str | None = None
    voucher_no: str | None = None
    order_no: str | None = None
    account: str | None = None
    from_date: date | None = None
    to_date: date | None = None

    def conditions(self) -> list[ColumnElement[bool]]:
        equal = {
            JournalEntry.entity_id: self.entity_id,
            JournalEntry.voucher_no: self.voucher_no,
            JournalEntry.order_no: self.order_no,
        }
        conditions = [col(column) == value for column, value in equal.items() if value is not None]
        if self.from_date is not None:
            conditions.append(col(JournalEntry.accounting_date) >= self.from_date)
        if self.to_date is not None:
            conditions.append(col(JournalEntry.accounting_date) <= self.to_date)
        if self.account is not None:
            touched = col(JournalLine.entry_id) == col(JournalEntry.entry_id)
            conditions.append(exists().where(touched, col(JournalLine.account) == self.account))
        return conditions


async def entries(
    session: AsyncSession, caller: Principal, wanted: EntryFilter, after: int | None, limit: int
) -> list[PostedEntry]:
    """Up to `limit + 1` entries with their lines in the order of posting, those numbered above `after` if given."""
    number = col(JournalEntry.entry_id)
    in_sight = of_orders_in_sight(caller, col(JournalEntry.order_no))
    query = select(JournalEntry).where(*wanted.conditions(), *in_sight).order_by(number).limit(limit + 1)
    if after is not None:
        query = query.where(number > after)
    found = (await session.exec(query)).all()
    lines: dict[int, list[JournalLine]] = {}
    of_these = select(JournalLine).where(col(JournalLine.entry_id).in_([entry.entry_id for entry in found]))
    for line in await session.exec(of_these.order_by(col(JournalLine.entry_id), col(JournalLine.line_no))):
        lines.setdefault(line.entry_id, []).append(line)
    return [PostedEntry(entry, tuple(lines.get(entry.entry_id or 0, ()))) for entry in found]


@dataclass(frozen=True, slots=True)
class AccountBalance:
    """Turnover of one account in one role, in the functional currency; debit and credit are both positive."""

    account: str
    role: str
    debit_minor: int
    credit_minor: int


_BALANCES = text("""
SELECT l.account, l.role,
       coalesce(sum(l.base_minor) FILTER (WHERE l.side = 'Dr'), 0) AS debit,
       coalesce(sum(l.base_minor) FILTER (WHERE l.side = 'Cr'), 0) AS credit
FROM journal_entries e JOIN journal_lines l ON l.entry_id = e.entry_id
WHERE e.entity_id = :entity_id AND e.accounting_date <= :as_of
  AND (CAST(:voucher_no AS text) IS NULL OR e.voucher_no = :voucher_no)
GROUP BY l.account, l.role ORDER BY l.account, l.role
""")


async def balances(
    session: AsyncSession, entity_id: str, as_of: date, voucher_no: str | None = None
) -> Sequence[AccountBalance]:
    """Every account with its turnover up to and including that day; over all rows debit and credit are equal."""
    asked = {"entity_id": entity_id, "as_of": as_of, "voucher_no": voucher_no}
    rows = await session.execute(_BALANCES, asked)
    return [AccountBalance(row.account, row.role, int(row.debit), int(row.credit)) for row in rows]
