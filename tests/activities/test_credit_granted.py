"""Orders above their customer's credit, on a real database: people let one pass as it is, and that is on record."""

import asyncio
import json
from typing import Any

import pytest
from sqlmodel import col, select
from temporalio.testing import ActivityEnvironment

from activities.approvals import ApprovalActivities, ApprovalInput
from activities.step import Fact, Step
from activities.terms import TermsActivities
from domain.flow.approval_node import ApprovalNode
from flows import builtin_flows
from models.access import Person
from models.masters import Customer
from models.order import OrderEvent, OrderLine
from runtime.database import Sessions
from store import approvals, inbox
from store.inbox import Incoming
from tests.conftest import Database
from tests.factories import orders
from tests.factories.approvals import gm_approval
from tests.factories.books import open_books
from tests.factories.orders import Line
from tests.factories.payments import order_row, set_order, story

TOTAL = 11_300


@pytest.fixture
async def sessions(database: Database) -> Sessions:
    """A customer who may owe the price of one order, and a manager with a superior."""
    await open_books(database.sessions)
    async with database.sessions() as session, session.begin():
        session.add(Customer(customer_id="C-7", credit_limit_minor=TOTAL, credit_currency="CNY"))
        session.add(Person(person_id="gina", name="Gina", roles=["gm"]))
        await session.flush()
        session.add(Person(person_id="mona", name="Mona", roles=["manager"], superior_id="gina"))
    return database.sessions


async def place(sessions: Sessions, order_no: str = "SO-1", quantity: int = 2) -> None:
    columns = {"lifecycle": "accepted", "payment_terms": "on_credit"}
    await orders.place(sessions, order_no, (Line(quantity=quantity),), **columns)


async def check(sessions: Sessions, order_no: str = "SO-1", visit: int = 1) -> str | None:
    await ActivityEnvironment().run(TermsActivities(sessions).check_credit, Step(order_no, "credit", visit))
    return (await order_row(sessions, order_no)).credit_state


def builtin() -> ApprovalNode:
    """The node by which the built-in flow asks."""
    nodes = (node for flow in builtin_flows() for node in flow.nodes.values())
    return next(node for node in nodes if isinstance(node, ApprovalNode) and node.grants == "credit")


async def ask(sessions: Sessions, order_no: str = "SO-1", node: ApprovalNode | None = None) -> str:
    """People are asked; the approval's id."""
    asked = ApprovalInput(order_no, "ask", 1, "on_credit", 2, node or builtin())
    return (await ActivityEnvironment().run(ApprovalActivities(sessions).open_approval, asked)).approval_id


async def say(sessions: Sessions, approval_id: str, person: str, action: str, order_no: str = "SO-1") -> str:
    body = {"approval_id": approval_id, "action": action, "comment": "known for years"}
    message = Incoming("api", f"{approval_id}/{person}", approvals.DECIDED, order_no, json.dumps(body), body, person)
    async with sessions() as session, session.begin():
        row = await inbox.add(session, message)
    fact = Fact(order_no, row.inbox_id)
    return (await ActivityEnvironment().run(ApprovalActivities(sessions).apply_decision, fact)).outcome


async def grant(sessions: Sessions, order_no: str = "SO-1") -> str:
    approval_id = await ask(sessions, order_no)
    assert await say(sessions, approval_id, "mona", "approve", order_no) == "effective"
    return approval_id


async def told(sessions: Sessions, kind: str) -> list[dict[str, Any]]:
    async with sessions() as session:
        rows = (await session.exec(select(OrderEvent).where(col(OrderEvent.kind) == kind))).all()
    return [row.data | {"actor": row.actor} for row in rows]


async def test_order_that_people_let_pass_takes_the_credit_and_says_by_which_approval(sessions: Sessions) -> None:
    await place(sessions)
    assert await check(sessions) == "above"
    approval_id = await grant(sessions)
    assert await check(sessions, visit=2) == "granted"
    figures = {"limit_minor": TOTAL, "used_minor": 0, "overdue_minor": 0, "wanted_minor": 2 * TOTAL}
    about = {"customer_id": "C-7", "currency": "CNY", "approval_id": approval_id, "actor": "mona"}
    assert await told(sessions, "credit.granted") == [figures | about]


async def test_granting_twice_has_one_effect(sessions: Sessions) -> None:
    await place(sessions)
    await check(sessions)
    await grant(sessions)
    assert [await check(sessions, visit=visit) for visit in (2, 2, 3)] == ["granted"] * 3
    assert (await story(sessions)).count("credit.granted") == 1


async def test_order_that_was_let_pass_counts_for_the_next_one(sessions: Sessions) -> None:
    await place(sessions)
    await check(sessions)
    await grant(sessions)
    await check(sessions, visit=2)
    await place(sessions, "SO-2", 1)
    assert await check(sessions, "SO-2") == "above"
    [found] = [one for one in await told(sessions, "credit.exceeded") if one["wanted_minor"] == TOTAL]
    assert found["used_minor"] == 2 * TOTAL


async def test_approval_of_one_order_lets_no_other_pass(sessions: Sessions) -> None:
    for order_no in ("SO-1", "SO-2"):
        await place(sessions, order_no)
        await check(sessions, order_no)
    await grant(sessions, "SO-2")
    assert [await check(sessions, order_no, 2) for order_no in ("SO-1", "SO-2")] == ["above", "granted"]


async def test_order_that_fits_in_by_now_needs_nobodys_leave(sessions: Sessions) -> None:
    await place(sessions)
    await check(sessions)
    await grant(sessions)
    async with sessions() as session, session.begin():
        (await session.get_one(Customer, "C-7")).credit_limit_minor = 2 * TOTAL
    assert await check(sessions, visit=2) == "within"


async def test_rejection_lets_nothing_pass(sessions: Sessions) -> None:
    await place(sessions)
    await check(sessions)
    assert await say(sessions, await ask(sessions), "mona", "reject") == "effective"
    assert await check(sessions, visit=2) == "above"


async def test_approval_of_something_else_grants_no_credit(sessions: Sessions) -> None:
    await place(sessions)
    await check(sessions)
    approval_id = await ask(sessions, node=gm_approval())
    assert await say(sessions, approval_id, "gina", "approve") == "effective"
    assert await check(sessions, visit=2) == "above"


async def test_order_that_has_changed_since_needs_a_new_approval(sessions: Sessions) -> None:
    await place(sessions)
    await check(sessions)
    approval_id = await grant(sessions)
    await set_order(sessions, total_minor=3 * TOTAL)
    async with sessions() as session, session.begin():
        (await session.get_one(OrderLine, ("SO-1", "1"))).quantity = 3
    assert await check(sessions, visit=2) == "above"
    async with sessions() as session:
        assert (await approvals.get(session, approval_id)).state == "voided"


async def test_orders_of_one_customer_that_were_let_pass_together_all_count(sessions: Sessions) -> None:
    numbers = [f"SO-{number}" for number in range(5)]
    for order_no in numbers:
        await place(sessions, order_no)
        await check(sessions, order_no)
        await grant(sessions, order_no)
    assert await asyncio.gather(*(check(sessions, order_no, 2) for order_no in numbers)) == ["granted"] * 5
    used = sorted(one["used_minor"] for one in await told(sessions, "credit.granted"))
    assert used == [at * 2 * TOTAL for at in range(5)]
