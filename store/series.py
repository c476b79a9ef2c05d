"""Gapless number series: a number is taken in the transaction that uses it, so a rollback gives it back."""

from sqlalchemy import text
from sqlmodel.ext.asyncio.session import AsyncSession

from runtime.database import APART

_TAKE = text("""
INSERT INTO number_series (series, next_number) VALUES (:series, 2)
ON CONFLICT (series) DO UPDATE SET next_number = number_series.next_number + 1
RETURNING next_number - 1
""")


async def take(session: AsyncSession, series: str) -> int:
    """The next number of the series, from 1; others who want one wait until this transaction ends."""
    taken: int = (await session.execute(_TAKE, {"series": series}, execution_options=APART)).scalar_one()
    return taken
