"""What an order comes to when its lines are changed before anything of it was sent.

Lines of which something was refunded or taken out keep their stored price and are not changed again; what discounts and
shipping fee the others had is shared anew among those that are there afterwards, by the functions that priced the order
when it was placed. So nothing of a discount is lost, and units that were refunded never come back.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum

from domain.errors import DomainError
from domain.money import CannotSplit
from domain.posting.position import SaleTotals
from domain.pricing import (
    Discount,
    DuplicateLineId,
    FundedBy,
    InvalidGift,
    OrderLineValue,
    PricedLine,
    PricedOrder,
    price_order,
)
from domain.refunding import NothingLeftToShip, UnknownLine


class OrderNotChangeable(DomainError):
    """The order has ended or is being undone, its goods are packed or invoiced, or nobody pays for it."""

    code = "order_not_changeable"


class LineFixed(DomainError):
    """Something of the line was refunded or taken out: it stays as it is, and more of its goods come as a line anew."""

    code = "line_fixed"


class NothingToChange(DomainError):
    """The order is already as it is asked to be."""

    code = "nothing_to_change"


class Fate(StrEnum):
    """What a change does to a line."""

    KEPT = "kept"
    CHANGED = "changed"
    ADDED = "added"
    REMOVED = "removed"


@dataclass(frozen=True, slots=True)
class AgreedLine:
    """A line as it stands. `wanted`: units that are still to be sent; `fixed`: its stored price stays as it is."""

    value: OrderLineValue
    price: PricedLine
    wanted: int
    fixed: bool = False


@dataclass(frozen=True, slots=True)
class LinesAsked:
    """How many units of lines are wanted from now on (none: the line is taken out), and lines that come in."""

    units: Mapping[str, int] = field(default_factory=dict)
    added: tuple[OrderLineValue, ...] = ()


@dataclass(frozen=True, slots=True)
class LineAfter:
    """A line as it is after the change; one that was taken out keeps its units and costs nothing."""

    value: OrderLineValue
    price: PricedLine
    wanted: int
    fate: Fate


def change_lines(lines: Sequence[AgreedLine], asked: LinesAsked) -> list[LineAfter]:
    """The order's lines after the change, those that come in last.

    Raises `UnknownLine`, `LineFixed`, `DuplicateLineId`, `InvalidGift`, `NothingLeftToShip`, `CannotSplit`, and
    whatever speaks against the new lines as a price: `DiscountAbovePrice`, `InvalidQuantity` and their kin.
    """
    _check(lines, asked)
    drafts = [_draft(line, asked.units.get(line.value.line_id, line.wanted)) for line in lines]
    drafts += [LineAfter(new, _free(new), new.quantity, Fate.ADDED) for new in asked.added]
    if not any(draft.wanted for draft in drafts):
        raise NothingLeftToShip()
    _check_parents(lines, drafts)
    open_lines = [line.price for line in lines if not line.fixed]
    fixed = {line.value.line_id for line in lines if line.fixed}
    return _priced(drafts, open_lines, fixed)


def totals_after(before: SaleTotals, lines: Sequence[AgreedLine], after: Sequence[LineAfter]) -> SaleTotals:
    """What the sale comes to after the change, refunds that were granted before staying what they are.

    Raises `OrderNotChangeable` where a platform pays for all of it, before or after: it owes that from the first moment
    on, whoever else pays.
    """
    after_all = _totals_after(before, lines, after)
    if 0 in (before.total_minor, after_all.total_minor) and (before.platform_minor or after_all.platform_minor):
        raise OrderNotChangeable("a platform pays for all of the order")
    return after_all


def _totals_after(before: SaleTotals, lines: Sequence[AgreedLine], after: Sequence[LineAfter]) -> SaleTotals:
    was, comes = SaleTotals.of(_order(lines)), SaleTotals.of(_order(after))
    return SaleTotals(
        total_minor=before.total_minor + comes.total_minor - was.total_minor,
        tax_minor=before.tax_minor + comes.tax_minor - was.tax_minor,
        platform_minor=before.platform_minor + comes.platform_minor - was.platform_minor,
        agent_minor=before.agent_minor + comes.agent_minor - was.agent_minor,
    )


def _order(lines: Sequence[AgreedLine] | Sequence[LineAfter]) -> PricedOrder:
    return PricedOrder.of([line.price for line in lines])


def _check(lines: Sequence[AgreedLine], asked: LinesAsked) -> None:
    by_id = {line.value.line_id: line for line in lines}
    if unknown := sorted(asked.units.keys() - by_id.keys()):
        raise UnknownLine(line_id=unknown[0])
    for line_id in sorted(asked.units):
        if by_id[line_id].fixed:
            raise LineFixed(line_id=line_id)
    seen = set(by_id)
    for new in asked.added:
        if new.line_id in seen:
            raise DuplicateLineId(line_id=new.line_id)
        seen.add(new.line_id)


def _draft(line: AgreedLine, units: int) -> LineAfter:
    """The line with so many units, not priced anew yet."""
    if line.fixed or units == line.wanted:
        return LineAfter(line.value, line.price, line.wanted, Fate.KEPT)
    if units == 0:
        return LineAfter(line.value, _free(line.value), 0, Fate.REMOVED)
    return LineAfter(replace(line.value, quantity=units), line.price, units, Fate.CHANGED)


def _free(value: OrderLineValue) -> PricedLine:
    return PricedLine(value.line_id, value.quantity, value.tax_rate, value.sold_as, 0, 0, 0, 0)


def _check_parents(lines: Sequence[AgreedLine], drafts: Sequence[LineAfter]) -> None:
    """A gift goes with the line it came with, and comes with one that is there."""
    had = {line.value.line_id for line in lines if line.wanted}
    has = {draft.value.line_id for draft in drafts if draft.wanted}
    for draft in drafts:
        parent = draft.value.gift_of
        if parent is None or not draft.wanted or parent in has:
            continue
        # A parent that had gone before, by a refund, has left its gift behind with the customer.
        if draft.fate is Fate.ADDED or parent in had:
            raise InvalidGift(line_id=draft.value.line_id, gift_of=parent)


def _priced(drafts: list[LineAfter], open_lines: Sequence[PricedLine], fixed: set[str]) -> list[LineAfter]:
    seller = sum(line.seller_discount_minor for line in open_lines)
    platform = sum(line.platform_discount_minor for line in open_lines)
    fee = sum(line.shipping_minor for line in open_lines)
    live = [draft.value for draft in drafts if draft.wanted and draft.value.line_id not in fixed]
    if not live:
        if seller or platform or fee:
            raise CannotSplit(discount_minor=seller + platform, shipping_minor=fee)
        return drafts
    ids = {value.line_id for value in live}
    values = [value if value.gift_of in ids else _by_itself(value) for value in live]
    discounts = [Discount("order", None, seller, FundedBy.SELLER), Discount("order", None, platform, FundedBy.PLATFORM)]
    prices = {price.line_id: price for price in price_order(values, discounts, fee).lines}
    return [replace(draft, price=prices.get(draft.value.line_id, draft.price)) for draft in drafts]


def _by_itself(value: OrderLineValue) -> OrderLineValue:
    """A gift whose parent keeps its stored price is priced without it: at nothing all the same."""
    if value.gift_of is not None and value.unit_price_minor:
        raise InvalidGift(line_id=value.line_id, gift_of=value.gift_of)
    return replace(value, gift_of=None)
