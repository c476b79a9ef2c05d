"""Granted refunds: what was given back of a sale, decided once each."""

from collections.abc import Sequence

from sqlalchemy import text
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from models.order import Order
from models.refunding import GrantedRefund, GrantedRefundLine


async def find(session: AsyncSession, order_no: str, grant_id: str) -> GrantedRefund | None:
    """The order's granted or refused refund of this id, if it was decided."""
    return await session.get(GrantedRefund, (order_no, grant_id))


async def of_order(session: AsyncSession, order_no: str) -> Sequence[GrantedRefund]:
    """The order's granted and refused refunds, first one first."""
    query = select(GrantedRefund).where(GrantedRefund.order_no == order_no)
    return (await session.exec(query.order_by(col(GrantedRefund.granted_at), col(GrantedRefund.grant_id)))).all()


async def lines_of(session: AsyncSession, order_no: str) -> dict[str, list[GrantedRefundLine]]:
    """What the order's refunds take of each line, by the id of the refund."""
    query = select(GrantedRefundLine).where(GrantedRefundLine.order_no == order_no)
    taken: dict[str, list[GrantedRefundLine]] = {}
    for line in await session.exec(query.order_by(col(GrantedRefundLine.line_id))):
        taken.setdefault(line.grant_id, []).append(line)
    return taken


async def given_back(session: AsyncSession, order_no: str) -> int:
    """What went back, or goes back, because the order's price fell; compensation is no part of it."""
    found = await session.execute(
        text("""
        SELECT coalesce(sum(payout_minor + absorbed_minor - compensation_minor), 0) FROM granted_refunds
        WHERE order_no = :order_no
        """),
        {"order_no": order_no},
    )
    return int(found.scalar_one())


_DUE = text("""
SELECT (SELECT coalesce(sum(amount_minor), 0) FROM payments
        WHERE order_no = :order_no AND kind = 'duplicate' AND state <> 'unapplied')
     + (SELECT coalesce(sum(r.amount_minor), 0)
        FROM refunds r JOIN payments p ON p.order_no = r.order_no AND p.payment_id = r.payment_id
        WHERE r.order_no = :order_no AND r.cause IN ('cancel', 'surplus') AND p.kind <> 'duplicate'
          AND p.state <> 'unapplied') AS not_counted_minor,
       (SELECT coalesce(sum(payout_minor + absorbed_minor - compensation_minor), 0) FROM granted_refunds
        WHERE order_no = :order_no) AS back_minor
""")


async def still_due(session: AsyncSession, order: Order) -> int:
    """What is still to be paid of the price as it stands, before anything is written off; negative: a surplus.

    Paid towards the sale are no duplicates, and nothing that went back as too much or as broken off.
    """
    await session.flush()
    row = (await session.execute(_DUE, {"order_no": order.order_no})).one()
    counted = order.paid_minor - int(row.not_counted_minor)
    return order.total_minor - order.reduced_minor - (counted - int(row.back_minor))
