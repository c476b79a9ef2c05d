from datetime import timedelta
from typing import Any

import psycopg
import pytest
from sqlalchemy import text
from sqlmodel import col, select
from temporalio.exceptions import ApplicationError
from temporalio.testing import ActivityEnvironment

from activities.step import Step, StepResult
from activities.stock import StockActivities
from models.columns import now
from models.inbox import InboxMessage
from models.order import OrderEvent, OrderHold, OrderLine
from models.stock import Reservation
from runtime.database import Sessions
from store import holds, orders
from tests.conftest import Database
from tests.factories.orders import Line, place
from tests.factories.stock import is_sound, level, stocked


async def reserve(sessions: Sessions, order_no: str = "SO-1", ttl: timedelta | None = None) -> StepResult:
    activities = StockActivities(sessions, ttl)
    return await ActivityEnvironment().run(activities.reserve_stock, Step(order_no, "reserve"))


async def release(sessions: Sessions, order_no: str = "SO-1") -> StepResult:
    return await ActivityEnvironment().run(StockActivities(sessions, None).release_stock, Step(order_no, "undo"))


async def story(sessions: Sessions, order_no: str = "SO-1") -> list[tuple[str, dict[str, Any]]]:
    async with sessions() as session:
        query = select(OrderEvent).where(OrderEvent.order_no == order_no).order_by(col(OrderEvent.seq))
        return [(row.kind, row.data) for row in (await session.exec(query)).all()]


async def open_holds(sessions: Sessions, order_no: str = "SO-1") -> list[tuple[str, dict[str, Any]]]:
    async with sessions() as session:
        query = select(OrderHold).where(OrderHold.order_no == order_no, col(OrderHold.resolved_at).is_(None))
        return [(hold.reason_code, hold.facts) for hold in (await session.exec(query)).all()]


async def promised(sessions: Sessions, order_no: str = "SO-1") -> dict[tuple[str, str], tuple[int, str]]:
    async with sessions() as session:
        query = select(Reservation).where(Reservation.order_no == order_no)
        rows = (await session.exec(query)).all()
        return {(row.line_id, row.warehouse): (row.quantity, row.state) for row in rows}


async def messages(sessions: Sessions) -> list[tuple[str, str | None]]:
    async with sessions() as session:
        query = select(InboxMessage).where(InboxMessage.source == "stock").order_by(col(InboxMessage.inbox_id))
        return [(row.message_id, row.order_no) for row in (await session.exec(query)).all()]


async def test_reserving_promises_every_line_and_says_from_where(database: Database) -> None:
    await stocked(database.sessions, SKU_1=5, SKU_2=5)
    await place(database.sessions, lines=[Line("1", "SKU-1", 2), Line("2", "SKU-2", 3), Line("3", "SKU-1", 1)])
    result = await reserve(database.sessions)
    assert (result.held, result.standing.fulfilment) == (None, "allocated")
    assert await level(database.sessions, "SKU-1") == (5, 3, 30_000)
    assert await level(database.sessions, "SKU-2") == (5, 3, 30_000)
    assert await story(database.sessions) == [("stock.reserved", {"warehouses": {"main": {"SKU-1": 3, "SKU-2": 3}}})]
    assert await is_sound(database.sessions)


@pytest.mark.usefixtures("alone")
async def test_reserving_takes_six_statements_with_those_of_the_lock(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    await stocked(database.sessions, SKU_1=5, SKU_2=5)
    await place(database.sessions, lines=[Line("1", "SKU-1", 2), Line("2", "SKU-2", 3)])
    sent: list[str] = []
    execute = psycopg.AsyncCursor.execute

    async def noted(self: psycopg.AsyncCursor[Any], query: str, *args: Any, **how: Any) -> Any:
        sent.append(" ".join(query.split()[:3]))
        return await execute(self, query, *args, **how)

    monkeypatch.setattr(psycopg.AsyncCursor, "execute", noted)
    await reserve(database.sessions)
    assert len(sent) == 6, sent


async def test_reserving_twice_has_one_effect(database: Database) -> None:
    await stocked(database.sessions, SKU_1=5)
    await place(database.sessions, lines=[Line(quantity=2)])
    assert await reserve(database.sessions) == await reserve(database.sessions)
    assert await level(database.sessions) == (5, 2, 30_000)
    assert len(await story(database.sessions)) == 1


async def test_releasing_twice_has_one_effect(database: Database) -> None:
    await stocked(database.sessions, SKU_1=5)
    await place(database.sessions, lines=[Line(quantity=2)])
    await reserve(database.sessions)
    first = await release(database.sessions)
    assert await release(database.sessions) == first
    assert first.standing.fulfilment == "unallocated"
    assert await level(database.sessions) == (5, 0, 30_000)
    assert await promised(database.sessions) == {("1", "main"): (2, "released")}
    assert [kind for kind, _data in await story(database.sessions)] == ["stock.reserved", "stock.released"]
    assert await is_sound(database.sessions)


async def test_releasing_what_was_never_reserved_is_harmless(database: Database) -> None:
    await place(database.sessions)
    assert (await release(database.sessions)).standing.fulfilment == "unallocated"
    assert await story(database.sessions) == []


async def test_an_order_that_was_released_can_be_reserved_again(database: Database) -> None:
    await stocked(database.sessions, SKU_1=5)
    await place(database.sessions, lines=[Line(quantity=2)])
    for _round in range(2):
        await reserve(database.sessions)
        await release(database.sessions)
    await reserve(database.sessions)
    assert await promised(database.sessions) == {("1", "main"): (2, "active")}
    assert await level(database.sessions) == (5, 2, 30_000)
    assert await is_sound(database.sessions)


async def test_a_short_order_is_held_whole_and_once(database: Database) -> None:
    await stocked(database.sessions, SKU_1=5, SKU_2=1)
    await place(database.sessions, lines=[Line("1", "SKU-1", 2), Line("2", "SKU-2", 3)])
    first = await reserve(database.sessions)
    again = await reserve(database.sessions)
    assert (first.held, first.standing.blocking_holds) == ("out_of_stock", ("out_of_stock",))
    assert again == first
    assert await open_holds(database.sessions) == [("out_of_stock", {"missing": {"SKU-2": 2}})]
    assert [kind for kind, _data in await story(database.sessions)] == ["order.held"]
    assert await level(database.sessions, "SKU-1") == (5, 0, 30_000)
    assert await promised(database.sessions) == {}


async def test_a_sku_nobody_knows_is_a_hold_until_it_is_stocked_enough(database: Database) -> None:
    await place(database.sessions, lines=[Line(sku="SKU-9", quantity=2)])
    assert (await reserve(database.sessions)).held == "unknown_sku"
    assert await open_holds(database.sessions) == [("unknown_sku", {"skus": ["SKU-9"]})]
    await stocked(database.sessions, SKU_9=1)
    assert (await reserve(database.sessions)).standing.blocking_holds == ("out_of_stock",)
    assert await open_holds(database.sessions) == [("out_of_stock", {"missing": {"SKU-9": 1}})]
    await stocked(database.sessions, "R-2", SKU_9=1)
    result = await reserve(database.sessions)
    assert (result.held, result.standing.blocking_holds) == (None, ())
    assert [kind for kind, _data in await story(database.sessions)] == [
        "order.held",
        "order.held",
        "order.hold_resolved",
        "stock.reserved",
        "order.hold_resolved",
    ]


@pytest.mark.parametrize("change", [{"cancel_requested_at": now()}, {"lifecycle": "cancelled"}])
async def test_an_order_on_its_way_out_gets_nothing(database: Database, change: dict[str, Any]) -> None:
    await stocked(database.sessions, SKU_1=5)
    await place(database.sessions, **change)
    result = await reserve(database.sessions)
    assert (result.held, result.standing.fulfilment) == (None, "unallocated")
    assert await level(database.sessions) == (5, 0, 30_000)


async def test_units_that_were_cancelled_are_not_reserved(database: Database) -> None:
    await stocked(database.sessions, SKU_1=5)
    await place(database.sessions, lines=[Line(quantity=3)])
    async with database.sessions() as session, session.begin():
        await session.execute(text("UPDATE order_lines SET cancelled = 2"))
    assert (await reserve(database.sessions)).standing.fulfilment == "allocated"
    assert await level(database.sessions) == (5, 1, 30_000)


async def test_an_order_that_is_not_there_is_a_final_failure(database: Database) -> None:
    with pytest.raises(ApplicationError) as failure:
        await reserve(database.sessions)
    assert (failure.value.type, failure.value.non_retryable) == ("order_not_found", True)


async def test_one_warehouse_that_has_everything_wins_over_a_preferred_one(database: Database) -> None:
    await stocked(database.sessions, "R-1", "main", SKU_1=5)
    await stocked(database.sessions, "R-2", "north", SKU_1=1, SKU_2=1)
    await place(database.sessions, lines=[Line("1", "SKU-1"), Line("2", "SKU-2")])
    await reserve(database.sessions)
    assert await promised(database.sessions) == {("1", "north"): (1, "active"), ("2", "north"): (1, "active")}


async def test_a_line_that_no_warehouse_has_whole_is_split(database: Database) -> None:
    await stocked(database.sessions, "R-1", "main", SKU_1=2)
    await stocked(database.sessions, "R-2", "north", SKU_1=2)
    await place(database.sessions, lines=[Line(quantity=3)])
    await reserve(database.sessions)
    rows = await promised(database.sessions)
    assert sum(quantity for quantity, _state in rows.values()) == 3
    assert {warehouse for _line, warehouse in rows} == {"main", "north"}
    assert await is_sound(database.sessions)


async def test_a_gift_is_never_parted_from_its_line(database: Database) -> None:
    await stocked(database.sessions, "R-1", "main", SKU_1=1)
    await stocked(database.sessions, "R-2", "north", GIFT=1)
    await place(database.sessions, lines=[Line("1", "SKU-1"), Line("2", "GIFT", unit_price_minor=0, gift_of="1")])
    assert (await reserve(database.sessions)).held == "out_of_stock"
    await stocked(database.sessions, "R-3", "main", GIFT=1)
    assert (await reserve(database.sessions)).held is None
    assert await promised(database.sessions) == {("1", "main"): (1, "active"), ("2", "main"): (1, "active")}


async def test_a_closed_warehouse_promises_nothing(database: Database) -> None:
    await stocked(database.sessions, SKU_1=1)
    async with database.sessions() as session, session.begin():
        await session.execute(text("UPDATE warehouses SET active = false"))
    await place(database.sessions)
    assert (await reserve(database.sessions)).held == "out_of_stock"


async def test_a_promise_ends_when_the_setting_says(database: Database) -> None:
    await stocked(database.sessions, SKU_1=1)
    await place(database.sessions)
    before = now()
    await reserve(database.sessions, ttl=timedelta(hours=2))
    async with database.sessions() as session:
        ends = (await session.exec(select(Reservation.expires_at))).one()
    assert ends is not None
    assert before + timedelta(hours=2) <= ends <= now() + timedelta(hours=2)


async def test_releasing_wakes_the_oldest_order_that_waits(database: Database) -> None:
    await stocked(database.sessions, SKU_1=1)
    start = now()
    for age, order_no in enumerate(["SO-1", "SO-3", "SO-2"]):
        await place(database.sessions, order_no, received_at=start + timedelta(seconds=age))
        await reserve(database.sessions, order_no)
    await release(database.sessions, "SO-1")
    assert await messages(database.sessions) == [("replenished/SO-3-H1/1", "SO-3")]
    assert (await reserve(database.sessions, "SO-3")).held is None
    await release(database.sessions, "SO-1")
    assert len(await messages(database.sessions)) == 1


async def test_an_order_that_is_being_cancelled_is_not_woken_by_its_own_release(database: Database) -> None:
    await stocked(database.sessions, SKU_1=2)
    await place(database.sessions, lines=[Line(quantity=2)])
    await reserve(database.sessions)
    async with database.sessions() as session, session.begin():
        order = await orders.lock(session, "SO-1")
        order.cancel_requested_at = now()
        await holds.open_hold(session, order, holds.Reason("out_of_stock", "left over"))
    await release(database.sessions)
    assert await messages(database.sessions) == []


async def test_lines_say_how_many_of_their_units_are_promised(database: Database) -> None:
    await stocked(database.sessions, SKU_1=5)
    await place(database.sessions, lines=[Line("1", quantity=2), Line("2", quantity=3)])
    await reserve(database.sessions)
    async with database.sessions() as session:
        lines = (await session.exec(select(OrderLine).order_by(col(OrderLine.position)))).all()
    assert [line.allocated for line in lines] == [2, 3]
