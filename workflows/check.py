"""The checks as they run by themselves, daily and weekly."""

from dataclasses import dataclass
from datetime import timedelta

from temporalio import workflow
from temporalio.common import RetryPolicy

with workflow.unsafe.imports_passed_through():
    from activities.checks import CheckActivities, CheckInput


@dataclass(frozen=True)
class CheckFor:
    """What brings the run about: daily or weekly."""

    cause: str


@workflow.defn
class CheckWorkflow:
    """Asks every check once; its result says how many findings each has."""

    @workflow.run
    async def run(self, check: CheckFor) -> dict[str, int]:
        result = await workflow.execute_activity_method(
            CheckActivities.run_checks,
            CheckInput(workflow.info().workflow_id, check.cause),
            start_to_close_timeout=timedelta(hours=1),
            heartbeat_timeout=timedelta(seconds=30),
            retry_policy=RetryPolicy(maximum_interval=timedelta(minutes=5), maximum_attempts=10),
            summary=f"Run the {check.cause} checks",
        )
        return dict(result.found)
