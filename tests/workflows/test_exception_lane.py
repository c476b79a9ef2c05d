"""The exception lane loses neither the order nor the node that has to be tried again."""

from datetime import timedelta

import pytest
from temporalio.client import WorkflowUpdateFailedError

from domain.flow.document import parse_definition
from domain.order import Standing
from tests.factories.flows import sound_document
from tests.fakes.patience import eventually
from tests.fakes.shop import Payment, Scan, Shop
from tests.workflows.conftest import Running, Start, code_of

_LANE = {"kind": "exception", "choices": ["retry", "skip", "cancel"]}


async def settled_once_it_is_held(running: Running) -> None:
    """Chooses `retry` as soon as the lane takes it."""

    async def is_settled() -> bool:
        try:
            await running.resolve("retry")
        except WorkflowUpdateFailedError:
            return False
        return True

    await eventually(is_settled, bool)


async def test_order_whose_cancellation_from_the_lane_is_refused_can_still_be_retried(start: Start) -> None:
    shop = Shop(collected=True)
    running = await start(shop)
    await running.until("open_wait payment.full")
    await running.tell(1, Payment())
    await running.until("open_wait shipment.delivered")
    await running.tell(2, Scan("shipping", hold="delivery_failed"))
    await running.until("apply_scan")
    await running.resolve("cancel")
    await running.until("withdraw_cancel")
    await settled_once_it_is_held(running)
    await running.until("open_wait shipment.delivered", 2)
    await running.tell(3, Scan("delivered"))
    assert (await running.handle.result()).result == "completed"


async def test_lane_that_cannot_be_entered_is_tried_again_and_leads_back_to_the_node_that_failed(start: Start) -> None:
    fails = {"reserve_stock": ["step_failed"], "open_hold step_failed": ["step_failed", "step_failed"]}
    running = await start(Shop(fails=fails))
    await running.until("open_hold step_failed")
    await running.environment.sleep(timedelta(minutes=11))
    await running.until("open_hold step_failed", 3)
    await settled_once_it_is_held(running)
    await running.until("open_wait payment.full")
    assert running.shop.calls.count("reserve_stock") == 2


async def test_step_that_may_not_be_skipped_is_not(start: Start) -> None:
    flow = parse_definition(sound_document(lane=_LANE))
    running = await start(Shop(holds={"reserve_stock": ["out_of_stock"]}), flow)
    await running.until("reserve_stock")
    with pytest.raises(WorkflowUpdateFailedError) as refused:
        await running.resolve("skip")
    assert code_of(refused) == "choice_not_offered"
    assert running.shop.resolved == []


async def test_cancellation_that_an_earlier_run_had_begun_voids_parcels_and_refunds(start: Start) -> None:
    running = await start(
        Shop(standing=Standing(cancelling=True, money_in=True, payment="paid", fulfilment="shipping"))
    )
    assert (await running.handle.result()).result == "cancelled"
    assert running.shop.calls[-4:] == ["cancel_shipments", "refund_payments", "release_stock", "close cancelled"]
