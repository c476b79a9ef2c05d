from collections.abc import Sequence
from itertools import permutations
from typing import Any

import pytest
from sqlalchemy import text
from sqlmodel import col, select
from temporalio.exceptions import ApplicationError
from temporalio.testing import ActivityEnvironment

from activities.shipping import ShippingActivities
from activities.step import Fact, Step, StepResult
from integrations.carrier.simulated import SimulatedCarrier
from integrations.memory import Memory
from models.columns import now
from models.inbox import InboxMessage
from models.order import Order, OrderEvent, OrderLine
from models.shipping import FulfilmentOrder
from runtime.database import Sessions
from store import holds, journal, orders, shipping, stock
from store.stock import ReceiptLine
from tests.conftest import Database
from tests.factories.orders import Line, place
from tests.factories.shipping import MORNING, message, ready_to_ship, reported
from tests.factories.stock import is_sound, level, receive

HOURS = {"picked_up": 1, "in_transit": 2, "delivered": 3}


async def booked(sessions: Sessions, lines: Sequence[Line] = (Line(quantity=2),), **columns: Any) -> None:
    """An order whose parcels are booked."""
    await ready_to_ship(sessions, lines=lines, **columns)
    await book(sessions)


async def book(sessions: Sessions) -> None:
    memory = Memory()
    activities = ShippingActivities(sessions, SimulatedCarrier(memory))
    await ActivityEnvironment().run(activities.book_shipments, Step("SO-1", "ship"))
    memory.close()


async def cancelled(sessions: Sessions) -> None:
    memory = Memory()
    activities = ShippingActivities(sessions, SimulatedCarrier(memory))
    await ActivityEnvironment().run(activities.cancel_shipments, Step("SO-1", "ship"))
    memory.close()


async def apply(sessions: Sessions, fact: Fact) -> StepResult:
    memory = Memory()
    try:
        activities = ShippingActivities(sessions, SimulatedCarrier(memory))
        return await ActivityEnvironment().run(activities.apply_scan, fact)
    finally:
        memory.close()


async def scanned(sessions: Sessions, status: str, shipment_no: str = "SO-1-S1", hours: int = 0) -> StepResult:
    return await apply(sessions, await reported(sessions, status, shipment_no, hours=hours))


async def counters(sessions: Sessions) -> dict[str, tuple[int, int]]:
    """Units shipped and delivered per line."""
    async with sessions() as session:
        rows = (await session.exec(select(OrderLine).order_by(col(OrderLine.position)))).all()
        return {row.line_id: (row.shipped, row.delivered) for row in rows}


async def story(sessions: Sessions) -> list[str]:
    async with sessions() as session:
        query = select(OrderEvent.kind).where(OrderEvent.kind != "order.fulfilling").order_by(col(OrderEvent.seq))
        return [kind for kind in (await session.exec(query)).all() if kind != "shipment.booked"]


async def entries(sessions: Sessions) -> list[tuple[str, str, list[tuple[str, str, int]]]]:
    async with sessions() as session:
        return [
            (
                one.entry.event_key,
                one.entry.event,
                [(line.role, line.side, line.amount_minor) for line in one.lines],
            )
            for one in await journal.entries_of(session, "SO-1")
        ]


async def snapshot(sessions: Sessions) -> dict[str, Any]:
    """Everything that must be the same in the end, whatever order the reports came in."""
    async with sessions() as session:
        parcels = await shipping.parcels(session, "SO-1")
        movements = await session.execute(
            text("SELECT kind, quantity, value_minor FROM stock_movements WHERE kind = 'shipment'")
        )
        shipment = parcels[0].shipment
        return {
            "shipment": (shipment.status, shipment.handed_over_at, shipment.delivered_at, shipment.closed_at),
            "costs": [line.cost_minor for line in parcels[0].lines],
            "scans": [(scan.scan_id, scan.status) for scan in await shipping.scans(session, "SO-1-S1")],
            "movements": [tuple(row) for row in movements],
            "standing": (await orders.standing(session, "SO-1")).fulfilment,
        }


async def test_a_pick_up_takes_the_units_out_of_stock_and_puts_their_cost_in_transit(database: Database) -> None:
    await booked(database.sessions)
    result = await scanned(database.sessions, "picked_up")
    assert (result.outcome, result.held, result.standing.fulfilment) == ("applied", None, "shipped")
    assert result.standing.handed_over
    assert await level(database.sessions) == (0, 0, 0)
    assert await is_sound(database.sessions)
    assert await counters(database.sessions) == {"1": (2, 0)}
    assert await entries(database.sessions) == [
        (
            "handed_over/SO-1/SO-1-S1",
            "goods_handed_over",
            [("goods_in_transit", "Dr", 12_000), ("inventory", "Cr", 12_000)],
        )
    ]
    async with database.sessions() as session:
        (parcel,) = await shipping.parcels(session, "SO-1")
        fulfilment = await session.get_one(FulfilmentOrder, "SO-1-F1")
    assert (parcel.shipment.status, parcel.shipment.handed_over_at) == ("handed_over", MORNING)
    assert [line.cost_minor for line in parcel.lines] == [12_000]
    assert fulfilment.state == "shipped"
    assert await story(database.sessions) == ["shipment.handed_over"]


async def test_a_delivery_counts_the_units_as_delivered(database: Database) -> None:
    await booked(database.sessions)
    await scanned(database.sessions, "picked_up")
    result = await scanned(database.sessions, "delivered", hours=3)
    assert (result.standing.fulfilment, result.standing.revenue_due) == ("delivered", True)
    assert await counters(database.sessions) == {"1": (2, 2)}
    assert await story(database.sessions) == ["shipment.handed_over", "shipment.delivered"]


@pytest.mark.parametrize("order", list(permutations(HOURS)), ids="-".join)
async def test_reports_in_any_order_and_twice_end_the_same(database: Database, order: tuple[str, ...]) -> None:
    await booked(database.sessions)
    for status in order:
        fact = await reported(database.sessions, status, hours=HOURS[status])
        first, again = await apply(database.sessions, fact), await apply(database.sessions, fact)
        assert first == again
        twin = await reported(database.sessions, status, hours=HOURS[status])
        assert (await apply(database.sessions, twin)).outcome == "repeated"
    picked_up, delivered = MORNING.replace(hour=9), MORNING.replace(hour=11)
    assert await snapshot(database.sessions) == {
        "shipment": ("delivered", picked_up, delivered, delivered),
        "costs": [12_000],
        "scans": [
            ("SO-1-S1-picked_up", "picked_up"),
            ("SO-1-S1-in_transit", "in_transit"),
            ("SO-1-S1-delivered", "delivered"),
        ],
        "movements": [("shipment", -2, -12_000)],
        "standing": "delivered",
    }
    assert await counters(database.sessions) == {"1": (2, 2)}
    assert len(await entries(database.sessions)) == 1
    assert (await story(database.sessions)).count("shipment.handed_over") == 1
    assert (await story(database.sessions)).count("shipment.delivered") == 1


async def test_a_report_of_the_past_is_kept_and_marked_late(database: Database) -> None:
    await booked(database.sessions)
    await scanned(database.sessions, "delivered", hours=3)
    fact = await reported(database.sessions, "in_transit", hours=2)
    assert (await apply(database.sessions, fact)).outcome == "late"
    async with database.sessions() as session:
        row = await session.get_one(InboxMessage, fact.inbox_id)
        assert (row.outcome, row.applied_at is not None) == ("late", True)


async def test_the_first_of_two_parcels_makes_the_delivery_partial(database: Database) -> None:
    await booked(database.sessions, [Line("1", "SKU-1", 2), Line("2", "SKU-2-north", 1)])
    first = await scanned(database.sessions, "picked_up")
    assert first.standing.fulfilment == "partially_shipped"
    delivered = await scanned(database.sessions, "delivered", hours=1)
    assert (delivered.standing.fulfilment, delivered.standing.revenue_due) == ("partially_delivered", True)
    assert await counters(database.sessions) == {"1": (2, 2), "2": (0, 0)}
    rest = await scanned(database.sessions, "delivered", "SO-1-S2", hours=1)
    assert rest.standing.fulfilment == "delivered"
    assert await counters(database.sessions) == {"1": (2, 2), "2": (1, 1)}
    assert [key for key, _event, _lines in await entries(database.sessions)] == [
        "handed_over/SO-1/SO-1-S1",
        "handed_over/SO-1/SO-1-S2",
    ]


async def test_a_line_split_over_two_parcels_is_delivered_in_parts(database: Database) -> None:
    await place(database.sessions, lines=[Line(quantity=3)], lifecycle="accepted")
    await receive(database.sessions, [ReceiptLine("SKU-1", 2, 6_000)], "R-1", "main")
    await receive(database.sessions, [ReceiptLine("SKU-1", 1, 7_000)], "R-2", "north")
    async with database.sessions() as session, session.begin():
        await stock.reserve(session, "SO-1")
    await book(database.sessions)
    await scanned(database.sessions, "delivered", "SO-1-S2")
    assert await counters(database.sessions) == {"1": (1, 1)}
    result = await scanned(database.sessions, "delivered", "SO-1-S1")
    assert result.standing.fulfilment == "delivered"
    assert await counters(database.sessions) == {"1": (3, 3)}
    assert [lines[0] for _key, _event, lines in await entries(database.sessions)] == [
        ("goods_in_transit", "Dr", 7_000),
        ("goods_in_transit", "Dr", 12_000),
    ]


@pytest.mark.parametrize("status", ["lost", "returned"])
async def test_a_parcel_that_does_not_arrive_holds_the_order(database: Database, status: str) -> None:
    await booked(database.sessions)
    await scanned(database.sessions, "picked_up")
    result = await scanned(database.sessions, status, hours=4)
    assert (result.outcome, result.standing.fulfilment) == ("applied", "failed")
    assert result.standing.blocking_holds == ("delivery_failed",)
    async with database.sessions() as session:
        hold = await holds.find_open(session, "SO-1", "delivery_failed")
    assert hold is not None
    assert (hold.facts, hold.owner_role) == ({"shipment_no": "SO-1-S1", "status": status}, "service")
    assert await counters(database.sessions) == {"1": (2, 0)}


async def test_a_lost_parcel_that_turns_up_is_delivered(database: Database) -> None:
    await booked(database.sessions)
    await scanned(database.sessions, "lost")
    result = await scanned(database.sessions, "delivered", hours=9)
    assert (result.outcome, result.standing.fulfilment) == ("applied", "delivered")
    assert await counters(database.sessions) == {"1": (2, 2)}


async def test_goods_without_cost_leave_without_an_entry(database: Database) -> None:
    await ready_to_ship(database.sessions)
    async with database.sessions() as session, session.begin():
        await session.execute(text("UPDATE stock_levels SET value_minor = 0"))
    await book(database.sessions)
    assert (await scanned(database.sessions, "picked_up")).outcome == "applied"
    assert await entries(database.sessions) == []


async def test_a_pick_up_ends_the_wait_for_it(database: Database) -> None:
    await booked(database.sessions, waiting_for="shipment.handed_over", deadline_at=now())
    await scanned(database.sessions, "picked_up")
    async with database.sessions() as session:
        order = await session.get_one(Order, "SO-1")
    assert (order.waiting_for, order.deadline_at) == (None, None)


async def test_a_voided_parcel_that_was_fetched_is_put_before_the_warehouse_once(database: Database) -> None:
    await booked(database.sessions)
    await cancelled(database.sessions)
    result = await scanned(database.sessions, "picked_up")
    assert (result.outcome, result.standing.blocking_holds) == ("applied", ("picked_up_after_cancel",))
    assert (await scanned(database.sessions, "in_transit", hours=2)).outcome == "late"
    async with database.sessions() as session:
        hold = await holds.find_open(session, "SO-1", "picked_up_after_cancel")
        (parcel,) = await shipping.parcels(session, "SO-1")
        assert len(await shipping.scans(session, "SO-1-S1")) == 2
    assert hold is not None
    assert (hold.owner_role, hold.attempts, hold.facts["shipment_no"]) == ("warehouse", 1, "SO-1-S1")
    assert parcel.shipment.status == "voided"
    assert await counters(database.sessions) == {"1": (0, 0)}
    assert await entries(database.sessions) == []


class Hasty(SimulatedCarrier):
    """Agrees to leave a parcel that its driver fetches in the same moment, and reports that first."""

    def __init__(self, memory: Memory, sessions: Sessions) -> None:
        super().__init__(memory)
        self._sessions_of_us = sessions

    async def void(self, key: str) -> None:
        await super().void(key)
        await scanned(self._sessions_of_us, "picked_up")


async def test_parcel_that_left_with_a_voided_label_goes_on_and_is_looked_after_until_it_arrives(
    database: Database,
) -> None:
    await booked(database.sessions)
    memory = Memory()
    activities = ShippingActivities(database.sessions, Hasty(memory, database.sessions))
    result = await ActivityEnvironment().run(activities.cancel_shipments, Step("SO-1", "ship"))
    memory.close()
    assert (result.outcome, result.standing.blocking_holds) == ("too_late", ("picked_up_after_cancel",))
    assert (await scanned(database.sessions, "delivered", hours=3)).standing.blocking_holds == ()
    assert await story(database.sessions) == [
        "shipment.handed_over",
        "order.held",
        "shipment.delivered",
        "order.hold_resolved",
    ]


@pytest.mark.parametrize("inbox_id", [0, 987_654])
async def test_a_signal_without_a_message_is_ignored_and_told(database: Database, inbox_id: int) -> None:
    await booked(database.sessions)
    fact = Fact("SO-1", inbox_id)
    for _again in range(2):
        assert (await apply(database.sessions, fact)).outcome == "ignored"
    assert await story(database.sessions) == ["signal.ignored"]
    assert await counters(database.sessions) == {"1": (0, 0)}


async def test_a_message_of_another_kind_is_no_report(database: Database) -> None:
    await booked(database.sessions)
    fact = await message(database.sessions, "SO-1", {"payment_id": "P-1"}, kind="payment.settled")
    assert (await apply(database.sessions, fact)).outcome == "ignored"
    async with database.sessions() as session:
        assert (await session.get_one(InboxMessage, fact.inbox_id)).applied_at is None


async def test_a_report_about_another_orders_parcel_is_ignored(database: Database) -> None:
    await booked(database.sessions)
    await ready_to_ship(database.sessions, "SO-2", at="south")
    stranger = await message(
        database.sessions,
        "SO-2",
        {"event_id": "e-1", "shipment_no": "SO-1-S1", "status": "delivered", "occurred_at": MORNING.isoformat()},
    )
    assert (await apply(database.sessions, stranger)).outcome == "ignored"
    assert await counters(database.sessions) == {"1": (0, 0)}


async def test_a_report_that_cannot_be_read_is_a_final_failure(database: Database) -> None:
    await booked(database.sessions)
    fact = await message(database.sessions, "SO-1", {"shipment_no": "SO-1-S1", "status": "vanished"})
    with pytest.raises(ApplicationError) as refused:
        await apply(database.sessions, fact)
    assert (refused.value.type, refused.value.non_retryable) == ("scan_unreadable", True)


async def test_a_pick_up_that_cannot_be_posted_changes_nothing(database: Database) -> None:
    await booked(database.sessions)
    async with database.sessions() as session, session.begin():
        await session.execute(text("DELETE FROM account_mappings WHERE role = 'goods_in_transit'"))
    fact = await reported(database.sessions, "picked_up")
    with pytest.raises(ApplicationError) as refused:
        await apply(database.sessions, fact)
    assert (refused.value.type, refused.value.non_retryable) == ("account_mapping_missing", True)
    assert await level(database.sessions) == (2, 2, 12_000)
    async with database.sessions() as session:
        assert await shipping.scans(session, "SO-1-S1") == []
