"""The journal as programs read it."""

from datetime import date
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field

from api.fields import Day, Key, Moment, Text
from api.paging import ListQuery
from domain.posting.roles import Role
from store.defaults import ENTITY
from store.journal import PostedEntry
from store.listing.ledger import AccountBalance, EntryFilter


class JournalLineView(BaseModel):
    """One side of an entry: the document's amount and the same in the functional currency."""

    line_no: int
    role: str
    account: str
    side: str
    amount_minor: int
    base_minor: int


class EntryView(BaseModel):
    """An entry under its voucher; debits and credits are equal in both currencies."""

    entry_id: int
    event_key: str
    event: str
    entity_id: str
    voucher_no: str
    order_no: str | None
    currency: str
    functional_currency: str
    fx_rate: str
    accounting_date: date
    event_at: Moment
    posted_at: Moment
    reverses_entry_id: int | None
    lines: list[JournalLineView]

    @classmethod
    def of(cls, posted: PostedEntry) -> Self:
        row = posted.entry.model_dump()
        rate = format(posted.entry.fx_rate.normalize(), "f")
        return cls.model_validate(row | {"fx_rate": rate, "lines": [line.model_dump() for line in posted.lines]})


class EntryQuery(ListQuery):
    """Filters of the list. `from` and `to` are accounting dates, both within the span."""

    entity_id: Key | None = None
    voucher_no: Key | None = None
    order_no: Key | None = None
    account: Text | None = None
    from_date: Annotated[Day | None, Field(alias="from")] = None
    to_date: Annotated[Day | None, Field(alias="to")] = None

    def wanted(self) -> EntryFilter:
        return EntryFilter(**self.model_dump(exclude={"limit", "cursor"}))


class BalanceView(BaseModel):
    """Turnover of an account in one role, in the functional currency; a debit balance is positive."""

    account: str
    role: str
    debit_minor: int
    credit_minor: int
    balance_minor: int

    @classmethod
    def of(cls, row: AccountBalance) -> Self:
        return cls(
            account=row.account,
            role=Role(row.role).value,
            debit_minor=row.debit_minor,
            credit_minor=row.credit_minor,
            balance_minor=row.debit_minor - row.credit_minor,
        )


class TrialBalance(BaseModel):
    """Every account that was touched by the end of the day; over all of them debits and credits are equal."""

    entity_id: str
    functional_currency: str
    as_of: date
    voucher_no: str | None
    data: list[BalanceView]
    debit_minor: int
    credit_minor: int


class BalanceQuery(BaseModel):
    """Whose books, up to which day (today where the entity is, if none is named), of one voucher or of all."""

    model_config = ConfigDict(extra="forbid")

    entity_id: Key = ENTITY
    as_of: Day | None = None
    voucher_no: Key | None = None
