"""Exchanges: which goods go out instead of those that came back, and what they cost.

Goods of the same SKU cost what is credited for the units that came back, so an even swap never has a difference; others
cost what was agreed when the exchange was asked for.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal

from domain.errors import DomainError
from domain.money import split, within_bounds
from domain.order_number import order_number
from domain.pricing import OrderLineValue, PricedLine, PricedOrder, SoldAs, share_of_line

EXCHANGE = "exchange"
"""The kind of a return whose worth is not paid out, but credited to a new order."""
REPLACEMENT = "replacement"
"""The type of that order."""
RESERVED = "exchange:"
"""What its external id begins with, and no channel's does."""


class ExchangeNotOffered(DomainError):
    """Goods that are not paid in full, or that nobody pays for, are not exchanged."""

    code = "exchange_not_offered"


class PriceUnknown(DomainError):
    """Goods are to go out for which neither the asker nor the catalogue has a price."""

    code = "price_unknown"


def external_id_of(return_no: str) -> str:
    """What the replacement of a return is called in its channel."""
    return RESERVED + return_no


def replacement_number(channel: str, return_no: str) -> str:
    """The number of the order that goes out instead: a return always names the same one."""
    return order_number(channel, external_id_of(return_no))


@dataclass(frozen=True, slots=True)
class GoodsBack:
    """Units of a line that came back and are given back, out of those that were announced, and what they are worth.

    `credit_minor` is the customer's money for them, `platform_minor` what a platform had added to it.
    """

    value: OrderLineValue
    announced: int
    units: int
    credit_minor: int
    platform_minor: int = 0


@dataclass(frozen=True, slots=True)
class GoodsWanted:
    """Units that are to go out instead of a line. A price is needed of those that are not swapped evenly."""

    line_id: str
    sku: str
    quantity: int
    unit_price_minor: int | None = None
    tax_rate: Decimal | None = None
    category: str | None = None


@dataclass(frozen=True, slots=True)
class GoodsOut:
    """A line of the order that goes out; `instead_of`: the line that came back."""

    instead_of: str
    value: OrderLineValue
    price: PricedLine


def credit_by_line(credit_minor: int, payable: Mapping[str, int]) -> dict[str, int]:
    """The money for goods that came back, by line, as their prices weigh."""
    keys = list(payable)
    return dict(zip(keys, split(credit_minor, [payable[key] for key in keys], keys), strict=True))


def goods_out(back: Sequence[GoodsBack], wanted: Sequence[GoodsWanted]) -> list[GoodsOut]:
    """What goes out for what came back: of each line in the proportion in which it was accepted, rounded down.

    Raises `PriceUnknown`, `AmountTooLarge`.
    """
    by_line = {one.value.line_id: one for one in back}
    swapped = dict.fromkeys(by_line, 0)
    out: list[GoodsOut] = []
    for one in wanted:
        came = by_line.get(one.line_id)
        units = one.quantity * came.units // came.announced if came else 0
        if came is None or not units:
            continue
        even = min(units, came.units - swapped[one.line_id]) if one.sku == came.value.sku else 0
        if even:
            out.append(_evenly(came, swapped[one.line_id], even))
            swapped[one.line_id] += even
        if units > even:
            out.append(_bought(replace(one, quantity=units - even)))
    numbered = [_numbered(line, at) for at, line in enumerate(out, start=1)]
    within_bounds(sum(line.price.payable_minor for line in numbered))
    return numbered


def total_of(out: Sequence[GoodsOut]) -> int:
    """What the customer pays for these goods."""
    return sum(line.price.payable_minor for line in out)


def priced(out: Sequence[GoodsOut]) -> PricedOrder:
    """These goods as an order."""
    return PricedOrder.of([line.price for line in out])


def _evenly(came: GoodsBack, before: int, units: int) -> GoodsOut:
    value = replace(came.value, quantity=units, gift_of=None)
    platform = share_of_line(came.platform_minor, came.units, before, units)
    whole = share_of_line(came.credit_minor, came.units, before, units) + platform
    # Discounts and shipping are netted in what was paid: less than the list is a discount, more is shipping.
    listed = units * value.unit_price_minor
    price = PricedLine(
        line_id=value.line_id,
        quantity=units,
        tax_rate=value.tax_rate,
        sold_as=value.sold_as,
        list_minor=listed,
        seller_discount_minor=max(listed - whole, 0),
        platform_discount_minor=platform,
        shipping_minor=max(whole - listed, 0),
    )
    return GoodsOut(came.value.line_id, value, price)


def _bought(wanted: GoodsWanted) -> GoodsOut:
    if wanted.unit_price_minor is None or wanted.tax_rate is None:
        raise PriceUnknown(sku=wanted.sku)
    value = OrderLineValue(
        wanted.line_id, wanted.sku, wanted.quantity, wanted.unit_price_minor, wanted.tax_rate, wanted.category
    )
    listed = within_bounds(wanted.quantity * wanted.unit_price_minor)
    price = PricedLine(wanted.line_id, wanted.quantity, wanted.tax_rate, SoldAs.PRINCIPAL, listed, 0, 0, 0)
    return GoodsOut(wanted.line_id, value, price)


def _numbered(line: GoodsOut, at: int) -> GoodsOut:
    return GoodsOut(line.instead_of, replace(line.value, line_id=str(at)), replace(line.price, line_id=str(at)))
