"""The last order of a group joins at the instant at which the group closes: both orders meet the same end."""

import asyncio
import random
from collections import Counter
from collections.abc import Coroutine
from datetime import timedelta
from typing import Any

import pytest
from temporalio.testing import ActivityEnvironment

from activities.step import Step
from activities.trade import TradeActivities
from models.columns import now
from models.order import Order
from models.trade import BuyingGroup
from store import facts
from tests.conftest import Database
from tests.factories import orders as order_rows

TRIES = 120
AT_ONCE = 4
# From before the end to behind it: whether the last one makes it is a matter of chance.
_BEFORE_S, _AROUND_S = 0.25, 0.12


class Race:
    """A group of two, one of which has joined."""

    def __init__(self, database: Database, group_id: str) -> None:
        self.sessions, self.group_id = database.sessions, group_id
        self.desk = TradeActivities(database.sessions)

    async def run(self, chance: random.Random) -> tuple[bool, bool]:
        """Whether the group has its number, and whether the order that waited for it was told so at the end."""
        await self.join("A")
        async with self.sessions() as session, session.begin():
            group = await session.get_one(BuyingGroup, self.group_id)
            closes_at = group.closes_at = now() + timedelta(seconds=_BEFORE_S)
        late = _BEFORE_S + chance.uniform(-_AROUND_S, _AROUND_S / 3)
        joining = asyncio.create_task(_after(late, self.join("B")))
        await asyncio.sleep(max((closes_at - now()).total_seconds(), 0) + 0.001)
        assert now() >= closes_at
        async with self.sessions() as session:
            order = await session.get_one(Order, f"{self.group_id}-A")
            told = bool((await facts.known_now(session, order))["order.group_complete"])
        await joining
        async with self.sessions() as session:
            return (await session.get_one(BuyingGroup, self.group_id)).completed_at is not None, told

    async def join(self, name: str) -> None:
        await ActivityEnvironment().run(self.desk.join_group, Step(f"{self.group_id}-{name}", "join"))


async def _after(seconds: float, work: Coroutine[Any, Any, None]) -> None:
    await asyncio.sleep(seconds)
    await work


@pytest.mark.timeout(240)
async def test_group_that_closes_as_its_last_order_joins_is_one_thing_to_all(database: Database) -> None:
    groups = [f"G-{n}" for n in range(TRIES)]
    numbers = [f"{group}-{name}" for group in groups for name in "AB"]
    async with database.sessions() as session, session.begin():
        await order_rows.add_all(session, {number: (order_rows.Line(),) for number in numbers})
        closes_at = now() + timedelta(hours=1)
        session.add_all([BuyingGroup(group_id=group, minimum_orders=2, closes_at=closes_at) for group in groups])
        for number in numbers:
            (await session.get_one(Order, number)).group_id = number.rpartition("-")[0]
    gate, chance = asyncio.Semaphore(AT_ONCE), random.Random(7)

    async def one(group: str) -> tuple[bool, bool]:
        async with gate:
            return await Race(database, group).run(chance)

    ends = Counter(await asyncio.gather(*map(one, groups)))
    # Nobody goes on while the other is undone; and each end comes about, or the race would prove nothing.
    assert ends.keys() == {(True, True), (False, False)}
