"""/v1/ledger: the entries of the journal, and the balances that they add up to."""

from datetime import UTC, date, datetime
from typing import Annotated, Final
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Query
from sqlmodel.ext.asyncio.session import AsyncSession

from api.dependencies import SessionDep, requires
from api.ledger.schemas import BalanceQuery, BalanceView, EntryQuery, EntryView, TrialBalance
from api.paging import ExchangeDep, Keyset, Page, page_of
from api.problem import Refused
from domain.access import Permission, Principal
from models.masters import LegalEntity
from store import masters
from store.listing import ledger as listing

router = APIRouter(tags=["ledger"])
_ENTRIES: Final = Keyset("ledger/entries", (int,))
Reader = Annotated[Principal, requires(Permission.LEDGER_READ)]


@router.get("/v1/ledger/entries", summary="List journal entries")
async def list_entries(
    query: Annotated[EntryQuery, Query()], caller: Reader, session: SessionDep, exchange: ExchangeDep
) -> Page[EntryView]:
    after = _ENTRIES.decode(query.cursor)
    rows = await listing.entries(session, caller, query.wanted(), after[0] if after else None, query.limit)
    key = (_ENTRIES, lambda posted: (posted.entry.entry_id or 0,))
    return page_of(rows, query, exchange, key, EntryView.of)


@router.get("/v1/ledger/balances", summary="Trial balance")
async def get_balances(query: Annotated[BalanceQuery, Query()], caller: Reader, session: SessionDep) -> TrialBalance:
    if caller.channels is not None or caller.warehouses is not None:
        raise Refused(403, "forbidden", "Balances are shown to keys that see all orders.")
    entity = await masters.get(session, LegalEntity, query.entity_id)
    as_of = query.as_of or _today(entity)
    data = await _balances(session, query, as_of)
    return TrialBalance(
        entity_id=entity.entity_id,
        functional_currency=entity.functional_currency,
        as_of=as_of,
        voucher_no=query.voucher_no,
        data=data,
        debit_minor=sum(row.debit_minor for row in data),
        credit_minor=sum(row.credit_minor for row in data),
    )


async def _balances(session: AsyncSession, query: BalanceQuery, as_of: date) -> list[BalanceView]:
    rows = await listing.balances(session, query.entity_id, as_of, query.voucher_no)
    return [BalanceView.of(row) for row in rows]


def _today(entity: LegalEntity) -> date:
    return datetime.now(UTC).astimezone(ZoneInfo(entity.time_zone)).date()
