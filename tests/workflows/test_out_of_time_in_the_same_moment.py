"""An order whose time to pay runs out while its payment is being applied, with all that the payment lets go on."""

import asyncio
import uuid

from temporalio import activity
from temporalio.worker import Worker

from activities.step import Step, StepResult
from domain.flow.definition import FlowDefinition
from tests.conftest import Temporal
from tests.fakes.patience import eventually
from tests.fakes.shop import Payment, Scan, Shop
from tests.workflows.conftest import an_order, normal
from workers.local_first import LocalFirst
from workflows.order.contract import SIGNALS, FactSignal, order_workflow_id
from workflows.order.workflow import OrderWorkflow

_SECONDS_TO_PAY = 2


class SlowCarrier(Shop):
    """A shop whose carrier answers within the step, but not before the time to pay is over."""

    @activity.defn(name="book_shipments")
    async def book_shipments(self, step: Step) -> StepResult:
        await asyncio.sleep(_SECONDS_TO_PAY + 9)
        return self._step("book_shipments", fulfilment="shipping")


async def test_what_the_payment_lets_go_on_is_not_undone_beside_it(temporal: Temporal) -> None:
    shop, queue, order = SlowCarrier(), f"orders-{uuid.uuid4().hex[:6]}", an_order("SO-LATE", _soon_over())
    async with Worker(
        temporal.client,
        task_queue=queue,
        workflows=[OrderWorkflow],
        activities=shop.activities(),
        max_cached_workflows=0,
        workflow_runner=LocalFirst(),
    ):
        handle = await temporal.client.start_workflow(
            OrderWorkflow.run, order, id=order_workflow_id(order.order_no), task_queue=queue
        )
        await _asked(shop, "open_wait payment.full")
        shop.inbox[1], shop.inbox[2] = Payment(), Scan("delivered")
        await handle.signal(SIGNALS["payment.settled"], FactSignal(1))
        await _asked(shop, "open_wait shipment.delivered")
        await handle.signal(SIGNALS["parcel.scanned"], FactSignal(2))
        assert (await asyncio.wait_for(handle.result(), 20)).result == "completed"
    assert shop.calls.count("book_shipments") == 1
    assert not {"release_stock", "cancel_shipments", "close expired"} & {*shop.calls}


async def _asked(shop: Shop, call: str) -> None:
    async def calls() -> list[str]:
        return shop.calls

    await eventually(calls, lambda known: call in known)


def _soon_over() -> FlowDefinition:
    document = normal().model_dump(mode="json", exclude_defaults=True)
    document["nodes"]["pay"] |= {"timeout": f"PT{_SECONDS_TO_PAY}S", "remind": []}
    return FlowDefinition.model_validate(document)
