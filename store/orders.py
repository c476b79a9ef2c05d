"""Reading and locking orders, and computing how they stand."""

from collections.abc import Sequence
from datetime import datetime
from types import SimpleNamespace
from typing import Any

from sqlalchemy import text
from sqlmodel.ext.asyncio.session import AsyncSession

from domain.errors import DomainError
from domain.order import Axes, Figures, Standing, axes_of, has_happened
from domain.payment_plan import PaymentPlan
from models.approval import Approval
from models.inbox import LARGEST_ID
from models.order import Order, OrderHold, OrderLine
from models.payment import Refund
from models.shipping import Shipment
from store import whole


class OrderNotFound(DomainError):
    """No such order, or none that the asker may see."""

    code = "order_not_found"


async def lock(session: AsyncSession, order_no: str, inbox_id: int = 0) -> Order:
    """The order's row, locked until the transaction ends: one step at a time per order. Raises OrderNotFound.

    All that hangs on it has been read with it (`store/whole.py`), and the message of this number.
    """
    order = await whole.lock(session, order_no, inbox_id if 0 < inbox_id <= LARGEST_ID else 0)
    if order is None:
        raise OrderNotFound(order_no=order_no)
    return order


async def get(session: AsyncSession, order_no: str) -> Order:
    """The order's row. Raises OrderNotFound."""
    order = await session.get(Order, order_no)
    if order is None:
        raise OrderNotFound(order_no=order_no)
    return order


async def lines(session: AsyncSession, order_no: str) -> Sequence[OrderLine]:
    """The order's lines in the order in which the customer gave them."""
    return sorted(await whole.rows(session, OrderLine, order_no), key=lambda line: line.position)


def plan(order: Order) -> PaymentPlan:
    """How the order is to be paid, as its price stands now."""
    return PaymentPlan.of(order.payment_terms, order.total_minor - order.reduced_minor, order.deposit_minor)


_FIGURES = text("""
SELECT o.order_no, o.lifecycle, o.last_event_seq, o.payment_terms, o.cancel_requested_at, o.came, o.total_minor,
       o.paid_minor, o.refunded_minor, o.written_off_minor, o.reduced_minor, o.forfeited_minor, o.deposit_minor,
       l.ordered, l.cancelled, l.allocated, l.shipped, l.delivered, l.returned, l.invoiced, l.recognised,
       l.refunded, s.booked, s.failed,
       ARRAY(SELECT reason_code FROM order_holds h
             WHERE h.order_no = o.order_no AND h.resolved_at IS NULL AND h.blocking ORDER BY h.hold_id) AS holds,
       ARRAY(SELECT approval_id FROM approvals a
             WHERE a.order_no = o.order_no AND a.state = 'open' ORDER BY a.approval_id) AS approvals,
       ARRAY(SELECT reason_code FROM order_holds h
             WHERE h.order_no = o.order_no AND h.resolved_at IS NULL AND NOT h.blocking ORDER BY h.hold_id) AS quiet,
       EXISTS (SELECT 1 FROM refunds r
               WHERE r.order_no = o.order_no AND r.cause = 'surplus' AND r.state <> 'succeeded') AS surplus_due,
       (SELECT min(escalates_at) FROM order_holds h
         WHERE h.order_no = o.order_no AND h.resolved_at IS NULL) AS escalates_at
FROM orders o
CROSS JOIN LATERAL (
    SELECT sum(quantity) AS ordered, sum(cancelled) AS cancelled, sum(allocated) AS allocated, sum(shipped) AS shipped,
           sum(delivered) AS delivered, sum(returned) AS returned, sum(invoiced) AS invoiced,
           sum(recognised) AS recognised, sum(refunded) AS refunded
    FROM order_lines WHERE order_no = o.order_no) l
CROSS JOIN LATERAL (
    SELECT count(*) FILTER (WHERE status NOT IN ('created', 'voided', 'given_up')) AS booked,
           count(*) FILTER (WHERE status IN ('lost', 'returned')) AS failed
    FROM shipments WHERE order_no = o.order_no) s
WHERE o.order_no = ANY(:order_nos)
""")


_OF_ORDER = (
    "order_no", "lifecycle", "last_event_seq", "payment_terms", "cancel_requested_at", "came", "total_minor",
    "paid_minor", "refunded_minor", "written_off_minor", "reduced_minor", "forfeited_minor", "deposit_minor",
)  # fmt: skip


async def standing(session: AsyncSession, order_no: str) -> Standing:
    """How the order stands now, this transaction's own changes included. Raises OrderNotFound."""
    if whole.has(session, order_no):
        return _standing(await _looked_up(session, order_no))
    row = (await session.execute(_FIGURES, {"order_nos": [order_no]})).one_or_none()
    if row is None:
        raise OrderNotFound(order_no=order_no)
    return _standing(row)


async def _looked_up(session: AsyncSession, order_no: str) -> Any:
    """What `_FIGURES` finds, of an order that is locked."""
    order = await get(session, order_no)
    units = await whole.rows(session, OrderLine, order_no)
    parcels = [one.status for one in await whole.rows(session, Shipment, order_no)]
    open_holds = [one for one in await whole.rows(session, OrderHold, order_no) if one.resolved_at is None]
    open_holds.sort(key=lambda hold: hold.hold_id)
    asked = await whole.rows(session, Approval, order_no)
    going_back = await whole.rows(session, Refund, order_no)
    return SimpleNamespace(
        **{name: getattr(order, name) for name in _OF_ORDER},
        **whole.units_of(units),
        ordered=sum(line.quantity for line in units),
        booked=sum(status not in ("created", "voided", "given_up") for status in parcels),
        failed=sum(status in ("lost", "returned") for status in parcels),
        holds=[hold.reason_code for hold in open_holds if hold.blocking],
        quiet=[hold.reason_code for hold in open_holds if not hold.blocking],
        approvals=sorted(one.approval_id for one in asked if one.state == "open"),
        surplus_due=any(one.cause == "surplus" and one.state != "succeeded" for one in going_back),
        escalates_at=min((hold.escalates_at for hold in open_holds if hold.escalates_at is not None), default=None),
    )


def _standing(row: Any) -> Standing:
    axes = axes_of(_figures(row))
    return Standing(
        lifecycle=row.lifecycle,
        payment=axes.payment,
        payment_terms=row.payment_terms,
        fulfilment=axes.fulfilment,
        invoice=axes.invoice,
        revenue=axes.revenue,
        blocking_holds=tuple(row.holds),
        money_in=row.paid_minor > row.refunded_minor + row.forfeited_minor,
        deposit_paid=_has_deposit(row),
        revenue_due=row.delivered > row.recognised,
        cancelling=row.cancel_requested_at is not None,
        open_approvals=tuple(row.approvals),
        quiet_holds=tuple(row.quiet),
        surplus_due=row.surplus_due,
        escalates_at=row.escalates_at,
        came=tuple(row.came),
        version=row.last_event_seq,
    )


async def axes(session: AsyncSession, order_nos: Sequence[str]) -> dict[str, Axes]:
    """The computed statuses of several orders at once, keyed by order number; unknown numbers are left out."""
    rows = (await session.execute(_FIGURES, {"order_nos": list(order_nos)})).all()
    return {row.order_no: axes_of(_figures(row)) for row in rows}


def _has_deposit(row: Any) -> bool:
    agreed = PaymentPlan.of(row.payment_terms, row.total_minor - row.reduced_minor, row.deposit_minor)
    return agreed.deposit_is_paid(row.paid_minor - row.refunded_minor - row.forfeited_minor)


def _figures(row: Any) -> Figures:
    return Figures(
        total_minor=row.total_minor,
        paid_minor=row.paid_minor,
        refunded_minor=row.refunded_minor,
        written_off_minor=row.written_off_minor,
        ordered=int(row.ordered or 0),
        cancelled=int(row.cancelled or 0),
        allocated=int(row.allocated or 0),
        shipped=int(row.shipped or 0),
        delivered=int(row.delivered or 0),
        returned=int(row.returned or 0),
        invoiced=int(row.invoiced or 0),
        recognised=int(row.recognised or 0),
        booked_shipments=row.booked,
        failed_shipments=row.failed,
        reduced_minor=row.reduced_minor,
        refunded=int(row.refunded or 0),
        forfeited_minor=row.forfeited_minor,
    )


def note_waiting(order: Order, waiting_for: str | None, deadline: datetime | None) -> None:
    """Afterwards the row says what the order waits for and until when; None: it waits for nothing."""
    order.waiting_for = waiting_for
    order.deadline_at = deadline


def note_progress(order: Order, now_standing: Standing) -> None:
    """Afterwards the row no longer waits for what has happened by now."""
    if order.waiting_for is not None and has_happened(order.waiting_for, now_standing):
        note_waiting(order, None, None)
