from collections.abc import Sequence

import pytest
from sqlmodel import col, select

from models.order import OrderLine
from models.stock import Reservation, StockMovement
from runtime.database import Sessions
from store import orders, stock
from store.stock import LeavingUnits, ReceiptLine, StockNotReserved
from tests.conftest import Database
from tests.factories.orders import Line, place
from tests.factories.stock import is_sound, level, receive


async def reserved(sessions: Sessions, lines: Sequence[Line], order_no: str = "SO-1") -> None:
    await place(sessions, order_no, lines)
    async with sessions() as session, session.begin():
        assert isinstance(await stock.reserve(session, order_no), stock.Reserved)


async def ship(sessions: Sessions, leaving: Sequence[LeavingUnits], shipment_no: str = "SO-1-S1") -> dict[str, int]:
    async with sessions() as session, session.begin():
        await orders.lock(session, "SO-1")
        return await stock.ship(session, "SO-1", shipment_no, leaving)


async def test_goods_leave_at_the_average_and_the_last_unit_takes_the_remainder(database: Database) -> None:
    await receive(database.sessions, [ReceiptLine("SKU-1", 3, 33), ReceiptLine("SKU-1", 1, 1)])
    await reserved(database.sessions, [Line("1", quantity=4)])
    assert await ship(database.sessions, [LeavingUnits("1", "main", 1)], "S-1") == {"1": 25}
    assert await ship(database.sessions, [LeavingUnits("1", "main", 2)], "S-2") == {"1": 50}
    assert await ship(database.sessions, [LeavingUnits("1", "main", 1)], "S-3") == {"1": 25}
    assert await level(database.sessions) == (0, 0, 0)


async def test_everything_that_leaves_has_cost_everything_that_came(database: Database) -> None:
    await receive(database.sessions, [ReceiptLine("SKU-1", 1, 100), ReceiptLine("SKU-1", 2)])
    await receive(database.sessions, [ReceiptLine("SKU-1", 4, 1)], "R-2")
    await reserved(database.sessions, [Line("1", quantity=7)])
    costs = [(await ship(database.sessions, [LeavingUnits("1", "main", 1)], f"S-{parcel}"))["1"] for parcel in range(7)]
    assert costs == [43, 44, 43, 44, 43, 44, 43]
    assert sum(costs) == 304
    assert await level(database.sessions) == (0, 0, 0)
    assert await is_sound(database.sessions)


async def test_a_shipment_twice_leaves_once(database: Database) -> None:
    await receive(database.sessions, [ReceiptLine("SKU-1", 5, 100), ReceiptLine("SKU-2", 5, 10)])
    await reserved(database.sessions, [Line("1", "SKU-1", 2), Line("2", "SKU-1", 1), Line("3", "SKU-2", 5)])
    leaving = [LeavingUnits("1", "main", 2), LeavingUnits("2", "main", 1), LeavingUnits("3", "main", 5)]
    assert await ship(database.sessions, leaving) == {"1": 200, "2": 100, "3": 50}
    assert await ship(database.sessions, leaving) == {"1": 200, "2": 100, "3": 50}
    assert await level(database.sessions, "SKU-1") == (2, 0, 200)
    assert await level(database.sessions, "SKU-2") == (0, 0, 0)
    async with database.sessions() as session:
        moved = await session.exec(
            select(StockMovement).where(StockMovement.kind == "shipment").order_by(col(StockMovement.movement_key))
        )
        keys = [(row.movement_key, row.quantity, row.value_minor, row.document_no) for row in moved]
        lines = (await session.exec(select(OrderLine).order_by(col(OrderLine.position)))).all()
        states = set((await session.exec(select(Reservation.state))).all())
    assert keys == [
        ("shipment/SO-1-S1/1", -2, -200, "SO-1-S1"),
        ("shipment/SO-1-S1/2", -1, -100, "SO-1-S1"),
        ("shipment/SO-1-S1/3", -5, -50, "SO-1-S1"),
    ]
    assert [(line.allocated, line.shipped) for line in lines] == [(2, 2), (1, 1), (5, 5)]
    assert states == {"shipped"}
    assert await is_sound(database.sessions)


async def test_what_is_left_of_a_promise_stays_promised(database: Database) -> None:
    await receive(database.sessions, [ReceiptLine("SKU-1", 5, 100)])
    await reserved(database.sessions, [Line("1", quantity=3)])
    await ship(database.sessions, [LeavingUnits("1", "main", 1)])
    assert await level(database.sessions) == (4, 2, 400)
    async with database.sessions() as session, session.begin():
        released = await stock.release(session, "SO-1")
    assert [one.quantity for one in released] == [2]
    assert await level(database.sessions) == (4, 0, 400)
    assert await is_sound(database.sessions)


@pytest.mark.parametrize(
    "leaving",
    [LeavingUnits("1", "main", 3), LeavingUnits("1", "north", 1), LeavingUnits("9", "main", 1)],
)
async def test_nothing_leaves_that_is_not_promised(database: Database, leaving: LeavingUnits) -> None:
    await receive(database.sessions, [ReceiptLine("SKU-1", 5, 100)])
    await reserved(database.sessions, [Line("1", quantity=2), Line("2", quantity=1)])
    with pytest.raises(StockNotReserved):
        await ship(database.sessions, [LeavingUnits("2", "main", 1), leaving])
    assert await level(database.sessions) == (5, 3, 500)


async def test_a_line_that_was_shipped_in_part_can_be_reserved_anew(database: Database) -> None:
    await receive(database.sessions, [ReceiptLine("SKU-1", 5, 100)])
    await reserved(database.sessions, [Line("1", quantity=3)])
    await ship(database.sessions, [LeavingUnits("1", "main", 1)])
    async with database.sessions() as session, session.begin():
        await stock.release(session, "SO-1")
        again = await stock.reserve(session, "SO-1")
    assert isinstance(again, stock.Reserved)
    assert [one.quantity for one in again.allocations] == [2]
    assert await ship(database.sessions, [LeavingUnits("1", "main", 2)], "SO-1-S2") == {"1": 200}
    assert await level(database.sessions) == (2, 0, 200)
    assert await is_sound(database.sessions)
