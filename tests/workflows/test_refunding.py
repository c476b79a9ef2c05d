"""A refund beside its order: decided once, paid out and credited for as long as it takes."""

import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from datetime import timedelta

import pytest
from temporalio.client import WorkflowHandle
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import Worker

from tests.fakes.patience import eventually
from tests.fakes.shop import Shop
from tests.workflows.conftest import Start, TimeSkipping, an_order
from workers.local_first import LocalFirst
from workflows.order.contract import EINVOICE_QUEUE, ORDERS_QUEUE, PAYMENTS_QUEUE, FactSignal
from workflows.refunding import RefundInput, RefundWorkflow, refund_workflow_id

Begin = Callable[..., Awaitable[tuple[WorkflowEnvironment, WorkflowHandle[RefundWorkflow, str]]]]
Refund = Callable[..., Awaitable[tuple[str, timedelta]]]


@pytest.fixture
async def begin(time_skipping: TimeSkipping) -> AsyncIterator[Begin]:
    """Begins a refund in a shop."""
    async with AsyncExitStack() as workers:

        async def start(
            shop: Shop, inbox_id: int = 1
        ) -> tuple[WorkflowEnvironment, WorkflowHandle[RefundWorkflow, str]]:
            environment = await time_skipping()
            shop.inbox[1] = None
            for queue in (ORDERS_QUEUE, EINVOICE_QUEUE, PAYMENTS_QUEUE):
                worker = Worker(
                    environment.client,
                    task_queue=queue,
                    workflows=[RefundWorkflow] if queue == ORDERS_QUEUE else [],
                    activities=shop.activities(),
                    max_cached_workflows=0,
                    workflow_runner=LocalFirst(),
                )
                await workers.enter_async_context(worker)
            order = an_order(f"SO{uuid.uuid4().hex[:12].upper()}")
            handle = await environment.client.start_workflow(
                RefundWorkflow.run,
                RefundInput(order, inbox_id),
                id=refund_workflow_id(order.order_no, "F-1"),
                task_queue=ORDERS_QUEUE,
            )
            return environment, handle

        yield start


@pytest.fixture
def refund(begin: Begin) -> Refund:
    """Runs a refund in a shop to its end; returns how it ended and how long it took on the shop's clock."""

    async def run(shop: Shop, inbox_id: int = 1) -> tuple[str, timedelta]:
        environment, handle = await begin(shop, inbox_id)
        begun = (await handle.describe()).start_time
        result = await handle.result()
        return result, await environment.get_current_time() - begun

    return run


async def test_what_was_granted_is_paid_out_and_credited(refund: Refund) -> None:
    shop = Shop()
    result, _took = await refund(shop)
    assert (result, sorted(shop.calls)) == ("granted", ["credit_refunds", "grant_refund", "pay_refunds"])


@pytest.mark.parametrize(("decision", "inbox_id", "ends"), [("refused", 1, "refused"), ("granted", 9, "ignored")])
async def test_what_was_not_granted_moves_nothing(refund: Refund, decision: str, inbox_id: int, ends: str) -> None:
    shop = Shop(decision=decision)
    result, _took = await refund(shop, inbox_id)
    assert result == ends
    assert not {"pay_refunds", "credit_refunds"} & set(shop.calls)


async def test_a_payout_that_fails_is_seen_all_the_while_and_tried_until_it_succeeds(refund: Refund) -> None:
    shop = Shop(holds={"pay_refunds": ["refund_failed", "refund_failed"]})
    result, took = await refund(shop)
    assert (result, shop.calls.count("pay_refunds"), shop.resolved) == ("granted", 3, ["retried"])
    assert timedelta(minutes=15) <= took < timedelta(hours=1)
    # The credit note did not wait for the money.
    assert shop.calls.index("credit_refunds") < shop.calls.index("resolve_holds")


async def test_a_provider_that_is_away_for_long_is_a_hold_and_gets_asked_again(refund: Refund) -> None:
    shop = Shop()
    shop.away["pay_refunds"] = 12
    result, _took = await refund(shop)
    assert (result, shop.calls.count("open_hold refund_failed")) == ("granted", 1)
    assert (shop.calls[-2:], shop.resolved) == (["pay_refunds", "resolve_holds"], ["retried"])


async def test_a_final_no_of_the_books_is_a_hold_of_its_own(refund: Refund) -> None:
    shop = Shop(fails={"grant_refund": ["account_mapping_missing"]})
    result, _took = await refund(shop)
    assert (result, shop.calls.count("grant_refund")) == ("granted", 2)
    assert "open_hold account_mapping_missing" in shop.calls


async def test_whoever_settles_the_hold_has_it_tried_at_once(begin: Begin) -> None:
    shop = Shop(holds={"pay_refunds": ["refund_failed", "refund_failed"]}, decisions={7: "refund_failed"})
    environment, handle = await begin(shop)
    await _calls(shop, "pay_refunds", 1)
    begun = await environment.get_current_time()
    await handle.signal("hold_decided", FactSignal(7))
    await _calls(shop, "pay_refunds", 2)
    assert await environment.get_current_time() - begun < timedelta(minutes=5)
    # Nobody says anything now: the second pause is longer than the first.
    assert await handle.result() == "granted"
    assert await environment.get_current_time() - begun >= timedelta(minutes=10)
    assert (shop.calls.count("pay_refunds"), shop.calls.count("settle_hold")) == (3, 1)


async def test_a_decision_about_another_hold_changes_no_pause(begin: Begin) -> None:
    shop = Shop(holds={"pay_refunds": ["refund_failed"]})
    environment, handle = await begin(shop)
    await _calls(shop, "pay_refunds", 1)
    begun = await environment.get_current_time()
    await handle.signal("hold_decided", FactSignal(7))
    await _calls(shop, "settle_hold in vain", 1)
    assert await handle.result() == "granted"
    assert await environment.get_current_time() - begun >= timedelta(minutes=5)


async def test_a_decision_that_says_nothing_readable_leaves_the_refund_at_work(begin: Begin) -> None:
    shop = Shop(holds={"pay_refunds": ["refund_failed"]}, fails={"settle_hold in vain": ["decision_unreadable"]})
    _environment, handle = await begin(shop)
    await _calls(shop, "pay_refunds", 1)
    await handle.signal("hold_decided", FactSignal(7))
    assert await handle.result() == "granted"
    assert "settle_hold in vain" in shop.calls


async def _calls(shop: Shop, call: str, times: int) -> None:
    async def count() -> int:
        return shop.calls.count(call)

    await eventually(count, lambda counted: counted >= times)


async def test_an_order_hears_that_a_part_of_it_was_refunded(start: Start) -> None:
    running = await start(Shop())
    await running.until("open_wait payment.full")
    running.shop.inbox[7] = None
    await running.handle.signal("order_adjusted", {"inbox_id": 7})
    await running.until("acknowledge")
    assert (await running.cancel()).lifecycle == "cancelled"
