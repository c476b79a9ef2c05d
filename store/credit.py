"""What a customer owes, from our own rows: open orders on credit, and receivables as the books have them."""

from typing import Any

from sqlalchemy import text
from sqlmodel import select
from sqlmodel.ext.asyncio.session import AsyncSession

from domain.credit import CreditLine
from domain.money import convert
from models.columns import now
from models.masters import Customer
from models.order import Order
from store import rates, refunding
from store.journal import RateMissing

TERMS = "on_credit"
WITHIN, GRANTED, ABOVE = "within", "granted", "above"
LET_IN = (WITHIN, GRANTED)
"""An order in one of these has its part of the credit: it fitted in, or people have let it pass."""

# An order counts from the moment it was let in, or took goods all the same; its receivable is what the books say.
_OWING = text("""
SELECT o.currency, o.fx_rate, o.closed_at IS NULL AS open,
       greatest(o.total_minor - o.reduced_minor - o.paid_minor - o.written_off_minor + g.back_minor, 0) AS open_minor,
       o.payment_due_on < CAST(CAST(:at AS timestamptz) AT TIME ZONE e.time_zone AS date) AS overdue,
       (SELECT coalesce(sum(CASE l.side WHEN 'Dr' THEN l.base_minor ELSE -l.base_minor END), 0)
        FROM journal_entries j JOIN journal_lines l ON l.entry_id = j.entry_id
        WHERE j.voucher_no = o.voucher_no AND l.role = 'receivable') AS receivable_minor
FROM orders o JOIN legal_entities e ON e.entity_id = o.entity_id
CROSS JOIN LATERAL (
    SELECT coalesce(sum(payout_minor + absorbed_minor - compensation_minor), 0) AS back_minor FROM granted_refunds
    WHERE order_no = o.order_no) g
WHERE o.customer_id = :customer_id AND o.order_no <> :order_no AND o.payment_terms = 'on_credit'
  AND o.paid_minor + o.written_off_minor - g.back_minor < o.total_minor - o.reduced_minor
  AND (o.lifecycle = 'completed' OR (o.closed_at IS NULL AND (o.credit_state IN ('within', 'granted') OR EXISTS (
       SELECT 1 FROM order_lines l WHERE l.order_no = o.order_no AND l.allocated > 0))))
""")


async def lock_customer(session: AsyncSession, order: Order) -> Customer | None:
    """The order's customer, locked until the transaction ends: one order at a time takes of a credit."""
    query = select(Customer).where(Customer.customer_id == order.customer_id).with_for_update()
    return (await session.exec(query)).one_or_none()


async def of_order(session: AsyncSession, order: Order, customer: Customer | None = None) -> CreditLine:
    """The credit as this order finds it; a customer whom nobody has put on record has none. Raises RateMissing.

    `customer` is read anew unless it is given.
    """
    if order.fx_rate is None:
        raise RateMissing(order_no=order.order_no)
    if customer is None and order.customer_id is not None:
        customer = await session.get(Customer, order.customer_id)
    asked = {"customer_id": order.customer_id, "order_no": order.order_no, "at": now()}
    owing = (await session.execute(_OWING, asked)).all()
    wanted = max(await refunding.still_due(session, order) - order.written_off_minor, 0)
    return CreditLine(
        limit_minor=await _limit(session, order, customer),
        used_minor=sum(_used(row, order.functional_currency) for row in owing),
        overdue_minor=sum(max(int(row.receivable_minor), 0) for row in owing if row.overdue),
        wanted_minor=convert(wanted, order.currency, order.functional_currency, order.fx_rate),
    )


def is_above(order: Order, line: CreditLine) -> bool:
    """Whether somebody has to let the order pass. Once it was checked, what was found then counts."""
    return line.is_exceeded if order.credit_state is None else order.credit_state == ABOVE


def _used(row: Any, functional_currency: str) -> int:
    if not row.open:
        return max(int(row.receivable_minor), 0)
    return convert(row.open_minor, row.currency, functional_currency, row.fx_rate)


async def _limit(session: AsyncSession, order: Order, customer: Customer | None) -> int:
    if customer is None or not customer.credit_limit_minor or customer.credit_currency is None:
        return 0
    rate = await rates.rate_of(session, order, customer.credit_currency)
    if rate is None:
        raise RateMissing(currency=customer.credit_currency)
    return convert(customer.credit_limit_minor, customer.credit_currency, order.functional_currency, rate)
