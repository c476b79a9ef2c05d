"""Money that an order has no use for: paid twice, paid too much, paid in another currency. It goes back.

A payment for an order that is paid in full already is a duplicate: it never becomes a part of the sale, and the books
owe it to whoever paid from the first moment. A surplus within one payment is an overpayment of the sale.
"""

from collections.abc import Sequence
from enum import StrEnum

from sqlmodel.ext.asyncio.session import AsyncSession

from activities import refunds
from activities.posting import post_unposted, sale_of
from domain.posting.entry import some
from domain.posting.sale import refund_approved
from models.columns import now
from models.order import Order, OrderHold
from models.payment import Payment, Refund
from store import holds, journal, payments, refunding
from store.holds import Reason
from store.journal import PostingContext


class SurplusPolicy(StrEnum):
    """What goes back without anybody's click."""

    NOTHING = "nothing"
    DUPLICATES = "duplicates"
    ALL = "all"


async def is_duplicate(session: AsyncSession, order: Order, amount_minor: int, tolerance_minor: int) -> bool:
    """Whether the order was paid in full before this money came, and a rounding difference does not explain it."""
    due = await refunding.still_due(session, order)
    paid_already = order.paid_minor > 0 and due - order.written_off_minor <= 0
    return paid_already and due - amount_minor < -tolerance_minor


async def judge(session: AsyncSession, order: Order, payment: Payment, policy: SurplusPolicy) -> None:
    """Afterwards what this payment brought too much is on its way back, or a person is asked."""
    is_twice = payment.kind == payments.DUPLICATE
    goes_back = policy is SurplusPolicy.ALL or (is_twice and policy is SurplusPolicy.DUPLICATES)
    if goes_back and payment.state != payments.UNPOSTED:
        await give_back(session, order, [payment])
        return
    minor = payment.amount_minor if is_twice else await _too_much(session, order)
    told = {"surplus_minor": minor, "currency": order.currency, "payment_id": payment.payment_id}
    detail = "the order was paid twice" if is_twice else "more was paid than is due"
    await holds.open_hold(session, order, Reason("payment_over", detail, told))


async def give_back_what(session: AsyncSession, order: Order, hold: OrderHold) -> bool:
    """Afterwards the money that the hold is about is to go back; False: it is not in the books yet, and must be."""
    if await post_unposted(session, order) is not None:
        return False
    everything = await payments.of_order(session, order.order_no)
    if hold.reason_code == "payment_currency":
        await give_back(session, order, [one for one in everything if one.state == payments.UNAPPLIED])
    else:
        # The last that came goes back first.
        await give_back(session, order, [one for one in reversed(everything) if one.state != payments.UNAPPLIED])
    return True


async def give_back(session: AsyncSession, order: Order, among: Sequence[Payment]) -> None:
    """Afterwards whatever of these payments the order has no use for has its refund, once, and is payable."""
    known = await payments.refunds_of(session, order.order_no)
    # An order that has more than it needs of its own currency may have that in any of its payments.
    spare = await _too_much(session, order)
    for payment in among:
        left = payment.amount_minor - sum(one.amount_minor for one in known if one.payment_id == payment.payment_id)
        is_whole = payment.kind == payments.DUPLICATE or payment.state == payments.UNAPPLIED
        minor = left if is_whole else min(left, spare)
        if minor <= 0 or any((one.payment_id, one.cause) == (payment.payment_id, refunds.SURPLUS) for one in known):
            continue
        spare -= 0 if is_whole else minor
        refund = refunds.new_refund(f"{order.order_no}-R{len(known) + 1}", payment, minor, refunds.SURPLUS)
        known = [*known, refund]
        await _approve(session, order, payment, refund)


async def _approve(session: AsyncSession, order: Order, payment: Payment, refund: Refund) -> None:
    if payment.state == payments.APPLIED:
        before = (await sale_of(session, order)).position
        entry = refund_approved(before, before.refunded(refund.amount_minor))
        key = f"refund_approved/{order.order_no}/{refund.refund_id}"
        await journal.post(session, PostingContext.of(order, now()), some(entry), key)
    session.add(refund)
    await session.flush()
    await refunds.note_requested(session, order, refund, None)


async def _too_much(session: AsyncSession, order: Order) -> int:
    """What was paid beyond the order's total and is not on its way back."""
    return max(order.written_off_minor - await refunding.still_due(session, order), 0)
