"""An order that is locked is looked up in memory: what is found there is what the tables say."""

import asyncio

import pytest
from sqlalchemy import inspect, select, text
from sqlmodel import SQLModel
from temporalio.testing import ActivityEnvironment

from activities.step import Step
from activities.stock import StockActivities
from models.order import Order, OrderHold, OrderLine
from models.payment import Payment
from models.shipping import FulfilmentOrder, Shipment, ShipmentLine
from runtime.connection import ROUND_TRIPS
from runtime.database import APART, Sessions
from store import holds, orders, shipping, whole
from store.holds import Reason
from tests.conftest import Database
from tests.factories.orders import Line, place
from tests.factories.shipping import ready_to_ship
from tests.factories.stock import stocked
from tests.fakes.patience import eventually

HELD = Reason("manual", "somebody asked", {"by": "P-1"}, "check")


async def _in_tables(sessions: Sessions, kind: type[SQLModel], order_no: str) -> list[dict[str, object]]:
    table = inspect(kind).local_table
    async with sessions() as session:
        rows = await session.execute(select(table).where(table.c.order_no == order_no))
        return sorted((dict(row) for row in rows.mappings()), key=str)


@pytest.mark.usefixtures("alone")
async def test_locking_takes_one_round_trip_and_what_follows_none(database: Database) -> None:
    await ready_to_ship(database.sessions)
    async with database.sessions() as session, session.begin():
        before = ROUND_TRIPS._value.get()
        order = await orders.lock(session, "SO-1")
        await orders.lines(session, "SO-1")
        await shipping.parcels(session, "SO-1")
        await holds.find_open(session, "SO-1", "manual")
        await orders.standing(session, "SO-1")
        assert await orders.lock(session, "SO-1") is order
        assert ROUND_TRIPS._value.get() - before == 1


async def test_rows_that_are_written_are_in_memory_and_in_their_tables(database: Database) -> None:
    await ready_to_ship(database.sessions)
    async with database.sessions() as session, session.begin():
        await orders.lock(session, "SO-1")
        fulfilment = FulfilmentOrder(fulfilment_no="SO-1-F1", order_no="SO-1", warehouse="main")
        shipment = Shipment(shipment_no="SO-1-S1", fulfilment_no="SO-1-F1", order_no="SO-1", warehouse="main")
        await whole.write(session, fulfilment, shipment)
        assert await whole.rows(session, Shipment, "SO-1") == [shipment]
        assert await session.get(FulfilmentOrder, "SO-1-F1") is fulfilment
        assert not session.dirty
        asked = await session.execute(text("SELECT status FROM shipments"), execution_options=APART)
        assert asked.scalars().all() == ["created"]
        shipment.status = "booked"
        untold = await session.execute(text("SELECT status FROM shipments"), execution_options=APART)
        assert untold.scalars().all() == ["created"]
        told = await session.execute(text("SELECT status FROM shipments"))
        assert told.scalars().all() == ["booked"]
    assert [row["state"] for row in await _in_tables(database.sessions, FulfilmentOrder, "SO-1")] == ["open"]


async def test_rows_in_memory_are_those_of_the_tables_to_the_type(database: Database) -> None:
    await ready_to_ship(database.sessions)
    async with database.sessions() as session, session.begin():
        order = await orders.lock(session, "SO-1")
        await holds.open_hold(session, order, HELD)
    async with database.sessions() as session, session.begin():
        await orders.lock(session, "SO-1")
        for kind in (Order, OrderLine, OrderHold, Payment, Shipment, ShipmentLine):
            known = await whole.rows(session, kind, "SO-1")
            found = sorted((row.model_dump() for row in known), key=str)
            expected = await _in_tables(database.sessions, kind, "SO-1")
            assert len(found) == len(expected)
            for one, other in zip(found, expected, strict=True):
                assert one == other
                assert [type(one[name]) for name in other] == [type(value) for value in other.values()]


async def test_what_a_transaction_changed_is_found_before_and_after_its_commit(database: Database) -> None:
    await stocked(database.sessions, SKU_1=5)
    await place(database.sessions, lines=[Line("1", "SKU-1", 2)])
    async with database.sessions() as session, session.begin():
        order = await orders.lock(session, "SO-1")
        await holds.open_hold(session, order, HELD)
        within = await orders.standing(session, "SO-1")
        assert within.blocking_holds == ("manual",)
    async with database.sessions() as session:
        assert await orders.standing(session, "SO-1") == within
    reserved = await ActivityEnvironment().run(
        StockActivities(database.sessions, None).reserve_stock, Step("SO-1", "reserve")
    )
    async with database.sessions() as session:
        assert await orders.standing(session, "SO-1") == reserved.standing


async def test_whoever_waited_for_the_lock_finds_what_was_committed_meanwhile(database: Database) -> None:
    await place(database.sessions)
    is_locked, may_go_on = asyncio.Event(), asyncio.Event()

    async def first() -> None:
        async with database.sessions() as session, session.begin():
            order = await orders.lock(session, "SO-1")
            is_locked.set()
            await may_go_on.wait()
            await holds.open_hold(session, order, HELD)

    async def second() -> tuple[str, ...]:
        await is_locked.wait()
        async with database.sessions() as session, session.begin():
            await orders.lock(session, "SO-1")
            return (await orders.standing(session, "SO-1")).blocking_holds

    waiting = asyncio.create_task(second())
    holding = asyncio.create_task(first())
    await is_locked.wait()
    await eventually(lambda: _somebody_waits(database), bool)
    may_go_on.set()
    await holding
    assert await waiting == ("manual",)


async def _somebody_waits(database: Database) -> bool:
    async with database.engine.connect() as connection:
        found = await connection.exec_driver_sql(
            "SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
        )
        return found.first() is not None


async def test_lock_of_an_earlier_transaction_counts_for_nothing(database: Database) -> None:
    await place(database.sessions)
    async with database.sessions() as session:
        async with session.begin():
            await orders.lock(session, "SO-1")
            assert whole.has(session, "SO-1")
        async with session.begin():
            assert not whole.has(session, "SO-1")
