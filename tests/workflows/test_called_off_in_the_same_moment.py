"""An order that is called off in the very task in which it hears that its parcel is booked."""

import asyncio
import uuid

from temporalio import activity
from temporalio.client import WorkflowUpdateStage
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import Worker

from activities.step import Step, StepResult
from tests.fakes.patience import eventually
from tests.fakes.shop import Payment, Shop
from tests.workflows.conftest import Running, TimeSkipping, an_order
from workers.local_first import LocalFirst
from workflows.order.contract import CARRIER_QUEUE, ORDERS_QUEUE, PAYMENTS_QUEUE, CancelRequest, order_workflow_id
from workflows.order.workflow import OrderWorkflow


class SlowShop(Shop):
    """A shop whose carrier answers when it is let."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.asked, self.may_answer = asyncio.Event(), asyncio.Event()

    @activity.defn(name="book_shipments")
    async def book_shipments(self, step: Step) -> StepResult:
        if activity.info().is_local:
            # Not at once: it is asked on its own queue.
            raise TimeoutError
        self.asked.set()
        await self.may_answer.wait()
        return self._step("book_shipments")


async def test_what_comes_out_in_that_moment_does_not_swallow_the_cancellation(time_skipping: TimeSkipping) -> None:
    environment, shop = await time_skipping(), SlowShop()
    orders_queue = f"{ORDERS_QUEUE}-{uuid.uuid4().hex[:6]}"
    parties = [_worker(environment, shop, queue) for queue in (CARRIER_QUEUE, PAYMENTS_QUEUE)]
    async with parties[0], parties[1]:
        async with _worker(environment, shop, orders_queue):
            running = await _started(environment, shop, orders_queue)
            await running.until("open_wait payment.full")
            await running.tell(1, Payment())
            await asyncio.wait_for(shop.asked.wait(), 20)
        # While nobody follows the order, the booking comes out and somebody calls the order off.
        shop.may_answer.set()
        await eventually(lambda: _is_booked(running), bool)
        request = CancelRequest("c-1", "service", 11)
        accepted = WorkflowUpdateStage.ACCEPTED
        cancelling = asyncio.create_task(running.handle.start_update("cancel", request, wait_for_stage=accepted))
        await asyncio.sleep(0.5)
        async with _worker(environment, shop, orders_queue):
            await asyncio.wait_for((await cancelling).result(), 20)
            assert (await asyncio.wait_for(running.handle.result(), 20)).result == "cancelled"
    assert shop.calls[-4:] == ["cancel_shipments", "refund_payments", "release_stock", "close cancelled"]


def _worker(environment: WorkflowEnvironment, shop: Shop, queue: str) -> Worker:
    workflows = [OrderWorkflow] if queue.startswith(ORDERS_QUEUE) else []
    return Worker(
        environment.client,
        task_queue=queue,
        workflows=workflows,
        activities=shop.activities(),
        max_cached_workflows=0,
        workflow_runner=LocalFirst(),
    )


async def _started(environment: WorkflowEnvironment, shop: Shop, queue: str) -> Running:
    order_no = f"SO{uuid.uuid4().hex[:12].upper()}"
    handle = await environment.client.start_workflow(
        OrderWorkflow.run, an_order(order_no), id=order_workflow_id(order_no), task_queue=queue
    )
    return Running(environment, shop, handle)


async def _is_booked(running: Running) -> bool:
    history = await running.handle.fetch_history()
    return any(event.HasField("activity_task_completed_event_attributes") for event in history.events)
