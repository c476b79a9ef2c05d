"""What speaks against accepting an order, on our own masters alone."""

from collections.abc import Sequence

from sqlmodel.ext.asyncio.session import AsyncSession

from domain.order import is_given_away
from models.masters import Product
from models.order import Order, OrderLine
from store import orders, products, rates, whole
from store.holds import Reason


async def objection(session: AsyncSession, order: Order, node: str) -> Reason | None:
    """The first reason to hold the order; None when there is none. Takes the rate for a foreign currency on the way."""
    lines = await orders.lines(session, order.order_no)
    skus = sorted({line.sku for line in lines})
    known = await products.by_sku(session, skus)
    unknown = [sku for sku in skus if sku not in known]
    if unknown:
        return Reason("unknown_sku", "not in the product master", {"skus": unknown}, node)
    if not order.priced_by_client and (differing := _price_differences(order, lines, known)):
        return Reason("price_mismatch", "the catalogue has other prices", {"lines": differing}, node)
    if order.fx_rate is None and not await rates.take_rate(session, order):
        return Reason("fx_rate_missing", f"no rate for {order.currency}", {"currency": order.currency}, node)
    customer = await whole.buyer(session, order)
    if customer is not None and customer.blacklisted:
        return Reason("customer_blocked", "the customer is blocked", {"customer_id": order.customer_id}, node)
    return None


def _price_differences(order: Order, lines: Sequence[OrderLine], catalogue: dict[str, Product]) -> list[str]:
    """Line ids whose price, tax or currency differs from the catalogue; a gift costs nothing by rule.

    Nobody pays for what is given away, so its prices and the seller's discounts gain nobody anything. What it is worth,
    and the VAT on that, is for the catalogue alone to say, which has to know.
    """
    differing = []
    given_away = is_given_away(order.type, order.payment_terms)
    for line in lines:
        product = catalogue[line.sku]
        known = product.price_minor is not None if given_away else product.price_minor == line.unit_price_minor
        agrees = known or line.gift_of is not None
        if not agrees or product.currency not in (None, order.currency) or product.tax_rate != line.tax_rate:
            differing.append(line.line_id)
    # A discount nobody of ours granted is a price of the client's own making.
    if order.platform_discount_minor or (order.seller_discount_minor and not given_away):
        differing.append("discounts")
    return differing
