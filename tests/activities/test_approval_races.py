"""Approve, reject, cancel and the end of the level at the same instant: one of them wins, and all are on record."""

import asyncio
import json
import random
from collections import Counter
from collections.abc import Awaitable

import pytest
from sqlalchemy import text
from temporalio.testing import ActivityEnvironment

from activities.approvals import ApprovalActivities, ApprovalInput, ApprovalMoment
from activities.orders import CancelInput, OrderActivities
from activities.step import Fact
from models.access import Person
from store import approvals, inbox
from store.inbox import Incoming
from tests.conftest import Database
from tests.factories import orders as order_rows
from tests.factories.approvals import gm_approval

TRIES = 200
AT_ONCE = 4
NODE = gm_approval(assignees=[{"user": "ada"}, {"user": "ben"}], remind=[], escalate=[])
# As much as a transaction takes: whoever comes first is a matter of chance.
_JITTER_S = 0.03
WON = {"approved": "approve", "rejected": "reject"}


async def _a_little_later(rival: Awaitable[object], pause_s: float) -> None:
    await asyncio.sleep(pause_s)
    await rival


class Race:
    """Everything that may happen to the approval of one order, started at the same moment in a random order."""

    def __init__(self, database: Database, order_no: str) -> None:
        self.sessions, self.order_no = database.sessions, order_no
        self.desk, self.orders = ApprovalActivities(database.sessions), OrderActivities(database.sessions)
        self.approval_id = approvals.approval_id_of(order_no, "gm", 1)

    async def run(self, order: random.Random) -> None:
        asked = ApprovalInput(self.order_no, "gm", 1, "normal", 2, NODE)
        await ActivityEnvironment().run(self.desk.open_approval, asked)
        rivals = [self.say("ada", "approve"), self.say("ben", "reject"), self.end(), self.cancel()]
        order.shuffle(rivals)
        await asyncio.gather(*(_a_little_later(rival, order.uniform(0, _JITTER_S)) for rival in rivals))

    async def say(self, person: str, action: str) -> None:
        said = {"approval_id": self.approval_id, "action": action}
        message = Incoming(
            "api", f"{self.approval_id}/{person}", approvals.DECIDED, self.order_no, json.dumps(said), said, person
        )
        async with self.sessions() as session, session.begin():
            inbox_id = (await inbox.add(session, message)).inbox_id
        await ActivityEnvironment().run(self.desk.apply_decision, Fact(self.order_no, inbox_id))

    def end(self) -> Awaitable[object]:
        moment = ApprovalMoment(self.order_no, self.approval_id, 0)
        return ActivityEnvironment().run(self.desk.escalate_approval, moment)

    def cancel(self) -> Awaitable[object]:
        return ActivityEnvironment().run(self.orders.begin_cancel, CancelInput(self.order_no, "sally"))


@pytest.mark.timeout(240)
async def test_exactly_one_of_four_rivals_wins_every_time(database: Database) -> None:
    numbers = [f"SO-R{n}" for n in range(TRIES)]
    async with database.sessions() as session, session.begin():
        session.add_all([Person(person_id=name, name=name) for name in ("ada", "ben")])
        await order_rows.add_all(session, {number: (order_rows.Line(),) for number in numbers}, placed_by="sally")
    gate, seed = asyncio.Semaphore(AT_ONCE), random.Random(13)

    async def one(number: str) -> None:
        async with gate:
            await Race(database, number).run(seed)

    await asyncio.gather(*map(one, numbers))
    async with database.sessions() as session:
        rows = (
            await session.execute(
                text("""
                SELECT a.state, a.closed_by,
                       array_agg(t.decision || ' ' || t.outcome) FILTER (WHERE t.kind = 'decided') AS words,
                       count(*) FILTER (WHERE t.kind IN ('voided', 'timed_out')) AS ends,
                       (SELECT count(*) FROM inbox_messages m WHERE m.order_no = a.order_no
                          AND m.kind = 'approval.decided' AND m.outcome IS NOT NULL) AS told
                FROM approvals a JOIN approval_trail t USING (approval_id) GROUP BY a.approval_id
                """)
            )
        ).all()
    assert len(rows) == TRIES
    for row in rows:
        effective = [word.removesuffix(" effective") for word in row.words if word.endswith(" effective")]
        assert (len(row.words), row.told) == (2, 2)
        if row.state in WON:
            assert effective == [WON[row.state]]
            assert row.ends == 0
            assert sum(word.endswith(" superseded") for word in row.words) == 1
        else:
            assert (effective, row.ends, row.closed_by) == ([], 1, "orderflow")
            assert all(word.endswith(" too_late") for word in row.words)
    # Each of the four is first now and then; a race that one rival always wins would prove nothing.
    assert Counter(row.state for row in rows).keys() == {"approved", "rejected", "timed_out", "voided"}
