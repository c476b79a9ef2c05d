"""What orders cost Temporal, read from their histories."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from temporalio.api.enums.v1 import EventType
from temporalio.client import Client, WorkflowHistory

from workflows.order.contract import order_workflow_id

_LOCAL: Final = "core_local_activity"


@dataclass(frozen=True)
class Cost:
    """Of one order: events of its history by type, and what it asked for between its signals, in order."""

    events: Counter[str]
    plan: tuple[str, ...]

    @property
    def history_events(self) -> int:
        return sum(self.events.values())

    @property
    def workflow_tasks(self) -> int:
        return self.events["WORKFLOW_TASK_COMPLETED"]

    @property
    def local_activities(self) -> int:
        return self.plan.count("local")

    @property
    def activities(self) -> int:
        return self.plan.count("local") + self.plan.count("activity")


async def costs(client: Client, order_nos: Sequence[str]) -> list[Cost]:
    """What each of these orders has cost."""
    handles = (client.get_workflow_handle(order_workflow_id(order_no)) for order_no in order_nos)
    return [cost_of(await handle.fetch_history()) for handle in handles]


def cost_of(history: WorkflowHistory) -> Cost:
    """What the order of this history has cost."""
    names: Counter[str] = Counter()
    plan: list[str] = []
    for event in history.events:
        names[EventType.Name(event.event_type).removeprefix("EVENT_TYPE_")] += 1
        if event.HasField("marker_recorded_event_attributes"):
            if event.marker_recorded_event_attributes.marker_name == _LOCAL:
                plan.append("local")
        elif event.HasField("activity_task_scheduled_event_attributes"):
            plan.append("activity")
        elif event.HasField("workflow_execution_signaled_event_attributes"):
            plan.append("signal")
    return Cost(names, tuple(plan))
