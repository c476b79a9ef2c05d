"""What the books say, for tests: balances by account, and entries as an accountant writes them."""

from collections.abc import Sequence

from models.order import Order
from runtime.database import Sessions
from store import defaults, journal
from store.journal import Balance


async def open_books(sessions: Sessions) -> None:
    """Afterwards the entity `main` keeps books in CNY, and the usual payment methods are known."""
    async with sessions() as session, session.begin():
        await defaults.ensure_defaults(session)


async def balances(sessions: Sessions, order_no: str = "SO-1") -> dict[str, int]:
    """Accounts of the order's voucher that are not at zero, in functional minor units, debit positive."""
    rows = await _balances(sessions, order_no)
    totals: dict[str, int] = {}
    for row in rows:
        totals[row.account] = totals.get(row.account, 0) + row.base_minor
    return {account: minor for account, minor in sorted(totals.items()) if minor}


async def both_amounts(sessions: Sessions, order_no: str = "SO-1") -> dict[tuple[str, str], tuple[int, int]]:
    """Document and functional balance by account and currency, zeroes included."""
    rows = await _balances(sessions, order_no)
    return {(row.account, row.currency): (row.document_minor, row.base_minor) for row in rows}


async def _balances(sessions: Sessions, order_no: str) -> Sequence[Balance]:
    async with sessions() as session:
        order = await session.get(Order, order_no)
        return await journal.balances(session, order.voucher_no if order else f"V-{order_no}")


async def entries(sessions: Sessions, order_no: str = "SO-1") -> list[str]:
    """The order's entries: `event | Dr account minor | Cr account minor`, in document minor units."""
    async with sessions() as session:
        posted = await journal.entries_of(session, order_no)
    return [
        " | ".join([one.entry.event, *(f"{line.side} {line.account} {line.amount_minor}" for line in one.lines)])
        for one in posted
    ]


async def entry_count(sessions: Sessions, order_no: str = "SO-1") -> int:
    """How many entries the order has."""
    return len(await entries(sessions, order_no))
