"""Revenue on a real database: whole lives of orders against the accounts and amounts an accountant expects."""

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest
from sqlmodel import col, delete
from temporalio.exceptions import ApplicationError

from activities.invoices import InvoiceActivities
from activities.payments import PaymentActivities
from activities.revenue import RevenueActivities
from activities.step import Step
from integrations.einvoice.simulated import SimulatedEInvoiceProvider
from integrations.memory import Memory
from integrations.payment.simulated import SimulatedPaymentProvider
from models.journal import JournalEntry
from models.masters import AccountMapping, FxRate, Product
from models.order import OrderLine
from runtime.database import Sessions
from store import journal
from tests.conftest import Database
from tests.factories import orders
from tests.factories.books import balances, both_amounts, entries, entry_count, open_books
from tests.factories.deliveries import deliver, hand_over
from tests.factories.orders import Line
from tests.factories.payments import report, set_order, story

STEP = Step("SO-1", "revenue")
EARNED = {"1405": -6_000, "2221.01.01": -1_300, "6001.01": -10_000, "6401": 6_000}


@pytest.fixture
async def sessions(database: Database) -> Sessions:
    await open_books(database.sessions)
    return database.sessions


@pytest.fixture
def payments(sessions: Sessions) -> PaymentActivities:
    return PaymentActivities(sessions, SimulatedPaymentProvider(Memory()), tolerance_minor=1)


@pytest.fixture
def activities(sessions: Sessions) -> RevenueActivities:
    return RevenueActivities(sessions)


async def test_a_prepaid_order_turns_its_liability_into_revenue(
    sessions: Sessions, payments: PaymentActivities, activities: RevenueActivities
) -> None:
    await orders.place(sessions)
    await payments.apply_payment(await report(sessions, 11_300))
    await deliver(sessions, {"1": 1})
    result = await activities.recognise_revenue(STEP)
    assert (result.held, result.standing.revenue, result.standing.revenue_due) == (None, "full", False)
    assert await entries(sessions) == [
        "payment_received | Dr 1012.01 11300 | Cr 2204 10000 | Cr 2221.06 1300",
        "goods_handed_over | Dr 1406 6000 | Cr 1405 6000",
        "revenue_recognised | Dr 2204 10000 | Cr 6001.01 10000",
        "vat_point_reached | Dr 2221.06 1300 | Cr 2221.01.01 1300",
        "cost_recognised | Dr 6401 6000 | Cr 1406 6000",
    ]
    assert await balances(sessions) == EARNED | {"1012.01": 11_300}
    assert (await story(sessions))[-1] == "revenue.recognised"


async def test_recognise_revenue_twice_has_one_effect(
    sessions: Sessions, payments: PaymentActivities, activities: RevenueActivities
) -> None:
    await orders.place(sessions)
    await payments.apply_payment(await report(sessions, 11_300))
    await deliver(sessions, {"1": 1})
    for _time in range(2):
        await activities.recognise_revenue(STEP)
    assert await entry_count(sessions) == 5
    assert (await story(sessions)).count("revenue.recognised") == 1


async def test_goods_that_have_not_arrived_earn_nothing(
    sessions: Sessions, payments: PaymentActivities, activities: RevenueActivities
) -> None:
    await orders.place(sessions)
    await payments.apply_payment(await report(sessions, 11_300))
    await hand_over(sessions, {"1": 1}, "S-1")
    result = await activities.recognise_revenue(STEP)
    assert (result.standing.revenue, await entry_count(sessions)) == ("none", 2)


async def test_a_credit_order_short_paid_by_a_cent_settles_its_receivable(
    sessions: Sessions, payments: PaymentActivities, activities: RevenueActivities
) -> None:
    await orders.place(sessions, payment_terms="on_credit")
    await deliver(sessions, {"1": 1})
    await activities.recognise_revenue(STEP)
    assert await balances(sessions) == EARNED | {"1122": 11_300}
    await payments.apply_payment(await report(sessions, 11_299, method="on_credit"))
    assert await balances(sessions) == EARNED | {"1002": 11_299, "6603.round": 1}


async def test_cash_on_delivery_is_owed_by_the_courier(
    sessions: Sessions, payments: PaymentActivities, activities: RevenueActivities
) -> None:
    await orders.place(sessions, payment_terms="cash_on_delivery")
    await deliver(sessions, {"1": 1})
    await activities.recognise_revenue(STEP)
    assert await balances(sessions) == EARNED | {"1122.cod": 11_300}
    await payments.apply_payment(await report(sessions, 11_300, method="cod"))
    assert await balances(sessions) == EARNED | {"1002": 11_300}


async def test_an_early_part_of_a_credit_order_is_used_up_first(
    sessions: Sessions, payments: PaymentActivities, activities: RevenueActivities
) -> None:
    await orders.place(sessions, payment_terms="on_credit")
    await payments.apply_payment(await report(sessions, 3_390, method="bank_transfer"))
    await deliver(sessions, {"1": 1})
    await activities.recognise_revenue(STEP)
    assert await balances(sessions) == EARNED | {"1002": 3_390, "1122": 7_910}
    await payments.apply_payment(await report(sessions, 7_910, "P-2", method="bank_transfer"))
    assert await balances(sessions) == EARNED | {"1002": 11_300}


async def test_our_own_coupon_lowers_the_price(
    sessions: Sessions, payments: PaymentActivities, activities: RevenueActivities
) -> None:
    await orders.place(sessions, lines=[Line(unit_price_minor=9_300)])
    await payments.apply_payment(await report(sessions, 9_300))
    await deliver(sessions, {"1": 1})
    await activities.recognise_revenue(STEP)
    assert await balances(sessions) == {
        "1012.01": 9_300,
        "1405": -6_000,
        "2221.01.01": -1_070,
        "6001.01": -8_230,
        "6401": 6_000,
    }


async def test_a_coupon_of_the_platform_leaves_the_price_as_it_is(
    sessions: Sessions, payments: PaymentActivities, activities: RevenueActivities
) -> None:
    await orders.place(sessions, total_minor=9_300, platform_discount_minor=2_000)
    await payments.apply_payment(await report(sessions, 9_300))
    await deliver(sessions, {"1": 1})
    await activities.recognise_revenue(STEP)
    assert await balances(sessions) == EARNED | {"1012.01": 9_300, "1221.platform": 2_000}


async def test_an_order_that_a_platform_pays_whole_needs_no_payment(
    sessions: Sessions, activities: RevenueActivities
) -> None:
    await orders.place(sessions, total_minor=0, platform_discount_minor=11_300)
    await deliver(sessions, {"1": 1})
    for _time in range(2):
        await activities.recognise_revenue(STEP)
    assert await balances(sessions) == EARNED | {"1221.platform": 11_300}


@pytest.mark.parametrize("parcels", [[[7]], [[1], [6]], [[2, 2], [3]], [[1], [1], [5]]])
async def test_any_parcels_and_payments_end_in_equal_books(
    sessions: Sessions, payments: PaymentActivities, activities: RevenueActivities, parcels: list[list[int]]
) -> None:
    await orders.place(sessions, lines=[Line(quantity=7, unit_price_minor=1_433)])
    numbers = iter(range(1, 10))
    for together in parcels:
        await payments.apply_payment(await report(sessions, 10_031 // len(parcels), f"P-{next(numbers)}"))
        for units in together:
            await deliver(sessions, {"1": units}, f"S-{next(numbers)}")
        await activities.recognise_revenue(STEP)
    rest = 10_031 - 10_031 // len(parcels) * len(parcels)
    if rest:
        await payments.apply_payment(await report(sessions, rest, "P-rest"))
    assert await balances(sessions) == {
        "1012.01": 10_031,
        "1405": -42_000,
        "2221.01.01": -1_154,
        "6001.01": -8_877,
        "6401": 42_000,
    }


async def test_every_parcel_is_dated_by_its_delivery_where_the_entity_is(
    sessions: Sessions, payments: PaymentActivities, activities: RevenueActivities
) -> None:
    await orders.place(sessions)
    await payments.apply_payment(await report(sessions, 11_300))
    await deliver(sessions, {"1": 1}, at=datetime(2026, 11, 30, 16, 30, tzinfo=UTC))
    await activities.recognise_revenue(STEP)
    async with sessions() as session:
        posted = await journal.entries_of(session, "SO-1")
    assert {one.entry.event: one.entry.accounting_date for one in posted[2:]} == {
        "revenue_recognised": date(2026, 12, 1),
        "vat_point_reached": date(2026, 12, 1),
        "cost_recognised": date(2026, 12, 1),
    }


async def test_a_foreign_order_that_is_finished_has_no_residue(
    sessions: Sessions, payments: PaymentActivities, activities: RevenueActivities
) -> None:
    rate = Decimal("1.2345678901")
    await orders.place(sessions, lines=[Line(quantity=3, unit_price_minor=3_767)], currency="BRL", fx_rate=rate)
    for number, minor in enumerate([333, 4_001, 6_967], start=1):
        await payments.apply_payment(await report(sessions, minor, f"P-{number}", currency="BRL"))
    for number in (1, 2, 3):
        await deliver(sessions, {"1": 1}, f"S-{number}")
        await activities.recognise_revenue(STEP)
    amounts = await both_amounts(sessions)
    assert amounts["1012.01", "BRL"] == (11_301, 13_952)
    assert amounts["2204", "BRL"] == amounts["2221.06", "BRL"] == (0, 0)
    assert amounts["6401", "CNY"] == (18_000, 18_000)
    assert amounts["1406", "CNY"] == (0, 0)
    assert sum(base for _document, base in amounts.values()) == 0


async def test_vat_that_an_invoice_made_due_is_not_moved_twice(
    sessions: Sessions, payments: PaymentActivities, activities: RevenueActivities
) -> None:
    await orders.place(sessions)
    await payments.apply_payment(await report(sessions, 11_300))
    await InvoiceActivities(sessions, SimulatedEInvoiceProvider(Memory())).issue_invoice(STEP)
    await deliver(sessions, {"1": 1})
    await activities.recognise_revenue(STEP)
    assert [entry for entry in await entries(sessions) if "2221.01.01" in entry] == [
        "invoice_issued | Dr 2221.06 1300 | Cr 2221.01.01 1300"
    ]
    assert await balances(sessions) == EARNED | {"1012.01": 11_300}


async def test_of_a_gift_only_the_cost_moves(
    sessions: Sessions, payments: PaymentActivities, activities: RevenueActivities
) -> None:
    await orders.place(sessions, lines=[Line(), Line("2", sku="SKU-2", unit_price_minor=0, gift_of="1")])
    await payments.apply_payment(await report(sessions, 11_300))
    await deliver(sessions, {"1": 1, "2": 1})
    await activities.recognise_revenue(STEP)
    assert (await entries(sessions))[-2:] == [
        "cost_recognised | Dr 6401 6000 | Cr 1406 6000",
        "gift_delivered | Dr 6401 6000 | Cr 1406 6000",
    ]
    assert (await balances(sessions))["6001.01"] == -10_000


@pytest.mark.parametrize("kind", ["sample", "gift"])
async def test_what_is_given_away_is_an_expense_with_the_vat_of_the_sale_it_is_deemed_to_be(
    sessions: Sessions, activities: RevenueActivities, kind: str
) -> None:
    async with sessions() as session, session.begin():
        session.add(Product(sku="SKU-1", name="Sample", price_minor=11_300, currency="CNY"))
    await orders.place(sessions, lines=[Line(unit_price_minor=0)], type=kind, payment_terms="none")
    await deliver(sessions, {"1": 1})
    result = await activities.recognise_revenue(STEP)
    assert result.standing.revenue == "full"
    assert await balances(sessions) == {"1405": -6_000, "2221.01.01": -1_300, "6601.sample": 7_300}


@pytest.mark.parametrize("kind", ["sample", "gift"])
async def test_gift_with_a_sample_that_is_paid_for_moves_its_cost_alone(
    sessions: Sessions, payments: PaymentActivities, activities: RevenueActivities, kind: str
) -> None:
    lines = [Line(), Line("2", sku="SKU-2", unit_price_minor=0, gift_of="1")]
    await orders.place(sessions, lines=lines, type=kind)
    await payments.apply_payment(await report(sessions, 11_300))
    await deliver(sessions, {"1": 1, "2": 1})
    await activities.recognise_revenue(STEP)
    books = await balances(sessions)
    assert (books["6401"], books["2221.01.01"], "6601.sample" in books) == (12_000, -1_300, False)


@pytest.mark.parametrize(("trusted", "vat"), [(True, 650), (False, 1_300)])
async def test_what_a_sample_is_worth_is_said_by_keys_that_may_set_prices_and_by_the_catalogue(
    sessions: Sessions, activities: RevenueActivities, trusted: bool, vat: int
) -> None:
    async with sessions() as session, session.begin():
        session.add(Product(sku="SKU-1", name="Sample", price_minor=11_300, currency="CNY"))
    sample: dict[str, Any] = {"type": "sample", "payment_terms": "none", "priced_by_client": trusted}
    await orders.place(sessions, lines=[Line(unit_price_minor=5_650)], **sample)
    async with sessions() as session, session.begin():
        line = await session.get_one(OrderLine, ("SO-1", "1"))
        line.seller_discount_minor = line.list_minor
        line.payable_minor = line.gross_minor = line.net_minor = line.tax_minor = 0
    await set_order(sessions, total_minor=0, net_minor=0, tax_minor=0)
    await deliver(sessions, {"1": 1})
    await activities.recognise_revenue(STEP)
    assert (await balances(sessions))["2221.01.01"] == -vat


async def test_goods_sold_for_a_consignor_are_never_our_revenue(
    sessions: Sessions, payments: PaymentActivities, activities: RevenueActivities
) -> None:
    await orders.place(sessions, lines=[Line(sold_as="agent")])
    await payments.apply_payment(await report(sessions, 11_300, method="agency_collection"))
    await deliver(sessions, {"1": 1})
    result = await activities.recognise_revenue(STEP)
    assert result.standing.revenue == "full"
    assert await balances(sessions) == {"1012.01": 11_300, "1405": -6_000, "2241.merchant": -11_300, "6401": 6_000}


async def test_parcels_without_any_amount_are_recognised_once(
    sessions: Sessions, activities: RevenueActivities
) -> None:
    await orders.place(sessions, lines=[Line(unit_price_minor=0, quantity=2)], payment_terms="none")
    await deliver(sessions, {"1": 1}, "S-1")
    await deliver(sessions, {"1": 1}, "S-2")
    for _time in range(2):
        result = await activities.recognise_revenue(STEP)
    assert result.standing.revenue == "full"
    assert (await story(sessions)).count("revenue.recognised") == 2


async def test_a_credit_order_without_a_rate_takes_it_when_it_is_known(
    sessions: Sessions, activities: RevenueActivities
) -> None:
    await orders.place(sessions, currency="BRL", payment_terms="on_credit")
    await deliver(sessions, {"1": 1})
    with pytest.raises(ApplicationError) as refused:
        await activities.recognise_revenue(STEP)
    assert (refused.value.type, refused.value.non_retryable) == ("fx_rate_missing", True)
    assert await _recognised(sessions) == 0
    async with sessions() as session, session.begin():
        session.add(FxRate(entity_id="main", currency="BRL", valid_from=date(2020, 1, 1), rate=Decimal(2)))
    await activities.recognise_revenue(STEP)
    assert (await both_amounts(sessions))["1122", "BRL"] == (11_300, 22_600)


async def test_a_missing_account_posts_nothing_at_all(sessions: Sessions, activities: RevenueActivities) -> None:
    await orders.place(sessions, payment_terms="on_credit")
    await deliver(sessions, {"1": 1})
    async with sessions() as session, session.begin():
        await session.exec(delete(AccountMapping).where(col(AccountMapping.role) == "cost_of_sales"))
    with pytest.raises(ApplicationError) as refused:
        await activities.recognise_revenue(STEP)
    assert refused.value.type == "account_mapping_missing"
    assert (await entry_count(sessions), await _recognised(sessions)) == (1, 0)


async def test_reverse_revenue_mirrors_every_entry_once(
    sessions: Sessions, payments: PaymentActivities, activities: RevenueActivities
) -> None:
    await orders.place(sessions, currency="BRL", fx_rate=Decimal("1.2345678901"))
    await payments.apply_payment(await report(sessions, 11_300, currency="BRL"))
    before = {account: amounts for account, amounts in (await both_amounts(sessions)).items() if any(amounts)}
    await deliver(sessions, {"1": 1})
    await activities.recognise_revenue(STEP)
    for _time in range(2):
        result = await activities.reverse_revenue(STEP)
    assert (result.standing.revenue, await entry_count(sessions)) == ("none", 8)
    after = {account: amounts for account, amounts in (await both_amounts(sessions)).items() if any(amounts)}
    assert after == before | {("1405", "CNY"): (-6_000, -6_000), ("1406", "CNY"): (6_000, 6_000)}
    assert await _reversed(sessions) == {
        "revenue_recognised_reversed": "revenue_recognised",
        "vat_point_reached_reversed": "vat_point_reached",
        "cost_recognised_reversed": "cost_recognised",
    }


async def test_reversing_what_was_never_earned_changes_nothing(
    sessions: Sessions, payments: PaymentActivities, activities: RevenueActivities
) -> None:
    await orders.place(sessions)
    await payments.apply_payment(await report(sessions, 11_300))
    await activities.reverse_revenue(STEP)
    assert (await entry_count(sessions), await story(sessions)) == (1, ["payment.received"])


async def test_an_order_undone_after_its_revenue_was_reversed_owes_and_owns_nothing(
    sessions: Sessions, payments: PaymentActivities, activities: RevenueActivities
) -> None:
    await orders.place(sessions)
    await payments.apply_payment(await report(sessions, 11_300))
    await deliver(sessions, {"1": 1})
    await activities.recognise_revenue(STEP)
    await activities.reverse_revenue(STEP)
    await set_order(sessions, lifecycle="accepted")
    await payments.refund_payments(STEP)
    assert await balances(sessions) == {"1405": -6_000, "1406": 6_000}


async def _recognised(sessions: Sessions) -> int:
    async with sessions() as session:
        return (await session.get_one(OrderLine, ("SO-1", "1"))).recognised


async def _reversed(sessions: Sessions) -> dict[str, str]:
    async with sessions() as session:
        posted = await journal.entries_of(session, "SO-1")
    by_id: dict[int | None, JournalEntry] = {one.entry.entry_id: one.entry for one in posted}
    return {
        one.entry.event: by_id[one.entry.reverses_entry_id].event
        for one in posted
        if one.entry.reverses_entry_id is not None
    }
