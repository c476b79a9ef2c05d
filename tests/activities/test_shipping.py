import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest
from sqlmodel import col, select
from temporalio.exceptions import ApplicationError
from temporalio.testing import ActivityEnvironment

from activities.orders import CancelInput, OrderActivities, ResolveInput
from activities.shipping import ShippingActivities
from activities.step import Step, StepResult
from integrations.carrier.port import Booking, Carrier, CarrierEvent, Consignment
from integrations.carrier.simulated import CarrierBehaviour, SimulatedCarrier
from integrations.memory import Memory
from models.order import OrderEvent
from models.shipping import FulfilmentOrder
from runtime.database import Sessions
from store import holds, orders, shipping
from tests.conftest import Database
from tests.factories.orders import Line, place
from tests.factories.shipping import ready_to_ship
from tests.factories.stock import level

STEP = Step("SO-1", "ship")
TWO_PLACES = [Line("1", "SKU-1", 2), Line("2", "SKU-2-north", 1)]


class Recorder:
    """The simulated carrier, remembering what it was asked for; `pause` holds its answers to bookings back."""

    def __init__(self, carrier: SimulatedCarrier) -> None:
        self.carrier = carrier
        self.asked: list[str] = []
        self.consignments: list[Consignment] = []
        self.has_booked = asyncio.Event()
        self.may_answer = asyncio.Event()
        self.may_answer.set()

    def behave(self, **script: Any) -> None:
        self.carrier.behaviour = replace(self.carrier.behaviour, **script)

    async def book(self, consignment: Consignment, key: str) -> Booking:
        self.asked.append(f"book {key}")
        self.consignments.append(consignment)
        booking = await self.carrier.book(consignment, key)
        self.has_booked.set()
        await self.may_answer.wait()
        return booking

    async def find(self, key: str) -> Booking | None:
        self.asked.append(f"find {key}")
        return await self.carrier.find(key)

    async def void(self, key: str) -> None:
        self.asked.append(f"void {key}")
        await self.carrier.void(key)


@pytest.fixture
async def told() -> asyncio.Queue[CarrierEvent]:
    return asyncio.Queue()


@pytest.fixture
async def carrier(told: asyncio.Queue[CarrierEvent]) -> AsyncIterator[Recorder]:
    memory = Memory()
    behaviour = CarrierBehaviour(pick_up_after_seconds=0, deliver_after_seconds=3_600)
    yield Recorder(SimulatedCarrier(memory, behaviour, report=told.put))
    memory.close()


async def collect(carrier: Recorder, told: asyncio.Queue[CarrierEvent]) -> None:
    """Afterwards the carrier has fetched the parcel that was booked."""
    stop = asyncio.Event()
    running = asyncio.create_task(carrier.carrier.run_autopilot(stop))
    await told.get()
    stop.set()
    await running


async def book(sessions: Sessions, carrier: Carrier) -> StepResult:
    return await ActivityEnvironment().run(ShippingActivities(sessions, carrier).book_shipments, STEP)


async def cancel(sessions: Sessions, carrier: Carrier) -> StepResult:
    return await ActivityEnvironment().run(ShippingActivities(sessions, carrier).cancel_shipments, STEP)


async def call_off(sessions: Sessions) -> None:
    asked = CancelInput("SO-1", "service")
    await ActivityEnvironment().run(OrderActivities(sessions).begin_cancel, asked)


async def call_on(sessions: Sessions) -> None:
    asked = CancelInput("SO-1", "service")
    await ActivityEnvironment().run(OrderActivities(sessions).withdraw_cancel, asked)


async def settle(sessions: Sessions) -> None:
    settled = ResolveInput("SO-1", "retried", "keeper")
    await ActivityEnvironment().run(OrderActivities(sessions).resolve_holds, settled)


async def statuses(sessions: Sessions) -> dict[str, str]:
    async with sessions() as session:
        return {one.shipment.shipment_no: one.shipment.status for one in await shipping.parcels(session, "SO-1")}


async def fulfilments(sessions: Sessions) -> dict[str, tuple[str, str]]:
    async with sessions() as session:
        rows = (await session.exec(select(FulfilmentOrder))).all()
        return {row.fulfilment_no: (row.warehouse, row.state) for row in rows}


async def story(sessions: Sessions) -> list[str]:
    async with sessions() as session:
        return list((await session.exec(select(OrderEvent.kind).order_by(col(OrderEvent.seq)))).all())


async def test_an_order_from_two_warehouses_gets_a_parcel_from_each(database: Database, carrier: Recorder) -> None:
    await ready_to_ship(database.sessions, lines=TWO_PLACES)
    result = await book(database.sessions, carrier)
    assert (result.held, result.outcome) == (None, "applied")
    assert (result.standing.lifecycle, result.standing.fulfilment) == ("fulfilling", "shipping")
    assert await statuses(database.sessions) == {"SO-1-S1": "booked", "SO-1-S2": "booked"}
    assert await fulfilments(database.sessions) == {"SO-1-F1": ("main", "open"), "SO-1-F2": ("north", "open")}
    async with database.sessions() as session:
        first, second = await shipping.parcels(session, "SO-1")
    assert [(line.line_id, line.quantity) for line in first.lines] == [("1", 2)]
    assert [(line.line_id, line.quantity) for line in second.lines] == [("2", 1)]
    booked = await carrier.find("SO-1-S1")
    assert booked is not None
    assert (first.shipment.carrier, first.shipment.tracking_no) == ("simulated", booked.tracking_no)
    assert first.shipment.label_url == booked.label_url
    assert await story(database.sessions) == ["order.fulfilling", "shipment.booked", "shipment.booked"]


async def test_booking_twice_has_one_effect(database: Database, carrier: Recorder) -> None:
    await ready_to_ship(database.sessions)
    first, second = await book(database.sessions, carrier), await book(database.sessions, carrier)
    assert first == second
    assert carrier.asked == ["book SO-1-S1"]
    assert await story(database.sessions) == ["order.fulfilling", "shipment.booked"]


async def test_bookings_at_the_same_time_make_one_parcel(database: Database, carrier: Recorder) -> None:
    await ready_to_ship(database.sessions, lines=TWO_PLACES)
    await asyncio.gather(*(book(database.sessions, carrier) for _ in range(5)))
    assert await statuses(database.sessions) == {"SO-1-S1": "booked", "SO-1-S2": "booked"}
    assert await story(database.sessions) == ["order.fulfilling", "shipment.booked", "shipment.booked"]


async def test_the_carrier_gets_the_address_and_the_goods(database: Database, carrier: Recorder) -> None:
    await ready_to_ship(database.sessions, lines=TWO_PLACES)
    await book(database.sessions, carrier)
    consignment = carrier.consignments[0]
    assert (consignment.shipment_no, consignment.order_no, consignment.warehouse) == ("SO-1-S1", "SO-1", "main")
    assert (consignment.ship_to.name, consignment.ship_to.city) == ("王小明", "杭州市")
    assert [(line.sku, line.quantity) for line in consignment.lines] == [("SKU-1", 2)]
    assert (consignment.cod_amount_minor, consignment.currency) == (0, "CNY")


async def test_couriers_collect_together_exactly_what_is_owed(database: Database, carrier: Recorder) -> None:
    lines = [Line("1", "SKU-1", 2, unit_price_minor=3_333), Line("2", "SKU-2-north", 1, unit_price_minor=3_334)]
    await ready_to_ship(database.sessions, lines=lines, payment_terms="cash_on_delivery", paid_minor=1)
    await book(database.sessions, carrier)
    assert [consignment.cod_amount_minor for consignment in carrier.consignments] == [6_665, 3_334]


async def test_a_lost_answer_leaves_one_label(database: Database, carrier: Recorder) -> None:
    await ready_to_ship(database.sessions)
    carrier.behave(lost_reply_share=1.0)
    with pytest.raises(ApplicationError) as lost:
        await book(database.sessions, carrier)
    assert (lost.value.type, lost.value.message, lost.value.non_retryable) == (
        "carrier_unavailable",
        "carrier_unavailable",
        False,
    )
    assert await statuses(database.sessions) == {"SO-1-S1": "created"}
    result = await book(database.sessions, carrier)
    assert result.outcome == "applied"
    assert carrier.asked == ["book SO-1-S1", "find SO-1-S1"]
    assert await statuses(database.sessions) == {"SO-1-S1": "booked"}


async def test_a_carrier_that_is_away_is_asked_again_under_the_same_key(database: Database, carrier: Recorder) -> None:
    await ready_to_ship(database.sessions)
    carrier.behave(down=True)
    with pytest.raises(ApplicationError, match="carrier_unavailable"):
        await book(database.sessions, carrier)
    carrier.behave(down=False)
    await book(database.sessions, carrier)
    assert carrier.asked == ["book SO-1-S1", "find SO-1-S1", "book SO-1-S1"]


async def test_a_refusal_holds_the_order_until_somebody_has_settled_it(database: Database, carrier: Recorder) -> None:
    await ready_to_ship(database.sessions)
    carrier.behave(refused_cities=frozenset({"杭州市"}))
    first, second = await book(database.sessions, carrier), await book(database.sessions, carrier)
    assert first == second
    assert (first.held, first.standing.blocking_holds) == ("carrier_refused", ("carrier_refused",))
    assert carrier.asked == ["book SO-1-S1"]
    async with database.sessions() as session:
        hold = await holds.find_open(session, "SO-1", "carrier_refused")
    assert hold is not None
    assert (hold.facts, hold.attempts) == ({"shipment_no": "SO-1-S1", "code": "address_unserviceable"}, 1)
    carrier.behave(refused_cities=frozenset())
    await settle(database.sessions)
    booked = await book(database.sessions, carrier)
    assert (booked.held, booked.standing.blocking_holds) == (None, ())
    assert carrier.asked[-1] == "book SO-1-S1/1"
    assert await statuses(database.sessions) == {"SO-1-S1": "booked"}


async def test_a_second_refusal_is_a_hold_again(database: Database, carrier: Recorder) -> None:
    await ready_to_ship(database.sessions)
    carrier.behave(refused_keys=frozenset({"SO-1-S1", "SO-1-S1/1"}))
    for _attempt in range(2):
        assert (await book(database.sessions, carrier)).held == "carrier_refused"
        await settle(database.sessions)
    assert (await book(database.sessions, carrier)).held is None
    assert [asked for asked in carrier.asked if asked.startswith("book")] == [
        "book SO-1-S1",
        "book SO-1-S1/1",
        "book SO-1-S1/2",
    ]
    await cancel(database.sessions, carrier)
    assert carrier.asked[-1] == "void SO-1-S1/2"


async def test_nothing_is_packed_while_units_are_missing(database: Database, carrier: Recorder) -> None:
    await place(database.sessions, lifecycle="accepted")
    result = await book(database.sessions, carrier)
    assert (result.held, result.standing.lifecycle) == ("out_of_stock", "accepted")
    assert (carrier.asked, await statuses(database.sessions)) == ([], {})


async def test_an_order_called_off_before_is_not_booked(database: Database, carrier: Recorder) -> None:
    await ready_to_ship(database.sessions)
    await call_off(database.sessions)
    result = await book(database.sessions, carrier)
    assert (result.outcome, carrier.asked, await statuses(database.sessions)) == ("cancelling", [], {})


async def test_cancelling_what_was_never_booked_is_harmless(database: Database, carrier: Recorder) -> None:
    await place(database.sessions)
    assert (await cancel(database.sessions, carrier)).outcome == "applied"
    assert (carrier.asked, await story(database.sessions)) == ([], [])


async def test_cancelling_twice_voids_every_parcel_once(database: Database, carrier: Recorder) -> None:
    await ready_to_ship(database.sessions, lines=TWO_PLACES)
    await book(database.sessions, carrier)
    first, second = await cancel(database.sessions, carrier), await cancel(database.sessions, carrier)
    assert (first, first.outcome) == (second, "applied")
    assert await statuses(database.sessions) == {"SO-1-S1": "voided", "SO-1-S2": "voided"}
    assert await fulfilments(database.sessions) == {"SO-1-F1": ("main", "cancelled"), "SO-1-F2": ("north", "cancelled")}
    assert [await carrier.find(key) for key in ("SO-1-S1", "SO-1-S2")] == [None, None]
    assert (await story(database.sessions)).count("shipment.voided") == 2


async def test_a_parcel_without_an_answer_is_voided_at_the_carrier_too(database: Database, carrier: Recorder) -> None:
    await ready_to_ship(database.sessions)
    carrier.behave(lost_reply_share=1.0)
    with pytest.raises(ApplicationError):
        await book(database.sessions, carrier)
    await cancel(database.sessions, carrier)
    assert await carrier.find("SO-1-S1") is None
    assert await statuses(database.sessions) == {"SO-1-S1": "voided"}


async def test_a_parcel_that_the_carrier_has_stays(
    database: Database, carrier: Recorder, told: asyncio.Queue[CarrierEvent]
) -> None:
    await ready_to_ship(database.sessions)
    await book(database.sessions, carrier)
    await collect(carrier, told)
    before = await story(database.sessions)
    first, second = await cancel(database.sessions, carrier), await cancel(database.sessions, carrier)
    assert (first.outcome, second.outcome) == ("too_late", "too_late")
    assert await statuses(database.sessions) == {"SO-1-S1": "booked"}
    assert await story(database.sessions) == before


async def test_a_booking_under_way_while_the_order_is_called_off_leaves_no_label(
    database: Database, carrier: Recorder
) -> None:
    await ready_to_ship(database.sessions)
    carrier.may_answer.clear()
    booking = asyncio.create_task(book(database.sessions, carrier))
    await carrier.has_booked.wait()
    await call_off(database.sessions)
    carrier.may_answer.set()
    assert (await booking).outcome == "cancelling"
    assert await carrier.find("SO-1-S1") is None
    assert await statuses(database.sessions) == {"SO-1-S1": "voided"}


async def test_a_booking_that_ends_after_its_parcel_was_voided_is_voided_again(
    database: Database, carrier: Recorder
) -> None:
    await ready_to_ship(database.sessions)
    carrier.may_answer.clear()
    booking = asyncio.create_task(book(database.sessions, carrier))
    await carrier.has_booked.wait()
    await call_off(database.sessions)
    assert (await cancel(database.sessions, carrier)).outcome == "applied"
    carrier.may_answer.set()
    assert (await booking).outcome == "cancelling"
    assert carrier.asked == ["book SO-1-S1", "void SO-1-S1", "void SO-1-S1"]
    assert (await story(database.sessions)).count("shipment.voided") == 1


async def test_a_cancellation_that_came_too_late_is_followed_by_parcels_for_what_was_voided(
    database: Database, carrier: Recorder, told: asyncio.Queue[CarrierEvent]
) -> None:
    await ready_to_ship(database.sessions, lines=TWO_PLACES)
    carrier.behave(pick_up_after_seconds=3_600)
    carrier.behave(refused_keys=frozenset({"SO-1-S2"}))
    assert (await book(database.sessions, carrier)).held == "carrier_refused"
    carrier.behave(pick_up_after_seconds=0, refused_keys=frozenset())
    await settle(database.sessions)
    await book(database.sessions, carrier)
    await collect(carrier, told)
    await call_off(database.sessions)
    assert (await cancel(database.sessions, carrier)).outcome == "partly_voided"
    await call_on(database.sessions)
    assert await statuses(database.sessions) == {"SO-1-S1": "voided", "SO-1-S2": "booked"}
    assert (await book(database.sessions, carrier)).outcome == "applied"
    assert await statuses(database.sessions) == {"SO-1-S1": "voided", "SO-1-S2": "booked", "SO-1-S3": "booked"}
    assert await fulfilments(database.sessions) == {"SO-1-F1": ("main", "open"), "SO-1-F2": ("north", "open")}


async def test_booking_moves_no_stock(database: Database, carrier: Recorder) -> None:
    await ready_to_ship(database.sessions, lines=[Line(quantity=2)])
    await book(database.sessions, carrier)
    assert await level(database.sessions) == (2, 2, 12_000)
    async with database.sessions() as session:
        assert (await orders.lines(session, "SO-1"))[0].shipped == 0


async def test_an_order_that_does_not_exist_is_a_final_failure(database: Database, carrier: Recorder) -> None:
    with pytest.raises(ApplicationError) as refused:
        await book(database.sessions, carrier)
    assert (refused.value.type, refused.value.non_retryable) == ("order_not_found", True)
