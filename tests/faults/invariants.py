"""What must be true of orders at rest, whatever happened before: each check is a query that finds what is wrong.

`:nos` are the orders looked at. The numbers are those of the promises that every fault test serves.
"""

import json
from itertools import pairwise
from typing import Any, Final

from sqlalchemy import text
from temporalio.client import WorkflowExecutionStatus
from temporalio.service import RPCError

from domain.order import MOVES, Lifecycle, has_ended
from store import audit
from store.checks.catalogue import CHECKS
from tests.faults.audit import kept_by
from tests.faults.bench import Bench
from tests.faults.bench_flows import ASKING
from tests.faults.signing import SIGNING
from workflows.order.contract import order_workflow_id
from workflows.order.workflow import OrderWorkflow

# An order is written off to the cent, so it counts as paid within this.
_TOLERANCE_MINOR: Final = 1

# What the goods of the order `o` had cost that a carrier has lost.
_LOST: Final = """(
    SELECT coalesce(sum(u.cost_minor), 0) FROM shipment_lines u JOIN shipments s USING (shipment_no)
    WHERE s.order_no = o.order_no AND s.status = 'given_up' AND NOT EXISTS (
        SELECT 1 FROM stock_movements m WHERE m.movement_key = 'return/' || u.shipment_no || '/' || u.line_id))"""
_AT_REST: Final[dict[str, str]] = {
    "I2 an order of a channel that is there twice": """
        SELECT channel, external_id FROM orders GROUP BY channel, external_id HAVING count(*) > 1""",
    "I3 money of an order that its payments do not explain": """
        SELECT o.order_no FROM orders o WHERE o.order_no = ANY(:nos) AND (
            o.paid_minor <> (SELECT coalesce(sum(p.amount_minor), 0) FROM payments p
                             WHERE p.order_no = o.order_no AND p.currency = o.currency)
            OR o.refunded_minor > o.paid_minor)""",
    "I3 a refund that was asked for twice": """
        SELECT order_no, payment_id FROM refunds WHERE order_no = ANY(:nos)
        GROUP BY order_no, payment_id HAVING sum(amount_minor) > (
            SELECT amount_minor FROM payments p
            WHERE p.order_no = refunds.order_no AND p.payment_id = refunds.payment_id)""",
    "I3 more given back than is left of the price": """
        SELECT order_no, line_id FROM order_lines WHERE order_no = ANY(:nos)
          AND (refunded_gross_minor > gross_minor OR refunded_tax_minor > tax_minor OR refunded > delivered
               OR returned > shipped OR delivered > shipped OR shipped > quantity)""",
    "I3 entries that do not balance": """
        SELECT e.entry_id FROM journal_entries e JOIN journal_lines l USING (entry_id) WHERE e.order_no = ANY(:nos)
        GROUP BY e.entry_id HAVING sum(CASE side WHEN 'Dr' THEN base_minor ELSE -base_minor END) <> 0""",
    "I3 something left on the books of an order that is not to be": f"""
        SELECT e.order_no, l.role, sum(CASE side WHEN 'Dr' THEN base_minor ELSE -base_minor END)
        FROM orders o JOIN journal_entries e USING (order_no) JOIN journal_lines l USING (entry_id)
        WHERE o.order_no = ANY(:nos) AND o.lifecycle IN ('cancelled', 'expired', 'rejected')
          AND o.paid_minor = o.refunded_minor + o.forfeited_minor
        GROUP BY e.order_no, l.role, o.order_no
        HAVING sum(CASE side WHEN 'Dr' THEN base_minor ELSE -base_minor END) <> CASE l.role
            WHEN 'wallet' THEN o.forfeited_minor WHEN 'forfeited_deposit' THEN -o.forfeited_minor
            WHEN 'count_difference' THEN {_LOST} WHEN 'inventory' THEN -{_LOST} ELSE 0 END""",
    "I3 accounts of an order on the wrong side, or more revenue than its price": """
        SELECT b.order_no, b.role, b.minor FROM orders o JOIN (
            SELECT e.order_no, l.role, sum(CASE side WHEN 'Dr' THEN base_minor ELSE -base_minor END) AS minor
            FROM journal_entries e JOIN journal_lines l USING (entry_id) WHERE e.order_no = ANY(:nos)
            GROUP BY e.order_no, l.role) b USING (order_no)
        WHERE (b.role IN ('receivable', 'cod_receivable', 'wallet', 'bank', 'goods_in_transit') AND b.minor < 0)
           OR (b.role IN ('contract_liability', 'output_vat_pending', 'output_vat', 'revenue', 'refund_payable',
                          'overpayment') AND b.minor > 0)
           OR (b.role = 'revenue' AND -b.minor > o.net_minor)""",
    "I3 goods and money on the books of an order that do not balance by themselves": """
        SELECT e.order_no FROM journal_entries e JOIN journal_lines l USING (entry_id) JOIN orders o USING (order_no)
        WHERE e.order_no = ANY(:nos) AND o.type <> 'sample'
          AND l.role IN ('inventory', 'goods_in_transit', 'cost_of_sales', 'count_difference')
        GROUP BY e.order_no HAVING sum(CASE side WHEN 'Dr' THEN base_minor ELSE -base_minor END) <> 0""",
    "I4 levels that movements do not explain": """
        SELECT sku, on_hand FROM stock_levels s JOIN stock_movements m USING (sku, warehouse)
        GROUP BY sku, warehouse, on_hand, s.value_minor
        HAVING on_hand <> sum(m.quantity) OR s.value_minor <> sum(m.value_minor)""",
    "I4 units reserved for nobody, or for an order that has ended": """
        SELECT sku, reserved FROM stock_levels s WHERE reserved <> (
            SELECT coalesce(sum(quantity), 0) FROM reservations r JOIN orders o USING (order_no)
            WHERE r.sku = s.sku AND r.warehouse = s.warehouse AND r.state = 'active' AND o.closed_at IS NULL)""",
    "I5 a parcel booked before the money was there": """
        SELECT b.order_no FROM order_events b JOIN orders o USING (order_no)
        WHERE b.order_no = ANY(:nos) AND b.kind = 'shipment.booked'
          AND o.payment_terms IN ('prepaid', 'deposit_balance')
          AND o.total_minor - o.reduced_minor - 1 > (
            SELECT coalesce(sum((p.data->>'amount_minor')::bigint), 0) FROM order_events p
            WHERE p.order_no = b.order_no AND p.kind = 'payment.received' AND p.seq < b.seq)""",
    "I5 a parcel booked before people had agreed": """
        SELECT b.order_no FROM order_events b JOIN orders o USING (order_no)
        WHERE b.order_no = ANY(:nos) AND b.kind = 'shipment.booked'
          AND ((o.flow_key = ANY(:asking) AND NOT EXISTS (
                SELECT 1 FROM approvals a WHERE a.order_no = o.order_no AND a.node IN ('gm', 'manager')
                AND a.state = 'approved' AND a.closed_at <= b.at))
            OR (o.payment_terms = 'on_credit' AND coalesce(o.credit_state, '') NOT IN ('within', 'granted')))""",
    "I5 an approval that somebody decided who was not asked, or two did": """
        SELECT a.approval_id, a.state, a.closed_by FROM approvals a WHERE a.order_no = ANY(:nos)
          AND (a.state IN ('approved', 'rejected') AND a.closed_by <> 'orderflow' AND (
                a.closed_by = ANY(a.interested) OR NOT EXISTS (
                    SELECT 1 FROM approval_assignments s WHERE s.approval_id = a.approval_id
                    AND s.person_id = a.closed_by AND s.state = a.state))
            OR a.rules->>'mode' IS NULL AND 1 < (
                SELECT count(*) FROM approval_trail t WHERE t.approval_id = a.approval_id
                AND t.decision IS NOT NULL AND t.outcome = 'effective'))""",
    "I5 an order with more than one living parcel": """
        SELECT order_no FROM shipments WHERE order_no = ANY(:nos) AND status <> 'voided'
        GROUP BY order_no HAVING count(*) > 1""",
    "I8 stories with gaps": """
        SELECT o.order_no FROM orders o LEFT JOIN order_events e USING (order_no) WHERE o.order_no = ANY(:nos)
        GROUP BY o.order_no HAVING count(e.seq) <> o.last_event_seq OR max(e.seq) <> o.last_event_seq""",
    "I8 things told twice": """
        SELECT order_no, kind, count(*) FROM order_events
        WHERE order_no = ANY(:nos) AND kind NOT IN ('order.waiting', 'order.held', 'order.hold_resolved',
            'order.cancel_requested', 'order.cancel_refused', 'stock.reserved', 'stock.released', 'order.fulfilling')
          -- What people ask for in vain they may ask for again.
          AND coalesce(data->>'outcome', 'effective') = 'effective'
        GROUP BY order_no, kind, data, actor HAVING count(*) > 1""",
    "I9 events without their message": """
        SELECT e.order_no, e.seq FROM order_events e WHERE e.order_no = ANY(:nos) AND NOT EXISTS (
            SELECT 1 FROM outbox_messages m WHERE m.message_id = e.order_no || '/' || e.seq)""",
    "I10 facts without an outcome": """
        SELECT inbox_id, kind FROM inbox_messages WHERE order_no = ANY(:nos) AND applied_at IS NULL
          AND kind IN ('payment.settled', 'parcel.scanned')""",
    "I10 an open order that waits for nobody": """
        SELECT o.order_no, o.lifecycle FROM orders o WHERE o.order_no = ANY(:nos) AND o.closed_at IS NULL
          AND (o.waiting_for IS NULL OR o.deadline_at IS NULL)
          AND NOT EXISTS (SELECT 1 FROM order_holds h WHERE h.order_no = o.order_no AND h.resolved_at IS NULL
                          AND h.blocking AND h.owner_role <> '' AND h.due_at IS NOT NULL)""",
    "I10 an order that has ended and is held": """
        SELECT order_no, reason_code FROM order_holds h JOIN orders o USING (order_no)
        WHERE order_no = ANY(:nos) AND h.resolved_at IS NULL AND h.opened_at < o.closed_at""",
}
_AT_THE_END: Final[dict[str, str]] = {
    "an order that does not end": """
        SELECT order_no, lifecycle FROM orders WHERE order_no = ANY(:nos) AND closed_at IS NULL""",
    "goods, revenue and invoice that disagree": """
        SELECT order_no, o.lifecycle, l.* FROM order_lines l JOIN orders o USING (order_no) WHERE order_no = ANY(:nos)
          AND CASE o.lifecycle WHEN 'completed'
              THEN (shipped, delivered, recognised) <> (quantity - cancelled, shipped, shipped)
                OR invoiced <> CASE o.type WHEN 'sample' THEN 0 ELSE quantity - cancelled - refunded END
              ELSE (shipped, recognised, invoiced) <> (returned, 0, 0) END""",
    "money kept of an order that is not to be": """
        SELECT order_no, paid_minor, refunded_minor FROM orders WHERE order_no = ANY(:nos)
          AND lifecycle <> 'completed' AND paid_minor <> refunded_minor + forfeited_minor""",
    "a completed order that was paid too little": f"""
        SELECT order_no FROM orders o WHERE order_no = ANY(:nos) AND lifecycle = 'completed'
          AND payment_terms IN ('prepaid', 'deposit_balance')
          AND paid_minor - refunded_minor < total_minor - reduced_minor - {_TOLERANCE_MINOR} - (
            SELECT coalesce(sum(compensation_minor), 0) FROM granted_refunds g WHERE g.order_no = o.order_no)""",
    "money that a completed order has too much, and nobody knows of": f"""
        SELECT order_no FROM orders o WHERE order_no = ANY(:nos) AND lifecycle = 'completed'
          AND paid_minor - refunded_minor > total_minor - reduced_minor + {_TOLERANCE_MINOR}
          AND NOT EXISTS (SELECT 1 FROM order_holds h WHERE h.order_no = o.order_no AND h.reason_code = 'payment_over')
    """,
    "something that was asked for beside the order and is not done": """
        SELECT message_id FROM inbox_messages WHERE order_no = ANY(:nos) AND applied_at IS NULL
          AND (starts_with(kind, 'return.') OR kind IN ('refund.requested', 'approval.decided', 'hold.decided'))
        UNION ALL SELECT return_no FROM returns WHERE order_no = ANY(:nos) AND closed_at IS NULL
        UNION ALL SELECT refund_id FROM refunds WHERE order_no = ANY(:nos) AND state <> 'succeeded'
        UNION ALL SELECT approval_id FROM approvals WHERE order_no = ANY(:nos) AND state = 'open'""",
}


async def wrong_at_rest(bench: Bench, order_nos: list[str]) -> dict[str, list[Any]]:
    """What is wrong although nobody is at work on these orders."""
    wrong = await _found(bench, _AT_REST | SIGNING, order_nos)
    for order_no in order_nos:
        wrong |= await _wrong_story(bench, order_no)
        wrong |= await _wrong_moves(bench, order_no) | await _wrong_standing(bench, order_no)
    return wrong


async def wrong_at_the_end(bench: Bench, order_nos: list[str]) -> dict[str, list[Any]]:
    """What is wrong although everything that was missing has come."""
    wrong = await wrong_at_rest(bench, order_nos) | await _found(bench, _AT_THE_END, order_nos)
    for order_no in order_nos:
        wrong |= await _wrong_outside(bench, order_no)
    for workflow_id in await bench.workflows(order_nos):
        try:
            status = (await bench.client.get_workflow_handle(workflow_id).describe()).status
        except RPCError:
            continue  # never needed
        # One that was lost after its last step has nothing left to do, and is not started again.
        if status is None or status.name not in ("COMPLETED", "TERMINATED"):
            wrong[f"{workflow_id}: its workflow"] = [status]
    return wrong


async def wrong_of_goods(bench: Bench, sku: str, units_in: int) -> dict[str, list[Any]]:
    """I4, as those count who know only what came in: on hand is that, less what is gone, plus what came back."""
    ((on_hand, gone),) = await bench.rows(
        """
        SELECT (SELECT sum(on_hand) FROM stock_levels WHERE sku = :sku),
               (SELECT coalesce(sum(l.shipped - l.returned), 0) + coalesce(sum(d.damaged), 0)
                FROM order_lines l LEFT JOIN (SELECT order_no, line_id, sum(damaged) AS damaged FROM return_lines
                     GROUP BY order_no, line_id) d USING (order_no, line_id) WHERE l.sku = :sku)
             + (SELECT coalesce(sum(u.quantity), 0) FROM shipment_lines u JOIN shipments s USING (shipment_no)
                WHERE u.sku = :sku AND s.status = 'given_up' AND NOT EXISTS (
                    SELECT 1 FROM stock_movements m
                    WHERE m.movement_key = 'return/' || u.shipment_no || '/' || u.line_id))
        """,
        sku=sku,
    )
    return {} if on_hand == units_in - gone else {f"I4 {sku}": [on_hand, units_in, gone]}


async def _wrong_story(bench: Bench, order_no: str) -> dict[str, list[Any]]:
    """I8: the chain of the order's events holds."""
    async with bench.database.sessions() as session:
        flaws = [flaw async for story in audit.stories(session, order_no) for flaw in audit.flaws_of(story)]
    return {f"I8 {order_no}": flaws} if flaws else {}


async def _wrong_outside(bench: Bench, order_no: str) -> dict[str, list[Any]]:
    """What the parties have on record for the order is what we say of them."""
    kept = kept_by(bench.folder / "payment.sqlite", "payment.refunds", order_no).values()
    paid = [(sum(one["outcome"]["status"] == "succeeded" for one in kept),)]
    ours = await bench.rows("SELECT count(*) FROM refunds WHERE order_no = :no AND state = 'succeeded'", no=order_no)
    labels = sum(
        not one["voided"] for one in kept_by(bench.folder / "carrier.sqlite", "carrier.bookings", order_no).values()
    )
    living = await bench.rows("SELECT count(*) FROM shipments WHERE order_no = :no AND status <> 'voided'", no=order_no)
    wrong = {f"I3 {order_no}: refunds of the provider": [paid, ours]} if paid != ours else {}
    return wrong | ({f"I5 {order_no}: labels of the carrier": [labels, living]} if [(labels,)] != living else {})


async def failed_checks(bench: Bench) -> dict[str, list[Any]]:
    """What the system's own checks find wrong with any order."""
    found: dict[str, list[Any]] = {}
    async with bench.database.sessions() as session:
        for check in CHECKS:
            if check.severity == "error" and (findings := await check.ask(session, None)):
                found[check.name] = [*findings[:5]]
    return found


async def _found(bench: Bench, checks: dict[str, str], order_nos: list[str]) -> dict[str, list[Any]]:
    found = {}
    async with bench.database.sessions() as session:
        for name, query in checks.items():
            given = {"nos": order_nos, "asking": [*ASKING, "sample"]}
            values = {name: value for name, value in given.items() if f":{name}" in query}
            if rows := [tuple(row) for row in await session.execute(text(query), values)]:
                found[name] = rows[:5]
    return found


async def _wrong_moves(bench: Bench, order_no: str) -> dict[str, list[Any]]:
    """I7: the lifecycle went only where it may."""
    told = await bench.rows("SELECT body FROM outbox_messages WHERE order_no = :no ORDER BY outbox_id", no=order_no)
    path = ["received", *(json.loads(body)["data"]["lifecycle"] for (body,) in told)]
    moves = [(was, to) for was, to in pairwise(path) if was != to]
    bad = [move for move in moves if Lifecycle(move[1]) not in MOVES[Lifecycle(move[0])]]
    return {f"I7 {order_no}": bad} if bad else {}


async def _wrong_standing(bench: Bench, order_no: str) -> dict[str, list[Any]]:
    """I1 and I6: the order is found by its number, and its workflow knows of it what the database says."""
    shown = await bench.ask("GET", f"/v1/orders/{order_no}")
    if shown.status_code != 200:
        return {f"I1 {order_no}": [shown.status_code]}
    order = shown.json()
    handle = bench.client.get_workflow_handle_for(OrderWorkflow.run, order_workflow_id(order_no))
    ended = has_ended(order["lifecycle"])
    if ended and (await handle.describe()).status is WorkflowExecutionStatus.TERMINATED:
        # It was lost during its last step, which went on without it.
        return {}
    known = await handle.query(OrderWorkflow.state)
    saw = (known.lifecycle,) if ended else (known.lifecycle, known.payment, known.fulfilment)
    says = (order["lifecycle"],) if ended else (order["lifecycle"], order["payment"], order["fulfilment"])
    return {} if saw == says else {f"I6 {order_no}": [saw, says]}
