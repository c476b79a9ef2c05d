"""Approvals of orders that no workflow runs for: the door alone, with the activities called by hand."""

from typing import Any

from temporalio.testing import ActivityEnvironment

from activities.approvals import ApprovalActivities, ApprovalInput, ApprovalMoment
from activities.step import Fact
from models.access import Person
from store import approvals
from tests.api.conftest import Api
from tests.factories import orders as order_rows
from tests.factories.approvals import gm_approval


class AtHand:
    """An approval of the order `SO-1`, placed by sales; the general manager is asked, then the CEO."""

    def __init__(self, api: Api) -> None:
        self._sessions = api.database.sessions
        self._activities = ApprovalActivities(self._sessions)

    async def open(self, order_no: str = "SO-1", **changes: Any) -> str:
        """The approval's id; the order is placed if it is not there."""
        async with self._sessions() as session, session.begin():
            await session.merge(Person(person_id="gm", name="GM", roles=["gm"], superior_id="ceo"))
        await order_rows.place(self._sessions, order_no, placed_by="sales")
        asked = ApprovalInput(order_no, "gm", 1, "normal_big", 1, gm_approval(**changes))
        return (await ActivityEnvironment().run(self._activities.open_approval, asked)).approval_id

    async def hear(self, decision_id: str, order_no: str = "SO-1") -> str:
        """What becomes of the word, once its signal has come."""
        applied = await ActivityEnvironment().run(self._activities.apply_decision, Fact(order_no, int(decision_id)))
        return applied.outcome

    async def level_ends(self, level: int, order_no: str = "SO-1") -> None:
        moment = ApprovalMoment(order_no, approvals.approval_id_of(order_no, "gm", 1), level)
        await ActivityEnvironment().run(self._activities.escalate_approval, moment)
