"""Many orders at once on the same goods, on as many connections as the pool has."""

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator, Sequence

import pytest
from sqlalchemy import text

from activities.step import Step
from activities.stock import StockActivities
from runtime.database import Sessions, create_engine, create_sessions
from store import stock
from store.stock import ReceiptLine
from tests.conftest import Database
from tests.factories.orders import Line, add_all
from tests.factories.stock import is_sound, level, receive, stocked

_CONNECTIONS = 20


@pytest.fixture
async def crowd(database: Database) -> AsyncIterator[Sessions]:
    engine = create_engine(database.url, pool_size=_CONNECTIONS)
    yield create_sessions(engine)
    await engine.dispose()


async def place_all(sessions: Sessions, orders: Sequence[Sequence[Line]]) -> list[str]:
    async with sessions() as session, session.begin():
        placed = await add_all(session, {f"SO-{at:04}": lines for at, lines in enumerate(orders)})
    return [order.order_no for order in placed]


async def reserve_all(sessions: Sessions, order_nos: Sequence[str]) -> Counter[str | None]:
    activities, at_once = StockActivities(sessions, None), asyncio.Semaphore(_CONNECTIONS)

    async def buy(order_no: str) -> str | None:
        async with at_once:
            return (await activities.reserve_stock(Step(order_no, "reserve"))).held

    return Counter(await asyncio.gather(*(buy(order_no) for order_no in order_nos)))


async def test_a_thousand_buyers_of_a_hundred_units_buy_exactly_a_hundred(crowd: Sessions) -> None:
    await stocked(crowd, SKU_1=100)
    order_nos = await place_all(crowd, [[Line()]] * 1_000)
    assert await reserve_all(crowd, order_nos) == {None: 100, "out_of_stock": 900}
    assert await level(crowd) == (100, 100, 600_000)
    assert await is_sound(crowd)
    async with crowd() as session:
        held = (await session.execute(text("SELECT count(*) FROM order_holds WHERE resolved_at IS NULL"))).scalar_one()
    assert held == 900


async def test_orders_of_several_skus_in_any_order_neither_deadlock_nor_oversell(crowd: Sessions) -> None:
    dice = random.Random(7)
    skus = [f"SKU-{number}" for number in range(6)]
    for warehouse in ("main", "north"):
        await receive(crowd, [ReceiptLine(sku, 40, 6_000) for sku in skus], f"R-{warehouse}", warehouse)
    wanted = [
        [Line(str(at), sku, dice.randint(1, 3)) for at, sku in enumerate(dice.sample(skus, dice.randint(1, 4)))]
        for _order in range(300)
    ]
    order_nos = await place_all(crowd, wanted)
    outcome = await reserve_all(crowd, order_nos)
    assert set(outcome) == {None, "out_of_stock"}
    assert await is_sound(crowd)
    async with crowd() as session:
        found = await stock.levels(session)
        whole = await session.execute(
            text("SELECT count(DISTINCT order_no) FROM order_lines WHERE allocated NOT IN (0, quantity)")
        )
        taken = await session.execute(text("SELECT count(DISTINCT order_no) FROM order_lines WHERE allocated > 0"))
    assert all(0 <= row.reserved <= row.on_hand == 40 for row in found)
    assert (whole.scalar_one(), taken.scalar_one()) == (0, outcome[None])


async def test_reserving_releasing_and_receiving_at_once_ends_in_agreement(crowd: Sessions) -> None:
    skus = ["SKU-1", "SKU-2", "SKU-3"]
    await stocked(crowd, SKU_1=20, SKU_2=20, SKU_3=20)
    order_nos = await place_all(
        crowd, [[Line("1", skus[at % 3], 2), Line("2", skus[(at + 1) % 3])] for at in range(120)]
    )
    activities, at_once = StockActivities(crowd, None), asyncio.Semaphore(_CONNECTIONS)

    async def change_mind(order_no: str) -> None:
        async with at_once:
            await activities.reserve_stock(Step(order_no, "reserve"))
            await activities.release_stock(Step(order_no, "undo"))

    async def restock(number: int) -> None:
        async with at_once:
            await stocked(crowd, f"R-more-{number}", SKU_3=1, SKU_1=1, SKU_4=1)

    await asyncio.gather(*(change_mind(order_no) for order_no in order_nos), *(restock(at) for at in range(20)))
    assert [await level(crowd, sku) for sku in [*skus, "SKU-4"]] == [
        (40, 0, 240_000),
        (20, 0, 120_000),
        (40, 0, 240_000),
        (20, 0, 120_000),
    ]
    assert await is_sound(crowd)
