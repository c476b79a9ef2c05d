"""What must hold of the books once the dust has settled: each check is a query that finds what is wrong."""

import asyncio
import json
import sqlite3
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import psycopg

from tests.fakes.patience import eventually

# A message whose hand-over was interrupted is taken up again after its lease of 15 seconds.
SWEPT_WITHIN_S: Final = 40.0

# Orders of one line of two units at 113.00, 13% VAT in it, bought at 60.00 a unit, paid in full and delivered.
_FINISHED: Final[dict[str, str]] = {
    "orders that are not completed": "SELECT order_no, lifecycle FROM orders WHERE lifecycle <> 'completed'",
    "lines that are not done": """
        SELECT order_no FROM order_lines
        WHERE (allocated, shipped, delivered, invoiced, recognised) IS DISTINCT FROM
              (quantity, quantity, quantity, quantity, quantity)""",
    "holds that are open": "SELECT order_no, reason_code FROM order_holds WHERE resolved_at IS NULL",
    "orders without exactly one payment": """
        SELECT o.order_no, count(p.payment_id) FROM orders o LEFT JOIN payments p USING (order_no)
        GROUP BY o.order_no HAVING count(p.payment_id) <> 1""",
    "money that is not the order's": """
        SELECT order_no, paid_minor FROM orders WHERE paid_minor <> total_minor OR refunded_minor <> 0""",
    "orders without exactly one parcel": """
        SELECT o.order_no, count(s.shipment_no) FROM orders o LEFT JOIN shipments s USING (order_no)
        GROUP BY o.order_no HAVING count(s.shipment_no) <> 1 OR max(s.status) <> 'delivered'""",
    "orders without exactly one invoice": """
        SELECT o.order_no, count(i.invoice_key) FROM orders o LEFT JOIN invoices i USING (order_no)
        GROUP BY o.order_no HAVING count(i.invoice_key) <> 1 OR max(i.state) <> 'issued'""",
    "gaps in invoice numbers": """
        SELECT count(*), max(split_part(invoice_no, '-', 2)::bigint) FROM invoices
        HAVING count(*) <> max(split_part(invoice_no, '-', 2)::bigint)""",
    "vouchers that are not those of the sale": """
        SELECT o.order_no, s.balances FROM orders o LEFT JOIN (
            SELECT order_no, jsonb_object_agg(role, balance) AS balances FROM (
                SELECT e.order_no, l.role, sum(CASE l.side WHEN 'Dr' THEN base_minor ELSE -base_minor END) AS balance
                FROM journal_entries e JOIN journal_lines l USING (entry_id) GROUP BY e.order_no, l.role) AS roles
            GROUP BY order_no) AS s USING (order_no)
        WHERE s.balances IS DISTINCT FROM jsonb_build_object(
            'wallet', 22600, 'revenue', -20000, 'output_vat', -2600, 'output_vat_pending', 0, 'contract_liability', 0,
            'inventory', -12000, 'goods_in_transit', 0, 'cost_of_sales', 12000)""",
    "sales with other entries than the others": """
        SELECT array_agg(event), count(*) FROM (
            SELECT order_no, array_agg(event ORDER BY event) AS event FROM journal_entries
            WHERE order_no IS NOT NULL GROUP BY order_no) AS sale GROUP BY event
        HAVING count(*) <> (SELECT count(*) FROM orders)""",
}
_ALWAYS: Final[dict[str, str]] = {
    "gaps in voucher numbers": """
        SELECT count(*), max(split_part(voucher_no, '-', 2)::bigint) FROM orders
        HAVING count(*) <> max(split_part(voucher_no, '-', 2)::bigint)""",
    "entries that do not balance": """
        SELECT entry_id FROM journal_lines GROUP BY entry_id
        HAVING sum(CASE side WHEN 'Dr' THEN base_minor ELSE -base_minor END) <> 0
            OR sum(CASE side WHEN 'Dr' THEN amount_minor ELSE -amount_minor END) <> 0""",
    "levels that movements do not explain": """
        SELECT sku, on_hand, sum(quantity) FROM stock_levels s JOIN stock_movements m USING (sku, warehouse)
        GROUP BY sku, warehouse, on_hand, s.value_minor
        HAVING on_hand <> sum(m.quantity) OR s.value_minor <> sum(m.value_minor)""",
    "units reserved for nobody": """
        SELECT sku, reserved FROM stock_levels s WHERE reserved <> (
            SELECT coalesce(sum(quantity), 0) FROM reservations r
            WHERE r.sku = s.sku AND r.warehouse = s.warehouse AND r.state = 'active')""",
    "messages that nobody has handed over": "SELECT inbox_id, kind FROM inbox_messages WHERE handed_over_at IS NULL",
    "facts without an outcome": """
        SELECT inbox_id, kind FROM inbox_messages
        WHERE kind IN ('payment.settled', 'parcel.scanned', 'stock.replenished') AND applied_at IS NULL""",
    "stories with gaps": """
        SELECT o.order_no FROM orders o JOIN order_events e USING (order_no)
        GROUP BY o.order_no HAVING count(*) <> o.last_event_seq OR max(e.seq) <> o.last_event_seq OR min(e.seq) <> 1""",
    "steps told twice": """
        SELECT order_no, kind, count(*) FROM order_events WHERE kind NOT IN ('order.waiting')
        GROUP BY order_no, kind, data HAVING count(*) > 1""",
    "messages that were not delivered": "SELECT message_id, state FROM outbox_messages WHERE state <> 'delivered'",
}


async def check_finished(database_url: str) -> None:
    """Fails unless all orders have come to their end as they should; what the sweeper is still at is waited for."""

    async def look() -> dict[str, list[Any]]:
        return await asyncio.to_thread(_found, database_url, _FINISHED | _ALWAYS)

    await eventually(look, lambda wrong: wrong == {}, SWEPT_WITHIN_S)


def rows(database_url: str, query: str) -> list[Any]:
    with psycopg.connect(database_url.replace("+psycopg", "", 1)) as connection:
        return connection.execute(query).fetchall()


def kept_by(simulator: Path, shelf: str, about: str = "") -> dict[str, dict[str, Any]]:
    """What a simulated party has on record, by the key under which we asked for it; of one order, if `about` says."""
    with sqlite3.connect(f"file:{simulator}?mode=ro", uri=True) as connection:
        query = "SELECT key, value FROM entries WHERE shelf = ? AND key BETWEEN ? AND ?"
        found = connection.execute(query, (shelf, about, about + "\U0010ffff")).fetchall()
    connection.close()
    return {key: json.loads(value) for key, value in found}


def _found(database_url: str, checks: Mapping[str, str]) -> dict[str, list[Any]]:
    found = {name: rows(database_url, query)[:5] for name, query in checks.items()}
    return {name: wrong for name, wrong in found.items() if wrong}
