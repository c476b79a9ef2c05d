"""A return beside its order: opened, decided, waited for, taken in, given back; each once."""

import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import timedelta

import pytest
from temporalio.client import WorkflowHandle
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import Worker

from tests.fakes.patience import eventually
from tests.fakes.shop import Shop
from tests.workflows.conftest import TimeSkipping, an_order
from workflows.order.contract import EINVOICE_QUEUE, ORDERS_QUEUE, PAYMENTS_QUEUE, FactSignal
from workflows.returns.contract import RETURN_SIGNALS, ReturnInput, return_workflow_id
from workflows.returns.workflow import ReturnWorkflow


@dataclass
class Running:
    """A return under way: its shop, its handle, and the ways to tell it facts."""

    environment: WorkflowEnvironment
    shop: Shop
    handle: WorkflowHandle[ReturnWorkflow, str]

    async def tell(self, kind: str, inbox_id: int, *, forged: bool = False) -> None:
        if not forged:
            self.shop.inbox[inbox_id] = None
        await self.handle.signal(RETURN_SIGNALS[kind], FactSignal(inbox_id))

    async def until(self, call: str, times: int = 1) -> None:
        async def calls() -> int:
            return self.shop.calls.count(call)

        await eventually(calls, lambda count: count >= times)


Begin = Callable[[Shop], Awaitable[Running]]


@pytest.fixture
async def begin(time_skipping: TimeSkipping) -> AsyncIterator[Begin]:
    async with AsyncExitStack() as workers:

        async def start(shop: Shop) -> Running:
            environment = await time_skipping()
            for queue in (ORDERS_QUEUE, EINVOICE_QUEUE, PAYMENTS_QUEUE):
                worker = Worker(
                    environment.client,
                    task_queue=queue,
                    workflows=[ReturnWorkflow] if queue == ORDERS_QUEUE else [],
                    activities=shop.activities(),
                    max_cached_workflows=0,
                )
                await workers.enter_async_context(worker)
            return_no = f"RT{uuid.uuid4().hex[:12].upper()}"
            asked = ReturnInput(an_order(f"SO{uuid.uuid4().hex[:12].upper()}"), return_no)
            handle = await environment.client.start_workflow(
                ReturnWorkflow.run, asked, id=return_workflow_id(return_no), task_queue=ORDERS_QUEUE
            )
            return Running(environment, shop, handle)

        yield start


async def test_goods_that_come_in_are_given_back_and_credited(begin: Begin) -> None:
    running = await begin(Shop())
    await running.tell("return.received", 1)
    assert await running.handle.result() == "closed"
    assert sorted(running.shop.calls) == ["credit_refunds", "open_return", "pay_refunds", "receive_return"]


async def test_a_fact_that_is_signalled_twice_is_applied_once(begin: Begin) -> None:
    running = await begin(Shop(returned="requested"))
    for _again in range(3):
        await running.tell("return.decided", 1)
    await running.until("decide_return")
    await running.tell("return.received", 2)
    assert await running.handle.result() == "closed"
    assert (running.shop.calls.count("decide_return"), running.shop.calls.count("pay_refunds")) == (1, 1)


async def test_goods_that_come_before_the_decision_wait_for_no_money(begin: Begin) -> None:
    running = await begin(Shop(returned="requested"))
    await running.tell("return.received", 1)
    await running.until("receive_return")
    await running.tell("return.decided", 2)
    await running.until("decide_return")
    assert "pay_refunds" not in running.shop.calls
    await running.tell("return.received", 3)
    assert await running.handle.result() == "closed"


async def test_a_signal_past_the_door_gives_nothing_back(begin: Begin) -> None:
    running = await begin(Shop())
    await running.tell("return.received", 9, forged=True)
    await running.until("receive_return forged")
    assert await running.handle.result() == "expired"
    assert "pay_refunds" not in running.shop.calls


async def test_a_return_whose_goods_never_come_expires(begin: Begin) -> None:
    running = await begin(Shop())
    begun = await running.environment.get_current_time()
    assert await running.handle.result() == "expired"
    took = await running.environment.get_current_time() - begun
    assert timedelta(days=14) <= took < timedelta(days=15)
    assert running.shop.calls == ["open_return", "expire_return"]


@pytest.mark.parametrize(("returned", "result"), [("rejected", "rejected"), (None, "ignored"), ("closed", "closed")])
async def test_a_return_that_waits_for_nothing_ends_at_once(begin: Begin, returned: str | None, result: str) -> None:
    running = await begin(Shop(returned=returned))
    assert await running.handle.result() == result
    assert running.shop.calls == ["open_return"]


async def test_a_payout_that_fails_is_held_and_repeated_until_it_succeeds(begin: Begin) -> None:
    running = await begin(Shop(holds={"pay_refunds": ["refund_failed", "refund_failed"]}))
    await running.tell("return.received", 1)
    assert await running.handle.result() == "closed"
    assert (running.shop.calls.count("pay_refunds"), running.shop.resolved) == (3, ["retried", "retried"])


async def test_goods_whose_books_cannot_be_kept_yet_are_taken_in_later(begin: Begin) -> None:
    running = await begin(Shop(fails={"receive_return": ["account_mapping_missing"]}))
    await running.tell("return.received", 1)
    assert await running.handle.result() == "closed"
    assert running.shop.calls.count("receive_return") == 2
    assert "open_hold account_mapping_missing" in running.shop.calls
