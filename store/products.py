"""What the catalogue calls the goods."""

from collections.abc import Iterable

from sqlalchemy import text
from sqlmodel.ext.asyncio.session import AsyncSession


async def names(session: AsyncSession, skus: Iterable[str]) -> dict[str, str]:
    """The names of these SKUs; those that are not in the catalogue are left out."""
    found = await session.execute(
        text("SELECT sku, name FROM products WHERE sku = ANY(:skus)"), {"skus": sorted(set(skus))}
    )
    return {row.sku: row.name for row in found}
