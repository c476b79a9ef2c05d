"""Giving value of a sale back: worked out on what is left of it, then written with everything that follows.

Working it out changes nothing; people are shown the same figures before they decide.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlmodel.ext.asyncio.session import AsyncSession

from activities import refunds
from activities.posting import Sale, sale_of
from domain.allocation import Allocation
from domain.errors import DomainError
from domain.order import Lifecycle, has_ended
from domain.posting.entry import some
from domain.posting.position import SalePosition
from domain.posting.roles import Role
from domain.posting.sale import compensation_absorbed, compensation_granted, refund_approved
from domain.refunding import REFUSALS as domain_refusals
from domain.refunding import (
    LineRefund,
    MoneyBack,
    NothingLeftToShip,
    OpenLine,
    RefundAbovePaid,
    RefundAsk,
    money_back,
    position_after,
    taken_by,
)
from domain.shipping import VOIDABLE
from models.columns import now
from models.order import Order, OrderLine
from models.payment import Payment
from models.refunding import GrantedRefund, GrantedRefundLine
from store import events, holds, inbox, journal, orders, payments, shipping, stock
from store.events import Event
from store.journal import PostingContext


class OrderNotRefundable(DomainError):
    """The order was broken off, or is being: all its money goes back by that."""

    code = "order_not_refundable"


REFUSALS = (OrderNotRefundable, *domain_refusals)


@dataclass(frozen=True)
class Payout:
    """A part of a payment that goes back."""

    payment: Payment
    minor: int


@dataclass(frozen=True)
class Draft:
    """What a refund comes to: of each line, in money, and where the sale stands before and after it."""

    taken: tuple[LineRefund, ...]
    back: MoneyBack
    compensation_minor: int
    payouts: tuple[Payout, ...]
    before: SalePosition
    after: SalePosition

    @property
    def payout_minor(self) -> int:
        return sum(payout.minor for payout in self.payouts)


@dataclass(frozen=True)
class Grant:
    """Who gives what back under which id, and why; `return_no`: for goods that came back.

    `credited_to`: the order that its money is kept for, instead of being paid out.
    """

    grant_id: str
    ask: RefundAsk
    actor: str
    reason: str | None = None
    return_no: str | None = None
    message_id: str | None = None
    credited_to: str | None = None


async def draft(session: AsyncSession, order: Order, ask: RefundAsk) -> Draft:
    """What the refund would come to now. Raises why it is refused, one of `REFUSALS`."""
    if order.cancel_requested_at is not None or (has_ended(order.lifecycle) and order.lifecycle != Lifecycle.COMPLETED):
        raise OrderNotRefundable(order_no=order.order_no, lifecycle=order.lifecycle)
    sale = await sale_of(session, order)
    if ask.reason.role is not Role.REVENUE:
        return await _compensation(session, order, sale, ask.minor or 0)
    taken = taken_by(ask, await open_lines(session, order.order_no, sale.lines))
    if not has_ended(order.lifecycle) and _leaves_nothing(sale.lines, taken):
        raise NothingLeftToShip(order_no=order.order_no)
    after = position_after(sale.position, sale.progress, taken)
    held = await held_of(session, order.order_no)
    back = money_back(sale.position, after, sum(payout.minor for payout in held))
    after = after.refunded(back.due_minor)
    return Draft(tuple(taken), back, 0, payouts_of(held, back.payable_minor), sale.position, after)


async def _compensation(session: AsyncSession, order: Order, sale: Sale, minor: int) -> Draft:
    held = await held_of(session, order.order_no)
    left = sum(payout.minor for payout in held)
    if minor > left:
        raise RefundAbovePaid(left_minor=left)
    return Draft((), MoneyBack(0, 0), minor, payouts_of(held, minor), sale.position, sale.position)


async def held_of(session: AsyncSession, order_no: str) -> list[Payout]:
    """What is left of the order's money, the latest payment first."""
    left = await payments.left_of(session, order_no)
    return [Payout(payment, minor) for payment, minor in reversed(left) if payment.state == payments.APPLIED]


def payouts_of(held: Sequence[Payout], minor: int) -> tuple[Payout, ...]:
    """`minor` of this money, the first of it first."""
    chosen = []
    for payout in held:
        part = min(payout.minor, minor)
        minor -= part
        if part:
            chosen.append(Payout(payout.payment, part))
    return tuple(chosen)


async def open_lines(session: AsyncSession, order_no: str, lines: Sequence[OrderLine]) -> list[OpenLine]:
    """What is left of each line, by where its units are."""
    packed = _packed(await shipping.parcels(session, order_no))
    return [_open_line(line, sum(packed.get(line.line_id, {}).values())) for line in lines]


def _packed(parcels: Sequence[shipping.Parcel]) -> dict[str, dict[str, int]]:
    """Units of each line in parcels that are not empty, by warehouse."""
    packed: dict[str, dict[str, int]] = {}
    for parcel in parcels:
        if not parcel.is_empty:
            for unit in parcel.lines:
                at = packed.setdefault(unit.line_id, {})
                at[parcel.shipment.warehouse] = at.get(parcel.shipment.warehouse, 0) + unit.quantity
    return packed


def _open_line(line: OrderLine, packed: int) -> OpenLine:
    # A parcel can be reported before it was packed here; what was shipped is in a parcel whatever the rows say.
    packed = max(packed, line.shipped)
    return OpenLine(
        line_id=line.line_id,
        unshipped=line.quantity - line.cancelled - packed,
        delivered=line.delivered - line.refunded,
        under_way=packed - line.delivered,
        gross_minor=line.gross_minor - line.refunded_gross_minor,
        tax_minor=line.tax_minor - line.refunded_tax_minor,
        platform_minor=line.platform_discount_minor - line.refunded_platform_minor,
        shipping_minor=line.shipping_minor - line.refunded_shipping_minor,
    )


def _leaves_nothing(lines: Sequence[OrderLine], taken: Sequence[LineRefund]) -> bool:
    unshipped = sum(one.unshipped for one in taken)
    return unshipped > 0 and sum(line.quantity - line.cancelled for line in lines) == unshipped


async def grant(session: AsyncSession, order: Order, wanted: Grant, worked_out: Draft, node: str) -> GrantedRefund:
    """Afterwards the refund is granted as it was worked out: lines, stock, books and what is to be paid out follow it.

    To be called once for an id, in the transaction that worked it out, with the order's row locked and the revenue of
    what was delivered in the books.
    """
    granted = _row(order, wanted, worked_out)
    session.add(granted)
    await session.flush()
    await _take(session, order, wanted, worked_out.taken)
    added = await refunds.new_refunds(
        session, order, [(one.payment, one.minor) for one in worked_out.payouts], f"{refunds.GRANTED}{wanted.grant_id}"
    )
    for refund, _payment in added:
        refund.credited_to = wanted.credited_to
        session.add(refund)
    await _post(session, order, wanted, worked_out)
    order.written_off_minor = worked_out.after.balances()[Role.ROUNDING]
    if worked_out.after.is_settled:
        # What was missing is not wanted any more.
        await holds.resolve(
            session, order, ("payment_short", "change_unpaid"), "paid", by="orderflow", reason="less is due now"
        )
    await events.record(session, order, _told(wanted, worked_out, granted, node))
    for refund, _payment in added:
        if refund.credited_to is None:
            await refunds.note_requested(session, order, refund, node)
    if order.closed_at is None:
        await inbox.tell_adjusted(session, order.order_no, wanted.grant_id)
    return granted


def _row(order: Order, wanted: Grant, worked_out: Draft) -> GrantedRefund:
    return GrantedRefund(
        order_no=order.order_no,
        grant_id=wanted.grant_id,
        kind=wanted.ask.kind.value,
        reason_code=wanted.ask.reason_code,
        reason=wanted.reason,
        return_no=wanted.return_no,
        currency=order.currency,
        reduction_minor=sum(one.payable_minor for one in worked_out.taken),
        platform_minor=sum(one.platform_minor for one in worked_out.taken),
        tax_minor=sum(one.tax_minor for one in worked_out.taken),
        payout_minor=worked_out.payout_minor,
        absorbed_minor=worked_out.back.absorbed_minor,
        compensation_minor=worked_out.compensation_minor,
        granted_by=wanted.actor,
    )


async def _take(session: AsyncSession, order: Order, wanted: Grant, taken: Sequence[LineRefund]) -> None:
    """Afterwards the lines count what is gone of them, and units that will not be sent are on sale again."""
    lines = {line.line_id: line for line in await orders.lines(session, order.order_no)}
    await _release(session, order.order_no, lines, {one.line_id: one.unshipped for one in taken if one.unshipped})
    for one in taken:
        line = lines[one.line_id]
        line.cancelled += one.unshipped
        line.refunded += one.delivered
        line.refunded_gross_minor += one.gross_minor
        line.refunded_tax_minor += one.tax_minor
        line.refunded_platform_minor += one.platform_minor
        line.refunded_shipping_minor += one.shipping_minor
        row = GrantedRefundLine(order_no=order.order_no, grant_id=wanted.grant_id, line_id=one.line_id)
        row.unshipped, row.delivered = one.unshipped, one.delivered
        row.gross_minor, row.tax_minor = one.gross_minor, one.tax_minor
        row.platform_minor, row.shipping_minor = one.platform_minor, one.shipping_minor
        session.add(row)
    order.reduced_minor += sum(one.payable_minor for one in taken)
    await session.flush()


async def _release(
    session: AsyncSession, order_no: str, lines: Mapping[str, OrderLine], unshipped: Mapping[str, int]
) -> None:
    """What is promised of units that will not be sent; units that nothing is promised for go first."""
    surplus = {
        line_id: lines[line_id].allocated - (lines[line_id].quantity - lines[line_id].cancelled - units)
        for line_id, units in unshipped.items()
    }
    packed = _packed([one for one in await shipping.parcels(session, order_no) if one.shipment.status in VOIDABLE])
    freed = []
    for promised in await stock.reservations(session, order_no):
        free = promised.quantity - packed.get(promised.line_id, {}).get(promised.warehouse, 0)
        units = min(free, surplus.get(promised.line_id, 0))
        if units > 0:
            surplus[promised.line_id] -= units
            freed.append(Allocation(promised.line_id, promised.sku, promised.warehouse, units))
    if freed:
        await stock.release_units(session, order_no, freed)
        for line_id in unshipped:
            await session.refresh(lines[line_id])


async def _post(session: AsyncSession, order: Order, wanted: Grant, worked_out: Draft) -> None:
    entries = some(
        refund_approved(worked_out.before, worked_out.after),
        compensation_absorbed(worked_out.back.absorbed_minor),
        compensation_granted(worked_out.compensation_minor),
    )
    key = f"granted/{order.order_no}/{wanted.grant_id}"
    await journal.post(session, PostingContext.of(order, now()), entries, key)


def _told(wanted: Grant, worked_out: Draft, granted: GrantedRefund, node: str) -> Event:
    told = {
        "refund_id": wanted.grant_id,
        "kind": granted.kind,
        "reason_code": granted.reason_code,
        "return_no": granted.return_no,
        "reduction_minor": granted.reduction_minor,
        "payout_minor": granted.payout_minor,
        "currency": granted.currency,
        "units": {one.line_id: one.quantity for one in worked_out.taken if one.quantity},
    }
    return Event("refund.granted", told, actor=wanted.actor, node=node, message_id=wanted.message_id)
