"""The payment plan of an order on record: which part is due from when until when, and how it stands now."""

from datetime import datetime, time, timedelta
from zoneinfo import ZoneInfo

from domain.order import Lifecycle, has_ended
from domain.payment_plan import Installment, Kind, Money, Window
from models.columns import now
from models.order import Order
from store import orders


def plan_of(order: Order, time_zone: str) -> tuple[Installment, ...]:
    """Every installment of the order; `time_zone` is the entity's, where a day ends at midnight."""
    money = Money(
        order.paid_minor,
        order.written_off_minor,
        order.forfeited_minor,
        broken_off=has_ended(order.lifecycle) and order.lifecycle != Lifecycle.COMPLETED,
    )
    return orders.plan(order).installments(money, _windows(order, time_zone), now())


def _windows(order: Order, time_zone: str) -> dict[Kind, Window]:
    return {
        Kind.DEPOSIT: Window(order.received_at, _awaited_until(order, "payment.deposit")),
        Kind.BALANCE: Window(order.balance_opens_at, order.balance_closes_at),
        Kind.FULL: Window(order.received_at, _due_day_ends(order, time_zone) or _awaited_until(order, "payment.full")),
    }


def _awaited_until(order: Order, event: str) -> datetime | None:
    return order.deadline_at if order.waiting_for == event else None


def _due_day_ends(order: Order, time_zone: str) -> datetime | None:
    """The first moment after the day on which the money is due."""
    if order.payment_due_on is None:
        return None
    return datetime.combine(order.payment_due_on + timedelta(days=1), time(), ZoneInfo(time_zone))
