"""Exchanges on a real database: what goes out, who pays what, and what is left when it is called off."""

import asyncio
from decimal import Decimal
from typing import Any

import pytest

from activities.payments import PaymentActivities
from activities.refunding import RefundActivities
from activities.returning import ReturnStep
from activities.step import Fact, Step
from api.inbox.hand_over import load_input
from domain.exchanging import replacement_number
from domain.returning import return_number
from models.masters import LegalEntity
from models.order import OrderLine
from store import inbox, orders
from tests.conftest import Database
from tests.factories.books import both_amounts, entries, open_books
from tests.factories.changing import in_force
from tests.factories.exchanging import NEW, PRICE, Counter, other, same
from tests.factories.payments import open_holds, order_row, refunds, report, set_order, story
from tests.factories.refunding import ask, units
from tests.factories.returning import NUMBER, announced, received, row_of
from tests.factories.stock import is_sound, level


@pytest.fixture
async def counter(database: Database) -> Counter:
    await open_books(database.sessions)
    await in_force(database.sessions)
    return Counter(database.sessions)


async def lines_of(counter: Counter, order_no: str = NEW) -> list[tuple[str, int, int, int]]:
    async with counter.sessions() as session:
        rows: list[OrderLine] = list(await orders.lines(session, order_no))
    return [(row.sku, row.quantity, row.payable_minor, row.tax_minor) for row in rows]


async def test_an_even_swap_moves_the_debt_from_one_order_to_the_other(counter: Counter) -> None:
    await counter.sold()
    assert await counter.opened(1, same(), ship_to={"country": "CN", "city": "Wuhan"}) == "approved"
    assert await counter.receive(resellable=1) == "applied"
    new, row = await order_row(counter.sessions, NEW), await row_of(counter.sessions)
    assert (row.state, row.replacement_no) == ("closed", NEW)
    assert (new.type, new.flow_key, new.source, new.voucher_no[:1]) == ("replacement", "replacement", "exchange", "V")
    assert (new.customer_id, new.channel, new.ship_to["city"], new.placed_by) == ("C-7", "web", "Wuhan", "keeper")
    assert (new.total_minor, new.paid_minor, await lines_of(counter)) == (PRICE, PRICE, [("SKU-1", 1, PRICE, 1_300)])
    assert await counter.credits() == {"SO-1-R1": ("exchange_credit", PRICE, "applied")}
    assert await entries(counter.sessions, NEW) == [
        "payment_received | Dr 2241.refund 11300 | Cr 2204 10000 | Cr 2221.06 1300"
    ]
    assert (await counter.books())[0] == {
        "1012.01": 22_600,
        "1405": -6_000,
        "2221.01.01": -1_300,
        "2241.refund": -11_300,
        "6001.01": -10_000,
        "6401": 6_000,
    }
    await counter.arrives({"1": 1})
    assert (await counter.books())[1] == {
        "1405": -6_000,
        "2221.01.01": -1_300,
        "2241.refund": 11_300,
        "6001.01": -10_000,
        "6401": 6_000,
    }
    assert (counter.provider.asked, await counter.differences()) == ([], [])
    assert (await level(counter.sessions), await is_sound(counter.sessions)) == ((11, 0, 66_000), True)


async def test_both_stories_tell_of_the_exchange(counter: Counter) -> None:
    await counter.sold()
    await counter.opened(1, same())
    await counter.receive(resellable=1)
    assert (await story(counter.sessions))[-6:] == [
        "return.requested",
        "return.approved",
        "refund.granted",
        "return.received",
        "refund.credited",
        "exchange.placed",
    ]
    assert await story(counter.sessions, NEW) == ["order.received", "payment.received"]


async def test_a_replacement_waits_in_the_inbox_until_it_is_handed_over(counter: Counter) -> None:
    await counter.sold()
    await counter.opened(1, same())
    await counter.receive(resellable=1)
    async with counter.sessions() as session, session.begin():
        # What the tests themselves have told is not handed over either.
        pending = [one for one in await inbox.claim_pending(session, 10) if one.order_no == NEW]
        await inbox.mark_handed_over(session, [one.inbox_id for one in pending])
    assert [(one.kind, one.message_id) for one in pending] == [("order.placed", f"exchange/{NUMBER}")]
    async with counter.sessions() as session, session.begin():
        begun = await load_input(session, NEW, 1.0)
        # Temporal has lost everything: it begins again, too.
        assert (NEW, pending[0].inbox_id) in await inbox.forget_hand_over(session)
    assert (begun.input.flow.flow.key, begun.ended) == ("replacement", False)


async def test_what_is_dearer_is_paid_by_credit_and_customer(counter: Counter) -> None:
    await counter.sold()
    await counter.opened(1, other(15_000))
    await counter.receive(resellable=1)
    async with counter.sessions() as session:
        assert (await orders.standing(session, NEW)).payment == "partial"
    assert await counter.pays(3_700) == "applied"
    async with counter.sessions() as session:
        assert (await orders.standing(session, NEW)).payment == "paid"
    await counter.arrives({"1": 1})
    assert (await counter.books())[1] == {
        "1012.01": 3_700,
        "1405": -6_000,
        "2221.01.01": -1_726,
        "2241.refund": 11_300,
        "6001.01": -13_274,
        "6401": 6_000,
    }
    assert (counter.provider.asked, await counter.differences()) == ([], [])


@pytest.mark.parametrize(("dearer", "payment", "written_off"), [(1, "paid", 1), (2, "partial", 0)])
async def test_nobody_is_asked_for_a_difference_that_is_written_off_when_paid(
    counter: Counter, dearer: int, payment: str, written_off: int
) -> None:
    await counter.sold()
    await counter.opened(1, other(11_300 + dearer))
    await counter.receive(resellable=1)
    async with counter.sessions() as session:
        replacement = await orders.get(session, NEW)
        assert (await orders.standing(session, NEW)).payment == payment
    assert (replacement.paid_minor, replacement.written_off_minor) == (11_300, written_off)
    if payment == "paid":
        await counter.arrives({"1": 1})
        books = (await counter.books())[1]
        assert (books["6603.round"], books["2241.refund"], "1122" in books) == (1, 11_300, False)
        assert await counter.differences() == []


async def test_what_is_cheaper_leaves_a_rest_that_goes_back_where_it_came_from(counter: Counter) -> None:
    await counter.sold()
    await counter.opened(1, other(8_000))
    await counter.receive(resellable=1)
    assert await refunds(counter.sessions) == {
        "SO-1-R1": ("P-1", 8_000, "succeeded"),
        "SO-1-R2": ("P-1", 3_300, "succeeded"),
    }
    assert counter.provider.asked == [("SO-1", "P-1", 3_300)]
    assert (await counter.books())[0]["1012.01"] == 22_600 - 3_300
    assert (await order_row(counter.sessions, NEW)).paid_minor == 8_000
    assert ((await order_row(counter.sessions)).refunded_minor, await counter.differences()) == (11_300, [])


async def test_receiving_twice_has_one_effect(counter: Counter) -> None:
    await counter.sold()
    await counter.opened(1, other(8_000))
    fact = await received(counter.sessions, {"line_id": "1", "resellable": 1})
    first, again = await counter.returning.receive_return(fact), await counter.returning.receive_return(fact)
    assert (first.outcome, again.outcome, again.granted) == ("applied", "applied", True)
    for _again in range(2):
        await counter.paid_out()
    assert (counter.provider.asked, len(await counter.credits())) == ([("SO-1", "P-1", 3_300)], 1)
    assert await counter.differences() == []


async def test_goods_go_out_as_far_as_units_were_accepted(counter: Counter) -> None:
    await counter.sold(3)
    await counter.opened(3, same(3))
    await counter.receive(resellable=1, damaged=1, refused=1)
    assert await lines_of(counter) == [("SKU-1", 2, 22_600, 2_600)]
    assert (counter.provider.asked, await counter.differences()) == ([], [])


async def test_what_cannot_go_out_in_part_is_paid_back(counter: Counter) -> None:
    await counter.sold()
    await counter.opened(2, other(20_000))
    await counter.receive(resellable=1, refused=1)
    assert (await counter.replacement_no(), counter.provider.asked) == (None, [("SO-1", "P-1", PRICE)])
    assert ((await order_row(counter.sessions)).refunded_minor, await counter.differences()) == (PRICE, [])


async def test_nothing_accepted_leaves_everything_as_it_was(counter: Counter) -> None:
    await counter.sold()
    await counter.opened(1, same())
    await counter.receive(refused=1)
    assert ((await row_of(counter.sessions)).state, await counter.replacement_no()) == ("closed", None)
    assert (await refunds(counter.sessions), counter.provider.asked, await counter.differences()) == ({}, [], [])


async def test_goods_of_several_parcels_go_out_together_once_all_have_come(counter: Counter) -> None:
    await counter.sold(3)
    await counter.opened(3, same(2), other(9_000))
    await counter.receive(last=False, resellable=1)
    assert (await counter.replacement_no(), counter.provider.asked) == (None, [])
    assert (await refunds(counter.sessions), await counter.differences()) == (
        {"SO-1-R1": ("P-1", PRICE, "requested")},
        [],
    )
    await counter.receive("R-2", last=False, resellable=2)
    assert [line[:3] for line in await lines_of(counter)] == [("SKU-1", 2, 22_600), ("SKU-9", 1, 9_000)]
    assert await counter.credits() == {
        "SO-1-R1": ("exchange_credit", PRICE, "applied"),
        "SO-1-R2": ("exchange_credit", 31_600 - PRICE, "applied"),
    }
    assert (counter.provider.asked, await counter.differences()) == ([("SO-1", "P-1", 2_300)], [])


async def test_what_has_come_is_exchanged_when_the_rest_does_not_come_in_time(counter: Counter) -> None:
    await counter.sold()
    await counter.opened(2, same(2))
    await counter.receive(last=False, resellable=1)
    for _again in range(2):
        expired = await counter.returning.expire_return(ReturnStep("SO-1", NUMBER))
        assert (expired.state, expired.granted) == ("expired", True)
    assert await lines_of(counter) == [("SKU-1", 1, PRICE, 1_300)]
    assert (await story(counter.sessions)).count("exchange.placed") == 1
    assert await counter.differences() == []


async def test_goods_that_never_come_are_not_replaced(counter: Counter) -> None:
    await counter.sold()
    await counter.opened(1, same())
    await counter.returning.expire_return(ReturnStep("SO-1", NUMBER))
    assert await counter.receive(resellable=1) == "too_late"
    assert (await counter.replacement_no(), await refunds(counter.sessions)) == (None, {})
    assert await counter.differences() == []


@pytest.mark.parametrize("result", ["cancelled", "expired"])
async def test_a_replacement_that_is_called_off_gives_the_money_back_to_who_paid(counter: Counter, result: str) -> None:
    await counter.sold()
    await counter.opened(1, other(15_000))
    await counter.receive(resellable=1)
    await counter.pays(3_700)
    await counter.call_off(result)
    assert counter.provider.asked == [("SO-1", "P-1", PRICE), (NEW, "P-2", 3_700)]
    assert (await counter.books())[1] == {"1012.01": -PRICE, "2241.refund": PRICE}
    new = await order_row(counter.sessions, NEW)
    assert (new.paid_minor, new.refunded_minor) == (15_000, 15_000)
    assert await counter.differences() == []


async def test_money_that_comes_for_a_replacement_that_was_called_off_goes_back_too(counter: Counter) -> None:
    await counter.sold()
    await counter.opened(1, other(15_000))
    await counter.receive(resellable=1)
    await counter.call_off()
    assert await counter.pays(3_700) == "too_late"
    await counter.call_off("expired")
    assert counter.provider.asked == [("SO-1", "P-1", PRICE), (NEW, "P-2", 3_700)]
    assert await counter.differences() == []


async def test_payment_of_the_rest_and_calling_off_in_the_same_moment_leave_nobody_short(counter: Counter) -> None:
    await counter.sold()
    await counter.opened(1, other(15_000))
    await counter.receive(resellable=1)
    await asyncio.gather(counter.pays(3_700), counter.call_off())
    # Whatever came first: what then still lies there goes back as the order's end is settled.
    await counter.payments.refund_payments(Step(NEW, "undo", ended=True))
    assert sorted(counter.provider.asked) == sorted([("SO-1", "P-1", PRICE), (NEW, "P-2", 3_700)])
    assert (await counter.books())[1] == {"1012.01": -PRICE, "2241.refund": PRICE}
    assert await counter.differences() == []


async def test_two_receipts_at_once_make_one_replacement(counter: Counter) -> None:
    await counter.sold()
    await counter.opened(2, same(2))
    facts = [
        await received(counter.sessions, {"line_id": "1", "resellable": 1}, receipt_id=f"R-{at}", last=False)
        for at in (1, 2)
    ]
    done = await asyncio.gather(*(counter.returning.receive_return(fact) for fact in facts))
    assert [one.outcome for one in done] == ["applied", "applied"]
    assert await lines_of(counter) == [("SKU-1", 2, 22_600, 2_600)]
    assert ((await story(counter.sessions)).count("exchange.placed"), await counter.differences()) == (1, [])


async def test_what_is_taken_off_a_replacement_goes_back_to_the_payment_of_the_first_order(counter: Counter) -> None:
    await counter.sold()
    await counter.opened(1, same())
    await counter.receive(resellable=1)
    await counter.arrives({"1": 1})
    await set_order(counter.sessions, NEW, lifecycle="completed")
    fact = await ask(counter.sessions, units({"1": 1}, "damaged"), order_no=NEW)
    await RefundActivities(counter.sessions).grant_refund(fact)
    await counter.paid_out(NEW)
    assert counter.provider.asked == [("SO-1", "P-1", PRICE)]
    assert (await counter.books())[1] == {"1012.01": -PRICE, "1405": -6_000, "2241.refund": PRICE, "6401": 6_000}
    assert await counter.differences() == []


async def test_an_exchange_of_an_exchange_never_loses_who_paid(counter: Counter) -> None:
    await counter.sold(1)
    await counter.opened(1, same())
    await counter.receive(resellable=1)
    await counter.arrives({"1": 1})
    await set_order(counter.sessions, NEW, lifecycle="completed")
    wish = [same() | {"sku": "SKU-9", "unit_price_minor": 10_000, "tax_rate": "0.13"}]
    step = await announced(counter.sessions, {"1": 1}, "A-2", NEW, kind="exchange", instead=wish)
    second = return_number(NEW, "A-2")
    assert (await counter.returning.open_return(step)).state == "approved"
    found = {"line_id": "1", "resellable": 1}
    fact = await received(counter.sessions, found, return_no=second, order_no=NEW)
    await counter.returning.receive_return(fact)
    await counter.paid_out(NEW)
    third = await order_row(counter.sessions, replacement_number("web", second))
    assert (third.paid_minor, counter.provider.asked) == (10_000, [("SO-1", "P-1", 1_300)])
    assert await counter.differences() == []


async def test_units_refunded_before_they_came_back_are_not_exchanged_as_well(counter: Counter) -> None:
    await counter.sold()
    await counter.opened(2, same(2))
    await RefundActivities(counter.sessions).grant_refund(await ask(counter.sessions, units({"1": 1}, "damaged")))
    await counter.receive(resellable=2)
    assert await lines_of(counter) == [("SKU-1", 1, PRICE, 1_300)]
    assert (counter.provider.asked, await counter.differences()) == ([("SO-1", "P-1", PRICE)], [])


@pytest.mark.parametrize(("minor", "reason"), [(1_000, "price_reduction"), (1_001, "compensation")])
async def test_an_even_swap_has_no_difference_whatever_was_given_back_before(
    counter: Counter, minor: int, reason: str
) -> None:
    await counter.sold(3)
    await counter.goodwill(minor, reason)
    await counter.opened(3, same(3))
    await counter.receive(resellable=3)
    new = await order_row(counter.sessions, NEW)
    assert (new.total_minor, new.paid_minor) == (3 * PRICE - minor, 3 * PRICE - minor)
    assert (len(counter.provider.asked), await counter.differences()) == (1, [])


@pytest.mark.parametrize(
    ("columns", "paid_minor"),
    [
        ({}, 11_300),
        ({"payment_terms": "on_credit"}, 0),
        ({"payment_terms": "cash_on_delivery"}, 0),
    ],
)
async def test_goods_that_are_not_paid_in_full_are_not_exchanged(
    counter: Counter, columns: dict[str, Any], paid_minor: int
) -> None:
    await counter.sold(paid_minor=paid_minor, **columns)
    assert await counter.opened(1, same()) == "rejected"
    assert (await row_of(counter.sessions)).refusal == "exchange_not_offered"
    assert (await counter.receive(resellable=1), await counter.replacement_no()) == ("too_late", None)


async def test_what_was_given_away_is_not_exchanged(counter: Counter) -> None:
    await counter.sold()
    await set_order(counter.sessions, type="sample", payment_terms="none")
    assert await counter.opened(1, same()) == "rejected"
    assert (await row_of(counter.sessions)).refusal == "exchange_not_offered"


async def test_goods_on_credit_that_were_paid_are_exchanged(counter: Counter) -> None:
    await counter.sold(payment_terms="on_credit")
    assert await counter.opened(1, same()) == "approved"
    await counter.receive(resellable=1)
    new = await order_row(counter.sessions, NEW)
    assert (new.payment_terms, new.flow_key, new.paid_minor) == ("prepaid", "replacement", PRICE)
    assert await counter.differences() == []


async def test_in_another_currency_the_money_keeps_its_rate(counter: Counter) -> None:
    async with counter.sessions() as session, session.begin():
        (await session.get_one(LegalEntity, "main")).return_approved_below_minor = 1_000_000
    await counter.sold(currency="EUR", fx_rate=Decimal("7.8123"))
    await counter.opened(1, same())
    await counter.receive(resellable=1)
    new = await order_row(counter.sessions, NEW)
    assert (new.currency, new.fx_rate) == ("EUR", Decimal("7.8123"))
    old, fresh = await both_amounts(counter.sessions), await both_amounts(counter.sessions, NEW)
    owed = old["2241.refund", "EUR"], fresh["2241.refund", "EUR"]
    assert (owed[0][0] + owed[1][0], owed[0][1] + owed[1][1]) == (0, 0)
    assert await counter.differences() == []


async def test_a_swap_keeps_what_a_platform_adds(counter: Counter) -> None:
    await counter.sold(1, paid_minor=9_300, platform_discount_minor=2_000, total_minor=9_300)
    async with counter.sessions() as session, session.begin():
        line = await session.get_one(OrderLine, ("SO-1", "1"))
        line.platform_discount_minor, line.payable_minor = 2_000, 9_300
    assert await counter.opened(1, same()) == "approved"
    await counter.receive(resellable=1)
    new = await order_row(counter.sessions, NEW)
    assert (new.total_minor, new.transaction_minor, new.platform_discount_minor) == (9_300, 11_300, 2_000)
    assert (await counter.books())[1] == {
        "1221.platform": 2_000,
        "2204": -10_000,
        "2221.06": -1_300,
        "2241.refund": 9_300,
    }


async def test_money_that_no_method_stands_for_cannot_be_reported(counter: Counter) -> None:
    await counter.sold()
    await counter.opened(1, other(15_000))
    await counter.receive(resellable=1)
    payments: PaymentActivities = counter.payments
    fact: Fact = await report(counter.sessions, 3_700, "SO-1-R9", NEW, method="exchange_credit")
    assert (await payments.apply_payment(fact)).held == "payment_method_unknown"
    assert list(await open_holds(counter.sessions, NEW)) == ["payment_method_unknown"]
