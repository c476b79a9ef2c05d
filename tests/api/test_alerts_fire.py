"""Every alert once, from real damage in a real database, through the real `/metrics` and Prometheus' own rules."""

import re
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import text

from activities.checks import CheckActivities, CheckInput
from cli.local_stack.temporal import LocalTemporal, TemporalPorts, free_port
from models.approval import Approval
from models.consistency import ConsistencyRun
from models.inbox import InboxMessage
from models.order import OrderHold
from models.outbox import Destination, OutboxMessage
from runtime.temporal import connect, telling_runtime
from store.figures import FIGURES
from tests.api.conftest import Api, As
from tests.conftest import Temporal
from tests.factories import orders
from tests.factories.deliveries import deliver, hand_over
from tests.fakes.patience import eventually
from tests.fakes.prometheus import assert_firing, promtool
from workers.main import build_workers
from workers.wiring import wire
from workflows.queues import QUEUES
from workflows.search_attributes import SEARCH_ATTRIBUTES


@pytest.fixture(scope="module")
async def temporal(open_dir: Path) -> AsyncIterator[Temporal]:
    """A server of these tests' own: nobody else's tasks wait there."""
    server = LocalTemporal(TemporalPorts(free_port()), SEARCH_ATTRIBUTES, open_dir / "temporal-alerts.log")
    server.start()
    yield Temporal(server.address, await server.client())
    server.stop()


_AT_WORK = "\norderflow_queue_workers{"
_IDLE = re.compile(r"\norderflow_queue_workers\{[^}]*\} 0\.0")


def ago(**span: float) -> datetime:
    """So long before now: tests in a crowd begin long after they were read."""
    return datetime.now(UTC) - timedelta(**span)


class Watched:
    """An order in the database of an API that runs with everything it needs, and damage done to it."""

    def __init__(self, api: Api, as_role: As, folder: Path) -> None:
        self.sessions = api.database.sessions
        self.api, self._nobody, self._folder = api, as_role(), folder

    async def add(self, *rows: Any) -> None:
        async with self.sessions() as session, session.begin():
            session.add_all(rows)

    async def run(self, *statements: str) -> None:
        async with self.sessions() as session, session.begin():
            for statement in statements:
                await session.execute(text(statement))

    async def scrape(self) -> str:
        answer = await self._nobody.get("/metrics")
        assert answer.status_code == 200
        return answer.text

    async def fires(self, *expected: str) -> None:
        assert_firing(self._folder, set(expected), await self.scrape())

    async def messages(self, **columns: Any) -> None:
        """A message for the destination `shop`, which nobody serves here."""
        await self.add(Destination(name="shop", url="http://127.0.0.1:1/", secret="whsec_"))
        told: dict[str, Any] = {
            "destination": "shop",
            "message_id": "m-1",
            "order_no": "SO-1",
            "event_type": "order.x",
            "body": "{}",
        }
        await self.add(OutboxMessage(**(told | columns)))


@pytest.fixture
async def watched(running: Api, as_role: As, tmp_path: Path) -> Watched:
    promtool()
    one = Watched(running, as_role, tmp_path)
    await orders.place(one.sessions)
    await one.run("UPDATE inbox_messages SET handed_over_at = now()")
    await one.add(ConsistencyRun(run_id="r-1", cause="daily", finished_at=ago()))
    # Workers have just been started: Temporal knows of each once it has asked for tasks.
    await eventually(one.scrape, lambda told: told.count(_AT_WORK) == len(QUEUES) and not _IDLE.search(told))
    return one


async def test_nothing_fires_while_all_is_well(watched: Watched) -> None:
    await watched.fires()
    told = await watched.scrape()
    assert 'orderflow_orders_open{late="no",lifecycle="received"} 1.0' in told
    assert 'orderflow_queue_workers{kind="activity",queue="carrier"} 1.0' in told
    # What has labels, or no value yet, shows once there is something to show.
    assert [one.name for one in FIGURES if f"# HELP {one.name} " not in told] == []


async def test_revenue_missing_an_hour_after_delivery(watched: Watched) -> None:
    await deliver(watched.sessions, {"1": 1}, at=ago(minutes=50))
    await watched.fires()
    await watched.run("UPDATE shipments SET delivered_at = delivered_at - interval '11 minutes'")
    await watched.fires("RevenueMissing")


async def test_shipped_long_ago_without_revenue(watched: Watched) -> None:
    await hand_over(watched.sessions, {"1": 1}, "S-1")
    await watched.run("UPDATE shipments SET handed_over_at = now() - interval '29 days'")
    await watched.fires()
    await watched.run("UPDATE shipments SET handed_over_at = now() - interval '31 days'")
    await watched.fires("ShippedLongAgo")


async def test_books_out_of_balance_and_what_the_checks_find_of_it(watched: Watched) -> None:
    await hand_over(watched.sessions, {"1": 1}, "S-1")
    await watched.run("UPDATE shipments SET handed_over_at = now()")
    await watched.fires()
    await watched.run(
        "ALTER TABLE journal_lines DISABLE TRIGGER USER",
        "UPDATE journal_lines SET base_minor = base_minor + 1 WHERE line_no = 1",
        "ALTER TABLE journal_lines ENABLE TRIGGER USER",
    )
    await watched.fires("BooksUnbalanced")
    await CheckActivities(watched.sessions).run(CheckInput("r-2", "daily"))
    await watched.fires("BooksUnbalanced", "DiscrepancyOpen")
    await watched.run("UPDATE discrepancies SET state = 'explained'")
    await watched.fires("BooksUnbalanced")


async def test_checks_that_have_not_run(watched: Watched) -> None:
    await watched.run("UPDATE consistency_runs SET finished_at = now() - interval '27 hours'")
    await watched.fires("ChecksNotRun")
    await watched.run("DELETE FROM consistency_runs")
    await watched.fires("ChecksNotRun")


async def test_approval_past_its_time_and_one_that_is_old(watched: Watched) -> None:
    approval: dict[str, Any] = {
        "approval_id": "A-1",
        "order_no": "SO-1",
        "node": "gm",
        "visit": 1,
        "workflow_id": "order/SO-1",
        "flow_key": "normal",
        "flow_version": 1,
        "rules": {},
        "submitter": "channel",
        "content_sha256": "",
        "currency": "CNY",
        "deadline_at": ago(hours=-1),
    }
    await watched.add(Approval(**approval))
    await watched.fires()
    await watched.run("UPDATE approvals SET opened_at = now() - interval '25 hours'")
    await watched.fires("ApprovalOld")
    await watched.run("UPDATE approvals SET deadline_at = now() - interval '6 minutes', opened_at = now()")
    await watched.fires("ApprovalOverdue")


async def test_hold_past_its_deadline_and_order_that_nobody_holds(watched: Watched) -> None:
    hold = OrderHold(hold_id="H-1", order_no="SO-1", reason_code="out_of_stock", detail="", owner_role="warehouse")
    hold.due_at = ago(hours=-1)
    await watched.add(hold)
    await watched.run("UPDATE orders SET deadline_at = now() - interval '6 minutes'")
    await watched.fires()
    await watched.run("UPDATE order_holds SET due_at = now()")
    await watched.fires("HoldOverdue")
    await watched.run("UPDATE order_holds SET resolved_at = now()")
    await watched.fires("OrdersLate")


async def test_event_that_is_not_delivered(watched: Watched) -> None:
    await watched.messages(occurred_at=ago(minutes=5))
    await watched.fires()
    await watched.run("UPDATE outbox_messages SET occurred_at = now() - interval '16 minutes'")
    await watched.fires("EventsNotDelivered")


async def test_event_that_was_given_up(watched: Watched) -> None:
    await watched.messages(state="refused", occurred_at=ago(minutes=16))
    await watched.fires("EventsGivenUp")


async def test_destination_that_is_off_while_messages_wait(watched: Watched) -> None:
    await watched.messages()
    await watched.fires()
    await watched.run("UPDATE destinations SET enabled = false")
    await watched.fires("DestinationOff")


async def test_message_that_temporal_does_not_get_and_one_without_an_order(watched: Watched) -> None:
    message: dict[str, Any] = {
        "source": "web",
        "message_id": "p-1",
        "kind": "payment.settled",
        "fingerprint": "",
        "body": "{}",
    }
    await watched.add(InboxMessage(**message, actor="web", order_no="SO-1"))
    await watched.fires()
    await watched.run("UPDATE inbox_messages SET received_at = now() - interval '2 minutes' WHERE source = 'web'")
    await watched.fires("InboxStuck")
    await watched.run("UPDATE inbox_messages SET received_at = now() - interval '25 hours', order_no = 'SO-2'")
    await watched.fires("InboxStrays")


async def test_workflow_task_that_fails(watched: Watched, temporal: Temporal, tmp_path: Path) -> None:
    """The worker's own endpoint tells of an order whose input nobody can read."""
    port = free_port()
    client = await connect(address=temporal.address, runtime=telling_runtime(f"127.0.0.1:{port}"))
    api = watched.api
    able = wire(api.app.state.settings, api.database.engine, api.database.sessions, lambda _event: None)  # type: ignore[arg-type,return-value]
    worker = build_workers(client, able)[0]
    handle = await client.start_workflow("OrderWorkflow", "nonsense", id="order/nonsense", task_queue="orders")

    async def told() -> str:
        async with httpx.AsyncClient() as scraper:
            return (await scraper.get(f"http://127.0.0.1:{port}/metrics")).text

    async with worker:
        sdk = await eventually(told, lambda said: "temporal_workflow_task_execution_failed" in said)
    await handle.terminate()
    assert_firing(tmp_path, {"WorkflowTasksFail"}, await watched.scrape(), sdk)


async def test_part_that_is_away_and_workers_that_are_gone(api: Api, as_role: As, tmp_path: Path) -> None:
    watched = Watched(api, as_role, tmp_path)
    await watched.add(ConsistencyRun(run_id="r-1", cause="daily", finished_at=ago()))
    await watched.fires("PartAway")
    server = LocalTemporal(TemporalPorts(free_port()), SEARCH_ATTRIBUTES, tmp_path / "temporal.log")
    server.start()
    try:
        api.app.state.temporal = await server.client()
        await watched.fires("WorkersGone")
        await api.app.state.temporal.start_workflow("OrderWorkflow", "nobody", id="order/waits", task_queue="orders")

        async def waiting() -> float:
            told = await watched.scrape()
            line = next(line for line in told.splitlines() if line.startswith(_WAITING))
            return float(line.rsplit(" ", 1)[1])

        await eventually(waiting, lambda seconds: seconds > 30, 90)
        await watched.fires("WorkersGone", "Backlog")
    finally:
        server.stop()


_WAITING = 'orderflow_queue_backlog_seconds{kind="workflow",queue="orders"}'
