"""What the catalogue says of the goods."""

from collections.abc import Iterable

from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from models.masters import Product


async def names(session: AsyncSession, skus: Iterable[str]) -> dict[str, str]:
    """The names of these SKUs; those that are not in the catalogue are left out."""
    return {sku: product.name for sku, product in (await by_sku(session, skus)).items()}


async def by_sku(session: AsyncSession, skus: Iterable[str]) -> dict[str, Product]:
    """What the catalogue says of these SKUs; those that it does not have are left out."""
    wanted = set(skus)
    known = {one.sku: one for one in session.sync_session if isinstance(one, Product) and one.sku in wanted}
    if missing := wanted - known.keys():
        found = await session.exec(select(Product).where(col(Product.sku).in_(sorted(missing))))
        known |= {product.sku: product for product in found}
    return known
