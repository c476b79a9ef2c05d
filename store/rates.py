"""Exchange rates, and the one an order keeps for all its life."""

from decimal import Decimal

from sqlalchemy import text
from sqlmodel.ext.asyncio.session import AsyncSession

from models.order import Order

_RATE = text("""
SELECT r.rate FROM fx_rates r JOIN legal_entities e ON e.entity_id = r.entity_id
WHERE r.entity_id = :entity_id AND r.currency = :currency
  AND r.valid_from <= CAST(CAST(:received_at AS timestamptz) AT TIME ZONE e.time_zone AS date)
ORDER BY r.valid_from DESC LIMIT 1
""")


async def rate_of(session: AsyncSession, order: Order, currency: str) -> Decimal | None:
    """What one unit of `currency` was worth to the order's entity on the day the order came; None: nobody knows."""
    if currency == order.functional_currency:
        return Decimal(1)
    asked = {"entity_id": order.entity_id, "currency": currency, "received_at": order.received_at}
    found: Decimal | None = (await session.execute(_RATE, asked)).scalar_one_or_none()
    return found


async def take_rate(session: AsyncSession, order: Order) -> bool:
    """Afterwards the order has the rate of the day it came, if one is known; the rate it has already stays.

    False: none is known. The order's row must be locked.
    """
    if order.fx_rate is None and order.currency == order.functional_currency:
        order.fx_rate = Decimal(1)
    if order.fx_rate is None:
        order.fx_rate = await rate_of(session, order, order.currency)
    return order.fx_rate is not None
