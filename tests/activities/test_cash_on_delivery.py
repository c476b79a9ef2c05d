"""Cash on delivery on a real database: owed by the courier, passed on less a fee, and nothing sold at a shut door."""

import pytest
from temporalio.exceptions import ApplicationError

from activities.orders import CancelInput, OrderActivities
from activities.payments import PaymentActivities
from activities.revenue import RevenueActivities
from activities.shipping import ShippingActivities
from activities.step import Step
from integrations.carrier.simulated import SimulatedCarrier
from integrations.memory import Memory
from integrations.payment.simulated import SimulatedPaymentProvider
from models.payment import Payment
from runtime.database import Sessions
from tests.conftest import Database
from tests.factories import orders
from tests.factories.books import balances, entries, open_books
from tests.factories.deliveries import deliver
from tests.factories.orders import Line
from tests.factories.payments import bring, open_holds, order_row, report, set_order, story
from tests.factories.shipping import ready_to_ship, reported
from tests.factories.stock import is_sound, level

TERMS = "cash_on_delivery"
SHIP, BACK = Step("SO-1", "ship"), Step("SO-1", "take_back")


@pytest.fixture
async def sessions(database: Database) -> Sessions:
    await open_books(database.sessions)
    return database.sessions


@pytest.fixture
def payments(sessions: Sessions) -> PaymentActivities:
    return PaymentActivities(sessions, SimulatedPaymentProvider(Memory()), tolerance_minor=1)


@pytest.fixture
def shipping(sessions: Sessions) -> ShippingActivities:
    return ShippingActivities(sessions, SimulatedCarrier(Memory()))


async def delivered(sessions: Sessions) -> None:
    await orders.place(sessions, payment_terms=TERMS, payment_method="cod")
    await deliver(sessions, {"1": 1})
    await RevenueActivities(sessions).recognise_revenue(Step("SO-1", "revenue"))
    await set_order(sessions, lifecycle="completed")


async def test_courier_owes_what_was_delivered_and_passes_it_on_less_a_fee(
    sessions: Sessions, payments: PaymentActivities
) -> None:
    await delivered(sessions)
    result = await payments.apply_payment(await report(sessions, 11_300, method="cod", fee_minor=170))
    assert result.standing.payment == "paid"
    assert (await entries(sessions))[1:] == [
        "revenue_recognised | Dr 1122.cod 11300 | Cr 2221.06 1300 | Cr 6001.01 10000",
        "vat_point_reached | Dr 2221.06 1300 | Cr 2221.01.01 1300",
        "cost_recognised | Dr 6401 6000 | Cr 1406 6000",
        "payment_received | Dr 1002 11130 | Dr 6601.fee 170 | Cr 1122.cod 11300",
    ]
    books = await balances(sessions)
    assert sum(minor for account, minor in books.items() if not account.startswith(("14", "6401"))) == 0
    async with sessions() as session:
        assert (await session.get_one(Payment, ("SO-1", "P-1"))).fee_minor == 170


async def test_fee_of_money_that_came_too_late_is_ours_and_all_of_it_goes_back(
    sessions: Sessions, payments: PaymentActivities
) -> None:
    await orders.place(sessions, payment_terms=TERMS, lifecycle="cancelled")
    await payments.apply_payment(await report(sessions, 11_300, method="cod", fee_minor=170))
    await payments.refund_payments(Step("SO-1", "undo"))
    assert await balances(sessions) == {"1002": -170, "6601.fee": 170}
    assert (await order_row(sessions)).refunded_minor == 11_300


async def test_fee_above_its_payment_is_refused_and_changes_nothing(
    sessions: Sessions, payments: PaymentActivities
) -> None:
    await delivered(sessions)
    said = '{"payment_id": "P-1", "method": "cod", "amount_minor": 100, "fee_minor": 101, "currency": "CNY"}'
    with pytest.raises(ApplicationError) as failed:
        await payments.apply_payment(await bring(sessions, said, "P-1", "SO-1"))
    assert failed.value.type == "payment_unreadable"
    assert (await order_row(sessions)).paid_minor == 0


async def refused(sessions: Sessions, shipping: ShippingActivities, *statuses: str) -> None:
    """Two units of an order have left in one parcel, and the carrier reports this of it."""
    await ready_to_ship(sessions, lines=(Line(quantity=2),), payment_terms=TERMS)
    await shipping.book_shipments(SHIP)
    for hours, status in enumerate(statuses):
        await shipping.apply_scan(await reported(sessions, status, hours=hours))


async def test_refused_parcel_is_in_stock_again_and_leaves_no_account_open(
    sessions: Sessions, shipping: ShippingActivities
) -> None:
    await refused(sessions, shipping, "picked_up", "returned")
    assert await level(sessions) == (0, 0, 0)
    assert set(await open_holds(sessions)) == {"delivery_failed"}
    result = await shipping.take_back_parcels(BACK)
    assert result.standing.blocking_holds == ()
    assert await level(sessions) == (2, 0, 12_000)
    assert await balances(sessions) == {}
    assert (await entries(sessions))[-1] == "goods_taken_back | Dr 1405 12000 | Cr 1406 12000"
    assert await is_sound(sessions)
    assert "shipment.taken_back" in await story(sessions)


async def test_take_back_parcels_twice_has_one_effect(sessions: Sessions, shipping: ShippingActivities) -> None:
    await refused(sessions, shipping, "picked_up", "returned")
    for _time in range(2):
        await shipping.take_back_parcels(BACK)
    assert await level(sessions) == (2, 0, 12_000)
    assert (await story(sessions)).count("shipment.taken_back") == 1


async def test_order_whose_parcel_came_back_can_be_called_off_and_its_goods_are_in_stock_again(
    sessions: Sessions, shipping: ShippingActivities
) -> None:
    await refused(sessions, shipping, "picked_up", "returned")
    asked = await OrderActivities(sessions).begin_cancel(CancelInput("SO-1", "service"))
    assert asked.standing.cancelling
    for _time in range(2):
        undone = await shipping.cancel_shipments(Step("SO-1", "undo"))
        assert (undone.outcome, undone.standing.blocking_holds) == ("applied", ())
    assert (await level(sessions), await balances(sessions)) == ((2, 0, 12_000), {})
    assert (await story(sessions)).count("shipment.taken_back") == 1


async def test_order_whose_parcel_was_lost_can_be_called_off_and_its_cost_waits_to_be_settled(
    sessions: Sessions, shipping: ShippingActivities
) -> None:
    await refused(sessions, shipping, "picked_up", "lost")
    asked = await OrderActivities(sessions).begin_cancel(CancelInput("SO-1", "service"))
    assert asked.standing.cancelling
    for _time in range(2):
        undone = await shipping.cancel_shipments(Step("SO-1", "undo"))
        assert (undone.outcome, undone.standing.blocking_holds) == ("applied", ())
    assert (await level(sessions), await balances(sessions)) == ((0, 0, 0), {"1405": -12_000, "1901": 12_000})
    assert (await entries(sessions))[-1] == "goods_lost | Dr 1901 12000 | Cr 1406 12000"
    assert (await story(sessions)).count("shipment.given_up") == 1
    assert await is_sound(sessions)


@pytest.mark.parametrize("status", ["in_transit", "delivered"])
async def test_order_whose_parcel_is_with_somebody_else_cannot_be_called_off(
    sessions: Sessions, shipping: ShippingActivities, status: str
) -> None:
    await refused(sessions, shipping, "picked_up", status)
    with pytest.raises(ApplicationError) as no:
        await OrderActivities(sessions).begin_cancel(CancelInput("SO-1", "service"))
    assert no.value.type == "order_not_cancellable"
    assert (await shipping.cancel_shipments(Step("SO-1", "undo"))).outcome == "too_late"
    assert await level(sessions) == (0, 0, 0)


@pytest.mark.parametrize("statuses", [("picked_up",), ("picked_up", "lost"), ("picked_up", "delivered")])
async def test_only_what_came_back_is_taken_back(
    sessions: Sessions, shipping: ShippingActivities, statuses: tuple[str, ...]
) -> None:
    await refused(sessions, shipping, *statuses)
    holds = await open_holds(sessions)
    await shipping.take_back_parcels(BACK)
    assert await level(sessions) == (0, 0, 0)
    assert await open_holds(sessions) == holds
