"""What brings a scripted thing to the order, when its time has come on the clock that skips."""

from dataclasses import dataclass
from datetime import timedelta

from temporalio import workflow

DELIVER = "deliver_scripted"


@dataclass(frozen=True)
class Errand:
    """The number of the scripted thing, and how long until it happens."""

    number: int
    after: timedelta


@workflow.defn
class MessengerWorkflow:
    """Waits, and has one thing delivered."""

    @workflow.run
    async def run(self, errand: Errand) -> None:
        await workflow.sleep(errand.after)
        await workflow.execute_activity(DELIVER, errand.number, start_to_close_timeout=timedelta(seconds=20))
