"""Whether the books balance, and say the same as payments, refunds, invoices and deliveries."""

from sqlmodel.ext.asyncio.session import AsyncSession

from store.checks.finding import Finding, ask, question

_MONEY_ROLES = "('wallet', 'bank', 'gateway_fee', 'stored_value')"

_ENTRIES = question("""
SELECT 'entry ' || e.entry_id AS key, e.order_no,
       'debit ' || coalesce(sum(l.amount_minor) FILTER (WHERE l.side = 'Dr'), 0) || ' ' || e.currency || ', '
           || coalesce(sum(l.base_minor) FILTER (WHERE l.side = 'Dr'), 0) || ' ' || e.functional_currency AS lhs,
       'credit ' || coalesce(sum(l.amount_minor) FILTER (WHERE l.side = 'Cr'), 0) || ' ' || e.currency || ', '
           || coalesce(sum(l.base_minor) FILTER (WHERE l.side = 'Cr'), 0) || ' ' || e.functional_currency AS rhs
FROM journal_entries e LEFT JOIN journal_lines l ON l.entry_id = e.entry_id
WHERE CAST(:only AS text) IS NULL OR e.order_no = :only
GROUP BY e.entry_id
HAVING count(l.entry_id) < 2
    OR coalesce(sum(CASE l.side WHEN 'Dr' THEN l.amount_minor ELSE -l.amount_minor END), 0) <> 0
    OR coalesce(sum(CASE l.side WHEN 'Dr' THEN l.base_minor ELSE -l.base_minor END), 0) <> 0
""")


async def entries_balance(session: AsyncSession, only: str | None) -> list[Finding]:
    """Every entry has at least two lines, and debit equals credit in both currencies: so do all accounts together."""
    return await ask(session, _ENTRIES, only)


_REVERSALS = question("""
SELECT 'entry ' || r.entry_id AS key, r.order_no,
       'reversed ' || coalesce(string_agg(lo.account || ' ' || lo.side || ' ' || lo.amount_minor, ', '
                               ORDER BY lo.line_no), '-') AS lhs,
       'mirror ' || coalesce(string_agg(lr.account || ' ' || lr.side || ' ' || lr.amount_minor, ', '
                             ORDER BY lr.line_no), '-') AS rhs
FROM journal_entries r JOIN journal_entries o ON o.entry_id = r.reverses_entry_id
LEFT JOIN journal_lines lr ON lr.entry_id = r.entry_id
FULL JOIN journal_lines lo ON lo.entry_id = o.entry_id AND lo.line_no = lr.line_no
WHERE r.entry_id IS NOT NULL AND (CAST(:only AS text) IS NULL OR r.order_no = :only)
GROUP BY r.entry_id
HAVING bool_or((lo.account, lo.amount_minor, lo.base_minor, lo.side)
               IS DISTINCT FROM (lr.account, lr.amount_minor, lr.base_minor,
                                 CASE lr.side WHEN 'Dr' THEN 'Cr' ELSE 'Dr' END))
""")


async def reversals_mirror_what_they_reverse(session: AsyncSession, only: str | None) -> list[Finding]:
    """An entry that reverses another has its accounts and amounts on the other side, so that both come to nothing."""
    return await ask(session, _REVERSALS, only)


_INVENTORY = question("""
SELECT 'inventory' AS key, CAST(NULL AS text) AS order_no, 'stock worth ' || stock.minor AS lhs,
       'books ' || books.minor AS rhs
FROM (SELECT coalesce(sum(value_minor), 0) AS minor FROM stock_levels) stock
CROSS JOIN (SELECT coalesce(sum(CASE side WHEN 'Dr' THEN base_minor ELSE -base_minor END), 0) AS minor
            FROM journal_lines WHERE role = 'inventory') books
WHERE CAST(:only AS text) IS NULL AND stock.minor <> books.minor
""")


async def inventory_in_the_books_is_what_stock_is_worth(session: AsyncSession, only: str | None) -> list[Finding]:
    """The balance of the inventory accounts is the value of all stock levels."""
    return await ask(session, _INVENTORY, only)


_PAYMENTS = question(f"""
SELECT order_no AS key, order_no, 'payments ' || coalesce(p.posted, 0) AS lhs, 'books ' || coalesce(b.minor, 0) AS rhs
FROM (SELECT order_no, sum(amount_minor) FILTER (WHERE state IN ('applied', 'late', 'duplicate')) AS posted
      FROM payments WHERE CAST(:only AS text) IS NULL OR order_no = :only GROUP BY order_no) p
FULL JOIN (
    SELECT e.order_no, sum(l.amount_minor) AS minor
    FROM journal_entries e JOIN journal_lines l ON l.entry_id = e.entry_id
    WHERE e.event IN ('payment_received', 'courier_remitted') AND l.side = 'Dr'
      AND (l.role IN {_MONEY_ROLES} OR l.role = 'refund_payable')
      AND (CAST(:only AS text) IS NULL OR e.order_no = :only)
    GROUP BY e.order_no) b USING (order_no)
WHERE coalesce(p.posted, 0) <> coalesce(b.minor, 0)
""")  # noqa: S608 - the roles are a constant


async def payments_are_in_the_books(session: AsyncSession, only: str | None) -> list[Finding]:
    """Payments of an order that count as posted are, in sum, the money that the books say came in for it, or the debt
    to the customer that pays for an exchange.
    """
    return await ask(session, _PAYMENTS, only)


_REFUNDS = question(f"""
SELECT order_no AS key, order_no, 'refunds ' || coalesce(r.paid, 0) AS lhs, 'books ' || coalesce(b.minor, 0) AS rhs
FROM (SELECT r.order_no, sum(r.amount_minor) AS paid FROM refunds r
      JOIN payments p ON p.order_no = r.order_no AND p.payment_id = r.payment_id
                     AND p.state IN ('applied', 'late', 'duplicate')
      WHERE r.state = 'succeeded' AND r.credited_to IS NULL
        AND (CAST(:only AS text) IS NULL OR r.order_no = :only) GROUP BY r.order_no) r
FULL JOIN (
    SELECT e.order_no, sum(l.amount_minor) AS minor
    FROM journal_entries e JOIN journal_lines l ON l.entry_id = e.entry_id
    WHERE e.event = 'refund_paid' AND l.side = 'Cr' AND l.role IN {_MONEY_ROLES}
      AND (CAST(:only AS text) IS NULL OR e.order_no = :only)
    GROUP BY e.order_no) b USING (order_no)
WHERE coalesce(r.paid, 0) <> coalesce(b.minor, 0)
""")  # noqa: S608 - the roles are a constant


async def refunds_are_in_the_books(session: AsyncSession, only: str | None) -> list[Finding]:
    """Refunds that were paid out are, in sum, the money that the books say went back."""
    return await ask(session, _REFUNDS, only)


_SUMS = question("""
SELECT o.order_no AS key, o.order_no, 'order: paid ' || o.paid_minor || ', refunded ' || o.refunded_minor AS lhs,
       'rows: paid ' || coalesce(p.counted, 0) || ', refunded ' || coalesce(r.paid, 0) AS rhs
FROM orders o
LEFT JOIN (SELECT order_no, sum(amount_minor) AS counted FROM payments
           WHERE state <> 'unapplied' GROUP BY order_no) p ON p.order_no = o.order_no
LEFT JOIN (SELECT r.order_no, sum(r.amount_minor) AS paid FROM refunds r
           JOIN payments p ON p.order_no = r.order_no AND p.payment_id = r.payment_id AND p.state <> 'unapplied'
           WHERE r.state = 'succeeded' GROUP BY r.order_no) r ON r.order_no = o.order_no
WHERE (CAST(:only AS text) IS NULL OR o.order_no = :only)
  AND (o.paid_minor, o.refunded_minor) <> (coalesce(p.counted, 0), coalesce(r.paid, 0))
""")


async def orders_count_their_money(session: AsyncSession, only: str | None) -> list[Finding]:
    """What an order counts as paid and as refunded is the sum of its payments and of its refunds that succeeded."""
    return await ask(session, _SUMS, only)


_INVOICED = question("""
SELECT l.order_no || '/' || l.line_id AS key, l.order_no,
       'line: invoiced ' || l.invoiced || ' of ' || l.quantity || ', worth ' || l.net_minor || ' + '
           || l.tax_minor AS lhs,
       'invoices: ' || coalesce(i.units, 0) || ', worth ' || coalesce(i.net, 0) || ' + ' || coalesce(i.tax, 0) AS rhs
FROM order_lines l LEFT JOIN (
    SELECT il.order_no, il.line_id, bool_or(i.kind = 'red') AS credited,
           sum(CASE i.kind WHEN 'red' THEN -il.quantity ELSE il.quantity END) AS units,
           sum(CASE i.kind WHEN 'red' THEN -il.net_minor ELSE il.net_minor END) AS net,
           sum(CASE i.kind WHEN 'red' THEN -il.tax_minor ELSE il.tax_minor END) AS tax
    FROM invoice_lines il JOIN invoices i ON i.invoice_key = il.invoice_key
    WHERE i.state = 'issued' AND (CAST(:only AS text) IS NULL OR il.order_no = :only)
    GROUP BY il.order_no, il.line_id) i ON i.order_no = l.order_no AND i.line_id = l.line_id
WHERE (CAST(:only AS text) IS NULL OR l.order_no = :only)
  AND (l.invoiced <> coalesce(i.units, 0)
       OR (l.invoiced = l.quantity AND NOT i.credited AND l.refunded_gross_minor = 0
           AND (i.net, i.tax) <> (l.net_minor, l.tax_minor))
       OR (coalesce(i.units, 0) = 0 AND coalesce(i.net, 0) <> 0)
       OR coalesce(i.net, 0) NOT BETWEEN 0 AND l.net_minor OR coalesce(i.tax, 0) NOT BETWEEN 0 AND l.tax_minor)
""")


async def lines_are_invoiced_as_they_say(session: AsyncSession, only: str | None) -> list[Finding]:
    """A line is invoiced as often as issued invoices less credit notes name it, and for no more than it is worth;
    all of it invoiced and none credited, for exactly that: a line is what is invoiced of it and what is open.
    """
    return await ask(session, _INVOICED, only)


_HEADERS = question("""
SELECT i.invoice_key AS key, i.order_no, 'invoice ' || i.net_minor || ' + ' || i.tax_minor AS lhs,
       'lines ' || coalesce(sum(l.net_minor), 0) || ' + ' || coalesce(sum(l.tax_minor), 0) AS rhs
FROM invoices i LEFT JOIN invoice_lines l ON l.invoice_key = i.invoice_key
WHERE CAST(:only AS text) IS NULL OR i.order_no = :only
GROUP BY i.invoice_key
HAVING (i.net_minor, i.tax_minor) <> (coalesce(sum(l.net_minor), 0), coalesce(sum(l.tax_minor), 0))
""")


async def invoices_sum_to_their_lines(session: AsyncSession, only: str | None) -> list[Finding]:
    """Net and tax of an invoice are the sums of its lines."""
    return await ask(session, _HEADERS, only)


_OPEN = question("""
SELECT o.order_no AS key, o.order_no, 'order ' || o.lifecycle AS lhs,
       'units wanted ' || l.wanted || ', refunded ' || l.refunded || ', invoiced ' || l.invoiced AS rhs
FROM orders o CROSS JOIN LATERAL (
    SELECT sum(quantity - cancelled) AS wanted, sum(refunded) AS refunded, sum(invoiced) AS invoiced,
           sum(gross_minor) AS gross
    FROM order_lines WHERE order_no = o.order_no AND gross_minor > 0) l
WHERE (CAST(:only AS text) IS NULL OR o.order_no = :only) AND o.closed_at IS NOT NULL
  AND ((o.lifecycle = 'completed' AND l.gross > 0 AND l.invoiced + l.refunded < l.wanted)
       OR (o.lifecycle <> 'completed' AND l.invoiced > 0))
""")


async def ended_orders_leave_nothing_to_invoice(session: AsyncSession, only: str | None) -> list[Finding]:
    """A completed order is invoiced as far as its goods stayed with the customer; one that was undone is not at all."""
    return await ask(session, _OPEN, only)


_GRANTED = question("""
SELECT l.order_no || '/' || l.line_id AS key, l.order_no,
       'line: refunded ' || l.refunded || ' units, ' || l.refunded_gross_minor AS lhs,
       'granted ' || coalesce(g.units, 0) || ' units, ' || coalesce(g.gross, 0) AS rhs
FROM order_lines l LEFT JOIN (
    SELECT order_no, line_id, sum(delivered) AS units, sum(gross_minor) AS gross FROM granted_refund_lines
    WHERE CAST(:only AS text) IS NULL OR order_no = :only GROUP BY order_no, line_id) g
    ON g.order_no = l.order_no AND g.line_id = l.line_id
WHERE (CAST(:only AS text) IS NULL OR l.order_no = :only)
  AND (l.refunded, l.refunded_gross_minor) <> (coalesce(g.units, 0), coalesce(g.gross, 0))
""")


async def lines_count_what_was_granted(session: AsyncSession, only: str | None) -> list[Finding]:
    """Units and money that count as refunded on a line are those of the refunds that were granted."""
    return await ask(session, _GRANTED, only)


_NUMBERS = question("""
WITH carried AS (
    SELECT CASE kind WHEN 'red' THEN 'credit/' ELSE 'invoice/' END || entity_id || '/'
           || right(split_part(invoice_no, '-', 1), 4) AS series, split_part(invoice_no, '-', 2)::bigint AS number
    FROM invoices WHERE invoice_no ~ '-[0-9]+$'
    UNION ALL
    SELECT 'voucher/' || entity_id || '/' || substr(split_part(voucher_no, '-', 1), 2),
           split_part(voucher_no, '-', 2)::bigint
    FROM orders WHERE voucher_no ~ '^V[0-9]{4}-[0-9]+$'
), given AS (
    SELECT s.series, n.number FROM number_series s CROSS JOIN LATERAL generate_series(1, s.next_number - 1) n (number)
    WHERE split_part(s.series, '/', 1) IN ('invoice', 'credit', 'voucher')
)
SELECT series || '/' || number AS key, CAST(NULL AS text) AS order_no,
       CASE WHEN given.number IS NULL THEN 'never given' ELSE 'given' END AS lhs,
       CASE WHEN carried.number IS NULL THEN 'carried by nothing' ELSE 'carried' END AS rhs
FROM given FULL JOIN carried USING (series, number)
WHERE CAST(:only AS text) IS NULL AND (given.number IS NULL OR carried.number IS NULL)
""")


async def numbers_have_no_gaps(session: AsyncSession, only: str | None) -> list[Finding]:
    """Every voucher and invoice number that was given is carried, and every one that is carried was given."""
    return await ask(session, _NUMBERS, only)


_REVENUE = question("""
SELECT o.order_no AS key, o.order_no, 'recognised lines worth ' || l.net AS lhs,
       'revenue ' || coalesce(b.minor, 0) AS rhs
FROM orders o JOIN (
    SELECT l.order_no,
           coalesce(sum(l.net_minor - coalesce(g.net, 0)) FILTER (WHERE l.recognised > 0 AND l.sold_as = 'principal'),
                    0) AS net,
           bool_and(l.recognised IN (0, l.quantity - l.cancelled)) AS whole
    FROM order_lines l LEFT JOIN (
        SELECT order_no, line_id, sum(gross_minor - tax_minor) AS net FROM granted_refund_lines
        WHERE CAST(:only AS text) IS NULL OR order_no = :only
        GROUP BY order_no, line_id) g ON g.order_no = l.order_no AND g.line_id = l.line_id
    WHERE CAST(:only AS text) IS NULL OR l.order_no = :only
    GROUP BY l.order_no) l ON l.order_no = o.order_no
LEFT JOIN (
    SELECT e.order_no, sum(CASE l.side WHEN 'Cr' THEN l.amount_minor ELSE -l.amount_minor END) AS minor
    FROM journal_entries e JOIN journal_lines l ON l.entry_id = e.entry_id
    WHERE l.role = 'revenue' AND (CAST(:only AS text) IS NULL OR e.order_no = :only)
    GROUP BY e.order_no) b ON b.order_no = o.order_no
WHERE l.whole AND l.net <> coalesce(b.minor, 0)
""")


async def revenue_is_what_was_recognised(session: AsyncSession, only: str | None) -> list[Finding]:
    """The revenue in the books is the net price of the lines that count as recognised, less what was granted back."""
    return await ask(session, _REVENUE, only)


_LEFT = question("""
SELECT o.order_no || '/' || b.role AS key, o.order_no, 'order ' || o.lifecycle AS lhs, b.role || ' ' || b.minor AS rhs
FROM (
    SELECT e.order_no, l.role, sum(CASE l.side WHEN 'Dr' THEN l.base_minor ELSE -l.base_minor END) AS minor
    FROM journal_entries e JOIN journal_lines l ON l.entry_id = e.entry_id
    WHERE l.role IN ('contract_liability', 'output_vat_pending')
      AND (CAST(:only AS text) IS NULL OR e.order_no = :only)
    GROUP BY e.order_no, l.role) b
JOIN orders o ON o.order_no = b.order_no
WHERE o.closed_at IS NOT NULL AND b.minor <> 0
""")


async def ended_sales_owe_no_goods(session: AsyncSession, only: str | None) -> list[Finding]:
    """An order that has ended leaves nothing on contract liability and on pending VAT: all was delivered or undone."""
    return await ask(session, _LEFT, only)
