"""What an order says it costs, apportioned to its lines once and for all. Prices include tax and are kept as sent.

Refunds and invoices take their share from these figures and never compute them again.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum

from domain.errors import DomainError
from domain.money import InvalidAmount, InvalidRate, net_of_gross, split, within_bounds


class SoldAs(StrEnum):
    """Whether we control the goods before the customer does; said by the order, never inferred from a payment."""

    PRINCIPAL = "principal"
    AGENT = "agent"


class FundedBy(StrEnum):
    """Who bears a discount: the seller earns less, or a platform pays the seller the difference."""

    SELLER = "seller"
    PLATFORM = "platform"


class NoLines(DomainError):
    """An order without lines has no price."""

    code = "no_lines"


class DuplicateLineId(DomainError):
    """Two lines of one order carry the same line id."""

    code = "duplicate_line_id"


class InvalidQuantity(DomainError):
    """A quantity is not a whole number above zero."""

    code = "invalid_quantity"


class InvalidGift(DomainError):
    """A gift hangs on a line that is unknown or itself a gift, or it has a price."""

    code = "invalid_gift"


class DiscountAbovePrice(DomainError):
    """The discounts take more than the order costs."""

    code = "discount_above_price"


class ShippingSharesMismatch(DomainError):
    """The shipping shares given per line are not one per line or do not add up to the shipping fee."""

    code = "shipping_shares_mismatch"


class QuantityExceeded(DomainError):
    """More of a line is taken than is left of it."""

    code = "quantity_exceeded"


@dataclass(frozen=True, slots=True)
class OrderLineValue:
    """One SKU at one tax-inclusive price. A gift names the line it comes with and costs nothing."""

    line_id: str
    sku: str
    quantity: int
    unit_price_minor: int
    tax_rate: Decimal
    category: str | None = None
    gift_of: str | None = None
    store: str | None = None
    sold_as: SoldAs = SoldAs.PRINCIPAL


@dataclass(frozen=True, slots=True)
class Discount:
    """A reduction of the whole order by `amount_minor`, zero or more."""

    kind: str
    code: str | None
    amount_minor: int
    funded_by: FundedBy


@dataclass(frozen=True, slots=True)
class PricedLine:
    """A line's share of every component of the price. Discounts are positive numbers that reduce it."""

    line_id: str
    quantity: int
    tax_rate: Decimal
    sold_as: SoldAs
    list_minor: int
    seller_discount_minor: int
    platform_discount_minor: int
    shipping_minor: int

    @property
    def transaction_minor(self) -> int:
        """What the seller earns, tax included: the customer's money and what a platform adds."""
        return self.list_minor - self.seller_discount_minor + self.shipping_minor

    @property
    def payable_minor(self) -> int:
        """What the customer pays for the line."""
        return self.transaction_minor - self.platform_discount_minor

    @property
    def net_minor(self) -> int:
        """The transaction price without tax, rounded once for the whole line."""
        return net_of_gross(self.transaction_minor, self.tax_rate)

    @property
    def tax_minor(self) -> int:
        """The tax in the transaction price: what is left of it beside the net."""
        return self.transaction_minor - self.net_minor


@dataclass(frozen=True, slots=True)
class TaxTotal:
    """All of an order under one tax rate."""

    rate: Decimal
    net_minor: int
    tax_minor: int


@dataclass(frozen=True, slots=True)
class PricedOrder:
    """The lines with their components, in the order given, and the totals, each the exact sum of the lines."""

    lines: tuple[PricedLine, ...]
    list_minor: int
    seller_discount_minor: int
    platform_discount_minor: int
    shipping_minor: int
    total_minor: int
    transaction_minor: int
    net_minor: int
    tax_minor: int

    @classmethod
    def of(cls, lines: Sequence[PricedLine]) -> "PricedOrder":
        return cls(
            lines=tuple(lines),
            list_minor=sum(line.list_minor for line in lines),
            seller_discount_minor=sum(line.seller_discount_minor for line in lines),
            platform_discount_minor=sum(line.platform_discount_minor for line in lines),
            shipping_minor=sum(line.shipping_minor for line in lines),
            total_minor=sum(line.payable_minor for line in lines),
            transaction_minor=sum(line.transaction_minor for line in lines),
            net_minor=sum(line.net_minor for line in lines),
            tax_minor=sum(line.tax_minor for line in lines),
        )

    def tax_by_rate(self) -> tuple[TaxTotal, ...]:
        """Net and tax per rate, highest rate first; they sum to the order's net and tax."""
        rates = sorted({line.tax_rate for line in self.lines}, reverse=True)
        groups = [(rate, [line for line in self.lines if line.tax_rate == rate]) for rate in rates]
        return tuple(
            TaxTotal(rate, sum(line.net_minor for line in group), sum(line.tax_minor for line in group))
            for rate, group in groups
        )


def price_order(
    lines: Sequence[OrderLineValue],
    discounts: Sequence[Discount],
    shipping_fee_minor: int,
    shipping_shares: Mapping[str, int] | None = None,
) -> PricedOrder:
    """Apportion discounts and shipping over the lines by their list amounts; every sum is exact.

    `shipping_shares` (line id to minor units) are taken as they are where the source states them. Discounts greater
    than the list amounts eat into the shipping fee; beyond that they raise `DiscountAbovePrice`. Also raises
    `NoLines`, `DuplicateLineId`, `InvalidQuantity`, `InvalidAmount`, `InvalidRate`, `InvalidGift`,
    `ShippingSharesMismatch`, `AmountTooLarge`.
    """
    _check_lines(lines)
    _check_discounts(discounts)
    keys = [line.line_id for line in lines]
    amounts = [within_bounds(line.quantity * line.unit_price_minor) for line in lines]
    shipping = _shipping(keys, amounts, shipping_fee_minor, shipping_shares)
    within_bounds(sum(amounts) + shipping_fee_minor)
    seller, platform = _discount_shares(keys, amounts, shipping, discounts)
    return PricedOrder.of(
        [
            PricedLine(
                line_id=line.line_id,
                quantity=line.quantity,
                tax_rate=line.tax_rate,
                sold_as=line.sold_as,
                list_minor=amounts[at],
                seller_discount_minor=seller[at],
                platform_discount_minor=platform[at],
                shipping_minor=shipping[at],
            )
            for at, line in enumerate(lines)
        ]
    )


def share_of_line(component_minor: int, quantity: int, taken_before: int, taking: int) -> int:
    """The part of a line's component that `taking` of its `quantity` units carry, `taken_before` being gone already.

    However a line is taken apart, its parts sum to the component exactly. Raises `QuantityExceeded`.
    """
    if quantity <= 0 or taken_before < 0 or taking < 0 or taken_before + taking > quantity:
        raise QuantityExceeded(quantity=quantity, taken_before=taken_before, taking=taking)
    return _upto(component_minor, quantity, taken_before + taking) - _upto(component_minor, quantity, taken_before)


def _upto(component_minor: int, quantity: int, units: int) -> int:
    half_up = (2 * abs(component_minor) * units + quantity) // (2 * quantity)
    return half_up if component_minor >= 0 else -half_up


def _check_lines(lines: Sequence[OrderLineValue]) -> None:
    if not lines:
        raise NoLines()
    by_id: dict[str, OrderLineValue] = {}
    for line in lines:
        if line.line_id in by_id:
            raise DuplicateLineId(line_id=line.line_id)
        by_id[line.line_id] = line
        if type(line.quantity) is not int or line.quantity <= 0:
            raise InvalidQuantity(line_id=line.line_id)
        if type(line.unit_price_minor) is not int or line.unit_price_minor < 0:
            raise InvalidAmount("a unit price is zero or more", line_id=line.line_id)
        if not line.tax_rate.is_finite() or not 0 <= line.tax_rate <= 1:
            raise InvalidRate("a tax rate lies between 0 and 1", line_id=line.line_id)
    for line in lines:
        if line.gift_of is not None:
            _check_gift(line, by_id.get(line.gift_of))


def _check_gift(gift: OrderLineValue, parent: OrderLineValue | None) -> None:
    if parent is None:
        raise InvalidGift("the gift's line does not exist", line_id=gift.line_id, gift_of=gift.gift_of)
    if parent.gift_of is not None:
        raise InvalidGift("a gift cannot hang on a gift", line_id=gift.line_id, gift_of=gift.gift_of)
    if gift.unit_price_minor:
        raise InvalidGift("a gift has no price", line_id=gift.line_id)


def _check_discounts(discounts: Sequence[Discount]) -> None:
    for discount in discounts:
        if type(discount.amount_minor) is not int or discount.amount_minor < 0:
            raise InvalidAmount("a discount is zero or more", kind=discount.kind)


def _shipping(
    keys: Sequence[str], amounts: Sequence[int], fee_minor: int, given: Mapping[str, int] | None
) -> list[int]:
    if fee_minor < 0:
        raise InvalidAmount("a shipping fee is zero or more")
    if given is None:
        return split(fee_minor, amounts, keys)
    if set(given) != set(keys) or min(given.values()) < 0 or sum(given.values()) != fee_minor:
        raise ShippingSharesMismatch(shipping_fee_minor=fee_minor)
    return [given[key] for key in keys]


def _discount_shares(
    keys: Sequence[str], amounts: Sequence[int], shipping: Sequence[int], discounts: Sequence[Discount]
) -> tuple[list[int], list[int]]:
    by_seller, by_platform = (
        sum(discount.amount_minor for discount in discounts if discount.funded_by == funder)
        for funder in (FundedBy.SELLER, FundedBy.PLATFORM)
    )
    bases = list(amounts)
    if by_seller + by_platform > sum(bases):
        bases = [amount + share for amount, share in zip(amounts, shipping, strict=True)]
    if by_seller + by_platform > sum(bases):
        raise DiscountAbovePrice(discount_minor=by_seller + by_platform, price_minor=sum(bases))
    seller = split(by_seller, bases, keys)
    room = [base - share for base, share in zip(bases, seller, strict=True)]
    return seller, _fitted(split(by_platform, bases, keys), room)


def _fitted(shares: list[int], room: Sequence[int]) -> list[int]:
    # Both splits can round up on the same line; the unit too many moves to the line with the most room.
    fitted = [min(share, free) for share, free in zip(shares, room, strict=True)]
    for _unit in range(sum(shares) - sum(fitted)):
        roomiest = max(range(len(fitted)), key=lambda at: room[at] - fitted[at])
        fitted[roomiest] += 1
    return fitted
