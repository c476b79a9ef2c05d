from datetime import timedelta
from typing import Any

import pytest
from sqlmodel import select

from models.columns import now
from models.order import OrderEvent
from runtime.database import Sessions
from store import orders, stock
from tests.conftest import Database
from tests.factories.orders import place
from tests.factories.stock import is_sound, level, stocked


async def promised(sessions: Sessions, order_no: str, *, ends_in_s: int, **columns: Any) -> None:
    await place(sessions, order_no, **columns)
    async with sessions() as session, session.begin():
        await stock.reserve(session, order_no, now() + timedelta(seconds=ends_in_s))


async def release_expired(sessions: Sessions, limit: int = 10) -> list[str]:
    async with sessions() as session, session.begin():
        return sorted(await stock.release_expired(session, limit))


async def test_what_nobody_paid_in_time_goes_back_on_sale(database: Database) -> None:
    await stocked(database.sessions, SKU_1=5)
    await promised(database.sessions, "SO-1", ends_in_s=-20)
    await promised(database.sessions, "SO-2", ends_in_s=-30)
    await promised(database.sessions, "SO-3", ends_in_s=3_600)
    async with database.sessions() as session:
        assert await stock.expired(session, 10) == ["SO-2", "SO-1"]
        assert await stock.expired(session, 1) == ["SO-2"]
    assert await release_expired(database.sessions) == ["SO-1", "SO-2"]
    assert await release_expired(database.sessions) == []
    assert await level(database.sessions) == (5, 1, 30_000)
    async with database.sessions() as session:
        told = (await session.exec(select(OrderEvent).where(OrderEvent.order_no == "SO-1"))).all()
    assert [(event.kind, event.reason) for event in told] == [("stock.released", "reservation expired")]
    assert await is_sound(database.sessions)


@pytest.mark.parametrize(
    "columns",
    [{"paid_minor": 1}, {"payment_terms": "on_credit"}, {"lifecycle": "fulfilling"}, {"total_minor": 0}],
)
async def test_orders_that_were_paid_or_need_not_be_keep_their_units(
    database: Database, columns: dict[str, Any]
) -> None:
    await stocked(database.sessions, SKU_1=5)
    await promised(database.sessions, "SO-1", ends_in_s=-20, **columns)
    assert await release_expired(database.sessions) == []
    assert await level(database.sessions) == (5, 1, 30_000)


async def test_an_order_somebody_works_on_is_left_for_the_next_time(database: Database) -> None:
    await stocked(database.sessions, SKU_1=5)
    await promised(database.sessions, "SO-1", ends_in_s=-20)
    await promised(database.sessions, "SO-2", ends_in_s=-20)
    async with database.sessions() as working, working.begin():
        await orders.lock(working, "SO-1")
        assert await release_expired(database.sessions) == ["SO-2"]
    assert await release_expired(database.sessions) == ["SO-1"]
