"""The journal: posting entries once, and what the books say. Entries are never changed, only followed by others."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any, Self
from zoneinfo import ZoneInfo

from sqlalchemy import text
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from domain.errors import DomainError
from domain.posting.currency import BookedEntry, Conversion, in_functional_currency
from domain.posting.entry import Entry, Side
from domain.posting.roles import Role
from models.journal import JournalEntry, JournalLine
from models.masters import LegalEntity
from models.order import Order
from runtime.direct import later
from store import payments, whole
from store.whole import Question


class AccountMappingMissing(DomainError):
    """The entity has no account for a role on the accounting date. Nothing was written."""

    code = "account_mapping_missing"


class RateMissing(DomainError):
    """The order has no exchange rate yet, so its money cannot be valued."""

    code = "fx_rate_missing"


class EntityMissing(DomainError):
    """Nobody of this id keeps books."""

    code = "entity_missing"


@dataclass(frozen=True, slots=True)
class PostingContext:
    """Whose books, which voucher, which currency; `fx_rate`: functional units that one unit of `currency` is worth."""

    entity_id: str
    voucher_no: str
    order_no: str | None
    currency: str
    functional_currency: str
    fx_rate: Decimal
    event_at: datetime

    @classmethod
    def of(cls, order: Order, event_at: datetime) -> Self:
        """Postings of the order's price, in its own currency. Raises RateMissing."""
        if order.fx_rate is None:
            raise RateMissing(order_no=order.order_no)
        functional = order.functional_currency
        return cls(
            order.entity_id, order.voucher_no, order.order_no, order.currency, functional, order.fx_rate, event_at
        )

    @classmethod
    def of_cost(cls, order: Order, event_at: datetime) -> Self:
        """Postings of the order's goods, whose cost is in the functional currency already."""
        functional = order.functional_currency
        return cls(order.entity_id, order.voucher_no, order.order_no, functional, functional, Decimal(1), event_at)

    @property
    def conversion(self) -> Conversion:
        return Conversion(self.currency, self.functional_currency, self.fx_rate)


@dataclass(frozen=True, slots=True)
class Balance:
    """What stands on an account, debit positive. Amounts of different document currencies are never added up."""

    role: str
    account: str
    currency: str
    document_minor: int
    base_minor: int


@dataclass(frozen=True, slots=True)
class TrialBalanceRow:
    """An account's turnover up to a day, in the entity's functional currency."""

    account: str
    debit_minor: int
    credit_minor: int

    @property
    def balance_minor(self) -> int:
        """Debit positive."""
        return self.debit_minor - self.credit_minor


@dataclass(frozen=True, slots=True)
class PostedEntry:
    """An entry as it was posted, with its lines."""

    entry: JournalEntry
    lines: tuple[JournalLine, ...]


# One round trip, and all or nothing without a savepoint: when an account is missing no entry is inserted at all.
_POSTING = """
WITH entity AS (
    SELECT CAST(CAST(:event_at AS timestamptz) AT TIME ZONE time_zone AS date) AS accounting_date
    FROM legal_entities WHERE entity_id = :entity_id
), line AS (
    SELECT given.*, mapping.account
    FROM jsonb_to_recordset(CAST(:lines AS jsonb)) AS given(
        event_key text, line_no integer, role text, side text, amount_minor bigint, base_minor bigint)
    CROSS JOIN entity
    LEFT JOIN LATERAL (
        SELECT m.account FROM account_mappings m
        WHERE m.entity_id = :entity_id AND m.role = given.role AND m.valid_from <= entity.accounting_date
        ORDER BY m.valid_from DESC LIMIT 1) mapping ON true
), known AS (
    SELECT 1 FROM journal_entries WHERE event_key = :event_key
), entry AS (
    INSERT INTO journal_entries (event_key, entity_id, voucher_no, order_no, event, currency, functional_currency,
                                 fx_rate, accounting_date, event_at, posted_at)
    SELECT given.event_key, :entity_id, :voucher_no, :order_no, given.event, :currency, :functional_currency,
           CAST(:fx_rate AS numeric), entity.accounting_date, CAST(:event_at AS timestamptz), now()
    FROM jsonb_to_recordset(CAST(:entries AS jsonb)) AS given(at integer, event_key text, event text)
    CROSS JOIN entity
    WHERE NOT EXISTS (SELECT 1 FROM known) {unless}
    ORDER BY given.at
    ON CONFLICT (event_key) DO NOTHING
    RETURNING entry_id, event_key
), posted_line AS (
    INSERT INTO journal_lines (entry_id, line_no, role, account, side, amount_minor, base_minor)
    SELECT entry.entry_id, line.line_no, line.role, line.account, line.side, line.amount_minor, line.base_minor
    FROM line JOIN entry ON entry.event_key = line.event_key
)
SELECT EXISTS (SELECT 1 FROM entity) AS has_entity,
       (SELECT count(*) FROM entry) AS posted,
       EXISTS (SELECT 1 FROM known) AS known,
       ARRAY(SELECT DISTINCT role FROM line WHERE account IS NULL ORDER BY role) AS missing
"""
_POST = text(_POSTING.format(unless="AND NOT EXISTS (SELECT 1 FROM line WHERE account IS NULL)"))
# An account that is missing all the same is refused by its column, and the transaction with it.
_POST_SURELY = text(_POSTING.format(unless=""))


async def post(session: AsyncSession, context: PostingContext, entries: Sequence[Entry], event_key: str) -> bool:
    """Afterwards the entries are in the books, once for `event_key`; False: there are none, or they were before.

    The first entry carries `event_key` itself, each further one `event_key/<its event>`, so their events differ. The
    accounting date is the day of `event_at` where the entity is. The voucher's order must be locked by this
    transaction, and no savepoint may be open. Raises AccountMappingMissing, having written nothing.
    """
    if not entries:
        return False
    booked = await _booked(session, context, entries)
    keys = [event_key, *(f"{event_key}/{entry.event}" for entry in entries[1:])]
    numbered = list(zip(keys, booked, strict=True))
    asked = {
        "entity_id": context.entity_id,
        "voucher_no": context.voucher_no,
        "order_no": context.order_no,
        "currency": context.currency,
        "functional_currency": context.functional_currency,
        "fx_rate": context.fx_rate,
        "event_at": context.event_at,
        "event_key": event_key,
        "entries": json.dumps(
            [{"at": at, "event_key": key, "event": entry.event} for at, (key, entry) in enumerate(numbered)]
        ),
        "lines": json.dumps([line for key, entry in numbered for line in _line_rows(key, entry)]),
    }
    payments.forget_books(session)
    if await _has_accounts(session, context, booked):
        await later(session, _POST_SURELY, asked)
        return True
    row = (await session.execute(_POST, asked)).one()
    if not row.has_entity:
        raise EntityMissing(entity_id=context.entity_id)
    if row.known:
        return False
    if row.missing:
        raise AccountMappingMissing(entity_id=context.entity_id, roles=list(row.missing))
    return int(row.posted) > 0


_ACCOUNTS = Question(
    """
SELECT m.role, min(m.valid_from) AS since FROM account_mappings m JOIN orders o ON o.entity_id = m.entity_id
WHERE o.order_no = %(order_no)s GROUP BY m.role
""",
    lasting=True,
)


async def _has_accounts(session: AsyncSession, context: PostingContext, entries: Sequence[BookedEntry]) -> bool:
    """Whether it is known that the entity has an account for every role, so that nobody has to wait for the answer."""
    if context.order_no is None or not whole.has(session, context.order_no):
        return False
    entity = await session.get_one(LegalEntity, context.entity_id)
    day = context.event_at.astimezone(ZoneInfo(entity.time_zone)).date().isoformat()
    since = {row["role"]: row["since"] for row in await _ACCOUNTS.answer(session, context.order_no)}
    roles = {line.role.value for entry in entries for line in entry.lines}
    return all(role in since and since[role] <= day for role in roles)


async def _booked(session: AsyncSession, context: PostingContext, entries: Sequence[Entry]) -> list[BookedEntry]:
    conversion = context.conversion
    if context.currency == context.functional_currency:
        return [in_functional_currency(entry, conversion) for entry in entries]
    running = await role_balances(session, context.voucher_no, context.currency)
    booked = []
    for entry in entries:
        booked.append(in_functional_currency(entry, conversion, running))
        for line in entry.lines:
            running[line.role] = running.get(line.role, 0) + line.signed_minor
    return booked


def _line_rows(event_key: str, entry: BookedEntry) -> list[dict[str, Any]]:
    return [
        {
            "event_key": event_key,
            "line_no": line_no,
            "role": line.role.value,
            "side": "Dr" if line.side is Side.DEBIT else "Cr",
            "amount_minor": line.minor,
            "base_minor": line.base_minor,
        }
        for line_no, line in enumerate(entry.lines, start=1)
    ]


_REVERSE = text("""
WITH original AS (
    SELECT e.*, CAST(CAST(:event_at AS timestamptz) AT TIME ZONE n.time_zone AS date) AS reversed_on
    FROM journal_entries e JOIN legal_entities n ON n.entity_id = e.entity_id
    WHERE e.order_no = :order_no AND e.event = ANY(:events) AND e.reverses_entry_id IS NULL
), mirror AS (
    INSERT INTO journal_entries (event_key, entity_id, voucher_no, order_no, event, currency, functional_currency,
                                 fx_rate, accounting_date, event_at, posted_at, reverses_entry_id)
    SELECT 'reversal/' || event_key, entity_id, voucher_no, order_no, event || '_reversed', currency,
           functional_currency, fx_rate, reversed_on, CAST(:event_at AS timestamptz), now(), entry_id
    FROM original ORDER BY entry_id DESC
    ON CONFLICT DO NOTHING
    RETURNING entry_id, reverses_entry_id
), mirror_line AS (
    INSERT INTO journal_lines (entry_id, line_no, role, account, side, amount_minor, base_minor)
    SELECT mirror.entry_id, l.line_no, l.role, l.account, CASE l.side WHEN 'Dr' THEN 'Cr' ELSE 'Dr' END,
           l.amount_minor, l.base_minor
    FROM mirror JOIN journal_lines l ON l.entry_id = mirror.reverses_entry_id
)
SELECT count(*) FROM mirror
""")


async def reverse(session: AsyncSession, order_no: str, events: Sequence[str], event_at: datetime) -> int:
    """Afterwards every entry of the order with one of these events has its mirror entry, once; returns how many came.

    A mirror has the same accounts and both amounts on the other side, and names the entry it reverses.
    """
    payments.forget_books(session)
    asked = {"order_no": order_no, "events": list(events), "event_at": event_at}
    return int((await session.execute(_REVERSE, asked)).scalar_one())


async def is_posted(session: AsyncSession, event_key: str) -> bool:
    """Whether something was posted under this key."""
    found = await session.execute(text("SELECT 1 FROM journal_entries WHERE event_key = :key"), {"key": event_key})
    return found.first() is not None


_BALANCES = """
SELECT l.role, l.account, e.currency,
       sum(CASE l.side WHEN 'Dr' THEN l.amount_minor ELSE -l.amount_minor END) AS document,
       sum(CASE l.side WHEN 'Dr' THEN l.base_minor ELSE -l.base_minor END) AS base
FROM journal_entries e JOIN journal_lines l ON l.entry_id = e.entry_id
{where}
GROUP BY l.role, l.account, e.currency ORDER BY l.account, l.role, e.currency
"""
_OF_VOUCHER = text(_BALANCES.format(where="WHERE e.voucher_no = :voucher_no"))
_OF_ALL = text(_BALANCES.format(where=""))


async def balances(session: AsyncSession, voucher_no: str | None = None) -> list[Balance]:
    """Every role and account that was ever touched, with its balance; of one voucher, or (None) of all together."""
    asked = {} if voucher_no is None else {"voucher_no": voucher_no}
    rows = await session.execute(_OF_ALL if voucher_no is None else _OF_VOUCHER, asked)
    return [Balance(row.role, row.account, row.currency, int(row.document), int(row.base)) for row in rows]


async def role_balances(session: AsyncSession, voucher_no: str, currency: str) -> dict[Role, int]:
    """The voucher's balance per role in the documents' currency, debit positive."""
    totals: dict[Role, int] = {}
    for balance in await balances(session, voucher_no):
        if balance.currency == currency:
            role = Role(balance.role)
            totals[role] = totals.get(role, 0) + balance.document_minor
    return totals


async def entries_of(session: AsyncSession, order_no: str) -> list[PostedEntry]:
    """The order's entries in the order of posting."""
    number = col(JournalEntry.entry_id)
    entries = (await session.exec(select(JournalEntry).where(JournalEntry.order_no == order_no).order_by(number))).all()
    query = select(JournalLine).where(col(JournalLine.entry_id).in_([entry.entry_id for entry in entries]))
    lines: dict[int, list[JournalLine]] = {}
    for line in await session.exec(query.order_by(col(JournalLine.entry_id), col(JournalLine.line_no))):
        lines.setdefault(line.entry_id, []).append(line)
    return [PostedEntry(entry, tuple(lines.get(entry.entry_id or 0, ()))) for entry in entries]


async def trial_balance(session: AsyncSession, entity_id: str, as_of: date) -> list[TrialBalanceRow]:
    """Debits and credits of every account up to and including that day; over all rows they are equal."""
    rows = await session.execute(
        text("""
        SELECT l.account, coalesce(sum(l.base_minor) FILTER (WHERE l.side = 'Dr'), 0) AS debit,
               coalesce(sum(l.base_minor) FILTER (WHERE l.side = 'Cr'), 0) AS credit
        FROM journal_entries e JOIN journal_lines l ON l.entry_id = e.entry_id
        WHERE e.entity_id = :entity_id AND e.accounting_date <= :as_of
        GROUP BY l.account ORDER BY l.account
        """),
        {"entity_id": entity_id, "as_of": as_of},
    )
    return [TrialBalanceRow(row.account, int(row.debit), int(row.credit)) for row in rows]
