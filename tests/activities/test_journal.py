"""The journal on a real database: posted once, under the accounts of the day, and never changed."""

from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlmodel.ext.asyncio.session import AsyncSession

from domain.posting.entry import Entry, cr, dr, entry_of
from domain.posting.roles import Role
from models.masters import AccountMapping, LegalEntity
from runtime.database import Sessions
from store import journal
from store.journal import AccountMappingMissing, EntityMissing, PostingContext
from tests.conftest import Database
from tests.factories.books import open_books

AT = datetime(2026, 11, 22, 16, 30, tzinfo=UTC)
CONTEXT = PostingContext("main", "V-1", "SO-1", "CNY", "CNY", Decimal(1), AT)


def moved(event: str, minor: int, debit: Role = Role.BANK, credit: Role = Role.WALLET) -> Entry:
    entry = entry_of(event, dr(debit, minor), cr(credit, minor))
    assert entry is not None
    return entry


PAID = moved("gateway_settled", 500)


@pytest.fixture
async def sessions(database: Database) -> Sessions:
    await open_books(database.sessions)
    return database.sessions


async def post(sessions: Sessions, *entries: Entry, key: str = "k/1", context: PostingContext = CONTEXT) -> bool:
    async with sessions() as session, session.begin():
        return await journal.post(session, context, entries, key)


async def documents(sessions: Sessions, voucher_no: str | None = "V-1") -> dict[str, tuple[int, int]]:
    async with sessions() as session:
        rows = await journal.balances(session, voucher_no)
    return {row.account: (row.document_minor, row.base_minor) for row in rows}


async def test_posting_twice_has_one_effect(sessions: Sessions) -> None:
    assert await post(sessions, PAID)
    assert not await post(sessions, PAID)
    assert not await post(sessions, moved("gateway_settled", 700))
    assert await documents(sessions) == {"1002": (500, 500), "1012.01": (-500, -500)}


async def test_nothing_to_post_posts_nothing(sessions: Sessions) -> None:
    assert not await post(sessions)
    async with sessions() as session:
        assert not await journal.is_posted(session, "k/1")


async def test_entries_of_one_posting_come_in_order_under_one_key(sessions: Sessions) -> None:
    await post(sessions, PAID, moved("fee", 3, Role.GATEWAY_FEE))
    async with sessions() as session:
        posted = await journal.entries_of(session, "SO-1")
        assert await journal.is_posted(session, "k/1")
    assert [(one.entry.event_key, one.entry.event) for one in posted] == [
        ("k/1", "gateway_settled"),
        ("k/1/fee", "fee"),
    ]
    assert [(line.line_no, line.role, line.side, line.amount_minor) for line in posted[0].lines] == [
        (1, "bank", "Dr", 500),
        (2, "wallet", "Cr", 500),
    ]
    assert not await post(sessions, PAID, moved("fee", 3, Role.GATEWAY_FEE))


async def test_the_accounting_date_is_a_date_where_the_entity_is(sessions: Sessions) -> None:
    await post(sessions, PAID)
    async with sessions() as session:
        (one,) = await journal.entries_of(session, "SO-1")
    assert (one.entry.accounting_date, one.entry.event_at) == (date(2026, 11, 23), AT)


async def test_the_account_is_the_one_mapped_on_the_accounting_date(sessions: Sessions) -> None:
    changed = AccountMapping(
        entity_id="main", role="bank", valid_from=date(2026, 11, 23), account="1002.02", name="Second bank"
    )
    async with sessions() as session, session.begin():
        session.add(changed)
    await post(sessions, PAID, context=replace(CONTEXT, event_at=datetime(2026, 11, 22, 15, 59, tzinfo=UTC)))
    await post(sessions, PAID, key="k/2")
    assert await documents(sessions) == {"1002": (500, 500), "1002.02": (500, 500), "1012.01": (-1_000, -1_000)}


async def test_a_missing_account_names_the_roles_and_writes_nothing(sessions: Sessions) -> None:
    await _unmap(sessions, "bank", "gateway_fee")
    async with sessions() as session, session.begin():
        with pytest.raises(AccountMappingMissing) as missing:
            await journal.post(session, CONTEXT, [PAID, moved("fee", 3, Role.GATEWAY_FEE)], "k/1")
    assert missing.value.facts == {"entity_id": "main", "roles": ["bank", "gateway_fee"]}
    assert await documents(sessions) == {}


async def test_what_was_posted_stays_posted_when_its_account_is_unmapped(sessions: Sessions) -> None:
    await post(sessions, PAID)
    await _unmap(sessions, "bank")
    assert not await post(sessions, PAID)


async def test_nobody_posts_for_an_entity_that_is_not_there(sessions: Sessions) -> None:
    with pytest.raises(EntityMissing):
        await post(sessions, PAID, context=replace(CONTEXT, entity_id="other"))


async def test_a_document_balance_of_zero_has_a_base_balance_of_zero(sessions: Sessions) -> None:
    foreign = replace(CONTEXT, currency="BRL", fx_rate=Decimal("1.3333333333"))
    for number, minor in enumerate([101, 202, 305], start=1):
        await post(sessions, moved("paid", minor, Role.WALLET, Role.RECEIVABLE), key=f"in/{number}", context=foreign)
    assert (await documents(sessions))["1012.01"] == (608, 811)
    await post(sessions, moved("back", 608, Role.RECEIVABLE, Role.WALLET), key="out", context=foreign)
    assert set((await documents(sessions)).values()) == {(0, 0)}


async def test_costs_in_the_functional_currency_do_not_mix_with_the_document_s(sessions: Sessions) -> None:
    foreign = replace(CONTEXT, currency="USD", fx_rate=Decimal(7))
    await post(sessions, PAID, context=foreign)
    await post(sessions, PAID, key="k/2")
    async with sessions() as session:
        assert await journal.role_balances(session, "V-1", "USD") == {Role.BANK: 500, Role.WALLET: -500}
        rows = await journal.balances(session, "V-1")
    assert [(row.account, row.currency, row.base_minor) for row in rows] == [
        ("1002", "CNY", 500),
        ("1002", "USD", 3_500),
        ("1012.01", "CNY", -500),
        ("1012.01", "USD", -3_500),
    ]


async def test_a_trial_balance_is_zero_on_every_day(sessions: Sessions) -> None:
    await post(sessions, PAID)
    later = replace(CONTEXT, voucher_no="V-2", order_no="SO-2", event_at=datetime(2026, 12, 1, tzinfo=UTC))
    await post(sessions, moved("fee", 3, Role.GATEWAY_FEE), key="k/2", context=later)
    async with sessions() as session, session.begin():
        session.add(LegalEntity(entity_id="other", name="Other", functional_currency="EUR", time_zone="UTC"))
        await session.flush()
        before = await journal.trial_balance(session, "main", date(2026, 11, 22))
        on_the_day = await journal.trial_balance(session, "main", date(2026, 11, 23))
        after = await journal.trial_balance(session, "main", date(2026, 12, 1))
        assert await journal.trial_balance(session, "other", date(2026, 12, 31)) == []
    assert before == []
    assert [(row.account, row.debit_minor, row.credit_minor) for row in on_the_day] == [
        ("1002", 500, 0),
        ("1012.01", 0, 500),
    ]
    assert [(row.account, row.balance_minor) for row in after] == [("1002", 500), ("1012.01", -503), ("6601.fee", 3)]
    assert set(await documents(sessions, None)) == {"1002", "1012.01", "6601.fee"}


async def test_a_mirror_leaves_every_account_as_it_was_and_comes_once(sessions: Sessions) -> None:
    await post(sessions, PAID, moved("fee", 3, Role.GATEWAY_FEE))
    async with sessions() as session, session.begin():
        assert await journal.reverse(session, "SO-1", ["gateway_settled"], AT) == 1
        assert await journal.reverse(session, "SO-1", ["gateway_settled", "gateway_settled_reversed"], AT) == 0
        posted = await journal.entries_of(session, "SO-1")
    assert posted[2].entry.reverses_entry_id == posted[0].entry.entry_id
    assert await documents(sessions) == {"1002": (0, 0), "1012.01": (-3, -3), "6601.fee": (3, 3)}


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE journal_lines SET amount_minor = 1",
        "UPDATE journal_entries SET voucher_no = 'V-2'",
        "DELETE FROM journal_lines",
        "DELETE FROM journal_entries",
        "TRUNCATE journal_lines",
    ],
)
async def test_the_database_refuses_to_change_what_is_posted(sessions: Sessions, statement: str) -> None:
    await post(sessions, PAID)
    assert "append-only" in await _refusal(sessions, statement)
    assert await documents(sessions) == {"1002": (500, 500), "1012.01": (-500, -500)}


async def test_the_database_refuses_lines_that_come_later(sessions: Sessions) -> None:
    await post(sessions, PAID)
    late = """
    INSERT INTO journal_lines (entry_id, line_no, role, account, side, amount_minor, base_minor)
    SELECT entry_id, line_no, 'bank', '1002', side, 5, 5 FROM journal_entries,
           (VALUES (3, 'Dr'), (4, 'Cr')) AS more (line_no, side)
    """
    assert "is closed" in await _refusal(sessions, late)


@pytest.mark.parametrize(
    "lines",
    [
        "('Dr', 5, 5), ('Cr', 4, 5)",
        "('Dr', 5, 5), ('Cr', 5, 4)",
        "('Dr', 5, 5)",
        "('Dr', 5, 5), ('Cr', -5, 5)",
        "('Dr', 0, 0), ('Cr', 0, 0)",
        "('D', 5, 5), ('C', 5, 5)",
    ],
)
async def test_the_database_refuses_entries_that_do_not_balance(sessions: Sessions, lines: str) -> None:
    statement = f"""
    WITH entry AS (
        INSERT INTO journal_entries (event_key, entity_id, voucher_no, order_no, event, currency, functional_currency,
                                     fx_rate, accounting_date, event_at, posted_at)
        VALUES ('k/1', 'main', 'V-1', 'SO-1', 'made_up', 'CNY', 'CNY', 1, '2026-11-22', now(), now())
        RETURNING entry_id)
    INSERT INTO journal_lines (entry_id, line_no, role, account, side, amount_minor, base_minor)
    SELECT entry_id, row_number() OVER (), 'bank', '1002', side, minor, base
    FROM entry, (VALUES {lines}) AS given (side, minor, base)
    """
    refusal = await _refusal(sessions, statement)
    assert "does not balance" in refusal or "violates check constraint" in refusal
    assert await documents(sessions) == {}


async def test_the_database_refuses_an_entry_without_lines(sessions: Sessions) -> None:
    statement = """
    INSERT INTO journal_entries (event_key, entity_id, voucher_no, event, currency, functional_currency, fx_rate,
                                 accounting_date, event_at, posted_at)
    VALUES ('k/1', 'main', 'V-1', 'made_up', 'CNY', 'CNY', 1, '2026-11-22', now(), now())
    """
    assert "does not balance" in await _refusal(sessions, statement)


async def _refusal(sessions: Sessions, statement: str) -> str:
    async with sessions() as session:
        with pytest.raises(DBAPIError) as refused:
            await _committed(session, statement)
        await session.rollback()
    return str(refused.value)


async def _committed(session: AsyncSession, statement: str) -> None:
    await session.execute(text(statement))
    await session.commit()


async def _unmap(sessions: Sessions, *roles: str) -> None:
    async with sessions() as session, session.begin():
        for role in roles:
            await session.delete(await session.get_one(AccountMapping, ("main", role, date(1970, 1, 1))))
