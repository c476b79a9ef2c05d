"""What comes in for an order that has ended is booked, and a follow-up that cannot do so says it."""

import uuid

import pytest
from temporalio.api.enums.v1 import EventType
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from tests.fakes.patience import eventually
from tests.fakes.shop import Shop
from tests.workflows.conftest import TimeSkipping, an_order
from workflows.follow_up import FollowUpWorkflow
from workflows.order import inlet
from workflows.order.contract import ORDERS_QUEUE, SIGNALS, FactSignal, follow_up_workflow_id


async def test_defect_that_ends_the_inlet_shows_as_a_failing_workflow_task(
    time_skipping: TimeSkipping, monkeypatch: pytest.MonkeyPatch
) -> None:
    environment = await time_skipping()

    # The inlet stumbles over a kind of fact that it cannot apply.
    monkeypatch.setattr(inlet, "FACTS", {})
    order = an_order(f"SO{uuid.uuid4().hex[:12].upper()}")
    async with Worker(
        environment.client,
        task_queue=ORDERS_QUEUE,
        workflows=[FollowUpWorkflow],
        activities=Shop().activities(),
        workflow_runner=UnsandboxedWorkflowRunner(),
    ):
        handle = await environment.client.start_workflow(
            FollowUpWorkflow.run,
            order,
            id=follow_up_workflow_id(order.order_no),
            task_queue=ORDERS_QUEUE,
            start_signal=SIGNALS["payment.settled"],
            start_signal_args=[FactSignal(1)],
        )

        async def failures() -> list[str]:
            history = await handle.fetch_history()
            failed = [e for e in history.events if e.event_type == EventType.EVENT_TYPE_WORKFLOW_TASK_FAILED]
            return [event.workflow_task_failed_event_attributes.failure.message for event in failed]

        assert "facts are no longer applied" in (await eventually(failures, bool))[0]
        await handle.terminate("seen")
