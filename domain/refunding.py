"""What goes back when a part of a sale is taken back: shares of the stored price components, exact to the minor unit.

Each refund takes its share of what is left of its line. So the last one takes the remainder, and however a line is
refunded, in parts, by units or by amounts, the parts sum to its stored price.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum

from domain.errors import DomainError
from domain.money import InvalidAmount, split
from domain.posting.position import SalePosition, SaleTotals
from domain.posting.progress import LineProgress
from domain.posting.roles import Role
from domain.pricing import QuantityExceeded, share_of_line


class RefundKind(StrEnum):
    """What a refund gives back: units of lines, the fee for shipping them, or an amount out of goodwill."""

    UNITS = "units"
    SHIPPING = "shipping"
    GOODWILL = "goodwill"


class RefundAbovePaid(DomainError):
    """More is to go back than is left of the price, or of the money that came in."""

    code = "refund_above_paid"


class UnitsPacked(DomainError):
    """Units lie in a parcel that has not arrived: they can be refunded before it is packed, or once they are there."""

    code = "units_packed"


class NothingLeftToShip(DomainError):
    """The order would go on with nothing to send: that is a cancellation."""

    code = "nothing_left_to_ship"


class UnknownLine(DomainError):
    """The order has no line of this id."""

    code = "unknown_line"


class ReasonNotAllowed(DomainError):
    """The reason is not one for a refund of this kind."""

    code = "refund_reason_not_allowed"


REFUSALS = (
    InvalidAmount,
    NothingLeftToShip,
    QuantityExceeded,
    ReasonNotAllowed,
    RefundAbovePaid,
    UnitsPacked,
    UnknownLine,
)
"""What speaks against a refund as it was asked for; whatever else goes wrong is no answer to the asking."""


@dataclass(frozen=True, slots=True)
class RefundReason:
    """Why value goes back: its names, the kinds of refund it is for, and the role of the account that bears it.

    Borne by `REVENUE`, a refund lowers the price, its VAT and what is invoiced. Borne by another role it is an expense
    of ours, and the sale stays as it was.
    """

    zh: str
    en: str
    kinds: frozenset[RefundKind]
    role: Role = Role.REVENUE


_ANY = frozenset(RefundKind)
_UNITS = frozenset({RefundKind.UNITS})
_AMOUNTS = frozenset({RefundKind.SHIPPING, RefundKind.GOODWILL})

REFUND_REASONS: Mapping[str, RefundReason] = {
    "changed_mind": RefundReason("买家不想要了", "The buyer does not want it any more", _UNITS),
    "out_of_stock": RefundReason("缺货", "It cannot be sent", _UNITS),
    "not_delivered": RefundReason("未送达", "It did not arrive", _UNITS),
    "goods_returned": RefundReason("退货", "The goods came back", _UNITS),
    "missing": RefundReason("少件", "It was not in the parcel", _UNITS),
    "wrong_item": RefundReason("发错货", "Another thing was sent", _ANY),
    "damaged": RefundReason("破损", "It arrived damaged", _ANY),
    "defective": RefundReason("质量问题", "It does not work", _ANY),
    "late_delivery": RefundReason("延迟送达", "It came too late", _AMOUNTS),
    "price_reduction": RefundReason("降价补差", "The price was lowered", frozenset({RefundKind.GOODWILL})),
    "shipping_waived": RefundReason("退运费", "Shipping is free after all", frozenset({RefundKind.SHIPPING})),
    "compensation": RefundReason(
        "赔付", "Compensation at our own expense", frozenset({RefundKind.GOODWILL}), Role.COMPENSATION
    ),
}


def reason_for(code: str, kind: RefundKind) -> RefundReason:
    """The reason of this code. Raises `ReasonNotAllowed` where there is none, or none for this kind."""
    reason = REFUND_REASONS.get(code)
    if reason is None or kind not in reason.kinds:
        raise ReasonNotAllowed(kind=kind.value)
    return reason


@dataclass(frozen=True, slots=True)
class OpenLine:
    """What is left of an order line: its units, and what of its stored price was not refunded yet, in minor units."""

    line_id: str
    unshipped: int
    """Units that are in no parcel yet."""
    delivered: int
    """Units that arrived and were not refunded."""
    under_way: int
    """Units in parcels that have not arrived."""
    gross_minor: int
    tax_minor: int
    platform_minor: int = 0
    shipping_minor: int = 0

    @property
    def units(self) -> int:
        return self.unshipped + self.delivered + self.under_way

    @property
    def payable_minor(self) -> int:
        """What of the price the customer bears; a platform bears the rest."""
        return self.gross_minor - self.platform_minor

    def after(self, taken: "LineRefund") -> "OpenLine":
        """What is left once `taken` is gone."""
        return replace(
            self,
            unshipped=self.unshipped - taken.unshipped,
            delivered=self.delivered - taken.delivered,
            gross_minor=self.gross_minor - taken.gross_minor,
            tax_minor=self.tax_minor - taken.tax_minor,
            platform_minor=self.platform_minor - taken.platform_minor,
            shipping_minor=self.shipping_minor - taken.shipping_minor,
        )


@dataclass(frozen=True, slots=True)
class LineRefund:
    """What a refund takes of one line. `unshipped` units will never be sent, `delivered` ones were."""

    line_id: str
    kind: RefundKind
    unshipped: int
    delivered: int
    gross_minor: int
    tax_minor: int
    platform_minor: int
    shipping_minor: int

    @property
    def quantity(self) -> int:
        return self.unshipped + self.delivered

    @property
    def net_minor(self) -> int:
        return self.gross_minor - self.tax_minor

    @property
    def payable_minor(self) -> int:
        """What of it is the customer's."""
        return self.gross_minor - self.platform_minor


def refund_units(line: OpenLine, quantity: int, *, delivered_only: bool = False) -> LineRefund:
    """The share of every component that `quantity` units carry; units that were not sent go first.

    Raises `QuantityExceeded` where fewer are left, and `UnitsPacked` where those that are left are under way.
    """
    unshipped = 0 if delivered_only else min(quantity, line.unshipped)
    delivered = quantity - unshipped
    if quantity <= 0 or delivered > line.delivered:
        if not delivered_only and 0 < quantity <= line.units:
            raise UnitsPacked(line_id=line.line_id, under_way=line.under_way)
        raise QuantityExceeded(line_id=line.line_id, left=line.delivered if delivered_only else line.units)

    def share(minor: int) -> int:
        return share_of_line(minor, line.units, 0, quantity)

    return LineRefund(
        line_id=line.line_id,
        kind=RefundKind.UNITS,
        unshipped=unshipped,
        delivered=delivered,
        gross_minor=share(line.gross_minor),
        tax_minor=share(line.tax_minor),
        platform_minor=share(line.platform_minor),
        shipping_minor=share(line.shipping_minor),
    )


def refund_shipping(lines: Sequence[OpenLine], minor: int | None = None) -> list[LineRefund]:
    """`minor` of the shipping fee, or all that is left of it, as the lines bear it. Raises `RefundAbovePaid`."""
    room = [min(line.shipping_minor, line.payable_minor) for line in lines]
    wanted = sum(room) if minor is None else minor
    shares = _within(wanted, room, [line.line_id for line in lines])
    taken = zip(lines, shares, strict=True)
    return [_amount(line, RefundKind.SHIPPING, share, shipping_minor=share) for line, share in taken if share]


def refund_goodwill(lines: Sequence[OpenLine], minor: int) -> list[LineRefund]:
    """`minor` off the price, spread over the lines by what is left of it. Raises `RefundAbovePaid`."""
    room = [line.payable_minor for line in lines]
    shares = _within(minor, room, [line.line_id for line in lines])
    return [_amount(line, RefundKind.GOODWILL, share) for line, share in zip(lines, shares, strict=True) if share]


def _within(minor: int, room: Sequence[int], keys: Sequence[str]) -> list[int]:
    if minor <= 0:
        raise InvalidAmount("a refund is more than nothing", minor=minor)
    if minor > sum(room):
        raise RefundAbovePaid(left_minor=sum(room))
    return split(minor, room, keys)


def _amount(line: OpenLine, kind: RefundKind, minor: int, shipping_minor: int = 0) -> LineRefund:
    # The tax follows the amount as it followed the price; all of what is left carries all the tax that is left.
    tax = share_of_line(line.tax_minor, line.gross_minor, 0, minor)
    return LineRefund(line.line_id, kind, 0, 0, minor, tax, 0, shipping_minor)


@dataclass(frozen=True, slots=True)
class MoneyBack:
    """What of a refund is money, and who bears what the money does not cover."""

    due_minor: int
    """What the customer has paid too much now."""
    payable_minor: int
    """What of it is paid out: never more than is left of what came in."""

    @property
    def absorbed_minor(self) -> int:
        """What he was given as compensation before: it counts towards what is due now."""
        return self.due_minor - self.payable_minor


def money_back(before: SalePosition, after: SalePosition, held_minor: int) -> MoneyBack:
    """What goes back when a sale falls in price from `before` to `after`, `held_minor` being left of the money paid.

    What is still owed is owed less first. A sale of which nothing is left gives back all that came in.
    """
    reduction = before.totals.total_minor - after.totals.total_minor
    owed = 0 if before.is_settled else max(before.totals.total_minor - before.settled_minor, 0)
    due = max(min(reduction - owed, before.settled_minor), 0)
    if after.totals.total_minor == 0 and reduction:
        due = before.settled_minor
    return MoneyBack(due, min(due, held_minor))


@dataclass(frozen=True, slots=True)
class RefundAsk:
    """What somebody wants to be given back: `units` of lines, or `minor` of the price (None: all shipping)."""

    kind: RefundKind
    reason_code: str
    units: Mapping[str, int] = field(default_factory=dict)
    minor: int | None = None
    delivered_only: bool = False

    @property
    def reason(self) -> RefundReason:
        """Raises `ReasonNotAllowed`."""
        return reason_for(self.reason_code, self.kind)


def taken_by(ask: RefundAsk, lines: Sequence[OpenLine]) -> list[LineRefund]:
    """What the refund takes of each line; nothing where another account than revenue bears it.

    Raises `UnknownLine`, `QuantityExceeded`, `UnitsPacked`, `RefundAbovePaid`, `InvalidAmount`, `ReasonNotAllowed`.
    """
    if ask.reason.role is not Role.REVENUE:
        return []
    if ask.kind is RefundKind.SHIPPING:
        return refund_shipping(lines, ask.minor)
    if ask.kind is RefundKind.GOODWILL:
        return refund_goodwill(lines, ask.minor or 0)
    by_id = {line.line_id: line for line in lines}
    if unknown := sorted(ask.units.keys() - by_id.keys()):
        raise UnknownLine(line_id=unknown[0])
    wanted = ask.units.items()
    return [refund_units(by_id[line_id], units, delivered_only=ask.delivered_only) for line_id, units in wanted]


def position_after(
    before: SalePosition, progress: Mapping[str, LineProgress], taken: Sequence[LineRefund]
) -> SalePosition:
    """Where the sale stands once `taken` is gone, before any money goes back.

    `progress` has the lines sold as principal; what is taken of others was a consignor's.
    """
    own = [one for one in taken if one.line_id in progress]
    totals = SaleTotals(
        total_minor=before.totals.total_minor - sum(one.payable_minor for one in taken),
        tax_minor=before.totals.tax_minor - sum(one.tax_minor for one in own),
        platform_minor=before.totals.platform_minor - sum(one.platform_minor for one in taken),
        agent_minor=before.totals.agent_minor - sum(one.gross_minor for one in taken if one.line_id not in progress),
    )
    moved = [(progress[one.line_id], _without(progress[one.line_id], one)) for one in own]
    return replace(
        before,
        totals=totals,
        passed_net_minor=before.passed_net_minor
        + sum(new.passed_net_minor - old.passed_net_minor for old, new in moved),
        passed_tax_minor=before.passed_tax_minor
        + sum(new.passed_tax_minor - old.passed_tax_minor for old, new in moved),
        tax_due_minor=before.tax_due_minor + sum(new.tax_due_minor - old.tax_due_minor for old, new in moved),
    )


def _without(line: LineProgress, taken: LineRefund) -> LineProgress:
    return replace(
        line,
        quantity=line.quantity - taken.quantity,
        net_minor=line.net_minor - taken.net_minor,
        tax_minor=line.tax_minor - taken.tax_minor,
        passed=line.passed - taken.delivered,
    )
