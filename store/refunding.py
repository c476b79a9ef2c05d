"""Granted refunds: what was given back of a sale, decided once each."""

from collections.abc import Sequence

from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from models.order import Order
from models.refunding import GrantedRefund, GrantedRefundLine
from store import payments, whole

_NOT_COUNTED = ("cancel", "surplus")


async def find(session: AsyncSession, order_no: str, grant_id: str) -> GrantedRefund | None:
    """The order's granted or refused refund of this id, if it was decided."""
    return await session.get(GrantedRefund, (order_no, grant_id))


async def of_order(session: AsyncSession, order_no: str) -> Sequence[GrantedRefund]:
    """The order's granted and refused refunds, first one first."""
    known = await whole.rows(session, GrantedRefund, order_no)
    return sorted(known, key=lambda grant: (grant.granted_at, grant.grant_id))


async def lines_of(session: AsyncSession, order_no: str) -> dict[str, list[GrantedRefundLine]]:
    """What the order's refunds take of each line, by the id of the refund."""
    query = select(GrantedRefundLine).where(GrantedRefundLine.order_no == order_no)
    taken: dict[str, list[GrantedRefundLine]] = {}
    for line in await session.exec(query.order_by(col(GrantedRefundLine.line_id))):
        taken.setdefault(line.grant_id, []).append(line)
    return taken


async def given_back(session: AsyncSession, order_no: str) -> int:
    """What went back, or goes back, because the order's price fell; compensation is no part of it."""
    grants = await whole.rows(session, GrantedRefund, order_no)
    return sum(grant.payout_minor + grant.absorbed_minor - grant.compensation_minor for grant in grants)


async def still_due(session: AsyncSession, order: Order) -> int:
    """What is still to be paid of the price as it stands, before anything is written off; negative: a surplus.

    Paid towards the sale are no duplicates, and nothing that went back as too much or as broken off.
    """
    towards_sale, not_counted_minor = set(), 0
    for payment in await payments.of_order(session, order.order_no):
        if payment.state == payments.UNAPPLIED:
            continue
        if payment.kind == payments.DUPLICATE:
            not_counted_minor += payment.amount_minor
        else:
            towards_sale.add(payment.payment_id)
    for refund in await payments.refunds_of(session, order.order_no):
        if refund.cause in _NOT_COUNTED and refund.payment_id in towards_sale:
            not_counted_minor += refund.amount_minor
    counted = order.paid_minor - not_counted_minor
    return order.total_minor - order.reduced_minor - (counted - await given_back(session, order.order_no))
