"""The books of one order: where its sale stands in them, and money that waits to be posted."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from sqlmodel.ext.asyncio.session import AsyncSession

from domain.errors import DomainError
from domain.posting.entry import Entry, cr, dr, entry_of, some
from domain.posting.position import SalePosition, SaleTotals
from domain.posting.progress import LineProgress
from domain.posting.roles import PaymentCategory, Role
from domain.posting.sale import payment_received, sale_accepted
from domain.pricing import SoldAs
from models.order import Order, OrderHold, OrderLine
from models.payment import Payment
from store import holds, journal, orders, payments, rates, revenue
from store.holds import Reason
from store.journal import AccountMappingMissing, PostingContext, RateMissing

_CURABLE = ("fx_rate_missing", "account_mapping_missing", "payment_method_unknown")
"""Holds for what finance has left out of the masters: with it there, the money can be posted."""

_CASH_ON_DELIVERY = "cash_on_delivery"


class MethodUnknown(DomainError):
    """Nobody has said of which category the payment method is."""

    code = "payment_method_unknown"


@dataclass(frozen=True, slots=True)
class Sale:
    """An order's sale as its books have it."""

    lines: Sequence[OrderLine]
    progress: dict[str, LineProgress]
    """Of the lines sold as principal, by line id."""
    position: SalePosition
    undone: bool


async def sale_of(session: AsyncSession, order: Order) -> Sale:
    """The sale as its books have it now: what is left of its price, posted money, recognised units, VAT that invoices
    made due.

    The tolerance in the position is what was in fact written off, so that its balances are those of the books whatever
    tolerance was in force then. The order's row must be locked.
    """
    lines = await orders.lines(session, order.order_no)
    money = await payments.booked(session, order)
    invoiced = await revenue.invoiced_units(session, order.order_no) if any(line.invoiced for line in lines) else {}
    principal = [line for line in lines if line.sold_as == SoldAs.PRINCIPAL]
    progress = {
        line.line_id: LineProgress(
            line.quantity - line.cancelled - line.refunded,
            line.net_minor - (line.refunded_gross_minor - line.refunded_tax_minor),
            line.tax_minor - line.refunded_tax_minor,
            line.recognised - line.refunded,
            invoiced.get(line.line_id, 0),
        )
        for line in principal
    }
    totals = SaleTotals(
        total_minor=order.total_minor - order.reduced_minor,
        tax_minor=sum(line.tax_minor for line in progress.values()),
        platform_minor=order.platform_discount_minor - sum(line.refunded_platform_minor for line in lines),
        agent_minor=sum(
            line.gross_minor - line.refunded_gross_minor for line in lines if line.sold_as != SoldAs.PRINCIPAL
        ),
    )
    position = SalePosition(
        totals,
        tolerance_minor=abs(money.written_off_minor),
        receivable=Role.COD_RECEIVABLE if order.payment_terms == _CASH_ON_DELIVERY else Role.RECEIVABLE,
        settled_minor=money.settled_minor,
        passed_net_minor=sum(line.passed_net_minor for line in progress.values()),
        passed_tax_minor=sum(line.passed_tax_minor for line in progress.values()),
        tax_due_minor=sum(line.tax_due_minor for line in progress.values()),
        forfeited_minor=money.forfeited_minor,
    )
    return Sale(lines, progress, position, money.undone)


async def post_unposted(
    session: AsyncSession, order: Order, node: str | None = None, *, new: Payment | None = None
) -> str | None:
    """Afterwards all money that counts towards the order is in its books, once; or the order is held, and why is told.

    Every posting of a sale begins with this: the books follow the order in which money came. Payments other than `new`
    have waited; once they are posted the holds they waited under are resolved. The order's row must be locked.
    """
    waiting = await payments.unposted(session, order.order_no) if order.paid_minor else ()
    if not waiting:
        return None
    try:
        await _post(session, order, waiting)
    except (RateMissing, AccountMappingMissing, MethodUnknown) as missing:
        reason = Reason(missing.code, "money cannot be posted", missing.facts, node)
        await holds.open_hold(session, order, reason)
        return missing.code
    if any(payment is not new for payment in waiting):
        await holds.resolve(session, order, _CURABLE, "posted", by="orderflow", reason="all money is posted")
    return None


async def post_cured(session: AsyncSession, order: Order, settled: Iterable[OrderHold]) -> None:
    """Afterwards money that waited under one of the settled holds is posted, or holds the order again."""
    if any(hold.reason_code in _CURABLE for hold in settled):
        await post_unposted(session, order)


async def open_claim(session: AsyncSession, order: Order, sale: Sale) -> None:
    """Afterwards a platform that pays all of the order owes us its money in the books; other orders open no claim.

    To be called before anything else of the sale is posted. Raises RateMissing, AccountMappingMissing.
    """
    if _is_claim(order) and not sale.undone:
        opening = some(sale_accepted(SalePosition(sale.position.totals)))
        context = PostingContext.of(order, order.received_at)
        await journal.post(session, context, opening, _claim_key(order))


async def has_open_position(session: AsyncSession, order: Order) -> bool:
    """Whether the books have what the sale's position says: false for a claim that nobody had reason to open."""
    return not _is_claim(order) or await journal.is_posted(session, _claim_key(order))


def _is_claim(order: Order) -> bool:
    return order.total_minor == 0 and order.platform_discount_minor > 0


def _claim_key(order: Order) -> str:
    return f"sale_accepted/{order.order_no}"


async def _post(session: AsyncSession, order: Order, waiting: Sequence[Payment]) -> None:
    if not await rates.take_rate(session, order):
        raise RateMissing(currency=order.currency)
    sale = await sale_of(session, order)
    await open_claim(session, order, sale)
    before = sale.position
    for payment in waiting:
        category = await _category(session, payment)
        # What the order's status counts as written off is what the books write off.
        after = replace(before, tolerance_minor=abs(order.written_off_minor)).paid(payment.amount_minor)
        owed = payments.LATE if sale.undone else payments.DUPLICATE if payment.kind == payments.DUPLICATE else None
        debit = category.debit_role
        entry = (
            _to_give_back(payment, debit)
            if owed
            else payment_received(before, after, debit, fee_minor=payment.fee_minor)
        )
        context = PostingContext.of(order, payment.paid_at)
        await journal.post(session, context, some(entry), f"payment/{order.order_no}/{payment.payment_id}")
        payment.category, payment.state = category.value, owed or payments.APPLIED
        before = before if owed else after


async def _category(session: AsyncSession, payment: Payment) -> PaymentCategory:
    if payment.category:
        return PaymentCategory(payment.category)
    category = await payments.category_of(session, payment.method)
    if category is None:
        raise MethodUnknown(method=payment.method, payment_id=payment.payment_id)
    return category


def _to_give_back(payment: Payment, debit_role: Role) -> Entry | None:
    minor, fee = payment.amount_minor, payment.fee_minor
    money = [dr(debit_role, minor - fee), dr(Role.GATEWAY_FEE, fee)]
    return entry_of("payment_received", *money, cr(Role.REFUND_PAYABLE, minor))
