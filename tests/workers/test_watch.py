"""Orders whose workflow is lost get it again, once; one that is lost again is a person's."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest
from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.workflowservice.v1 import DeleteWorkflowExecutionRequest
from temporalio.client import Client, WorkflowExecutionStatus

from api.inbox.hand_over import HandOver
from models.outbox import Destination
from runtime.settings import Settings
from store.inbox import Pending
from tests.factories.stock import stocked
from tests.fakes.patience import eventually
from tests.workers.conftest import Books, is_running, order_handle
from workers.checks import ensure_schedules, further_checks
from workers.sweeper import Sweeper
from workers.watch import Watch

_OLDER = "UPDATE inbox_messages SET handed_over_at = now() - interval '11 seconds' WHERE kind = 'order.placed'"


async def _running(books: Books, client: Client, hand_over: HandOver) -> Pending:
    """An order that waits for its money, handed over long enough ago."""
    await stocked(books.sessions, SKU_1=5)
    placed = await books.place("SKU-1", 2)
    await hand_over.deliver_all([placed])
    await eventually(lambda: books.order(placed.order_no), lambda order: order.waiting_for == "payment.full")
    await books.run(_OLDER)
    return placed


async def _end(client: Client, order_no: str, how: str = "terminate") -> None:
    handle = order_handle(client, order_no)
    if how == "delete":
        execution = WorkflowExecution(workflow_id=handle.id)
        request = DeleteWorkflowExecutionRequest(namespace=client.namespace, workflow_execution=execution)
        await client.workflow_service.delete_workflow_execution(request)
        return
    await handle.terminate("somebody slipped")


async def _look(books: Books, client: Client) -> list[tuple[str, str, bool]]:
    done = await Watch(books.sessions, client, 60).look()
    return [(one.order_no, one.status, one.restarted) for one in done]


async def _lost(books: Books, client: Client, order_no: str) -> list[tuple[str, str, bool]]:
    """What the watch does about the order once it sees that it is lost."""
    found: list[tuple[str, str, bool]] = []

    async def look() -> list[tuple[str, str, bool]]:
        found.extend(await _look(books, client))
        return found

    return await eventually(look, lambda done: bool(done), 20)


async def _swept(books: Books, client: Client, hand_over: HandOver) -> None:
    stop = asyncio.Event()
    sweeping = asyncio.create_task(Sweeper(books.sessions, client, hand_over, 0.1).run(stop))

    async def waiting() -> Any:
        return await books.ask("SELECT inbox_id FROM inbox_messages WHERE handed_over_at IS NULL")

    await eventually(waiting, lambda found: found == [])
    stop.set()
    await sweeping


@pytest.mark.parametrize(("how", "status"), [("terminate", "TERMINATED"), ("delete", "MISSING")])
async def test_lost_order_gets_its_workflow_again_and_every_effect_stays_one(
    books: Books, client: Client, hand_over: HandOver, at_work: None, how: str, status: str
) -> None:
    placed = await _running(books, client, hand_over)
    assert await _look(books, client) == [], "an order that runs is left alone"
    await _end(client, placed.order_no, how)
    assert await _lost(books, client, placed.order_no) == [(placed.order_no, status, True)]
    await _swept(books, client, hand_over)
    assert await is_running(order_handle(client, placed.order_no))
    paid = await books.pay(placed.order_no, amount_minor=22_600)
    await hand_over.deliver_all([paid])
    await eventually(lambda: books.order(placed.order_no), lambda order: order.lifecycle == "fulfilling")
    kinds = await books.ask("SELECT kind FROM order_events WHERE order_no = :no ORDER BY seq", no=placed.order_no)
    effects = ("order.accepted", "stock.reserved", "payment.received", "workflow.restarted")
    assert [kinds.count(kind) for kind in effects] == [1, 1, 1, 1]


async def test_order_that_is_lost_again_shortly_after_is_held_with_an_alert(
    books: Books, client: Client, hand_over: HandOver, at_work: None
) -> None:
    async with books.sessions() as session, session.begin():
        session.add(Destination(name="duty", url="http://127.0.0.1:1/", secret="whsec_", event_types=["alert."]))
    placed = await _running(books, client, hand_over)
    await _end(client, placed.order_no)
    assert (await _lost(books, client, placed.order_no))[0][2] is True
    await _swept(books, client, hand_over)
    await books.run(_OLDER)
    await _end(client, placed.order_no)
    assert await _lost(books, client, placed.order_no) == [(placed.order_no, "TERMINATED", False)]
    assert await books.ask("SELECT reason_code FROM order_holds WHERE resolved_at IS NULL") == ["workflow_lost"]
    assert await books.ask("SELECT event_type FROM outbox_messages") == ["alert.workflow_lost"]
    assert await _look(books, client) == [], "a person is asked: nobody else acts"
    assert not await is_running(order_handle(client, placed.order_no))
    assert await books.ask("SELECT inbox_id FROM inbox_messages WHERE handed_over_at IS NULL") == []


async def test_watches_at_once_give_an_order_its_workflow_once(
    books: Books, client: Client, hand_over: HandOver, at_work: None
) -> None:
    placed = await _running(books, client, hand_over)
    await _end(client, placed.order_no)
    await _listed_as_ended(client, placed.order_no)
    done = await asyncio.gather(*(_look(books, client) for _ in range(4)))
    assert sorted(done) == [[], [], [], [(placed.order_no, "TERMINATED", True)]]


async def test_order_that_was_just_placed_and_one_that_has_ended_are_left_alone(
    books: Books, client: Client, hand_over: HandOver, at_work: None
) -> None:
    placed = await books.place()
    assert await _look(books, client) == [], "nobody has handed it over"
    await hand_over.deliver_all([placed])
    await _end(client, placed.order_no)
    await _listed_as_ended(client, placed.order_no)
    assert await _look(books, client) == [], "so young that Temporal may not show it"
    await books.run(_OLDER)
    await books.run("UPDATE orders SET closed_at = now(), lifecycle = 'cancelled'")
    assert await _look(books, client) == []


async def test_among_many_orders_those_that_ended_badly_are_found_without_listing_all(
    books: Books, client: Client, hand_over: HandOver, at_work: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    placed = await _running(books, client, hand_over)
    await _end(client, placed.order_no)
    await _listed_as_ended(client, placed.order_no)
    monkeypatch.setattr("workers.watch._FEW", 0)
    # As many run as should: only that another one ended badly tells.
    await client.start_workflow("OrderWorkflow", "nothing", id="order/other", task_queue="nobody")
    await eventually(lambda: _count(client), lambda count: count == 1)
    assert await _look(books, client) == [(placed.order_no, "TERMINATED", True)]


async def test_checks_find_what_temporal_and_the_database_do_not_agree_on(
    books: Books, client: Client, hand_over: HandOver, at_work: None
) -> None:
    placed = await _running(books, client, hand_over)
    async with books.sessions() as session:
        checks = {check.name: check for check in further_checks(Settings(), books.sessions, client)}
        have, know = checks["open_orders_have_a_workflow"], checks["workflows_know_how_their_orders_stand"]
        await books.run("ALTER TABLE order_events DISABLE TRIGGER USER")
        await books.run("UPDATE order_events SET at = at - interval '2 minutes'")
        for only in (None, placed.order_no):
            assert await have.ask(session, only) == await know.ask(session, only) == []

        await books.run("UPDATE orders SET lifecycle = 'fulfilling'")
        [differs] = await know.ask(session, placed.order_no)
        assert (differs.key, differs.left.split("/")[0]) == (placed.order_no, "database fulfilling")

        await books.run("UPDATE orders SET lifecycle = 'completed', closed_at = now() - interval '2 hours'")
        assert [one.right for one in await have.ask(session, placed.order_no)] == ["workflow running"]
        await books.run("UPDATE orders SET lifecycle = 'accepted', closed_at = NULL")
        await _end(client, placed.order_no)
        assert [one.right for one in await have.ask(session, placed.order_no)] == ["workflow terminated"]


async def test_schedules_are_there_once_and_run_the_checks(books: Books, client: Client, at_work: None) -> None:
    for _ in range(2):
        await ensure_schedules(client)
    for cause in ("daily", "weekly"):
        described = await client.get_schedule_handle(f"check/{cause}").describe()
        assert described.schedule.policy.overlap.name == "SKIP"
        assert (
            timedelta(0)
            < described.info.next_action_times[0]
            - described.info.next_action_times[0].now(described.info.next_action_times[0].tzinfo)
            < timedelta(days=7)
        )
    await client.get_schedule_handle("check/daily").trigger()

    async def finished() -> Any:
        return await books.ask("SELECT cause FROM consistency_runs WHERE finished_at IS NOT NULL")

    await eventually(finished, lambda found: found == ["daily"])


async def _count(client: Client) -> int:
    return (await client.count_workflows("WorkflowType = 'OrderWorkflow' AND ExecutionStatus = 'Running'")).count


async def _listed_as_ended(client: Client, order_no: str) -> None:
    """Visibility lags behind: afterwards it knows."""

    async def look() -> int:
        query = f"WorkflowId = 'order/{order_no}' AND ExecutionStatus = 'Running'"
        return (await client.count_workflows(query)).count

    await eventually(look, lambda count: count == 0)
    handle = order_handle(client, order_no)
    assert (await handle.describe()).status is WorkflowExecutionStatus.TERMINATED
