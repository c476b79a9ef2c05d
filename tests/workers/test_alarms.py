"""What is overdue is told to whoever listens, once, without any monitoring beside us."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import text

from models.approval import Approval
from models.outbox import Destination, OutboxMessage
from tests.conftest import Database
from tests.factories import orders
from tests.factories.deliveries import deliver, hand_over
from workers.alarms import Alarms


def ago(**span: float) -> datetime:
    """So long before now: tests in a crowd begin long after they were read."""
    return datetime.now(UTC) - timedelta(**span)


class Duty:
    """A database in which `duty` listens for alerts, and what it has been told."""

    def __init__(self, database: Database) -> None:
        self.sessions = database.sessions

    async def add(self, *rows: Any) -> None:
        async with self.sessions() as session, session.begin():
            session.add_all(rows)

    async def run(self, statement: str) -> None:
        async with self.sessions() as session, session.begin():
            await session.execute(text(statement))

    async def told(self) -> list[tuple[str, dict[str, Any]]]:
        """Kind and facts of every alert so far, after two processes have looked."""
        for _ in range(2):
            await Alarms(self.sessions, 60).look()
        async with self.sessions() as session:
            rows = await session.execute(
                text("SELECT event_type, body FROM outbox_messages WHERE destination = 'duty' ORDER BY outbox_id")
            )
            return [(row.event_type, json.loads(row.body)["data"]) for row in rows]


@pytest.fixture
async def duty(database: Database) -> Duty:
    one = Duty(database)
    await orders.place(one.sessions)
    await one.add(Destination(name="duty", url="http://127.0.0.1:1/", secret="whsec_", event_types=["alert."]))
    return one


async def test_nothing_overdue_is_nothing_told(duty: Duty) -> None:
    await deliver(duty.sessions, {"1": 1}, at=ago(minutes=50))
    assert await duty.told() == []


async def test_parcel_without_revenue_is_told_once_with_its_order(duty: Duty) -> None:
    await deliver(duty.sessions, {"1": 1}, at=ago(minutes=61))
    for _ in range(2):
        [(kind, facts)] = await duty.told()
        assert kind == "alert.revenue_missing"
        assert (facts["order_no"], facts["shipment_no"], facts["since"]) == ("SO-1", "S-1", "delivered")


async def test_parcel_that_travels_for_too_long_is_told(duty: Duty) -> None:
    await hand_over(duty.sessions, {"1": 1}, "S-1")
    await duty.run("UPDATE shipments SET handed_over_at = now() - interval '31 days'")
    [(kind, facts)] = await duty.told()
    assert (kind, facts["shipment_no"], facts["since"]) == ("alert.revenue_missing", "S-1", "handed_over")


async def test_events_that_another_destination_does_not_get_are_told_once_an_hour(duty: Duty) -> None:
    await duty.add(Destination(name="shop", url="http://127.0.0.1:1/", secret="whsec_", event_types=["order."]))
    told: dict[str, Any] = {"destination": "shop", "order_no": "SO-1", "event_type": "order.x", "body": "{}"}
    at = ago(minutes=16)
    await duty.add(*(OutboxMessage(**told, message_id=f"m-{number}", occurred_at=at) for number in range(3)))
    [(kind, facts)] = await duty.told()
    assert (kind, facts["destination"], facts["enabled"]) == ("alert.events_undelivered", "shop", True)


async def test_approval_past_its_time_is_told_at_each_level(duty: Duty) -> None:
    await duty.add(
        Approval(
            approval_id="A-1",
            order_no="SO-1",
            node="gm",
            visit=1,
            workflow_id="order/SO-1",
            flow_key="normal",
            flow_version=1,
            rules={},
            submitter="channel",
            content_sha256="",
            currency="CNY",
            deadline_at=ago(minutes=6),
        )
    )
    assert [(kind, facts["level"]) for kind, facts in await duty.told()] == [("alert.approval_overdue", 0)]
    await duty.run("UPDATE approvals SET level = 1")
    assert [facts["level"] for _, facts in await duty.told()] == [0, 1]


async def test_entry_out_of_balance_is_told(duty: Duty) -> None:
    await hand_over(duty.sessions, {"1": 1}, "S-1")
    await duty.run("ALTER TABLE journal_lines DISABLE TRIGGER USER")
    await duty.run("UPDATE journal_lines SET amount_minor = amount_minor + 1 WHERE line_no = 1")
    await duty.run("UPDATE shipments SET handed_over_at = now()")
    assert [(kind, facts["order_no"]) for kind, facts in await duty.told()] == [("alert.books_unbalanced", "SO-1")]
