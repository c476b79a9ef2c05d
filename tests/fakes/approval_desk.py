"""One order on a real database and an approval of it, with the activities called by hand."""

import json
from typing import Any

from sqlalchemy import text
from temporalio.testing import ActivityEnvironment

from activities.approvals import ApprovalActivities, ApprovalInput, ApprovalMoment, ApprovalResult
from activities.step import Fact
from models.access import Person
from models.approval import Approval
from models.order import Order
from store import approvals, inbox, orders
from store.inbox import Incoming
from tests.conftest import Database
from tests.factories import orders as order_rows
from tests.factories.approvals import gm_approval

STAFF = (
    Person(person_id="sally", name="Sally", roles=["sales"], superior_id="gina"),
    Person(person_id="gina", name="Gina", roles=["gm"], superior_id="vera"),
    Person(person_id="vera", name="Vera", superior_id="cora"),
    Person(person_id="cora", name="Cora", roles=["ceo"]),
    Person(person_id="opal", name="Opal", roles=["operations"]),
    Person(person_id="gone", name="Gone", roles=["gm"], active=False),
)


class Desk:
    """One order, `SO-1`, placed by Sally, and the approval of its node `gm`."""

    def __init__(self, database: Database) -> None:
        self.sessions = database.sessions
        self.activities = ApprovalActivities(database.sessions)
        self.said = 0

    async def prepare(self) -> "Desk":
        async with self.sessions() as session, session.begin():
            session.add_all([Person(**one.model_dump()) for one in STAFF])
        await order_rows.place(self.sessions, placed_by="sally", total_minor=1_200_000, ship_to={"country": "CN"})
        return self

    async def open(self, visit: int = 1, **changes: Any) -> ApprovalResult:
        asked = ApprovalInput("SO-1", "gm", visit, "normal", 2, gm_approval(**changes))
        return await ActivityEnvironment().run(self.activities.open_approval, asked)

    async def remind(self, level: int = 0) -> ApprovalResult:
        return await ActivityEnvironment().run(self.activities.remind_approval, self._moment(level))

    async def escalate(self, level: int = 0, clock: int = 0) -> ApprovalResult:
        return await ActivityEnvironment().run(self.activities.escalate_approval, self._moment(level, clock))

    def _moment(self, level: int, clock: int = 0) -> ApprovalMoment:
        return ApprovalMoment("SO-1", approvals.approval_id_of("SO-1", "gm", 1), level, clock)

    async def commit(self, person: str, action: str, visit: int = 1, **said: Any) -> int:
        """The person's word lies in the inbox; its signal has not come."""
        self.said += 1
        body = {"approval_id": approvals.approval_id_of("SO-1", "gm", visit), "action": action, **said}
        message = Incoming("api", f"decision/{self.said}", approvals.DECIDED, "SO-1", json.dumps(body), body, person)
        async with self.sessions() as session, session.begin():
            return (await inbox.add(session, message)).inbox_id

    async def hear(self, inbox_id: int) -> str:
        return (await ActivityEnvironment().run(self.activities.apply_decision, Fact("SO-1", inbox_id))).outcome

    async def say(self, person: str, action: str, visit: int = 1, **said: Any) -> str:
        return await self.hear(await self.commit(person, action, visit, **said))

    async def state(self, visit: int = 1) -> str:
        async with self.sessions() as session:
            return (await session.get_one(Approval, approvals.approval_id_of("SO-1", "gm", visit))).state

    async def asked(self) -> list[tuple[int, str, str | None, str]]:
        async with self.sessions() as session:
            rows = await approvals.assignments(session, approvals.approval_id_of("SO-1", "gm", 1))
        return [(row.level, row.person_id, row.on_behalf_of, row.state) for row in rows]

    async def trail(self, *kinds: str) -> list[tuple[Any, ...]]:
        async with self.sessions() as session:
            rows = await approvals.trail(session, approvals.approval_id_of("SO-1", "gm", 1))
        assert [row.seq for row in rows] == list(range(1, len(rows) + 1))
        return [(row.kind, row.actor, row.on_behalf_of, row.outcome) for row in rows if not kinds or row.kind in kinds]

    async def order(self) -> Order:
        async with self.sessions() as session:
            return await orders.get(session, "SO-1")

    async def run(self, statement: str, **values: Any) -> None:
        async with self.sessions() as session, session.begin():
            await session.execute(text(statement), values)
