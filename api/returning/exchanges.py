"""Exchanges as they are asked for: goods get their price at the door, so that what was shown is what is agreed."""

from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal

from api.orders.seen import Seen
from api.problem import in_body, unprocessable
from api.returning.schemas import ReturnAsked, UnitsInstead
from domain.exchanging import GoodsWanted
from models.masters import Product
from models.order import Order, OrderLine
from store import orders, products


async def goods_wanted(seen: Seen, asked: ReturnAsked) -> list[GoodsWanted]:
    """What is to go out, priced. Raises Refused (422) naming all that cannot go out like this."""
    known = await products.by_sku(seen.session, {one.sku for one in asked.instead})
    units = {line.line_id: line.quantity for line in asked.lines}
    swap = _Swap(seen, await orders.lines(seen.session, seen.order_no), units, known)
    problems = [
        in_body(f"#/instead/{at}/{name}", code, detail)
        for at, one in enumerate(asked.instead)
        for name, code, detail in swap.problems(one)
    ]
    if problems:
        raise unprocessable(problems)
    return [swap.wanted(one) for one in asked.instead]


class _Swap:
    """The goods that come back, and the catalogue, against which each wish is held; wishes are asked about in turn."""

    def __init__(
        self, seen: Seen, lines: Sequence[OrderLine], units: Mapping[str, int], known: Mapping[str, Product]
    ) -> None:
        self._order: Order = seen.order
        self._sets_prices = seen.caller.is_priced
        self._known = known
        self._units = units
        self._skus = {line.line_id: line.sku for line in lines}
        self._even = dict(units)

    def problems(self, one: UnitsInstead) -> Iterator[tuple[str, str, str]]:
        if one.line_id not in self._units:
            yield "line_id", "unknown_line", "Not a line that comes back"
        product = self._known.get(one.sku)
        if product is None:
            yield "sku", "unknown_sku", "The catalogue has no such SKU"
            return
        price, rate = self._price_of(one, product)
        if (price is None or rate is None) and not self._is_even(one):
            yield "sku", "price_unknown", "The catalogue has no price for it in this currency"
        if not self._sets_prices and one.unit_price_minor not in (None, product.price_minor):
            yield "unit_price_minor", "price_mismatch", "The catalogue has another price"
        if not self._sets_prices and one.rate not in (None, product.tax_rate):
            yield "tax_rate", "price_mismatch", "The catalogue has another tax rate"

    def wanted(self, one: UnitsInstead) -> GoodsWanted:
        product = self._known[one.sku]
        price, rate = self._price_of(one, product)
        return GoodsWanted(one.line_id, one.sku, one.quantity, price, rate, product.category)

    def _price_of(self, one: UnitsInstead, product: Product) -> tuple[int | None, Decimal | None]:
        in_currency = product.currency in (None, self._order.currency)
        listed = product.price_minor if in_currency else None
        if not self._sets_prices:
            return listed, product.tax_rate
        price = listed if one.unit_price_minor is None else one.unit_price_minor
        return price, product.tax_rate if one.rate is None else one.rate

    def _is_even(self, one: UnitsInstead) -> bool:
        """Whether all of it stands against units of its own kind that come back and that no wish before it took."""
        if self._skus.get(one.line_id) != one.sku:
            return False
        self._even[one.line_id] = self._even.get(one.line_id, 0) - one.quantity
        return self._even[one.line_id] >= 0
