"""What a change of an order would come to, worked out on the order as it is now and without changing anything.

People are shown the same figures before they decide.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Annotated, Any

from pydantic import BaseModel, Field
from sqlmodel.ext.asyncio.session import AsyncSession

from activities.granting import Payout, held_of, payouts_of
from activities.posting import Sale, sale_of
from domain.changing import (
    AgreedLine,
    Fate,
    LineAfter,
    LinesAsked,
    NothingToChange,
    OrderNotChangeable,
    change_lines,
    totals_after,
)
from domain.errors import DomainError
from domain.flow.decide import match_flow
from domain.order import has_ended, has_happened
from domain.payment_plan import DEPOSIT_BALANCE
from domain.posting.position import SalePosition
from domain.pricing import OrderLineValue, PricedLine, PricedOrder, SoldAs
from domain.refunding import MoneyBack, money_back
from domain.shipping import ParcelStatus
from models.columns import now
from models.masters import Product
from models.order import Order, OrderLine
from store import changing, facts, flows, holds, invoices, orders, payments, products, shipping


class UnknownSku(DomainError):
    """A new line is of goods that the catalogue does not have."""

    code = "unknown_sku"


class PriceMismatch(DomainError):
    """A new line has no price in the catalogue, or another one than was sent by somebody who may not set prices."""

    code = "price_mismatch"


class OutOfStock(DomainError):
    """The order has its goods, and of what it would need besides there is not enough."""

    code = "out_of_stock"


class OtherFlow(DomainError):
    """With this content another flow would have taken the order: it is cancelled and placed anew."""

    code = "change_needs_other_flow"


class DepositTooLarge(DomainError):
    """The deposit would be all there is to pay, or more."""

    code = "deposit_too_large"


class NewLine(BaseModel):
    """A line that comes in; what it leaves out is as the catalogue says."""

    line_id: str
    sku: str
    quantity: Annotated[int, Field(gt=0)]
    unit_price_minor: Annotated[int, Field(ge=0)] | None = None
    tax_rate: Decimal | None = None
    category: str | None = None
    gift_of: str | None = None


class LineWanted(BaseModel):
    """How many units of a line are wanted from now on."""

    line_id: str
    quantity: Annotated[int, Field(ge=0)]


class ChangeWanted(BaseModel):
    """A change as our door has kept it; `sets_prices`: whoever sent it may say what new lines cost."""

    change_id: Annotated[str, Field(min_length=1)]
    lines: list[LineWanted] = []
    add: list[NewLine] = []
    ship_to: dict[str, Any] | None = None
    reason: str
    sets_prices: bool = False


@dataclass(frozen=True)
class Draft:
    """The order before and after the change: lines, address, where its sale stands, and what that means in money."""

    was: tuple[AgreedLine, ...]
    lines: tuple[LineAfter, ...]
    totals: PricedOrder
    ship_to: Mapping[str, Any] | None
    before: SalePosition
    after: SalePosition
    back: MoneyBack
    payouts: tuple[Payout, ...]
    balance_minor: int
    """What an order that had been paid now lacks; it is not shipped before that has come."""
    due_minor: int
    """What is to be paid in all."""
    relevant: bool
    """Whether it is another order to whoever approved it: in lines, amount or country."""

    @property
    def delta_minor(self) -> int:
        return self.after.totals.total_minor - self.before.totals.total_minor

    @property
    def refund_minor(self) -> int:
        return sum(payout.minor for payout in self.payouts)

    @property
    def changes_lines(self) -> bool:
        return any(line.fate is not Fate.KEPT for line in self.lines)


async def draft(session: AsyncSession, order: Order, wanted: ChangeWanted, tolerance_minor: int) -> Draft:
    """What the change would come to now. Raises why it is refused: a `DomainError` that is an answer to the asking.

    What is missing afterwards and is no more than `tolerance_minor` is written off, as when a payment falls short.
    """
    sale = await sale_of(session, order)
    asks_lines = bool(wanted.lines or wanted.add)
    await _check_open(session, order, sale, asks_lines=asks_lines)
    was = tuple(map(_agreed, sale.lines))
    units = {line.line_id: line.quantity for line in wanted.lines}
    asked = LinesAsked(units, tuple(await _new_lines(session, order, wanted)))
    lines = tuple(change_lines(was, asked)) if asks_lines else tuple(_kept(line) for line in was)
    ship_to = wanted.ship_to if wanted.ship_to not in (None, order.ship_to) else None
    worked_out = await _money(session, order, sale, (was, lines), tolerance_minor)
    if ship_to is None and not worked_out.changes_lines:
        raise NothingToChange(order_no=order.order_no)
    moved = ship_to is not None and ship_to.get("country") != order.ship_to.get("country")
    worked_out = replace(worked_out, ship_to=ship_to, relevant=worked_out.changes_lines or moved)
    if worked_out.relevant:
        await _check_flow(session, order, worked_out)
        await _check_stock(session, sale.lines, lines)
    return worked_out


def is_promised(lines: Sequence[OrderLine]) -> bool:
    """Whether the order has all its goods: then it has them after a change as well, or is not changed."""
    return all(line.allocated == line.quantity - line.cancelled for line in lines)


async def _check_open(session: AsyncSession, order: Order, sale: Sale, *, asks_lines: bool) -> None:
    if has_ended(order.lifecycle) or order.cancel_requested_at is not None or sale.undone:
        raise OrderNotChangeable(order_no=order.order_no, lifecycle=order.lifecycle)
    living = {one.shipment.status for one in await shipping.parcels(session, order.order_no) if not one.is_empty}
    # A parcel that the carrier has refused can be sent elsewhere; what it would be asked for next is read anew.
    refused = living == {ParcelStatus.CREATED} and await holds.find_open(session, order.order_no, "carrier_refused")
    if living and (asks_lines or not refused):
        raise OrderNotChangeable("the goods are packed", order_no=order.order_no)
    if not asks_lines:
        return
    if any(one.invoice.state != "rejected" for one in await invoices.of_order(session, order.order_no)):
        raise OrderNotChangeable("the order is invoiced", order_no=order.order_no)
    if order.payment_terms == "none":
        raise OrderNotChangeable("nobody pays for the order", order_no=order.order_no)
    if await payments.unposted(session, order.order_no):
        raise OrderNotChangeable("money waits to be posted", order_no=order.order_no)


def value_of(line: OrderLine) -> OrderLineValue:
    """What the line was agreed to be: goods, units and their price in the list."""
    return OrderLineValue(
        line_id=line.line_id,
        sku=line.sku,
        quantity=line.quantity,
        unit_price_minor=line.unit_price_minor,
        tax_rate=line.tax_rate,
        category=line.category,
        gift_of=line.gift_of,
        store=line.store,
        sold_as=SoldAs(line.sold_as),
    )


def _agreed(line: OrderLine) -> AgreedLine:
    value = value_of(line)
    price = PricedLine(
        line_id=line.line_id,
        quantity=line.quantity,
        tax_rate=line.tax_rate,
        sold_as=value.sold_as,
        list_minor=line.list_minor,
        seller_discount_minor=line.seller_discount_minor,
        platform_discount_minor=line.platform_discount_minor,
        shipping_minor=line.shipping_minor,
    )
    fixed = line.cancelled > 0 or line.refunded > 0 or line.refunded_gross_minor > 0
    return AgreedLine(value, price, line.quantity - line.cancelled, fixed)


def _kept(line: AgreedLine) -> LineAfter:
    return LineAfter(line.value, line.price, line.wanted, Fate.KEPT)


async def _new_lines(session: AsyncSession, order: Order, wanted: ChangeWanted) -> list[OrderLineValue]:
    known = await products.by_sku(session, {line.sku for line in wanted.add}) if wanted.add else {}
    if unknown := sorted({line.sku for line in wanted.add} - known.keys()):
        raise UnknownSku(sku=unknown[0])
    return [_new_line(order, line, known[line.sku], trusted=wanted.sets_prices) for line in wanted.add]


def _new_line(order: Order, line: NewLine, product: Product, *, trusted: bool) -> OrderLineValue:
    in_currency = product.currency in (None, order.currency)
    price = 0 if line.gift_of is not None else (product.price_minor if in_currency else None)
    rate = product.tax_rate
    if trusted:
        price = price if line.unit_price_minor is None else line.unit_price_minor
        rate = rate if line.tax_rate is None else line.tax_rate
    if price is None or rate is None or line.unit_price_minor not in (None, price) or line.tax_rate not in (None, rate):
        raise PriceMismatch(line_id=line.line_id)
    return OrderLineValue(
        line.line_id, line.sku, line.quantity, price, rate, line.category or product.category, line.gift_of
    )


async def _money(
    session: AsyncSession,
    order: Order,
    sale: Sale,
    agreed: tuple[tuple[AgreedLine, ...], tuple[LineAfter, ...]],
    tolerance_minor: int,
) -> Draft:
    before, (was, lines) = sale.position, agreed
    # An address changes no price, whoever pays it.
    changes = any(line.fate is not Fate.KEPT for line in lines)
    after = replace(before, totals=totals_after(before.totals, was, lines)) if changes else before
    _check_deposit(order, after)
    held = await held_of(session, order.order_no) if changes else []
    back = money_back(before, after, sum(payout.minor for payout in held))
    after = after.refunded(back.due_minor)
    if changes and 0 < after.totals.total_minor - after.settled_minor <= tolerance_minor:
        after = replace(after, tolerance_minor=tolerance_minor)
    due = 0 if after.is_settled else max(after.totals.total_minor - after.settled_minor, 0)
    # Met by terms alone, nothing has to come before the goods are sent.
    standing = await orders.standing(session, order.order_no)
    prepaid = order.payment_terms in ("prepaid", DEPOSIT_BALANCE)
    balance = due if prepaid and has_happened("payment.full", standing) else 0
    payouts = payouts_of(held, back.payable_minor)
    totals = PricedOrder.of([line.price for line in lines])
    return Draft(was, lines, totals, None, before, after, back, payouts, balance, due, relevant=False)


def _check_deposit(order: Order, after: SalePosition) -> None:
    deposit = order.deposit_minor if order.payment_terms == DEPOSIT_BALANCE else None
    if deposit is not None and deposit >= after.totals.total_minor:
        raise DepositTooLarge(deposit_minor=deposit, total_minor=after.totals.total_minor)


async def _check_flow(session: AsyncSession, order: Order, worked_out: Draft) -> None:
    """An order that was small enough for its flow is not made big by a change."""
    known = await facts.of_order(session, order)
    country = (worked_out.ship_to or order.ship_to).get("country", "")
    values = [line.value for line in worked_out.lines if line.wanted]
    changed = known | facts.of_content(values, worked_out.totals.total_minor, str(country))
    in_force = await flows.in_force_for(session, order.order_no, order.channel, now())
    if match_flow(in_force, known).key != match_flow(in_force, changed).key:
        raise OtherFlow(order_no=order.order_no, flow=order.flow_key)


async def _check_stock(session: AsyncSession, rows: Sequence[OrderLine], lines: Sequence[LineAfter]) -> None:
    if not is_promised(rows):
        return
    needed: Counter[str] = Counter()
    for line in lines:
        needed[line.value.sku] += line.wanted
    for row in rows:
        needed[row.sku] -= row.allocated
    short = {sku for sku, units in needed.items() if units > 0}
    free = await changing.free_units(session, short) if short else {}
    for sku in sorted(short):
        if needed[sku] > free.get(sku, 0):
            raise OutOfStock(sku=sku, missing=needed[sku] - free.get(sku, 0))
