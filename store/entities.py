"""Legal entities: their books' currency, and the dated accounts and rates their postings use."""

from datetime import date
from typing import Final

from sqlalchemy import text
from sqlalchemy.dialects.postgresql import insert
from sqlmodel.ext.asyncio.session import AsyncSession

from domain.errors import DomainError
from domain.posting.roles import DEFAULT_ACCOUNTS
from models.masters import AccountMapping, FxRate, LegalEntity
from store import masters
from store.masters import Put

ALWAYS: Final = date(1970, 1, 1)


class FunctionalCurrencyFixed(DomainError):
    """The entity's books are kept in a currency already: entries, orders or the value of stock."""

    code = "functional_currency_fixed"


class RateOfOwnCurrency(DomainError):
    """The functional currency is worth one of itself; nobody sets a rate for it."""

    code = "rate_of_own_currency"


_HAS_BOOKS = text("""
SELECT EXISTS (SELECT 1 FROM journal_entries WHERE entity_id = :entity_id)
    OR EXISTS (SELECT 1 FROM orders WHERE entity_id = :entity_id)
    OR EXISTS (SELECT 1 FROM stock_levels WHERE value_minor <> 0)
""")


async def put(session: AsyncSession, entity: LegalEntity) -> Put:
    """Afterwards the entity is as given, and has an account for every role. Raises FunctionalCurrencyFixed."""
    known = await session.get(LegalEntity, entity.entity_id, with_for_update=True)
    if known is not None and known.functional_currency != entity.functional_currency:
        has_books = (await session.execute(_HAS_BOOKS, {"entity_id": entity.entity_id})).scalar_one()
        if has_books:
            raise FunctionalCurrencyFixed(functional_currency=known.functional_currency)
    done = await masters.put(session, entity)
    await ensure_accounts(session, entity.entity_id)
    return done


async def put_rate(session: AsyncSession, rate: FxRate) -> Put:
    """Afterwards the rate holds from its date on. Raises MasterNotFound for the entity, and RateOfOwnCurrency."""
    entity = await masters.get(session, LegalEntity, rate.entity_id)
    if rate.currency == entity.functional_currency:
        raise RateOfOwnCurrency(currency=rate.currency)
    return await masters.put(session, rate)


async def ensure_accounts(session: AsyncSession, entity_id: str) -> None:
    """Afterwards every role has an account from the beginning of time; what was mapped stays."""
    rows = [
        {"entity_id": entity_id, "role": role.value, "valid_from": ALWAYS, "account": code, "name": name}
        for role, (code, name) in DEFAULT_ACCOUNTS.items()
    ]
    await session.execute(insert(AccountMapping).values(rows).on_conflict_do_nothing())


async def time_zone(session: AsyncSession, entity_id: str) -> str:
    """The zone in which the entity's days begin and end."""
    return (await session.get_one(LegalEntity, entity_id)).time_zone
