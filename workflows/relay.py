"""One relay per destination: a single long activity at a time, so that deliveries cost Temporal next to nothing."""

from dataclasses import dataclass
from datetime import timedelta

from temporalio import workflow
from temporalio.common import RetryPolicy

with workflow.unsafe.imports_passed_through():
    from activities.outbox import OutboxActivities, RelayInput

RELAY_QUEUE = "relay"
_ROUNDS = 20


@dataclass(frozen=True)
class RelayFor:
    """The destination that the relay serves."""

    destination: str


def relay_workflow_id(destination: str) -> str:
    """The id of the destination's relay; one runs at a time."""
    return f"relay/{destination}"


@workflow.defn
class RelayWorkflow:
    """Serves one destination until it is disabled; survives its workers and starts anew before its history grows."""

    @workflow.run
    async def run(self, relay: RelayFor) -> str:
        for _ in range(_ROUNDS):
            served = await workflow.execute_activity_method(
                OutboxActivities.relay_outbox,
                RelayInput(relay.destination),
                task_queue=RELAY_QUEUE,
                start_to_close_timeout=timedelta(hours=1),
                # A worker that died is noticed by this, and the next one takes over.
                heartbeat_timeout=timedelta(seconds=20),
                retry_policy=RetryPolicy(maximum_interval=timedelta(seconds=10)),
                summary=f"Deliver to {relay.destination}",
            )
            if not served.enabled:
                return "disabled"
        return workflow.continue_as_new(relay)
