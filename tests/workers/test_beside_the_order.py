"""Messages whose business has a life of its own: a refund and a return run beside their order, ended or not."""

import json

import pytest
from temporalio.client import Client

from activities.refunds import SURPLUS, new_refund
from api.inbox.hand_over import HandOver
from domain.returning import return_number
from models.approval import Approval
from models.columns import now
from models.payment import Payment
from store import inbox
from store.inbox import Incoming, Pending
from tests.fakes.patience import eventually
from tests.workers.conftest import Books, is_running, signals
from workers.watch import Watch
from workflows.order.contract import follow_up_workflow_id, order_workflow_id
from workflows.refunding import refund_workflow_id
from workflows.returns.contract import return_workflow_id


async def commit(books: Books, order_no: str, kind: str, message_id: str, body: str = "{}") -> Pending:
    """The message is committed by a process that died before it handed anything over."""
    message = Incoming("api", message_id, kind, order_no, body, {"about": message_id}, "tests")
    async with books.sessions() as session, session.begin():
        receipt = await inbox.add(session, message)
    return Pending(receipt.inbox_id, order_no, kind, message_id)


async def decide(books: Books, order_no: str, asker: str) -> Pending:
    """A word is committed that somebody has said to an approval which this workflow asks for."""
    asked = Approval(
        approval_id="AP-1",
        order_no=order_no,
        node=asker.replace("/", "."),
        visit=1,
        workflow_id=asker,
        flow_key="normal",
        flow_version=1,
        submitter="",
        content=asker,
        content_sha256="",
        amount_minor=0,
        currency="CNY",
        rules={},
        deadline_at=now(),
    )
    async with books.sessions() as session, session.begin():
        await session.merge(asked)
    body = json.dumps({"approval_id": "AP-1", "action": "approve"})
    return await commit(books, order_no, "approval.decided", "approval/AP-1/decide/boss", body)


async def end(books: Books, order_no: str) -> None:
    await books.run("UPDATE orders SET lifecycle = 'completed', closed_at = now() WHERE order_no = :no", no=order_no)


@pytest.mark.parametrize("ended", [True, False])
async def test_a_refund_gets_its_own_workflow_once(
    books: Books, client: Client, hand_over: HandOver, *, ended: bool
) -> None:
    placed = await books.place()
    await hand_over.deliver_all([placed])
    if ended:
        await end(books, placed.order_no)
    workflow_id = refund_workflow_id(placed.order_no, "F-1")
    asked = await commit(books, placed.order_no, "refund.requested", workflow_id)
    assert await hand_over.deliver_all([asked]) == 1
    assert await hand_over.deliver_all([asked]) == 1
    handle = client.get_workflow_handle(workflow_id)
    assert (await handle.describe()).workflow_type == "RefundWorkflow"
    assert (await is_running(handle), await books.handed_over(asked)) == (True, True)


async def test_a_return_hears_what_is_about_it_and_begins_again_where_it_was_lost(
    books: Books, client: Client, hand_over: HandOver
) -> None:
    placed = await books.place()
    await end(books, placed.order_no)
    workflow_id = return_workflow_id(return_number(placed.order_no, "A-1"))
    asked = await commit(books, placed.order_no, "return.requested", workflow_id)
    early = await commit(books, placed.order_no, "return.received", f"{workflow_id}/receipt/W-0")
    assert await hand_over.deliver_all([asked, early]) == 2
    assert await signals(client, workflow_id) == [early.inbox_id]
    await client.get_workflow_handle(workflow_id).terminate()
    received = await commit(books, placed.order_no, "return.received", f"{workflow_id}/receipt/W-1")
    assert await hand_over.deliver_all([received]) == 1
    assert await signals(client, workflow_id) == [received.inbox_id]
    assert await is_running(client.get_workflow_handle(workflow_id))


async def test_a_return_that_runs_hears_without_harm_that_it_was_asked_for(
    books: Books, client: Client, hand_over: HandOver
) -> None:
    placed = await books.place()
    await end(books, placed.order_no)
    workflow_id = return_workflow_id(return_number(placed.order_no, "A-1"))
    asked = await commit(books, placed.order_no, "return.requested", workflow_id)
    begun = []
    for _time in range(2):
        assert await hand_over.deliver_all([asked]) == 1
        begun.append((await client.get_workflow_handle(workflow_id).describe()).run_id)
    assert begun[0] == begun[1]


async def test_a_return_passes_in_the_time_of_its_orders_flow(books: Books, client: Client) -> None:
    placed = await books.place()
    workflow_id = return_workflow_id(return_number(placed.order_no, "A-1"))
    asked = await commit(books, placed.order_no, "return.requested", workflow_id)
    assert await HandOver(books.sessions, client, 0.01).deliver_all([placed, asked]) == 2
    begun = (await client.get_workflow_handle(workflow_id).fetch_history()).events[0]
    payloads = begun.workflow_execution_started_event_attributes.input.payloads
    (given,) = await client.data_converter.decode(list(payloads))
    assert given["time_scale"] == 0.01


async def test_a_decision_about_a_return_goes_to_the_return_and_begins_it_again_where_it_was_lost(
    books: Books, client: Client, hand_over: HandOver
) -> None:
    placed = await books.place()
    await end(books, placed.order_no)
    workflow_id = return_workflow_id(return_number(placed.order_no, "A-1"))
    asked = await commit(books, placed.order_no, "return.requested", workflow_id)
    decided = await decide(books, placed.order_no, workflow_id)
    assert await hand_over.deliver_all([asked, decided]) == 2
    assert await signals(client, workflow_id) == [decided.inbox_id]
    await client.get_workflow_handle(workflow_id).terminate()
    assert await hand_over.deliver_all([decided]) == 1
    assert await signals(client, workflow_id) == [decided.inbox_id]
    assert await is_running(client.get_workflow_handle(workflow_id))


@pytest.mark.parametrize("ended", [True, False])
async def test_a_decision_about_a_hold_goes_to_whatever_runs_beside_the_order_and_to_the_order(
    books: Books, client: Client, hand_over: HandOver, *, ended: bool
) -> None:
    placed = await books.place()
    await hand_over.deliver_all([placed])
    if ended:
        await client.get_workflow_handle(order_workflow_id(placed.order_no)).terminate()
        await end(books, placed.order_no)
    order_no = placed.order_no
    refund_id = refund_workflow_id(order_no, "F-1")
    return_id, over_id = (return_workflow_id(return_number(order_no, name)) for name in ("A-1", "A-2"))
    asked = [
        await commit(books, order_no, "refund.requested", refund_id),
        await commit(books, order_no, "return.requested", return_id),
        await commit(books, order_no, "return.requested", over_id),
    ]
    await hand_over.deliver_all(asked)
    await client.get_workflow_handle(over_id).terminate()
    decided = await commit(books, order_no, "hold.decided", f"decide/{order_no}-H1/1")
    assert await hand_over.deliver_all([decided]) == 1
    assert await books.handed_over(decided)
    of_order = follow_up_workflow_id(order_no) if ended else order_workflow_id(order_no)
    for workflow_id in (refund_id, return_id, of_order):
        assert await signals(client, workflow_id) == [decided.inbox_id]
    assert await signals(client, over_id) == []


async def test_after_the_loss_of_temporal_what_is_under_way_beside_ended_orders_is_told_again(
    books: Books, hand_over: HandOver
) -> None:
    placed = await books.place()
    await end(books, placed.order_no)
    return_id = return_workflow_id(return_number(placed.order_no, "A-1"))
    told = [
        await commit(books, placed.order_no, "refund.requested", refund_workflow_id(placed.order_no, "F-1")),
        await commit(books, placed.order_no, "return.requested", return_id),
        await commit(books, placed.order_no, "return.received", f"{return_id}/receipt/W-1"),
        await decide(books, placed.order_no, return_id),
    ]
    old = await commit(books, placed.order_no, "refund.requested", refund_workflow_id(placed.order_no, "F-0"))
    done = "applied_at = now(), received_at = now() - interval '40 days'"
    await books.run(f"UPDATE inbox_messages SET {done} WHERE inbox_id = :id", id=old.inbox_id)
    await hand_over.deliver_all([placed, *told, old])
    async with books.sessions() as session, session.begin():
        again = await inbox.forget_hand_over(session)
    assert sorted(inbox_id for _order_no, inbox_id in again) == sorted(one.inbox_id for one in told)


async def test_after_the_loss_of_temporal_ended_orders_that_owe_money_hear_of_their_payments_again(
    books: Books, hand_over: HandOver
) -> None:
    owing, quits = await books.place(), await books.place()
    told = []
    for placed in (owing, quits):
        await end(books, placed.order_no)
        told.append(await commit(books, placed.order_no, "payment.settled", f"{placed.order_no}/P-1"))
        payment = Payment(
            order_no=placed.order_no,
            payment_id="P-1",
            inbox_id=told[-1].inbox_id,
            method="alipay",
            category="online_prepaid",
            kind="duplicate",
            amount_minor=500,
            currency="CNY",
            state="applied",
        )
        refund = new_refund(f"{placed.order_no}-R1", payment, 500, SURPLUS)
        refund.state = "requested" if placed is owing else "succeeded"
        async with books.sessions() as session, session.begin():
            session.add(payment)
            await session.flush()
            session.add(refund)
    await books.run("UPDATE inbox_messages SET applied_at = now() WHERE kind = 'payment.settled'")
    await hand_over.deliver_all([owing, quits, *told])
    async with books.sessions() as session, session.begin():
        again = await inbox.forget_hand_over(session)
    assert again == [(owing.order_no, told[0].inbox_id)]


_OLDER = "UPDATE inbox_messages SET handed_over_at = now() - interval '11 seconds' WHERE handed_over_at IS NOT NULL"


async def look(books: Books, client: Client) -> list[tuple[str, str, bool]]:
    """What the watch does about what was told long enough ago."""
    await books.run(_OLDER)
    return [(one.order_no, one.status, one.restarted) for one in await Watch(books.sessions, client, 60).look()]


async def pending(books: Books) -> list[Pending]:
    await books.let_lease_run_out()
    async with books.sessions() as session, session.begin():
        return await inbox.claim_pending(session, 10)


def beside(order_no: str, kind: str) -> str:
    """The workflow that a message of this kind goes to, once the order has ended."""
    return {
        "refund.requested": refund_workflow_id(order_no, "F-1"),
        "return.requested": return_workflow_id(return_number(order_no, "A-1")),
    }.get(kind, follow_up_workflow_id(order_no))


@pytest.mark.parametrize(
    "kind", ["refund.requested", "return.requested", "payment.settled", "parcel.scanned", "hold.decided"]
)
async def test_what_an_ended_order_still_owes_is_told_again_when_its_workflow_is_lost(
    books: Books, client: Client, hand_over: HandOver, kind: str
) -> None:
    placed = await books.place()
    await end(books, placed.order_no)
    workflow_id = beside(placed.order_no, kind)
    told = await commit(books, placed.order_no, kind, workflow_id)
    await hand_over.deliver_all([placed, told])
    handle = client.get_workflow_handle(workflow_id)
    assert (await is_running(handle), await look(books, client)) == (True, [])
    await handle.terminate("somebody slipped")
    assert await eventually(lambda: look(books, client), bool) == [(placed.order_no, "TERMINATED", True)]
    again = await pending(books)
    assert [one.inbox_id for one in again] == [told.inbox_id]
    await hand_over.deliver_all(again)
    assert await is_running(client.get_workflow_handle(workflow_id))
    assert await look(books, client) == []


async def test_money_that_was_booked_too_late_and_is_not_on_its_way_back_is_told_again(
    books: Books, client: Client, hand_over: HandOver
) -> None:
    placed = await books.place()
    told = await books.pay(placed.order_no)
    await books.run("UPDATE orders SET lifecycle = 'cancelled', closed_at = now(), paid_minor = 11300")
    await hand_over.deliver_all([placed, told])
    await books.run("UPDATE inbox_messages SET applied_at = now() WHERE kind = 'payment.settled'")
    await client.get_workflow_handle(follow_up_workflow_id(placed.order_no)).terminate()
    assert await eventually(lambda: look(books, client), bool) == [(placed.order_no, "TERMINATED", True)]
    assert [one.inbox_id for one in await pending(books)] == [told.inbox_id]


async def test_what_is_lost_again_and_again_beside_an_order_is_for_a_person(
    books: Books, client: Client, hand_over: HandOver
) -> None:
    placed = await books.place()
    await end(books, placed.order_no)
    workflow_id = refund_workflow_id(placed.order_no, "F-1")
    await hand_over.deliver_all([placed, await commit(books, placed.order_no, "refund.requested", workflow_id)])
    restarted = []
    for _time in range(4):
        await client.get_workflow_handle(workflow_id).terminate()
        ((_order_no, _status, again),) = await eventually(lambda: look(books, client), bool)
        restarted.append(again)
        await hand_over.deliver_all(await pending(books))
    assert restarted == [True, True, True, False]
    assert await books.ask("SELECT reason_code FROM order_holds WHERE resolved_at IS NULL") == ["workflow_lost"]
    assert await look(books, client) == []
