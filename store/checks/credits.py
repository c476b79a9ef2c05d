"""Whether money that pays for an exchange has gone from one order to the other, and lies nowhere in between."""

from sqlmodel.ext.asyncio.session import AsyncSession

from store.checks.finding import Finding, ask, question

_CREDITS = question("""
SELECT coalesce(r.refund_id, p.order_no || '/' || p.payment_id) AS key, coalesce(r.order_no, p.order_no) AS order_no,
       coalesce('refund of ' || r.order_no || ' ' || r.amount_minor || ' ' || r.currency || ' for ' || r.credited_to,
                'no refund') AS lhs,
       coalesce('credit of ' || p.order_no || ' ' || p.amount_minor || ' ' || p.currency, 'no credit') AS rhs
FROM (SELECT * FROM refunds WHERE credited_to IS NOT NULL AND state = 'succeeded') r
FULL JOIN (SELECT * FROM payments WHERE category = 'exchange_credit') p
    ON p.payment_id = r.refund_id AND p.order_no = r.credited_to
WHERE (CAST(:only AS text) IS NULL OR r.order_no = :only OR p.order_no = :only)
  AND (r.amount_minor, r.currency) IS DISTINCT FROM (p.amount_minor, p.currency)
""")


async def credits_are_what_was_given_up(session: AsyncSession, only: str | None) -> list[Finding]:
    """What an order was credited for goods that came back of another is what that other one gave up, to the unit."""
    return await ask(session, _CREDITS, only)


_HELD = question("""
SELECT r.refund_id AS key, r.order_no, 'waits to pay for ' || r.credited_to AS lhs, 'no exchange is open' AS rhs
FROM refunds r
WHERE (CAST(:only AS text) IS NULL OR r.order_no = :only) AND r.credited_to IS NOT NULL AND r.state <> 'succeeded'
  AND NOT EXISTS (SELECT 1 FROM returns t WHERE t.order_no = r.order_no AND t.kind = 'exchange'
                  AND t.state = 'approved')
""")


async def no_credit_waits_for_a_return_that_is_over(session: AsyncSession, only: str | None) -> list[Finding]:
    """Money that is kept for an exchange is kept only while goods of that exchange may still come back."""
    return await ask(session, _HELD, only)
