"""Whether stock is what its movements and promises say, and lines are what happened to their goods."""

from sqlmodel.ext.asyncio.session import AsyncSession

from store.checks.finding import Finding, ask, question

_LEVELS = question("""
SELECT sku || '@' || warehouse AS key, CAST(NULL AS text) AS order_no,
       'on hand ' || coalesce(s.on_hand, 0) || ', worth ' || coalesce(s.value_minor, 0) AS lhs,
       'moved ' || coalesce(m.quantity, 0) || ', worth ' || coalesce(m.value_minor, 0) AS rhs
FROM stock_levels s FULL JOIN (
    SELECT sku, warehouse, sum(quantity) AS quantity, sum(value_minor) AS value_minor
    FROM stock_movements GROUP BY sku, warehouse) m USING (sku, warehouse)
WHERE CAST(:only AS text) IS NULL
  AND (coalesce(s.on_hand, 0), coalesce(s.value_minor, 0)) <> (coalesce(m.quantity, 0), coalesce(m.value_minor, 0))
""")


async def stock_is_what_movements_say(session: AsyncSession, only: str | None) -> list[Finding]:
    """Units on hand and their value are the sums of all movements of the SKU in the warehouse."""
    return await ask(session, _LEVELS, only)


_RESERVED = question("""
SELECT sku || '@' || warehouse AS key, CAST(NULL AS text) AS order_no, 'reserved ' || coalesce(s.reserved, 0) AS lhs,
       'promised ' || coalesce(r.quantity, 0) AS rhs
FROM stock_levels s FULL JOIN (
    SELECT sku, warehouse, sum(quantity) AS quantity FROM reservations WHERE state = 'active'
    GROUP BY sku, warehouse) r USING (sku, warehouse)
WHERE CAST(:only AS text) IS NULL AND coalesce(s.reserved, 0) <> coalesce(r.quantity, 0)
""")


async def reserved_is_what_is_promised(session: AsyncSession, only: str | None) -> list[Finding]:
    """Reserved units of a level are those of its active reservations."""
    return await ask(session, _RESERVED, only)


_ALLOCATED = question("""
SELECT l.order_no || '/' || l.line_id AS key, l.order_no,
       'allocated and not shipped ' || (l.allocated - l.shipped) AS lhs,
       'promised ' || coalesce(r.quantity, 0) AS rhs
FROM order_lines l LEFT JOIN (
    SELECT order_no, line_id, sum(quantity) AS quantity FROM reservations WHERE state = 'active'
    GROUP BY order_no, line_id) r ON r.order_no = l.order_no AND r.line_id = l.line_id
WHERE (CAST(:only AS text) IS NULL OR l.order_no = :only) AND l.allocated - l.shipped <> coalesce(r.quantity, 0)
""")


async def lines_have_what_is_promised(session: AsyncSession, only: str | None) -> list[Finding]:
    """What a line has allocated and not shipped is promised to it by active reservations."""
    return await ask(session, _ALLOCATED, only)


_SHIPPED = question("""
SELECT l.order_no || '/' || l.line_id AS key, l.order_no,
       'shipped ' || l.shipped || ', delivered ' || l.delivered AS lhs,
       'left stock ' || coalesce(p.gone, 0) || ', in delivered parcels ' || coalesce(p.delivered, 0) AS rhs
FROM order_lines l LEFT JOIN (
    SELECT pl.order_no, pl.line_id, coalesce(sum(-m.quantity), 0) AS gone,
           coalesce(sum(pl.quantity) FILTER (WHERE s.status = 'delivered'), 0) AS delivered
    FROM shipment_lines pl JOIN shipments s ON s.shipment_no = pl.shipment_no
    LEFT JOIN stock_movements m ON m.movement_key = 'shipment/' || pl.shipment_no || '/' || pl.line_id
    WHERE s.status <> 'given_up' AND (CAST(:only AS text) IS NULL OR pl.order_no = :only)
    GROUP BY pl.order_no, pl.line_id) p ON p.order_no = l.order_no AND p.line_id = l.line_id
WHERE (CAST(:only AS text) IS NULL OR l.order_no = :only)
  AND (l.shipped, l.delivered) <> (coalesce(p.gone, 0), coalesce(p.delivered, 0))
""")


async def lines_are_what_parcels_say(session: AsyncSession, only: str | None) -> list[Finding]:
    """A line has shipped what left stock in its parcels, but those given up, and delivered what lies in parcels that
    arrived.
    """
    return await ask(session, _SHIPPED, only)
