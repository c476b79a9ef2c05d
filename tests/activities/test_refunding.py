"""Refunds on a real database: what is decided, what follows in lines, stock and books, and that it happens once."""

import asyncio
from collections.abc import AsyncIterator
from decimal import Decimal
from typing import Any

import pytest

from activities.granting import draft, open_lines
from activities.payments import PaymentActivities
from activities.posting import sale_of
from activities.refunding import RefundActivities
from activities.revenue import RevenueActivities
from activities.step import Fact, Step, StepResult
from domain.refunding import RefundAsk, RefundKind
from integrations.memory import Memory
from integrations.payment.simulated import PaymentBehaviour, SimulatedPaymentProvider
from models.refunding import GrantedRefund
from runtime.database import Sessions
from store import orders, refunding
from tests.conftest import Database
from tests.factories.books import balances, both_amounts, entries, entry_count, open_books
from tests.factories.deliveries import deliver
from tests.factories.invoices import Provider, credit_refunds, issue, overview
from tests.factories.orders import Line, place
from tests.factories.payments import bring, open_holds, order_row, refunds, report, set_order, story
from tests.factories.refunding import ask, goodwill, shipping, units
from tests.factories.shipping import ready_to_ship
from tests.factories.stock import is_sound, level

STEP = Step("SO-1", "refund")
TWO = Line(quantity=2)


@pytest.fixture
async def sessions(database: Database) -> Sessions:
    await open_books(database.sessions)
    return database.sessions


@pytest.fixture
def provider() -> SimulatedPaymentProvider:
    return SimulatedPaymentProvider(Memory())


@pytest.fixture
async def einvoice() -> AsyncIterator[Provider]:
    memory = Memory()
    yield Provider(memory)
    memory.close()


class Desk:
    """Those who decide and pay refunds, on one database."""

    def __init__(self, sessions: Sessions, provider: SimulatedPaymentProvider) -> None:
        self.sessions = sessions
        self.refunding = RefundActivities(sessions)
        self.payments = PaymentActivities(sessions, provider, tolerance_minor=1)

    async def pay(self, minor: int, payment_id: str = "P-1", **said: Any) -> None:
        await self.payments.apply_payment(await report(self.sessions, minor, payment_id, **said))

    async def grant(self, said: dict[str, Any], refund_id: str = "F-1") -> StepResult:
        return await self.refunding.grant_refund(await ask(self.sessions, said, refund_id))

    async def arrive(self, units: int, shipment_no: str = "S-1") -> None:
        await deliver(self.sessions, {"1": units}, shipment_no)

    async def granted(self, refund_id: str = "F-1") -> GrantedRefund:
        async with self.sessions() as session:
            found = await refunding.find(session, "SO-1", refund_id)
        assert found is not None
        return found


@pytest.fixture
def desk(sessions: Sessions, provider: SimulatedPaymentProvider) -> Desk:
    return Desk(sessions, provider)


async def test_p7_a_refund_after_delivery_takes_revenue_and_vat_back(sessions: Sessions, desk: Desk) -> None:
    await place(sessions, lifecycle="completed")
    await desk.pay(11_300)
    await desk.arrive(1)
    result = await desk.grant(units({"1": 1}, "damaged"))
    assert (result.outcome, result.held) == ("granted", None)
    paid = await desk.payments.pay_refunds(STEP)
    assert (paid.held, paid.standing.payment) == (None, "refunded")
    assert (await entries(sessions))[-2:] == [
        "refund_approved | Dr 2221.01.01 1300 | Dr 6001.01 10000 | Cr 2241.refund 11300",
        "refund_paid | Dr 2241.refund 11300 | Cr 1012.01 11300",
    ]
    assert await balances(sessions) == {"1405": -6_000, "6401": 6_000}
    assert await refunds(sessions) == {"SO-1-R1": ("P-1", 11_300, "succeeded")}


async def test_p7b_a_concession_on_credit_lowers_what_is_owed(sessions: Sessions, desk: Desk) -> None:
    await place(sessions, payment_terms="on_credit", lifecycle="fulfilling")
    await desk.arrive(1)
    await RevenueActivities(sessions).recognise_revenue(STEP)
    await desk.grant(goodwill(1_130, "price_reduction"))
    assert (await entries(sessions))[-1] == "refund_approved | Dr 2221.01.01 130 | Dr 6001.01 1000 | Cr 1122 1130"
    assert (await refunds(sessions), (await desk.granted()).payout_minor) == ({}, 0)
    await desk.pay(10_170, method="bank_transfer")
    assert (await entries(sessions))[-1] == "payment_received | Dr 1002 10170 | Cr 1122 10170"
    async with sessions() as session:
        assert (await orders.standing(session, "SO-1")).payment == "paid"
    assert await open_holds(sessions) == {}


async def test_a_refund_before_shipment_frees_the_units_and_they_never_ship(sessions: Sessions, desk: Desk) -> None:
    await ready_to_ship(sessions, lines=[TWO, Line("2", "SKU-2")])
    await desk.pay(33_900)
    await desk.grant(units({"1": 1}, "out_of_stock"))
    assert (await level(sessions), await is_sound(sessions)) == ((2, 1, 12_000), True)
    async with sessions() as session:
        line = (await orders.lines(session, "SO-1"))[0]
    assert (line.cancelled, line.allocated, line.refunded) == (1, 1, 0)
    assert (await entries(sessions))[-1] == "refund_approved | Dr 2204 10000 | Dr 2221.06 1300 | Cr 2241.refund 11300"
    assert "refund.granted" in await story(sessions)


async def test_granting_twice_has_one_effect(sessions: Sessions, desk: Desk) -> None:
    await place(sessions, lines=[TWO])
    await desk.pay(22_600)
    fact = await ask(sessions, units({"1": 1}, "changed_mind"))
    first, again = await desk.refunding.grant_refund(fact), await desk.refunding.grant_refund(fact)
    assert (first.outcome, again.outcome) == ("granted", "granted")
    assert (await entry_count(sessions), await refunds(sessions)) == (2, {"SO-1-R1": ("P-1", 11_300, "requested")})
    assert (await order_row(sessions)).reduced_minor == 11_300


async def test_paying_refunds_twice_has_one_effect(sessions: Sessions, desk: Desk) -> None:
    await place(sessions, lines=[TWO])
    await desk.pay(22_600)
    await desk.grant(goodwill(600, "damaged"))
    await desk.payments.pay_refunds(STEP)
    again = await desk.payments.pay_refunds(STEP)
    assert (again.standing.payment, await entry_count(sessions)) == ("partially_refunded", 3)
    assert (await order_row(sessions)).refunded_minor == 600


async def test_several_refunds_at_once_are_taken_one_after_the_other(sessions: Sessions, desk: Desk) -> None:
    await place(sessions, lines=[TWO], lifecycle="completed")
    await desk.pay(22_600)
    await desk.arrive(2)
    asked = [await ask(sessions, units({"1": 1}, "damaged"), f"F-{number}") for number in range(5)]
    done = await asyncio.gather(*(desk.refunding.grant_refund(fact) for fact in asked))
    assert sorted(one.outcome for one in done) == ["granted", "granted", "refused", "refused", "refused"]
    await desk.payments.pay_refunds(STEP)
    assert (await order_row(sessions)).refunded_minor == 22_600
    assert set((await balances(sessions)).values()) == {12_000, -12_000}


REFUSED: list[tuple[dict[str, Any], str]] = [
    (units({"9": 1}, "damaged"), "unknown_line"),
    (units({"1": 3}, "damaged"), "quantity_exceeded"),
    (goodwill(22_601, "damaged"), "refund_above_paid"),
    (goodwill(22_601, "compensation"), "refund_above_paid"),
    (shipping(1, "shipping_waived"), "refund_above_paid"),
    (goodwill(1, "changed_mind"), "refund_reason_not_allowed"),
    (units({"1": 2}, "changed_mind"), "nothing_left_to_ship"),
]


@pytest.mark.parametrize(("said", "code"), REFUSED, ids=[code for _said, code in REFUSED])
async def test_what_may_not_go_back_is_refused_and_nothing_changes(
    sessions: Sessions, desk: Desk, said: dict[str, Any], code: str
) -> None:
    await ready_to_ship(sessions, lines=[TWO])
    await desk.pay(22_600)
    booked, before = await entries(sessions), await level(sessions)
    result = await desk.grant(said)
    granted = await desk.granted()
    assert (result.outcome, granted.state, granted.refusal, granted.payout_minor) == ("refused", "refused", code, 0)
    assert (await entries(sessions), await level(sessions), await refunds(sessions)) == (booked, before, {})
    assert (await order_row(sessions)).reduced_minor == 0
    assert (await story(sessions))[-1] == "refund.declined"


async def test_an_order_that_is_broken_off_refunds_by_that_alone(sessions: Sessions, desk: Desk) -> None:
    await place(sessions, lines=[TWO], lifecycle="cancelled")
    assert (await desk.grant(goodwill(1, "damaged"))).outcome == "refused"
    assert (await desk.granted()).refusal == "order_not_refundable"


async def test_units_in_a_parcel_wait_until_it_has_arrived(sessions: Sessions, desk: Desk) -> None:
    await place(sessions, lines=[TWO], lifecycle="fulfilling")
    await desk.pay(22_600)
    await desk.arrive(1)
    async with sessions() as session:
        (line,) = await open_lines(session, "SO-1", await orders.lines(session, "SO-1"))
    assert (line.unshipped, line.delivered, line.under_way) == (1, 1, 0)


async def test_cancelling_after_a_refund_gives_the_rest_back(sessions: Sessions, desk: Desk) -> None:
    await ready_to_ship(sessions, lines=[Line(quantity=3)])
    await desk.pay(20_000)
    await desk.pay(13_900, "P-2")
    await desk.grant(units({"1": 1}, "changed_mind"))
    await desk.grant(goodwill(500, "compensation"), "F-2")
    await desk.payments.refund_payments(STEP)
    assert await refunds(sessions) == {
        "SO-1-R1": ("P-2", 11_300, "succeeded"),
        "SO-1-R2": ("P-2", 500, "succeeded"),
        "SO-1-R3": ("P-1", 20_000, "succeeded"),
        "SO-1-R4": ("P-2", 2_100, "succeeded"),
    }
    assert ((await order_row(sessions)).refunded_minor, await balances(sessions)) == (33_900, {})


async def test_compensation_is_our_expense_until_the_price_goes_back(sessions: Sessions, desk: Desk) -> None:
    await place(sessions, lifecycle="completed")
    await desk.pay(11_300)
    await desk.arrive(1)
    await desk.grant(goodwill(500, "compensation"))
    await desk.payments.pay_refunds(STEP)
    assert (await balances(sessions))["6601.comp"] == 500
    assert ((await order_row(sessions)).reduced_minor, (await balances(sessions))["6001.01"]) == (0, -10_000)
    await desk.grant(units({"1": 1}, "defective"), "F-2")
    await desk.payments.pay_refunds(STEP)
    assert await balances(sessions) == {"1405": -6_000, "6401": 6_000}
    assert (await order_row(sessions)).refunded_minor == 11_300


MIXTURES: list[tuple[list[tuple[str, int]], dict[str, Any]]] = [
    ([("alipay", 33_900)], {}),
    ([("alipay", 33_899)], {}),
    ([("alipay", 33_901)], {}),
    ([("voucher", 30_000), ("bank_transfer", 3_000), ("alipay", 900)], {}),
    ([("bank_transfer", 10_000)], {"payment_terms": "on_credit"}),
    ([], {"payment_terms": "on_credit"}),
    ([("alipay", 33_900)], {"currency": "BRL", "fx_rate": Decimal("1.2345678901")}),
]


@pytest.mark.parametrize(("paid", "columns"), MIXTURES)
async def test_all_of_a_delivered_order_refunded_bit_by_bit_leaves_nothing_but_its_cost(
    sessions: Sessions, desk: Desk, paid: list[tuple[str, int]], columns: dict[str, Any]
) -> None:
    order = await place(sessions, lines=[Line(quantity=3)], **columns)
    for number, (method, minor) in enumerate(paid, start=1):
        await desk.pay(minor, f"P-{number}", method=method, currency=order.currency)
    await desk.arrive(3)
    for number, said in enumerate(
        [units({"1": 1}, "damaged"), goodwill(1_001, "damaged"), units({"1": 1}, "missing"), units({"1": 1}, "damaged")]
    ):
        async with sessions() as session, session.begin():
            locked = await orders.lock(session, "SO-1")
            asked = RefundAsk(RefundKind.GOODWILL, "damaged", minor=1)
            expected = (await draft(session, locked, asked)).before if number else None
            position = (await sale_of(session, locked)).position
        assert expected in (None, position)
        assert (await desk.grant(said, f"F-{number}")).outcome == "granted"
        await desk.payments.pay_refunds(STEP)
    row = await order_row(sessions)
    assert (row.refunded_minor, row.reduced_minor, row.written_off_minor) == (
        sum(minor for _method, minor in paid),
        33_900,
        0,
    )
    left = {account: both for account, both in (await both_amounts(sessions)).items() if both != (0, 0)}
    assert left == {("1405", "CNY"): (-18_000, -18_000), ("6401", "CNY"): (18_000, 18_000)}


async def test_invoices_say_no_more_than_what_is_left(sessions: Sessions, desk: Desk, einvoice: Provider) -> None:
    await place(sessions, lines=[TWO])
    await desk.pay(22_600)
    await desk.arrive(2)
    await RevenueActivities(sessions).recognise_revenue(STEP)
    await issue(sessions, einvoice)
    await desk.grant(units({"1": 1}, "damaged"))
    await credit_refunds(sessions, einvoice)
    await desk.grant(goodwill(1_130, "damaged"), "F-2")
    await credit_refunds(sessions, einvoice)
    assert [(key, state, gross) for key, _number, state, gross in await overview(sessions)] == [
        ("SO-1-I1", "issued", 22_600),
        ("SO-1-R1", "issued", 11_300),
        ("SO-1-R2", "issued", 1_130),
    ]
    assert (await balances(sessions))["2221.01.01"] == -1_170
    assert (await balances(sessions))["6001.01"] == -9_000


async def test_crediting_refunds_twice_has_one_effect(sessions: Sessions, desk: Desk, einvoice: Provider) -> None:
    await place(sessions, lines=[TWO])
    await desk.pay(22_600)
    await issue(sessions, einvoice)
    await desk.grant(units({"1": 1}, "out_of_stock"))
    booked = await balances(sessions)
    first, again = await credit_refunds(sessions, einvoice), await credit_refunds(sessions, einvoice)
    assert (first, len(await overview(sessions))) == (again, 2)
    # The VAT went back with the refund; the credit note only says it.
    assert await balances(sessions) == booked


async def test_what_is_invoiced_after_a_refund_is_what_is_left(
    sessions: Sessions, desk: Desk, einvoice: Provider
) -> None:
    await place(sessions, lines=[TWO])
    await desk.pay(22_600)
    await desk.grant(units({"1": 1}, "out_of_stock"))
    await desk.grant(goodwill(1_130, "damaged"), "F-2")
    await issue(sessions, einvoice)
    await credit_refunds(sessions, einvoice)
    assert [(key, gross) for key, _number, _state, gross in await overview(sessions)] == [("SO-1-I1", 10_170)]


async def test_a_refused_payout_holds_the_order_and_is_tried_under_a_key_of_its_own(
    sessions: Sessions, desk: Desk, provider: SimulatedPaymentProvider
) -> None:
    await place(sessions, lines=[TWO])
    await desk.pay(22_600)
    await desk.grant(goodwill(600, "damaged"))
    provider.behaviour = PaymentBehaviour(refused_payment_ids=frozenset({"P-1"}))
    assert (await desk.payments.pay_refunds(STEP)).held == "refund_failed"
    assert list(await open_holds(sessions)) == ["refund_failed"]
    assert (await balances(sessions))["2241.refund"] == -600


async def test_money_that_waits_to_be_posted_holds_its_refund(sessions: Sessions, desk: Desk) -> None:
    await place(sessions, lines=[TWO])
    await desk.pay(22_600, method="barter")
    assert (await desk.grant(goodwill(1, "damaged"))).held == "payment_method_unknown"
    async with sessions() as session:
        assert await refunding.find(session, "SO-1", "F-1") is None


async def test_a_signal_past_the_door_gives_nothing_back(sessions: Sessions, desk: Desk) -> None:
    await place(sessions)
    await desk.pay(11_300)
    payment = await report(sessions, 1, "P-9")
    for fact in (Fact("SO-1", 999), payment):
        assert (await desk.refunding.grant_refund(fact)).outcome == "ignored"
    assert (await refunds(sessions), (await story(sessions))[-1]) == ({}, "signal.ignored")


async def test_a_request_that_says_nothing_is_final(sessions: Sessions, desk: Desk) -> None:
    await place(sessions)
    fact = await bring(sessions, "{}", "refund/F-1", "SO-1", kind="refund.requested")
    with pytest.raises(Exception, match="refund_unreadable"):
        await desk.refunding.grant_refund(fact)


async def test_what_is_short_of_a_lower_price_is_no_longer_held(sessions: Sessions, desk: Desk) -> None:
    await ready_to_ship(sessions, lines=[TWO])
    await desk.pay(11_300)
    assert list(await open_holds(sessions)) == ["payment_short"]
    await desk.grant(units({"1": 1}, "changed_mind"))
    assert (await open_holds(sessions), await refunds(sessions)) == ({}, {})
    async with sessions() as session:
        assert (await orders.standing(session, "SO-1")).payment == "paid"


async def test_a_later_payment_is_judged_by_the_price_that_is_left(sessions: Sessions, desk: Desk) -> None:
    await place(sessions, lines=[TWO], payment_terms="on_credit")
    await desk.grant(units({"1": 1}, "changed_mind"))
    await desk.pay(11_300, method="bank_transfer")
    assert await open_holds(sessions) == {}
    await set_order(sessions, written_off_minor=0)
    async with sessions() as session:
        assert (await orders.standing(session, "SO-1")).payment == "paid"
