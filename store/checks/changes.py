"""Whether what was changed of orders is what they are now, in their lines, their totals and the books."""

from sqlmodel.ext.asyncio.session import AsyncSession

from store.checks.finding import Finding, ask, question

# Of each change but the last one, the next one says what became of it.
_LAST = """
    SELECT DISTINCT ON (order_no) * FROM order_changes WHERE CAST(:only AS text) IS NULL OR order_no = :only
    ORDER BY order_no, changed_at DESC, version DESC
"""

_TOTALS = question(f"""
SELECT c.order_no || '/' || c.change_id AS key, c.order_no,
       'change: from ' || (c.before->>'total_minor') || ' to ' || (c.after->>'total_minor') || ', delta '
           || c.delta_minor AS lhs,
       coalesce('order: ' || o.total_minor || ' less refunds before ' || (o.reduced_minor - coalesce(g.minor, 0)),
                'order: changed again since') AS rhs
FROM order_changes c
LEFT JOIN ({_LAST}) last USING (order_no, change_id)
LEFT JOIN orders o ON o.order_no = last.order_no
LEFT JOIN LATERAL (
    SELECT sum(reduction_minor) AS minor FROM granted_refunds g
    WHERE g.order_no = last.order_no AND g.state = 'granted' AND g.granted_at > last.changed_at) g ON true
WHERE (CAST(:only AS text) IS NULL OR c.order_no = :only)
  AND ((c.after->>'total_minor')::bigint - (c.before->>'total_minor')::bigint <> c.delta_minor
       OR (c.after->>'total_minor')::bigint <> o.total_minor - o.reduced_minor + coalesce(g.minor, 0))
""")  # noqa: S608 - all of it is ours


async def changes_add_up_to_the_orders_total(session: AsyncSession, only: str | None) -> list[Finding]:
    """A change makes the order dearer or cheaper by its delta, and the order costs what its last change made of it."""
    return await ask(session, _TOTALS, only)


_UNITS = question(f"""
SELECT l.order_no || '/' || l.line_id AS key, l.order_no,
       'change ' || c.change_id || ': ' || coalesce(c.after->'units'->>l.line_id, '0') || ' units' AS lhs,
       'line: ' || l.quantity || ', taken out ' || l.cancelled || ', of that since then ' || coalesce(g.units, 0) AS rhs
FROM ({_LAST}) c
JOIN orders o ON o.order_no = c.order_no AND o.lifecycle NOT IN ('cancelled', 'rejected', 'expired')
JOIN order_lines l ON l.order_no = c.order_no
LEFT JOIN LATERAL (
    SELECT sum(gl.unshipped) AS units FROM granted_refunds g
    JOIN granted_refund_lines gl ON gl.order_no = g.order_no AND gl.grant_id = g.grant_id AND gl.line_id = l.line_id
    WHERE g.order_no = l.order_no AND g.state = 'granted' AND g.granted_at > c.changed_at) g ON true
WHERE coalesce((c.after->'units'->>l.line_id)::bigint, 0) <> l.quantity - l.cancelled + coalesce(g.units, 0)
""")  # noqa: S608 - all of it is ours


async def changed_lines_have_the_units_agreed(session: AsyncSession, only: str | None) -> list[Finding]:
    """An order that goes on has of each line what its last change agreed, less what was refunded unsent since then."""
    return await ask(session, _UNITS, only)


_BOOKS = question("""
SELECT c.order_no || '/' || c.change_id AS key, c.order_no, 'change: gives back ' || c.refund_minor AS lhs,
       'books ' || coalesce(b.minor, 0) || ', granted ' || coalesce(g.payout_minor, 0) || ', told '
           || coalesce(e.told, 0) || ' times' AS rhs
FROM order_changes c
LEFT JOIN LATERAL (
    SELECT sum(CASE l.side WHEN 'Cr' THEN l.amount_minor ELSE -l.amount_minor END) AS minor
    FROM journal_entries j JOIN journal_lines l ON l.entry_id = j.entry_id AND l.role = 'refund_payable'
    WHERE j.order_no = c.order_no AND j.event IN ('sale_changed', 'compensation_absorbed')
      AND 'changed/' || c.order_no || '/' || c.change_id
          IN (j.event_key, left(j.event_key, -length('/' || j.event)))) b ON true
LEFT JOIN granted_refunds g ON g.order_no = c.order_no AND g.grant_id = 'change-' || c.change_id
LEFT JOIN LATERAL (SELECT count(*) AS told FROM order_events e WHERE e.order_no = c.order_no
                   AND e.kind = 'order.changed' AND e.data->>'change_id' = c.change_id) e ON true
WHERE (CAST(:only AS text) IS NULL OR c.order_no = :only)
  AND (coalesce(b.minor, 0) <> c.refund_minor OR coalesce(g.payout_minor, 0) <> c.refund_minor OR e.told <> 1)
""")


async def changes_are_in_the_books_and_in_the_story(session: AsyncSession, only: str | None) -> list[Finding]:
    """What a change gives back is payable by its posting and granted as its refund; the order's story tells it once."""
    return await ask(session, _BOOKS, only)
