"""Whether everything that people are asked has somebody who answers, and somebody who waits for the answer."""

from sqlmodel.ext.asyncio.session import AsyncSession

from store.checks.finding import Finding, ask, question

_OPEN = question("""
SELECT a.approval_id AS key, a.order_no, 'asked of ' || coalesce(p.people, 'nobody') AS lhs,
       'until ' || CAST(a.deadline_at AS text) AS rhs
FROM approvals a LEFT JOIN LATERAL (
    SELECT string_agg(DISTINCT s.person_id, ', ' ORDER BY s.person_id) AS people
    FROM approval_assignments s JOIN people p ON p.person_id = s.person_id AND p.active
    WHERE s.approval_id = a.approval_id AND s.state = 'asked') p ON true
WHERE (CAST(:only AS text) IS NULL OR a.order_no = :only) AND a.state = 'open'
  AND (p.people IS NULL OR a.deadline_at < now() - interval '1 hour')
""")


async def open_approvals_have_time_left_and_somebody_to_decide(
    session: AsyncSession, only: str | None
) -> list[Finding]:
    """An open approval is asked of somebody who works here, and moves on within an hour of its deadline."""
    return await ask(session, _OPEN, only)


_AWAITED = question("""
SELECT o.order_no AS key, o.order_no, 'waits for ' || o.waiting_for AS lhs,
       'approval ' || coalesce(a.approval_id || ': ' || a.state, 'never asked for') AS rhs
FROM orders o LEFT JOIN LATERAL (
    SELECT a.approval_id, a.state FROM approvals a
    WHERE a.order_no = o.order_no AND 'approval.' || a.node = o.waiting_for
    ORDER BY a.visit DESC LIMIT 1) a ON true
WHERE (CAST(:only AS text) IS NULL OR o.order_no = :only)
  AND starts_with(o.waiting_for, 'approval.') AND a.state IS DISTINCT FROM 'open'
""")


async def no_order_waits_for_an_approval_that_is_over(session: AsyncSession, only: str | None) -> list[Finding]:
    """An order that waits for an approval waits for one that is open."""
    return await ask(session, _AWAITED, only)


_LEFT_OPEN = question("""
SELECT a.approval_id AS key, a.order_no, 'the order has ended at ' || CAST(o.closed_at AS text) AS lhs,
       'approval ' || a.node || ' is open' AS rhs
FROM approvals a JOIN orders o ON o.order_no = a.order_no
WHERE (CAST(:only AS text) IS NULL OR a.order_no = :only)
  AND a.state = 'open' AND o.closed_at IS NOT NULL AND a.content = ''
""")


async def ended_orders_ask_nobody(session: AsyncSession, only: str | None) -> list[Finding]:
    """No approval that an order has asked for is open once the order has ended."""
    return await ask(session, _LEFT_OPEN, only)


_OUT_OF_TURN = question("""
SELECT a.approval_id AS key, a.order_no, string_agg(s.person_id, ', ' ORDER BY s.person_id) AS lhs,
       'nobody is asked on level ' || s.level AS rhs
FROM approvals a JOIN approval_assignments s ON s.approval_id = a.approval_id AND s.state = 'waiting'
WHERE (CAST(:only AS text) IS NULL OR a.order_no = :only) AND a.state = 'open'
  AND NOT EXISTS (SELECT FROM approval_assignments b
                  WHERE b.approval_id = a.approval_id AND b.level = s.level AND b.state = 'asked')
GROUP BY a.approval_id, s.level
""")


async def who_waits_their_turn_waits_for_somebody(session: AsyncSession, only: str | None) -> list[Finding]:
    """On a level of an open approval on which somebody's turn has not come, somebody else is asked."""
    return await ask(session, _OUT_OF_TURN, only)


_AGREED = question("""
SELECT a.approval_id AS key, a.order_no, 'approved by ' || coalesce(a.closed_by, 'nobody') AS lhs,
       'nobody has agreed' AS rhs
FROM approvals a
WHERE (CAST(:only AS text) IS NULL OR a.order_no = :only) AND a.state = 'approved'
  AND NOT EXISTS (SELECT FROM approval_assignments s WHERE s.approval_id = a.approval_id AND s.state = 'approved')
""")


async def nothing_is_approved_that_nobody_agreed_to(session: AsyncSession, only: str | None) -> list[Finding]:
    """Somebody has agreed to whatever is approved; what has timed out is on record as that."""
    return await ask(session, _AGREED, only)
