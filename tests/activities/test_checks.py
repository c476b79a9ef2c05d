"""Each kind of damage is planted behind everybody's back, found by its check, put on record, alerted and closed."""

import itertools
import json
import os
from collections.abc import AsyncIterator, Sequence
from typing import Any

import pytest
from sqlalchemy import text
from temporalio.testing import ActivityEnvironment

from activities.checks import CheckActivities, CheckInput
from cli.local_stack.postgres import LocalPostgres
from models.columns import now
from models.outbox import Destination
from runtime.database import Sessions, create_engine, create_sessions, create_unpooled_engine
from store import discrepancies
from store.checks.catalogue import BY_NAME, CHECKS
from store.discrepancies import DiscrepancyFilter, DiscrepancyNotOpen
from tests.conftest import Database, administer
from tests.factories.sales_at_rest import at_rest

_numbers = itertools.count(1)

# Each check, with what makes it true no more.
_DAMAGE = {
    "stock_is_what_movements_say": "UPDATE stock_levels SET on_hand = on_hand + 1",
    "reserved_is_what_is_promised": "UPDATE stock_levels SET reserved = reserved - 1",
    "lines_have_what_is_promised": "UPDATE reservations SET quantity = 1 WHERE order_no = 'SO-2'",
    "lines_are_what_parcels_say": "DELETE FROM stock_movements WHERE kind = 'shipment'",
    "entries_balance": "UPDATE journal_lines SET amount_minor = amount_minor + 1 WHERE role = 'wallet'",
    "reversals_mirror_what_they_reverse": """
        INSERT INTO journal_entries (event_key, entity_id, voucher_no, order_no, event, currency, functional_currency,
            fx_rate, accounting_date, event_at, posted_at, reverses_entry_id)
        SELECT 'reversal/' || event_key, entity_id, voucher_no, order_no, event || '_reversed', currency,
            functional_currency, fx_rate, accounting_date, event_at, posted_at, entry_id
        FROM journal_entries WHERE event = 'revenue_recognised'""",
    "inventory_in_the_books_is_what_stock_is_worth": "UPDATE stock_levels SET value_minor = value_minor - 1",
    "payments_are_in_the_books": "UPDATE payments SET amount_minor = amount_minor - 1 WHERE order_no = 'SO-1'",
    "refunds_are_in_the_books": "UPDATE refunds SET state = 'refused'",
    "orders_count_their_money": "UPDATE orders SET paid_minor = paid_minor + 1 WHERE order_no = 'SO-1'",
    "credits_are_what_was_given_up": "UPDATE refunds SET credited_to = 'SO-2'",
    "no_credit_waits_for_a_return_that_is_over": "UPDATE refunds SET credited_to = 'SO-2', state = 'requested'",
    "lines_are_invoiced_as_they_say": "UPDATE order_lines SET invoiced = 1 WHERE order_no = 'SO-1'",
    "invoices_sum_to_their_lines": "UPDATE invoice_lines SET net_minor = net_minor + 1",
    "ended_orders_leave_nothing_to_invoice": "UPDATE order_lines SET invoiced = 0 WHERE order_no = 'SO-1'",
    "lines_count_what_was_granted": "UPDATE order_lines SET refunded = 1 WHERE order_no = 'SO-1'",
    "numbers_have_no_gaps": "UPDATE number_series SET next_number = next_number + 1 WHERE series LIKE 'invoice/%'",
    "revenue_is_what_was_recognised": """
        UPDATE journal_lines SET role = 'agent_commission' WHERE role = 'revenue'""",
    "ended_sales_owe_no_goods": """
        UPDATE journal_lines SET role = 'bank' WHERE role = 'contract_liability' AND side = 'Dr'""",
    "changes_add_up_to_the_orders_total": "UPDATE orders SET total_minor = total_minor + 1 WHERE order_no = 'SO-6'",
    "changed_lines_have_the_units_agreed": "UPDATE order_lines SET quantity = quantity + 1 WHERE order_no = 'SO-6'",
    "changes_are_in_the_books_and_in_the_story": """
        UPDATE journal_lines SET role = 'overpayment' WHERE role = 'refund_payable' AND entry_id IN (
            SELECT entry_id FROM journal_entries WHERE event = 'sale_changed' AND order_no = 'SO-5')""",
    "nothing_delivered_is_without_revenue": "DELETE FROM order_events WHERE kind = 'revenue.recognised'",
    "recognised_units_were_delivered": "UPDATE order_lines SET recognised = 1 WHERE order_no = 'SO-1'",
    "nothing_shipped_is_forgotten": """
        UPDATE shipments SET status = 'in_transit', handed_over_at = now() - interval '31 days'""",
    "holds_have_an_owner_and_a_deadline": """
        INSERT INTO order_holds (hold_id, order_no, reason_code, detail, facts, owner_role, blocking, attempts,
            opened_at)
        VALUES ('H', 'SO-2', 'step_failed', '', '{}', 'operations', true, 1, now())""",
    "nothing_waits_without_a_deadline": "UPDATE orders SET deadline_at = NULL WHERE order_no = 'SO-2'",
    "open_approvals_have_time_left_and_somebody_to_decide": "UPDATE approval_assignments SET state = 'dropped'",
    "no_order_waits_for_an_approval_that_is_over": "UPDATE approvals SET state = 'voided', closed_at = now()",
    "ended_orders_ask_nobody": "UPDATE orders SET lifecycle = 'rejected', closed_at = now() WHERE order_no = 'SO-4'",
    "who_waits_their_turn_waits_for_somebody": """
        INSERT INTO approval_assignments (approval_id, level, person_id, state, seat, place, since)
        SELECT approval_id, 9, 'somebody', 'waiting', 0, 0, now() FROM approvals WHERE order_no = 'SO-4'""",
    "nothing_is_approved_that_nobody_agreed_to": """
        INSERT INTO approvals SELECT (jsonb_populate_record(a, '{"approval_id": "AP-X", "visit": 0,
            "state": "approved", "closed_at": "2026-01-01T00:00:00Z"}')).* FROM approvals a WHERE order_no = 'SO-4'""",
    "what_came_in_is_heard": """
        UPDATE inbox_messages SET handed_over_at = NULL, received_at = now() - interval '16 minutes'
        WHERE kind = 'payment.settled' AND order_no = 'SO-1'""",
    "what_others_must_hear_is_under_way": """
        INSERT INTO outbox_messages (destination, message_id, order_no, event_type, body, occurred_at, state, attempts)
        SELECT name, 'SO-1/1', 'SO-1', 'order.received', '{}', now() - interval '16 minutes', 'pending', 0
        FROM destinations""",
    "stories_are_unbroken": "DELETE FROM order_events WHERE order_no = 'SO-1' AND seq = 2",
}
_FORGOTTEN = "UPDATE orders SET waiting_for = NULL WHERE order_no = 'SO-2'"
_LATE = "UPDATE order_events SET at = now() - interval '2 hours' WHERE order_no = 'SO-2'"


@pytest.fixture(scope="session")
async def rested(postgres: LocalPostgres, template: str) -> str:
    """A database with orders at rest, that every test's own is a copy of."""
    name = f"rested_{os.getpid()}"
    administer(postgres, "CREATE DATABASE {} TEMPLATE {} STRATEGY file_copy", name, template)
    engine = create_unpooled_engine(postgres.url(name))
    sessions = create_sessions(engine)
    await at_rest(sessions)
    async with sessions() as session, session.begin():
        session.add(Destination(name="duty", url="http://127.0.0.1:1/", secret="whsec_", event_types=["alert."]))
    await engine.dispose()
    return name


@pytest.fixture
async def sessions(postgres: LocalPostgres, rested: str) -> AsyncIterator[Sessions]:
    name = f"{rested}_{next(_numbers)}"
    administer(postgres, "CREATE DATABASE {} TEMPLATE {} STRATEGY file_copy", name, rested)
    engine = create_engine(postgres.url(name))
    yield create_sessions(engine)
    await engine.dispose()
    administer(postgres, "DROP DATABASE {} WITH (FORCE)", name)


async def _damage(sessions: Sessions, *statements: str) -> None:
    async with sessions() as session, session.begin():
        await session.execute(text("SET LOCAL session_replication_role = replica"))
        for statement in statements:
            changed: Any = await session.execute(text(statement))
            assert changed.rowcount > 0, statement


async def _checked(sessions: Sessions, run_id: str = "run", order_no: str | None = None) -> dict[str, int]:
    asked = CheckInput(run_id, "weekly", order_no)
    result = await ActivityEnvironment().run(CheckActivities(sessions).run_checks, asked)
    return {name: many for name, many in result.found.items() if many}


async def _states(sessions: Sessions) -> dict[str, tuple[str, int]]:
    async with sessions() as session:
        rows = await discrepancies.page(session, DiscrepancyFilter(), None, 100)
    return {row.check_name: (row.state, row.times) for row in rows}


async def _alerts(sessions: Sessions) -> list[dict[str, Any]]:
    async with sessions() as session:
        query = "SELECT body FROM outbox_messages WHERE event_type = 'alert.discrepancy' ORDER BY outbox_id"
        bodies: Sequence[str] = (await session.execute(text(query))).scalars().all()
    return [json.loads(body)["data"] for body in bodies]


async def test_orders_at_rest_give_no_finding(sessions: Sessions) -> None:
    assert await _checked(sessions) == {}
    async with sessions() as session:
        run = await discrepancies.last_run(session)
    assert run is not None
    assert set(run.found) == {check.name for check in CHECKS}
    assert await _alerts(sessions) == []


async def test_empty_database_gives_no_finding(database: Database) -> None:
    assert await _checked(database.sessions) == {}


def test_every_check_says_what_must_hold_and_has_its_damage() -> None:
    assert _DAMAGE.keys() == BY_NAME.keys()
    assert [check.name for check in CHECKS if len(check.invariant) < 20] == []


async def test_refund_that_was_granted_and_reverses_no_revenue_is_found(sessions: Sessions) -> None:
    grant = """
        INSERT INTO granted_refund_lines (order_no, grant_id, line_id, unshipped, delivered, gross_minor, tax_minor,
            platform_minor, shipping_minor)
        SELECT order_no, 'G-1', line_id, 0, 0, 113, 13, 0, 0 FROM order_lines
        WHERE recognised > 0 AND gross_minor > 113 LIMIT 1"""
    await _damage(sessions, grant)
    assert (await _checked(sessions))["revenue_is_what_was_recognised"] == 1


@pytest.mark.parametrize("name", _DAMAGE)
async def test_damage_is_found_by_its_check(sessions: Sessions, name: str) -> None:
    await _damage(sessions, _DAMAGE[name])
    assert (await _checked(sessions))[name] >= 1
    assert (await _states(sessions))[name] == ("open", 1)
    assert name in [alert["check"] for alert in await _alerts(sessions)]


@pytest.mark.parametrize(
    "statements",
    [(_FORGOTTEN, _LATE), ("UPDATE orders SET deadline_at = now() - interval '2 hours' WHERE order_no = 'SO-2'",)],
)
async def test_order_that_stands_still_is_found(sessions: Sessions, statements: tuple[str, ...]) -> None:
    await _damage(sessions, *statements)
    assert await _checked(sessions, order_no="SO-2") == {"nothing_waits_without_a_deadline": 1}


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE approvals SET deadline_at = now() - interval '2 hours'",
        "UPDATE people SET active = false",
        "DELETE FROM approval_assignments",
    ],
)
async def test_approval_that_nobody_will_decide_is_found(sessions: Sessions, statement: str) -> None:
    await _damage(sessions, statement)
    assert await _checked(sessions, order_no="SO-4") == {"open_approvals_have_time_left_and_somebody_to_decide": 1}
    assert await _checked(sessions, order_no="SO-2") == {}


@pytest.mark.parametrize("statement", ["DELETE FROM approvals", "UPDATE approvals SET node = 'ceo'"])
async def test_order_whose_approval_is_gone_is_found(sessions: Sessions, statement: str) -> None:
    await _damage(sessions, statement)
    assert await _checked(sessions, order_no="SO-4") == {"no_order_waits_for_an_approval_that_is_over": 1}


@pytest.mark.parametrize(
    ("check", "statement"),
    [
        ("changes_add_up_to_the_orders_total", "UPDATE order_changes SET delta_minor = delta_minor - 1"),
        ("changes_add_up_to_the_orders_total", "DELETE FROM order_changes WHERE change_id = 'C-2'"),
        ("changed_lines_have_the_units_agreed", "DELETE FROM order_changes WHERE change_id = 'C-2'"),
        ("changed_lines_have_the_units_agreed", "DELETE FROM granted_refund_lines WHERE order_no = 'SO-6'"),
        (
            "changes_are_in_the_books_and_in_the_story",
            "UPDATE order_changes SET refund_minor = 1 WHERE change_id = 'C-1'",
        ),
        ("changes_are_in_the_books_and_in_the_story", "DELETE FROM granted_refunds WHERE kind = 'change'"),
        ("changes_are_in_the_books_and_in_the_story", "DELETE FROM order_events WHERE kind = 'order.changed'"),
    ],
)
async def test_change_that_is_not_what_the_order_became_is_found(
    sessions: Sessions, check: str, statement: str
) -> None:
    await _damage(sessions, statement)
    assert (await _checked(sessions, order_no="SO-6"))[check] >= 1
    assert await _checked(sessions, order_no="SO-4") == {}


async def test_approval_that_others_ask_about_an_ended_order_is_no_discrepancy(sessions: Sessions) -> None:
    another = "UPDATE approvals SET content = 'return RT-1'"
    await _damage(sessions, another, "UPDATE orders SET closed_at = now(), waiting_for = NULL WHERE order_no = 'SO-4'")
    assert "ended_orders_ask_nobody" not in await _checked(sessions, order_no="SO-4")


async def test_one_order_is_checked_alone(sessions: Sessions) -> None:
    await _damage(sessions, _DAMAGE["orders_count_their_money"], _DAMAGE["lines_have_what_is_promised"])
    assert "orders_count_their_money" in await _checked(sessions, "first", "SO-1")
    assert await _checked(sessions, "second", "SO-3") == {}
    assert (await _states(sessions))["orders_count_their_money"] == ("open", 1), "another order's run does not close it"
    assert await _checked(sessions, "third", "SO-2") == {"lines_have_what_is_promised": 1}


async def test_same_discrepancy_is_one_row_and_one_alert_until_it_is_fixed_and_comes_back(sessions: Sessions) -> None:
    damage = _DAMAGE["orders_count_their_money"]
    await _damage(sessions, damage)
    for run in ("first", "second"):
        await _checked(sessions, run)
    assert (await _states(sessions))["orders_count_their_money"] == ("open", 1)
    assert len(await _alerts(sessions)) == 1

    await _damage(sessions, damage.replace("+", "-"))
    assert await _checked(sessions, "third") == {}
    assert (await _states(sessions))["orders_count_their_money"] == ("fixed", 1)

    await _damage(sessions, damage)
    await _checked(sessions, "fourth")
    assert (await _states(sessions))["orders_count_their_money"] == ("open", 2)
    assert len(await _alerts(sessions)) == 2


async def test_explained_discrepancy_stays_explained_while_it_is_the_same(sessions: Sessions) -> None:
    damage = _DAMAGE["orders_count_their_money"]
    await _damage(sessions, damage)
    await _checked(sessions, "first")
    async with sessions() as session, session.begin():
        [found] = await discrepancies.page(session, DiscrepancyFilter(state="open"), None, 10)
        await discrepancies.explain(session, found.discrepancy_id or 0, "fin", "a gift of the bank", now())
    await _checked(sessions, "second")
    assert (await _states(sessions))["orders_count_their_money"] == ("explained", 1)
    assert len(await _alerts(sessions)) == 1

    await _damage(sessions, damage)
    await _checked(sessions, "third")
    assert (await _states(sessions))["orders_count_their_money"] == ("open", 2), "it is another one now"
    await _damage(sessions, damage.replace("+ 1", "- 2"))
    await _checked(sessions, "fourth")
    with pytest.raises(DiscrepancyNotOpen):
        async with sessions() as session, session.begin():
            await discrepancies.explain(session, found.discrepancy_id or 0, "fin", "too late", now())


async def test_running_the_checks_twice_has_one_effect(sessions: Sessions) -> None:
    await _damage(sessions, _DAMAGE["entries_balance"])
    found = [await _checked(sessions), await _checked(sessions)]
    assert found[0] == found[1]
    async with sessions() as session:
        runs = (await session.execute(text("SELECT count(*) FROM consistency_runs"))).scalar_one()
    assert runs == 1
    assert all(times == 1 for _, times in (await _states(sessions)).values())
