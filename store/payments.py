"""Payments and refunds: what came in, what of it is in the books, what goes back."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import text
from sqlmodel.ext.asyncio.session import AsyncSession

from domain.order import Lifecycle
from domain.posting.roles import PaymentCategory
from models.masters import PaymentMethod
from models.order import Order
from models.payment import Payment, Refund
from models.refunding import GrantedRefund
from store import whole
from store.whole import Question

APPLIED = "applied"
"""Counts towards the order and is in its books."""
UNPOSTED = "unposted"
"""Counts towards the order; its posting waits for a rate, an account or the method's category."""
LATE = "late"
"""Came for an order that was undone: in the books as money to give back."""
DUPLICATE = "duplicate"
"""Kind and state: came for an order that was paid in full already; in the books as money to give back."""
UNAPPLIED = "unapplied"
"""On record only, in another currency than the order's; in no books."""

COUNTED = frozenset({APPLIED, UNPOSTED, LATE, DUPLICATE})
_CATEGORIES = frozenset(PaymentCategory) - {PaymentCategory.EXCHANGE_CREDIT}
_UNDONE = frozenset({Lifecycle.CANCELLED, Lifecycle.EXPIRED, Lifecycle.REJECTED})


@dataclass(frozen=True, slots=True)
class Booked:
    """What of an order's money is in its books. `undone`: its sale was taken out of them, or never comes to be."""

    settled_minor: int
    """Applied payments less what was approved to go back of them, and less a deposit that was kept.

    Compensation is no part of it, but our expense.
    """
    written_off_minor: int
    forfeited_minor: int
    undone: bool


_BOOKS = Question("""
SELECT (SELECT coalesce(sum(CASE l.side WHEN 'Dr' THEN l.amount_minor ELSE -l.amount_minor END), 0)
        FROM journal_entries e JOIN journal_lines l ON l.entry_id = e.entry_id
        WHERE e.voucher_no = o.voucher_no AND l.role = 'rounding' AND e.currency = o.currency) AS written_off,
       (SELECT coalesce(sum(CASE l.side WHEN 'Cr' THEN l.amount_minor ELSE -l.amount_minor END), 0)
        FROM journal_entries e JOIN journal_lines l ON l.entry_id = e.entry_id
        WHERE e.voucher_no = o.voucher_no AND l.role = 'forfeited_deposit' AND e.currency = o.currency) AS forfeited,
       EXISTS (SELECT 1 FROM journal_entries WHERE event_key = 'sale_undone/' || o.order_no) AS undone
FROM orders o WHERE o.order_no = %(order_no)s
""")


def undone_key(order_no: str) -> str:
    """The key of the posting that takes the order's sale out of the books."""
    return f"sale_undone/{order_no}"


async def booked(session: AsyncSession, order: Order) -> Booked:
    """What the books know of the order's money, this transaction's own changes included."""
    books = (await _BOOKS.answer(session, order.order_no))[0]
    known = await of_order(session, order.order_no)
    applied = {payment.payment_id: payment.amount_minor for payment in known if payment.state == APPLIED}
    refunds = await whole.rows(session, Refund, order.order_no)
    approved_minor = sum(refund.amount_minor for refund in refunds if refund.payment_id in applied)
    grants = await whole.rows(session, GrantedRefund, order.order_no)
    compensated_minor = sum(grant.compensation_minor - grant.absorbed_minor for grant in grants)
    return Booked(
        settled_minor=sum(applied.values()) - approved_minor + compensated_minor - int(books["forfeited"]),
        written_off_minor=int(books["written_off"]),
        forfeited_minor=int(books["forfeited"]),
        undone=bool(books["undone"]) or order.lifecycle in _UNDONE,
    )


def forget_books(session: AsyncSession) -> None:
    """To be called by whoever posts."""
    _BOOKS.forget(session)


async def category_of(session: AsyncSession, method: str) -> PaymentCategory | None:
    """The category under which the method is known; None: nobody has said, and it must not be guessed."""
    known = await session.get(PaymentMethod, method)
    return PaymentCategory(known.category) if known is not None and known.category in _CATEGORIES else None


async def find(session: AsyncSession, order_no: str, payment_id: str) -> Payment | None:
    """The order's payment of this id, if it has come."""
    known = await whole.rows(session, Payment, order_no)
    return next((payment for payment in known if payment.payment_id == payment_id), None)


async def of_order(session: AsyncSession, order_no: str) -> Sequence[Payment]:
    """The order's payments in the order in which they were recorded."""
    known = await whole.rows(session, Payment, order_no)
    return sorted(known, key=lambda payment: (payment.recorded_at, payment.payment_id))


async def unposted(session: AsyncSession, order_no: str) -> Sequence[Payment]:
    """The order's payments that are not in the books yet, the first one first."""
    return [payment for payment in await of_order(session, order_no) if payment.state == UNPOSTED]


async def refunds_of(session: AsyncSession, order_no: str) -> Sequence[Refund]:
    """The order's refunds in the order of their numbers."""
    known = await whole.rows(session, Refund, order_no)
    return sorted(known, key=lambda refund: (len(refund.refund_id), refund.refund_id))


async def left_of(session: AsyncSession, order_no: str) -> list[tuple[Payment, int]]:
    """The order's payments of which something has not been asked to go back yet, and how much; first one first."""
    gone: dict[str, int] = {}
    for refund in await refunds_of(session, order_no):
        gone[refund.payment_id] = gone.get(refund.payment_id, 0) + refund.amount_minor
    left = [(one, one.amount_minor - gone.get(one.payment_id, 0)) for one in await of_order(session, order_no)]
    return [(payment, minor) for payment, minor in left if minor > 0]


async def origin(session: AsyncSession, payment: Payment) -> Payment:
    """The payment by which the money had come in: for the credit of an exchange, one of the order it was paid for."""
    while payment.category == PaymentCategory.EXCHANGE_CREDIT:
        given_up = await find_refund(session, payment.payment_id)
        payment = await session.get_one(Payment, (given_up.order_no, given_up.payment_id))
    return payment


async def find_refund(session: AsyncSession, refund_id: str) -> Refund:
    """The refund; it must be there."""
    return await session.get_one(Refund, refund_id)


async def refusals(session: AsyncSession, order_no: str) -> Mapping[str, int]:
    """How often the provider has refused each refund of the order; refunds never refused are left out."""
    rows = await session.execute(
        text("""
        SELECT data->>'refund_id' AS refund_id, count(*) AS times FROM order_events
        WHERE order_no = :order_no AND kind = 'refund.refused' GROUP BY 1
        """),
        {"order_no": order_no},
    )
    return {row.refund_id: row.times for row in rows}
