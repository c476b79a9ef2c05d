"""From the inbox to Temporal: every message once, in order, whatever became of the order's workflow."""

import pytest
from temporalio.client import Client
from temporalio.service import RPCError

from api.inbox.hand_over import HandOver
from runtime.temporal import connect
from store.inbox import OF_ONE_ORDER
from tests.factories.stock import stocked
from tests.fakes.patience import eventually
from tests.workers.conftest import Books, is_running, order_handle, signals
from workflows.order.contract import follow_up_workflow_id, order_workflow_id


async def test_placed_order_gets_its_workflow(books: Books, client: Client, hand_over: HandOver) -> None:
    placed = await books.place()
    assert await hand_over.deliver_all([placed]) == 1
    description = await order_handle(client, placed.order_no).describe()
    assert description.workflow_type == "OrderWorkflow"
    assert await is_running(order_handle(client, placed.order_no))
    assert await books.handed_over(placed)


async def test_input_is_free_of_personal_data(books: Books, client: Client, hand_over: HandOver) -> None:
    placed = await books.place()
    await hand_over.deliver_all([placed])
    history = (await order_handle(client, placed.order_no).fetch_history()).to_json()
    description = await order_handle(client, placed.order_no).describe()
    for personal in ("王小明", "13800000000", "wang@example.com", "文三路"):
        assert personal not in history
        assert personal not in str(description.raw_description)


async def test_facts_reach_the_workflow_in_the_order_they_came_in(
    books: Books, client: Client, hand_over: HandOver
) -> None:
    first, second = await books.place(), await books.place()
    facts = [await books.pay(order.order_no, f"P-{n}", 100) for n in range(5) for order in (first, second)]
    # Given in the wrong order on purpose.
    assert await hand_over.deliver_all([*reversed(facts), second, first]) == 12
    for order in (first, second):
        told = await signals(client, order_workflow_id(order.order_no))
        assert told == [fact.inbox_id for fact in facts if fact.order_no == order.order_no]


async def test_lanes_keep_the_order_of_each_order(books: Books, client: Client, hand_over: HandOver) -> None:
    placed = [await books.place() for _ in range(4)]
    facts = [await books.pay(order.order_no, f"P-{n}", 100) for n in range(5) for order in placed]
    await hand_over.start()
    for message in [*placed, *facts]:
        hand_over.soon(message)

    await eventually(
        lambda: books.ask("SELECT 1 FROM inbox_messages WHERE handed_over_at IS NULL"), lambda left: not left
    )
    await hand_over.stop()
    for order in placed:
        told = await signals(client, order_workflow_id(order.order_no))
        assert told == [fact.inbox_id for fact in facts if fact.order_no == order.order_no]


async def test_order_that_is_told_of_very_often_is_left_to_the_pace_of_the_sweeper(
    books: Books, client: Client, hand_over: HandOver
) -> None:
    placed, other = await books.place(), await books.place()
    facts = [await books.pay(placed.order_no, f"P-{n}", 100) for n in range(OF_ONE_ORDER + 5)]
    await hand_over.start()
    for message in [placed, *facts, other]:
        hand_over.soon(message)
    await eventually(lambda: books.handed_over(other), bool)
    await eventually(lambda: books.handed_over(facts[OF_ONE_ORDER - 2]), bool)
    await hand_over.stop()
    told = await signals(client, order_workflow_id(placed.order_no))
    assert told == [fact.inbox_id for fact in facts[: OF_ONE_ORDER - 1]]


async def test_order_whose_workflow_was_terminated_is_started_again_by_its_next_fact(
    books: Books, client: Client, hand_over: HandOver
) -> None:
    placed = await books.place()
    await hand_over.deliver_all([placed])
    before = (await order_handle(client, placed.order_no).describe()).run_id
    await order_handle(client, placed.order_no).terminate()
    paid = await books.pay(placed.order_no)
    assert await hand_over.deliver_all([paid]) == 1
    after = await order_handle(client, placed.order_no).describe()
    assert after.run_id != before
    assert await is_running(order_handle(client, placed.order_no))
    assert await signals(client, order_workflow_id(placed.order_no)) == [paid.inbox_id]


async def test_fact_for_an_ended_order_starts_a_follow_up(books: Books, client: Client, hand_over: HandOver) -> None:
    placed = await books.place()
    await books.run("UPDATE orders SET lifecycle = 'expired', closed_at = now()")
    paid = await books.pay(placed.order_no)
    assert await hand_over.deliver_all([placed, paid]) == 2
    follow_up = client.get_workflow_handle(follow_up_workflow_id(placed.order_no))
    assert (await follow_up.describe()).workflow_type == "FollowUpWorkflow"
    assert await signals(client, follow_up_workflow_id(placed.order_no)) == [paid.inbox_id]
    # An order that has ended is not begun anew.
    with pytest.raises(RPCError, match="not found"):
        await order_handle(client, placed.order_no).describe()


async def test_further_fact_joins_the_follow_up_that_runs(books: Books, client: Client, hand_over: HandOver) -> None:
    placed = await books.place()
    await books.run("UPDATE orders SET lifecycle = 'expired', closed_at = now()")
    facts = [await books.pay(placed.order_no, f"P-{n}") for n in range(3)]
    for fact in facts:
        await hand_over.deliver_all([fact])
    assert await signals(client, follow_up_workflow_id(placed.order_no)) == [fact.inbox_id for fact in facts]


async def test_messages_stay_while_temporal_is_away(books: Books, client: Client) -> None:
    placed = await books.place()
    paid = await books.pay(placed.order_no)
    nobody = await connect(address="127.0.0.1:1", lazy=True)
    assert await HandOver(books.sessions, nobody).deliver_all([placed, paid]) == 0
    assert not await books.handed_over(placed)
    assert not await books.handed_over(paid)
    assert await HandOver(books.sessions, client).deliver_all([placed, paid]) == 2
    assert await signals(client, order_workflow_id(placed.order_no)) == [paid.inbox_id]


async def test_message_handed_over_many_times_has_one_effect(
    books: Books, client: Client, hand_over: HandOver, at_work: None
) -> None:
    await stocked(books.sessions, SKU_1=5)
    placed = await books.place("SKU-1", 2)
    paid = await books.pay(placed.order_no, amount_minor=22_600)
    for _ in range(3):
        assert await hand_over.deliver_all([placed, paid, paid]) == 3

    await eventually(lambda: books.order(placed.order_no), lambda order: order.lifecycle == "fulfilling")
    assert (await books.order(placed.order_no)).paid_minor == 22_600
    assert await books.ask("SELECT payment_id FROM payments") == ["P-1"]
    kinds = await books.ask("SELECT kind FROM order_events WHERE order_no = :no ORDER BY seq", no=placed.order_no)
    assert [kinds.count(kind) for kind in ("order.accepted", "stock.reserved", "payment.received")] == [1, 1, 1]


async def test_restarted_order_goes_on_where_its_rows_are(
    books: Books, client: Client, hand_over: HandOver, at_work: None
) -> None:
    await stocked(books.sessions, SKU_1=5)
    placed = await books.place("SKU-1", 2)
    await hand_over.deliver_all([placed])

    await eventually(lambda: books.order(placed.order_no), lambda order: order.waiting_for == "payment.full")
    await order_handle(client, placed.order_no).terminate("somebody slipped")
    paid = await books.pay(placed.order_no, amount_minor=22_600)
    await hand_over.deliver_all([paid])

    await eventually(lambda: books.order(placed.order_no), lambda order: order.lifecycle == "fulfilling")
    kinds = await books.ask("SELECT kind FROM order_events WHERE order_no = :no ORDER BY seq", no=placed.order_no)
    assert [kinds.count(kind) for kind in ("order.accepted", "stock.reserved", "payment.received")] == [1, 1, 1]
    assert await books.ask("SELECT reserved FROM stock_levels") == [2]
