"""The checks that need more than our database, and the schedules on which all checks run by themselves."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Final

from sqlmodel.ext.asyncio.session import AsyncSession
from temporalio.client import (
    Client,
    Schedule,
    ScheduleActionStartWorkflow,
    ScheduleAlreadyRunningError,
    ScheduleCalendarSpec,
    ScheduleOverlapPolicy,
    SchedulePolicy,
    ScheduleRange,
    ScheduleSpec,
)

from integrations.anchors.folder import AnchorFolder
from runtime.database import Sessions
from runtime.settings import Settings
from store.checks.finding import MOST, Check, Finding
from workers.anchoring import verify
from workers.watch import OrdersAtWork
from workflows.check import CheckFor, CheckWorkflow
from workflows.order.contract import ORDERS_QUEUE

_NIGHT: Final = (ScheduleRange(3),)
_SCHEDULES: Final = {
    "daily": ScheduleCalendarSpec(hour=_NIGHT, day_of_week=(ScheduleRange(1, 6),)),
    "weekly": ScheduleCalendarSpec(hour=_NIGHT, day_of_week=(ScheduleRange(0),)),
}


def further_checks(settings: Settings, sessions: Sessions, client: Client) -> Sequence[Check]:
    """The checks that ask Temporal, and the long one that reads every story and every anchor."""
    folder = AnchorFolder(settings.anchor_dir) if settings.anchor_dir else None

    async def stories_are_as_written(_session: AsyncSession, only: str | None) -> list[Finding]:
        """Every event has the hash that was written with it, and every anchor knows the story as it is."""
        verdict = await verify(sessions, folder, only)
        return [
            Finding(f"{flaw.order_no or 'anchors'}/{flaw.seq or flaw.detail}", flaw.what, flaw.detail, flaw.order_no)
            for flaw in verdict.flaws[:MOST]
        ]

    return (*OrdersAtWork(sessions, client).checks(), Check(stories_are_as_written, is_long=True))


async def ensure_schedules(client: Client) -> None:
    """Afterwards the checks run daily, and weekly the long ones too; schedules that are there stay as they are."""
    for cause, calendar in _SCHEDULES.items():
        action = ScheduleActionStartWorkflow(
            CheckWorkflow.run,
            CheckFor(cause),
            id=f"check/{cause}",
            task_queue=ORDERS_QUEUE,
            static_summary=f"{cause} checks",
        )
        policy = SchedulePolicy(overlap=ScheduleOverlapPolicy.SKIP, catchup_window=timedelta(hours=12))
        schedule = Schedule(action, ScheduleSpec(calendars=[calendar]), policy=policy)
        try:
            await client.create_schedule(f"check/{cause}", schedule)
        except ScheduleAlreadyRunningError:
            continue
