"""Changes of orders on a real database: what follows in lines, stock, money, books and approvals, and only once."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest
from sqlmodel import select
from temporalio.testing import ActivityEnvironment

from activities.approvals import ApprovalActivities, ApprovalInput
from activities.changing import ChangeActivities
from activities.orders import CancelInput, OrderActivities, WaitInput
from activities.payments import MoneyPolicy, PaymentActivities
from activities.refunding import RefundActivities
from activities.shipping import ShippingActivities
from activities.step import Fact, Step
from activities.surplus import SurplusPolicy
from integrations.carrier.port import Booking, Consignment
from integrations.carrier.simulated import CarrierBehaviour, SimulatedCarrier
from integrations.memory import Memory
from integrations.payment.simulated import SimulatedPaymentProvider
from models.approval import Approval
from models.changing import OrderChange
from models.inbox import InboxMessage
from models.order import OrderLine
from runtime.database import Sessions
from store import credit, orders, stock
from tests.conftest import Database
from tests.factories.approvals import gm_approval
from tests.factories.books import balances, entries, open_books
from tests.factories.changing import ask, change, in_force, more, units
from tests.factories.orders import Line, place
from tests.factories.payments import open_holds, order_row, refunds, report, set_order, story
from tests.factories.refunding import ask as ask_refund
from tests.factories.refunding import units as refunded_units
from tests.factories.shipping import ready_to_ship
from tests.factories.stock import is_sound, level, stocked

STEP = Step("SO-1", "ship")
PRICE = 11_300
TWO = Line(quantity=2)
SHANGHAI = {"country": "CN", "city": "Shanghai", "street": "Nanjing Road 2"}


@pytest.fixture
async def sessions(database: Database) -> Sessions:
    await open_books(database.sessions)
    await in_force(database.sessions)
    return database.sessions


@pytest.fixture
def payments(sessions: Sessions) -> PaymentActivities:
    return PaymentActivities(sessions, SimulatedPaymentProvider(Memory()), tolerance_minor=1)


@pytest.fixture
def shipping(sessions: Sessions) -> ShippingActivities:
    return ShippingActivities(sessions, SimulatedCarrier(Memory()))


async def pay(payments: PaymentActivities, sessions: Sessions, minor: int, payment_id: str = "P-1") -> None:
    await payments.apply_payment(await report(sessions, minor, payment_id))


async def lines_of(sessions: Sessions) -> list[tuple[str, int, int, int, int]]:
    """Line id, units, units taken out, units promised, price."""
    async with sessions() as session:
        rows = await orders.lines(session, "SO-1")
    return [(one.line_id, one.quantity, one.cancelled, one.allocated, one.payable_minor) for one in rows]


async def changes(sessions: Sessions) -> list[OrderChange]:
    async with sessions() as session:
        return list((await session.exec(select(OrderChange))).all())


async def everything(sessions: Sessions) -> list[Any]:
    """What a refused change must leave as it was."""
    order = await order_row(sessions)
    kept = {name: value for name, value in order.model_dump().items() if name != "last_event_seq"}
    stood = [await lines_of(sessions), await level(sessions), await entries(sessions), await refunds(sessions)]
    return [kept, *stood, await changes(sessions)]


async def test_more_units_are_reserved_at_once_and_an_unpaid_order_owes_more(sessions: Sessions) -> None:
    await ready_to_ship(sessions, lines=[TWO])
    await stocked(sessions, "R-9", SKU_1=3)
    answer = await change(sessions, units(l1=5))
    assert (answer.refusal, answer.relevant, answer.result.standing.fulfilment) == (None, True, "allocated")
    assert (await lines_of(sessions), await level(sessions)) == ([("1", 5, 0, 5, 5 * PRICE)], (5, 5, 30_000))
    order = await order_row(sessions)
    assert (order.total_minor, order.net_minor, order.tax_minor) == (56_500, 50_000, 6_500)
    assert (await entries(sessions), await is_sound(sessions)) == ([], True)


async def test_fewer_units_of_a_paid_order_pay_the_surplus_back_and_free_the_goods(
    sessions: Sessions, payments: PaymentActivities
) -> None:
    await ready_to_ship(sessions, lines=[TWO])
    await pay(payments, sessions, 2 * PRICE)
    answer = await change(sessions, units(l1=1))
    assert (answer.result.standing.payment, await level(sessions)) == ("overpaid", (2, 1, 12_000))
    assert (await entries(sessions))[-1] == "sale_changed | Dr 2204 10000 | Dr 2221.06 1300 | Cr 2241.refund 11300"
    async with sessions() as session:
        found = await session.exec(select(InboxMessage).where(InboxMessage.kind == "refund.requested"))
        (message,) = found.all()
    # The refund's workflow begins with this step, and finds that the change has decided already.
    granted = await RefundActivities(sessions).grant_refund(Fact("SO-1", message.inbox_id or 0))
    assert (granted.outcome, message.message_id) == ("granted", "refund/SO-1/change-C-1")
    paid = await payments.pay_refunds(STEP)
    assert (paid.held, await refunds(sessions)) == (None, {"SO-1-R1": ("P-1", PRICE, "succeeded")})
    assert await balances(sessions) == {"1012.01": PRICE, "2204": -10_000, "2221.06": -1_300}
    assert (await is_sound(sessions), await open_holds(sessions)) == (True, {})


async def test_a_paid_order_that_became_dearer_is_packed_once_the_balance_has_come(
    sessions: Sessions, payments: PaymentActivities, shipping: ShippingActivities
) -> None:
    await ready_to_ship(sessions, lines=[TWO])
    await stocked(sessions, "R-9", SKU_1=1)
    await pay(payments, sessions, 2 * PRICE)
    answer = await change(sessions, more("2"))
    assert (answer.refusal, answer.result.standing.payment) == (None, "partial")
    assert (await changes(sessions))[0].balance_minor == PRICE
    assert ((await shipping.book_shipments(STEP)).held, await open_holds(sessions)) == (
        "change_unpaid",
        {"change_unpaid": {"due_minor": PRICE, "currency": "CNY"}},
    )
    await pay(payments, sessions, PRICE, "P-2")
    assert await open_holds(sessions) == {}
    booked = await shipping.book_shipments(STEP)
    assert (booked.held, booked.standing.fulfilment) == (None, "shipping")
    assert await balances(sessions) == {"1012.01": 3 * PRICE, "2204": -30_000, "2221.06": -3_900}


async def test_what_is_missing_within_the_tolerance_is_written_off_and_not_asked_for(
    sessions: Sessions, payments: PaymentActivities, shipping: ShippingActivities
) -> None:
    await ready_to_ship(sessions, lines=[TWO])
    await stocked(sessions, "R-9", SKU_1=2)
    await pay(payments, sessions, 2 * PRICE)
    cent = await change(sessions, more("2", unit_price_minor=1))
    assert (cent.refusal, cent.result.standing.payment) == (None, "paid")
    assert [(one.delta_minor, one.balance_minor) for one in await changes(sessions)] == [(1, 0)]
    assert (await order_row(sessions)).written_off_minor == 1
    assert (await entries(sessions))[-1] == "sale_changed | Dr 6603.round 1 | Cr 2204 1"
    # A second one is more than the tolerance, and then all of it is asked for.
    await change(sessions, more("3", unit_price_minor=1), "C-2")
    assert [one.balance_minor for one in await changes(sessions)] == [0, 2]
    assert ((await order_row(sessions)).written_off_minor, (await shipping.book_shipments(STEP)).held) == (
        0,
        "change_unpaid",
    )
    await pay(payments, sessions, 2, "P-2")
    assert (await shipping.book_shipments(STEP)).held is None
    assert await balances(sessions) == {"1012.01": 2 * PRICE + 2, "2204": -20_002, "2221.06": -2_600}


@pytest.mark.parametrize(("said", "kept"), [(units(l1=1), True), (units(l1=3), False)])
async def test_only_who_is_to_pay_more_has_the_payment_window_anew(
    sessions: Sessions, said: dict[str, Any], *, kept: bool
) -> None:
    await ready_to_ship(sessions, lines=[TWO])
    await stocked(sessions, "R-9", SKU_1=3)
    waiting = OrderActivities(sessions)
    first = await waiting.open_wait(WaitInput("SO-1", "pay", 1, "payment.full", timedelta(minutes=30)))
    await change(sessions, said)
    anew = await waiting.open_wait(WaitInput("SO-1", "pay", 1, "payment.full", timedelta(hours=1)))
    assert (anew.deadline == first.deadline, anew.deadline > first.deadline) == (kept, not kept)


async def test_down_and_up_again_asks_for_what_went_back(
    sessions: Sessions, payments: PaymentActivities, shipping: ShippingActivities
) -> None:
    await ready_to_ship(sessions, lines=[TWO])
    await pay(payments, sessions, 2 * PRICE)
    await change(sessions, units(l1=1))
    await payments.pay_refunds(STEP)
    await change(sessions, units(l1=2), "C-2")
    assert (await shipping.book_shipments(STEP)).held == "change_unpaid"
    await pay(payments, sessions, PRICE, "P-2")
    assert (await shipping.book_shipments(STEP)).held is None
    assert await balances(sessions) == {"1012.01": 2 * PRICE, "2204": -20_000, "2221.06": -2_600}


async def test_what_went_back_as_too_much_is_asked_for_once_the_order_is_dearer(
    sessions: Sessions, shipping: ShippingActivities
) -> None:
    policy = MoneyPolicy(surplus=SurplusPolicy.ALL)
    payments = PaymentActivities(sessions, SimulatedPaymentProvider(Memory()), 1, policy)
    await ready_to_ship(sessions, lines=[TWO])
    await stocked(sessions, "R-9", SKU_1=1)
    await pay(payments, sessions, 3 * PRICE)
    await payments.refund_surplus(STEP)
    assert (await change(sessions, more("2"))).refusal is None
    assert (await changes(sessions))[0].balance_minor == PRICE
    assert (await shipping.book_shipments(STEP)).held == "change_unpaid"
    await pay(payments, sessions, PRICE, "P-2")
    assert (await shipping.book_shipments(STEP)).held is None
    assert await refunds(sessions) == {"SO-1-R1": ("P-1", PRICE, "succeeded")}
    assert await balances(sessions) == {"1012.01": 3 * PRICE, "2204": -30_000, "2221.06": -3_900}


async def test_changing_twice_has_one_effect(sessions: Sessions, payments: PaymentActivities) -> None:
    await ready_to_ship(sessions, lines=[TWO])
    await pay(payments, sessions, 2 * PRICE)
    asked, activities = await ask(sessions, units(l1=1)), ChangeActivities(sessions, None, 1)
    first = await activities.change_order(asked)
    before = await everything(sessions)
    again = await activities.change_order(asked)
    assert (again.refusal, again.relevant, again.result) == (None, True, first.result)
    assert (await everything(sessions), (await story(sessions)).count("order.changed")) == (before, 1)


async def test_the_story_tells_what_was_and_what_is_and_no_address(sessions: Sessions) -> None:
    await ready_to_ship(sessions, lines=[TWO])
    await change(sessions, units(l1=1) | {"ship_to": SHANGHAI})
    (row,) = await changes(sessions)
    assert (row.before, row.after) == (
        {"units": {"1": 2}, "total_minor": 2 * PRICE},
        {"units": {"1": 1}, "total_minor": PRICE},
    )
    assert (row.delta_minor, row.address_changed, row.changed_by, row.reason) == (
        -PRICE,
        True,
        "gateway",
        "the buyer rang",
    )
    assert (await order_row(sessions)).ship_to == SHANGHAI
    assert "Nanjing" not in str(row.model_dump())


async def test_refunded_units_stay_refunded_whatever_is_changed(
    sessions: Sessions, payments: PaymentActivities, shipping: ShippingActivities
) -> None:
    await ready_to_ship(sessions, lines=[TWO, Line("2", "SKU-2", 2)])
    await pay(payments, sessions, 4 * PRICE)
    granting = RefundActivities(sessions)
    await granting.grant_refund(await ask_refund(sessions, refunded_units({"1": 1}, "out_of_stock")))
    assert (await change(sessions, units(l1=2))).refusal == "line_fixed"
    assert (await change(sessions, units(l2=1), "C-2")).refusal is None
    assert await lines_of(sessions) == [("1", 2, 1, 1, 2 * PRICE), ("2", 1, 0, 1, PRICE)]
    await payments.pay_refunds(STEP)
    assert (await shipping.book_shipments(STEP)).held is None
    async with sessions() as session:
        assert await stock.reservations(session, "SO-1") != []
        packed = [(one.line_id, one.allocated) for one in await orders.lines(session, "SO-1")]
    assert packed == [("1", 1), ("2", 1)]
    assert await balances(sessions) == {"1012.01": 2 * PRICE, "2204": -20_000, "2221.06": -2_600}


async def test_what_is_short_refuses_all_of_the_change(sessions: Sessions, payments: PaymentActivities) -> None:
    await ready_to_ship(sessions, lines=[TWO, Line("2", "SKU-2")])
    await pay(payments, sessions, 3 * PRICE)
    before = await everything(sessions)
    answer = await change(sessions, units(l1=3, l2=0))
    assert (answer.refusal, await everything(sessions)) == ("out_of_stock", before)
    assert (await story(sessions))[-1] == "order.change_refused"
    await stocked(sessions, "R-9", SKU_1=1)
    assert (await change(sessions, units(l1=3, l2=0), "C-2")).refusal is None
    assert await lines_of(sessions) == [("1", 3, 0, 3, 3 * PRICE), ("2", 1, 1, 0, 0)]


async def test_an_order_that_waits_for_goods_waits_for_other_goods_after_a_change(sessions: Sessions) -> None:
    await place(sessions, lines=[TWO], lifecycle="accepted")
    assert (await change(sessions, units(l1=4))).refusal is None
    assert await lines_of(sessions) == [("1", 4, 0, 0, 4 * PRICE)]


@pytest.mark.parametrize(
    ("said", "columns", "code"),
    [
        (units(l9=1), {}, "unknown_line"),
        (units(l1=2), {}, "nothing_to_change"),
        (units(l1=0), {}, "nothing_left_to_ship"),
        (more("1"), {}, "duplicate_line_id"),
        (more("2", "SKU-NEW"), {}, "unknown_sku"),
        (more("2") | {"sets_prices": False}, {}, "price_mismatch"),
        (units(l1=1), {"lifecycle": "completed"}, "order_not_changeable"),
        ({"ship_to": SHANGHAI}, {"lifecycle": "cancelled"}, "order_not_changeable"),
        (units(l1=1), {"payment_terms": "none"}, "order_not_changeable"),
        (units(l1=1), {"payment_terms": "deposit_balance", "deposit_minor": PRICE}, "deposit_too_large"),
        (units(l1=500), {}, "change_needs_other_flow"),
    ],
)
async def test_what_may_not_be_changed_is_refused_and_nothing_is(
    sessions: Sessions, said: dict[str, Any], columns: dict[str, Any], code: str
) -> None:
    await ready_to_ship(sessions, lines=[TWO])
    await set_order(sessions, **columns)
    before = await everything(sessions)
    assert ((await change(sessions, said)).refusal, await everything(sessions)) == (code, before)


async def test_a_preview_of_yesterday_is_refused(sessions: Sessions, payments: PaymentActivities) -> None:
    await ready_to_ship(sessions, lines=[TWO])
    asked = await ask(sessions, units(l1=1))
    await pay(payments, sessions, 2 * PRICE)
    before = await everything(sessions)
    answer = await ChangeActivities(sessions, None, 1).change_order(asked)
    assert (answer.refusal, await everything(sessions)) == ("preview_stale", before)


async def test_packed_goods_are_not_changed_nor_sent_elsewhere(
    sessions: Sessions, shipping: ShippingActivities
) -> None:
    await ready_to_ship(sessions, lines=[TWO])
    await shipping.book_shipments(STEP)
    before = await everything(sessions)
    for change_id, said in (("C-1", units(l1=1)), ("C-2", {"ship_to": SHANGHAI})):
        assert (await change(sessions, said, change_id)).refusal == "order_not_changeable"
    assert await everything(sessions) == before


async def test_a_parcel_that_the_carrier_refused_can_be_sent_elsewhere(sessions: Sessions) -> None:
    carrier = SimulatedCarrier(Memory(), CarrierBehaviour(refused_cities=frozenset({"杭州市"})))
    shipping = ShippingActivities(sessions, carrier)
    await ready_to_ship(sessions, lines=[TWO])
    assert (await shipping.book_shipments(STEP)).held == "carrier_refused"
    assert (await change(sessions, units(l1=1))).refusal == "order_not_changeable"
    assert (await change(sessions, {"ship_to": SHANGHAI}, "C-2")).relevant is False
    assert await open_holds(sessions) == {}
    booked = await shipping.book_shipments(STEP)
    assert (booked.held, booked.standing.fulfilment) == (None, "shipping")


async def test_an_approval_is_void_when_amount_or_country_differ_and_not_for_another_street(
    sessions: Sessions,
) -> None:
    await ready_to_ship(sessions, lines=[TWO])
    asked = ApprovalInput("SO-1", "gm", 1, "normal", 1, gm_approval())
    await ActivityEnvironment().run(ApprovalActivities(sessions).open_approval, asked)

    async def state() -> str:
        async with sessions() as session:
            return (await session.exec(select(Approval))).one().state

    await change(sessions, {"ship_to": SHANGHAI})
    assert await state() == "open"
    await change(sessions, {"ship_to": SHANGHAI | {"country": "HK"}}, "C-2")
    assert await state() == "voided"


async def test_an_order_on_credit_that_became_dearer_is_looked_at_again(sessions: Sessions) -> None:
    await ready_to_ship(sessions, lines=[TWO])
    await stocked(sessions, "R-9", SKU_1=1)
    await set_order(sessions, payment_terms="on_credit", credit_state="within")
    await change(sessions, units(l1=3))
    assert (await order_row(sessions)).credit_state is None


async def test_the_courier_collects_what_a_change_gave_back_and_asks_for_again(
    sessions: Sessions, payments: PaymentActivities
) -> None:
    memory = Memory()
    await ready_to_ship(sessions, lines=[TWO], payment_terms="cash_on_delivery")
    await pay(payments, sessions, 2 * PRICE)
    await change(sessions, units(l1=1))
    await payments.pay_refunds(STEP)
    await change(sessions, units(l1=2), "C-2")
    asked: list[int] = []

    class Listening(SimulatedCarrier):
        async def book(self, consignment: Consignment, key: str) -> Booking:
            asked.append(consignment.cod_amount_minor)
            return await super().book(consignment, key)

    assert (await ShippingActivities(sessions, Listening(memory)).book_shipments(STEP)).held is None
    assert asked == [PRICE]


async def test_credit_counts_what_a_change_gave_back_and_asks_for_again(
    sessions: Sessions, payments: PaymentActivities
) -> None:
    await ready_to_ship(sessions, lines=[TWO], payment_terms="on_credit")
    await pay(payments, sessions, 2 * PRICE)
    await change(sessions, units(l1=1))
    await payments.pay_refunds(STEP)
    await change(sessions, units(l1=2), "C-2")
    other = await place(sessions, "SO-2", payment_terms="on_credit")
    async with sessions() as session:
        own = await credit.of_order(session, await orders.get(session, "SO-1"))
        seen_by_other = await credit.of_order(session, other)
    assert (own.wanted_minor, seen_by_other.used_minor) == (PRICE, PRICE)


async def test_one_of_two_rival_changes_wins_and_the_other_has_to_look_again(sessions: Sessions) -> None:
    await ready_to_ship(sessions, lines=[Line(quantity=3)])
    asked = [await ask(sessions, units(l1=wanted), f"C-{wanted}") for wanted in (1, 2)]
    done = await asyncio.gather(*(ChangeActivities(sessions, None, 1).change_order(one) for one in asked))
    assert sorted(str(one.refusal) for one in done) == ["None", "preview_stale"]
    assert (len(await changes(sessions)), await is_sound(sessions)) == (1, True)


@pytest.mark.parametrize("rival", ["payment", "cancel"])
async def test_a_change_and_a_rival_are_taken_one_after_the_other(
    sessions: Sessions, payments: PaymentActivities, rival: str
) -> None:
    await ready_to_ship(sessions, lines=[TWO])
    asked, paid = await ask(sessions, units(l1=1)), await report(sessions, 2 * PRICE)
    others = {
        "payment": lambda: payments.apply_payment(paid),
        "cancel": lambda: OrderActivities(sessions).begin_cancel(CancelInput("SO-1", "service")),
    }
    answer, _other = await asyncio.gather(ChangeActivities(sessions, None, 1).change_order(asked), others[rival]())
    applied = len(await changes(sessions)) == 1
    assert (answer.refusal is None) == applied
    assert answer.refusal in (None, "preview_stale", "order_not_changeable")
    # Whichever came first: the books have what was paid, and say what of it is not for this sale.
    over = PRICE if applied and rival == "payment" else 0
    assert ((await balances(sessions)).get("2241.overpay", 0), await is_sound(sessions)) == (-over, True)
    async with sessions() as session:
        line = (await session.exec(select(OrderLine))).one()
    assert line.quantity == (1 if applied else 2)
