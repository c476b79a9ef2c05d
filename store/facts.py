"""The facts that flows decide on, read from what is recorded; never personal data.

What nothing records yet (risk) is left out: a condition that asks for it holds the order instead of deciding on a
guess.
"""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from sqlalchemy import text, tuple_
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from domain.pricing import OrderLineValue
from models.order import Order, OrderLine
from store import credit, deposits, orders, shipping, trade

if TYPE_CHECKING:
    from store.placing import OrderDraft

FactText = bool | int | str | list[str]


@dataclass(frozen=True, slots=True)
class KnownCustomer:
    """What our own master and books say of the buyer."""

    level: str = "standard"
    order_count: int = 0
    blacklisted: bool = False


def of_draft(draft: "OrderDraft", customer: KnownCustomer) -> dict[str, FactText]:
    """The facts of an order that is about to be placed."""
    return _facts(draft, draft.lines, customer) | {
        "order.total_minor": draft.priced.total_minor,
        "payment.paid_minor": 0,
    }


async def of_order(session: AsyncSession, order: Order) -> dict[str, FactText]:
    """The facts of an order that is recorded, as its workflow begins with them."""
    return as_placed(order, await _wanted_lines(session, order), await _known_customer(session, order))


def as_placed(order: Order, lines: Sequence[OrderLine], customer: KnownCustomer) -> dict[str, FactText]:
    """The same, for whoever has all that it takes at hand."""
    return _facts(order, lines, customer) | {
        "order.total_minor": order.total_minor,
        "payment.paid_minor": order.paid_minor,
    }


async def of_last_orders(
    session: AsyncSession, limit: int, since: datetime | None = None
) -> AsyncIterator[list[tuple[Order, dict[str, FactText]]]]:
    """The last orders with their facts, the newest first, some hundred at a time."""
    after: tuple[datetime, str] | None = None
    while limit > 0:
        wanted = select(Order).order_by(col(Order.received_at).desc(), col(Order.order_no).desc())
        if since is not None:
            wanted = wanted.where(col(Order.received_at) >= since)
        if after is not None:
            wanted = wanted.where(tuple_(col(Order.received_at), col(Order.order_no)) < after)
        page = (await session.exec(wanted.limit(min(limit, _PAGE)))).all()
        if not page:
            return
        yield await _with_facts(session, page)
        limit, after = limit - len(page), (page[-1].received_at, page[-1].order_no)
        session.expunge_all()


_PAGE = 500
_BUYERS = text("""
SELECT o.order_no, c.blacklisted,
       (SELECT count(*) FROM orders b WHERE b.customer_id = o.customer_id AND b.received_at < o.received_at) AS orders
FROM orders o LEFT JOIN customers c ON c.customer_id = o.customer_id WHERE o.order_no = ANY(:order_nos)
""")


async def _with_facts(session: AsyncSession, page: Sequence[Order]) -> list[tuple[Order, dict[str, FactText]]]:
    order_nos = [order.order_no for order in page]
    lines: dict[str, list[OrderLine]] = {order_no: [] for order_no in order_nos}
    for line in await session.exec(select(OrderLine).where(col(OrderLine.order_no).in_(order_nos))):
        if line.quantity > line.cancelled:
            lines[line.order_no].append(line)
    buyers = {row.order_no: row for row in await session.execute(_BUYERS, {"order_nos": order_nos})}
    found = []
    for order in page:
        buyer = buyers[order.order_no]
        customer = KnownCustomer(order.customer_level, buyer.orders, bool(buyer.blacklisted))
        known = _facts(order, lines[order.order_no], customer)
        known |= {"order.total_minor": order.total_minor, "payment.paid_minor": order.paid_minor}
        known["order.deposit_refundable"] = order.deposit_refundable
        known["order.above_credit"] = order.credit_state == credit.ABOVE
        found.append((order, known))
    return found


def of_content(lines: Sequence[OrderLine | OrderLineValue], total_minor: int, country: str) -> dict[str, FactText]:
    """The facts that a change of the order can change."""
    return _content(lines, country) | {"order.total_minor": total_minor}


async def _wanted_lines(session: AsyncSession, order: Order) -> list[OrderLine]:
    """Lines that were taken out, or refunded before they were sent, are no part of what the order is about."""
    return [line for line in await orders.lines(session, order.order_no) if line.quantity > line.cancelled]


def _facts(
    order: "Order | OrderDraft", lines: Sequence[OrderLine | OrderLineValue], customer: KnownCustomer
) -> dict[str, FactText]:
    return {
        "order.type": order.type,
        "order.channel": order.channel,
        "order.source": order.source,
        "order.currency": order.currency,
        **_content(lines, str(order.ship_to.get("country", ""))),
        "order.placed_at": _moment(order.placed_at),
        "order.salesperson": order.salesperson or "",
        "order.store": order.store or "",
        "customer.id": order.customer_id or "",
        "customer.level": customer.level,
        "customer.order_count": customer.order_count,
        "customer.blacklisted": customer.blacklisted,
        "payment.terms": order.payment_terms,
        "payment.method": order.payment_method,
        **_balance_window(order.balance_opens_at, order.balance_closes_at),
    }


def _content(lines: Sequence[OrderLine | OrderLineValue], country: str) -> dict[str, FactText]:
    return {
        "order.item_count": sum(line.quantity for line in lines),
        "order.categories": sorted({line.category for line in lines if line.category}),
        "order.skus": sorted({line.sku for line in lines}),
        "order.has_gift": any(line.gift_of for line in lines),
        "order.country": country,
    }


async def known_now(session: AsyncSession, order: Order) -> dict[str, FactText]:
    """What a branch may ask that changes while the order runs. What a customer owes is known of orders on credit."""
    standing = await orders.standing(session, order.order_no)
    lines, country = await _wanted_lines(session, order), str(order.ship_to.get("country", ""))
    facts: dict[str, FactText] = {
        **of_content(lines, order.total_minor, country),
        "payment.paid_minor": order.paid_minor,
        "payment.paid_in_full": standing.payment in ("paid", "overpaid"),
        "order.deposit_refundable": await deposits.is_refundable(session, order),
        "shipment.returned": await shipping.all_came_back(session, order.order_no),
    }
    if order.group_id is not None:
        facts["order.group_complete"] = await trade.is_complete(session, order)
    if order.payment_terms == credit.TERMS:
        customer = await credit.of_order(session, order)
        facts |= {
            "customer.credit_limit_minor": customer.limit_minor,
            "customer.credit_used_minor": customer.used_minor,
            "customer.overdue_minor": customer.overdue_minor,
            "order.above_credit": credit.is_above(order, customer),
        }
    return facts


async def _known_customer(session: AsyncSession, order: Order) -> KnownCustomer:
    row = (
        await session.execute(
            text("""
            SELECT (SELECT count(*) FROM orders WHERE customer_id = :customer_id AND received_at < :before) AS orders,
                   (SELECT blacklisted FROM customers WHERE customer_id = :customer_id) AS blacklisted
            """),
            {"customer_id": order.customer_id, "before": order.received_at},
        )
    ).one()
    return KnownCustomer(order.customer_level, row.orders, bool(row.blacklisted))


def _balance_window(opens_at: datetime | None, closes_at: datetime | None) -> dict[str, FactText]:
    window = {"order.balance_opens_at": opens_at, "order.balance_closes_at": closes_at}
    return {name: _moment(moment) for name, moment in window.items() if moment is not None}


def _moment(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")
