"""Refunds on a real database: all money goes back once, and an order that is undone leaves every account at zero."""

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from temporalio.exceptions import ApplicationError

from activities.invoices import InvoiceActivities
from activities.orders import OrderActivities, ResolveInput
from activities.payments import PaymentActivities
from activities.step import Step
from integrations.einvoice.simulated import SimulatedEInvoiceProvider
from integrations.memory import Memory
from integrations.payment.port import RefundRequest, RefundResult
from integrations.payment.simulated import PaymentBehaviour, SimulatedPaymentProvider
from models.masters import PaymentMethod
from runtime.database import Sessions
from tests.conftest import Database
from tests.factories import orders
from tests.factories.books import balances, both_amounts, entries, entry_count, open_books
from tests.factories.orders import Line
from tests.factories.payments import open_holds, order_row, payments, refunds, report, set_order, story

STEP = Step("SO-1", "undo")


class CountingProvider(SimulatedPaymentProvider):
    """A simulated provider that remembers what it was asked, in order."""

    def __init__(self, behaviour: PaymentBehaviour | None = None) -> None:
        super().__init__(Memory(), behaviour)
        self.asked: list[tuple[str, str, int, str]] = []

    async def refund(self, request: RefundRequest, key: str) -> RefundResult:
        self.asked.append((key, request.payment_id, request.amount_minor, request.method))
        return await super().refund(request, key)


@pytest.fixture
async def sessions(database: Database) -> Sessions:
    await open_books(database.sessions)
    return database.sessions


@pytest.fixture
def provider() -> CountingProvider:
    return CountingProvider()


@pytest.fixture
def activities(sessions: Sessions, provider: CountingProvider) -> PaymentActivities:
    return PaymentActivities(sessions, provider, tolerance_minor=1)


async def test_a_refund_before_shipment_takes_the_sale_out_of_the_books(
    sessions: Sessions, activities: PaymentActivities, provider: CountingProvider
) -> None:
    await orders.place(sessions)
    await activities.apply_payment(await report(sessions, 11_300))
    result = await activities.refund_payments(STEP)
    assert (result.held, result.standing.payment, result.standing.money_in) == (None, "refunded", False)
    assert (await entries(sessions))[1:] == [
        "refund_approved | Dr 2204 10000 | Dr 2221.06 1300 | Cr 2241.refund 11300",
        "refund_paid | Dr 2241.refund 11300 | Cr 1012.01 11300",
    ]
    assert provider.asked == [("SO-1-R1", "P-1", 11_300, "alipay")]
    assert await story(sessions) == ["payment.received", "refund.requested", "refund.succeeded"]


async def test_refund_payments_twice_has_one_effect(
    sessions: Sessions, activities: PaymentActivities, provider: CountingProvider
) -> None:
    await orders.place(sessions)
    await activities.apply_payment(await report(sessions, 11_300))
    await activities.refund_payments(STEP)
    again = await activities.refund_payments(STEP)
    assert (again.held, again.standing.payment) == (None, "refunded")
    assert await refunds(sessions) == {"SO-1-R1": ("P-1", 11_300, "succeeded")}
    assert (await entry_count(sessions), len(provider.asked)) == (3, 1)


async def test_an_unpaid_order_has_nothing_to_refund(
    sessions: Sessions, activities: PaymentActivities, provider: CountingProvider
) -> None:
    await orders.place(sessions)
    result = await activities.refund_payments(STEP)
    assert (result.held, result.standing.payment, provider.asked) == (None, "unpaid", [])
    assert await entries(sessions) == []


COUPON: dict[str, Any] = {"platform_discount_minor": 2_000, "total_minor": 9_300}
MIXTURES: list[tuple[list[tuple[str, int]], dict[str, Any]]] = [
    ([("alipay", 11_300)], {}),
    ([("alipay", 5_000)], {}),
    ([("alipay", 11_299)], {}),
    ([("alipay", 11_301)], {}),
    ([("alipay", 12_345)], {}),
    ([("alipay", 11_300), ("alipay", 11_300)], {}),
    ([("voucher", 10_000), ("bank_transfer", 1_000), ("alipay", 299)], {}),
    ([("cash_on_delivery", 4_000)], {"payment_terms": "cash_on_delivery"}),
    ([("bank_transfer", 11_299), ("bank_transfer", 1)], {"payment_terms": "on_credit"}),
    ([("alipay", 9_300)], COUPON),
    ([("alipay", 4_651), ("agency_collection", 4_650)], COUPON),
    ([("alipay", 1)], COUPON | {"platform_discount_minor": 11_300, "total_minor": 0}),
    ([("alipay", 3_333)], COUPON | {"platform_discount_minor": 11_300, "total_minor": 0}),
    ([("voucher", 1), ("alipay", 11_298)], {"currency": "BRL", "fx_rate": Decimal("1.2345678901")}),
    ([("alipay", 7_777), ("alipay", 7_777)], {"currency": "JPY", "fx_rate": Decimal("0.0487654321")}),
]


@pytest.mark.parametrize(("paid", "columns"), MIXTURES)
async def test_a_full_cancel_leaves_every_account_at_zero(
    sessions: Sessions,
    activities: PaymentActivities,
    provider: CountingProvider,
    paid: list[tuple[str, int]],
    columns: dict[str, Any],
) -> None:
    order = await orders.place(sessions, **columns)
    for number, (method, minor) in enumerate(paid, start=1):
        fact = await report(sessions, minor, f"P-{number}", method=method, currency=order.currency)
        await activities.apply_payment(fact)
    result = await activities.refund_payments(STEP)
    assert result.standing.payment == "refunded"
    assert set((await both_amounts(sessions)).values()) == {(0, 0)}
    assert [(minor, method) for _key, _payment, minor, method in provider.asked] == [(m, how) for how, m in paid]
    row = await order_row(sessions)
    assert (row.refunded_minor, row.written_off_minor) == (sum(minor for _method, minor in paid), 0)


async def test_agent_and_principal_goods_are_undone_together(sessions: Sessions, activities: PaymentActivities) -> None:
    await orders.place(sessions, lines=[Line(), Line("2", unit_price_minor=5_001, sold_as="agent")])
    await activities.apply_payment(await report(sessions, 16_301))
    assert (await balances(sessions))["2241.merchant"] == -5_001
    await activities.refund_payments(STEP)
    assert await balances(sessions) == {}


async def test_later_money_has_a_refund_of_its_own(sessions: Sessions, activities: PaymentActivities) -> None:
    await orders.place(sessions)
    await activities.apply_payment(await report(sessions, 5_000))
    await activities.refund_payments(STEP)
    # Between the undoing and the closing of the order, and after it.
    await activities.apply_payment(await report(sessions, 6_300, "P-2"))
    await activities.refund_payments(STEP)
    await set_order(sessions, lifecycle="cancelled")
    await activities.apply_payment(await report(sessions, 700, "P-3"))
    result = await activities.refund_payments(STEP)
    assert await payments(sessions) == {"P-1": "applied", "P-2": "applied", "P-3": "late"}
    assert await refunds(sessions) == {
        "SO-1-R1": ("P-1", 5_000, "succeeded"),
        "SO-1-R2": ("P-2", 6_300, "succeeded"),
        "SO-1-R3": ("P-3", 700, "succeeded"),
    }
    assert (result.standing.money_in, await balances(sessions)) == (False, {})


async def test_money_set_aside_goes_back_without_touching_the_books(
    sessions: Sessions, activities: PaymentActivities, provider: CountingProvider
) -> None:
    await orders.place(sessions)
    await activities.apply_payment(await report(sessions, 500, currency="USD"))
    result = await activities.refund_payments(STEP)
    assert (result.held, provider.asked) == (None, [("SO-1-R1", "P-1", 500, "alipay")])
    assert (await entries(sessions), (await order_row(sessions)).refunded_minor) == ([], 0)


async def test_a_completed_order_keeps_its_money(
    sessions: Sessions, activities: PaymentActivities, provider: CountingProvider
) -> None:
    await orders.place(sessions)
    await activities.apply_payment(await report(sessions, 11_300))
    await set_order(sessions, lifecycle="completed")
    result = await activities.refund_payments(STEP)
    assert (result.standing.payment, provider.asked) == ("paid", [])


async def test_money_that_waits_to_be_posted_holds_its_refund(
    sessions: Sessions, activities: PaymentActivities, provider: CountingProvider
) -> None:
    await orders.place(sessions)
    await activities.apply_payment(await report(sessions, 11_300, method="barter"))
    result = await activities.refund_payments(STEP)
    assert (result.held, provider.asked) == ("payment_method_unknown", [])
    async with sessions() as session, session.begin():
        session.add(PaymentMethod(method="barter", category="offline_transfer"))
    result = await activities.refund_payments(STEP)
    assert (result.held, result.standing.payment, result.standing.blocking_holds) == (None, "refunded", ())
    assert await balances(sessions) == {}


async def test_a_lost_reply_is_asked_again_under_the_same_key(
    sessions: Sessions, activities: PaymentActivities, provider: CountingProvider
) -> None:
    provider.behaviour = PaymentBehaviour(lost_reply_share=1.0)
    await orders.place(sessions)
    await activities.apply_payment(await report(sessions, 11_300))
    with pytest.raises(ApplicationError) as failed:
        await activities.refund_payments(STEP)
    assert (failed.value.type, failed.value.non_retryable) == ("payment_unavailable", False)
    assert await balances(sessions) == {"1012.01": 11_300, "2241.refund": -11_300}
    result = await activities.refund_payments(STEP)
    assert (result.standing.payment, await balances(sessions)) == ("refunded", {})
    assert [key for key, *_rest in provider.asked] == ["SO-1-R1", "SO-1-R1"]


async def test_a_pending_refund_is_asked_again_until_it_is_settled(
    sessions: Sessions, activities: PaymentActivities, provider: CountingProvider
) -> None:
    provider.behaviour = PaymentBehaviour(pending_seconds=3_600)
    await orders.place(sessions)
    await activities.apply_payment(await report(sessions, 11_300))
    with pytest.raises(ApplicationError) as failed:
        await activities.refund_payments(STEP)
    assert (failed.value.type, failed.value.non_retryable) == ("refund_pending", False)
    assert await refunds(sessions) == {"SO-1-R1": ("P-1", 11_300, "requested")}
    assert (await order_row(sessions)).refunded_minor == 0


async def test_a_refusal_holds_the_order_and_a_retry_asks_under_a_new_key(
    sessions: Sessions, activities: PaymentActivities, provider: CountingProvider
) -> None:
    provider.behaviour = PaymentBehaviour(refused_methods=frozenset({"voucher"}))
    await orders.place(sessions)
    await activities.apply_payment(await report(sessions, 10_000, "P-1", method="voucher"))
    await activities.apply_payment(await report(sessions, 1_300, "P-2"))
    for _time in range(2):
        result = await activities.refund_payments(STEP)
        assert (result.held, result.standing.payment) == ("refund_failed", "partially_refunded")
    assert [key for key, *_rest in provider.asked] == ["SO-1-R1", "SO-1-R2"]
    assert (await open_holds(sessions))["refund_failed"]["refund_id"] == "SO-1-R1"
    provider.behaviour = replace(provider.behaviour, refused_methods=frozenset())
    await OrderActivities(sessions).resolve_holds(ResolveInput("SO-1", "retried", "lin"))
    result = await activities.refund_payments(STEP)
    assert (result.held, result.standing.payment) == (None, "refunded")
    assert [key for key, *_rest in provider.asked] == ["SO-1-R1", "SO-1-R2", "SO-1-R1/1"]
    assert await balances(sessions) == {}


@pytest.mark.parametrize("paid", [0, 5_000, 11_300])
@pytest.mark.parametrize("credited_first", [True, False])
async def test_an_invoice_before_shipment_leaves_nothing_behind_either(
    sessions: Sessions, activities: PaymentActivities, paid: int, *, credited_first: bool
) -> None:
    await orders.place(sessions)
    if paid:
        await activities.apply_payment(await report(sessions, paid))
    invoices = InvoiceActivities(sessions, SimulatedEInvoiceProvider(Memory()))
    await invoices.issue_invoice(STEP)
    assert (await balances(sessions))["2221.01.01"] == -1_300
    steps = [invoices.credit_invoices, activities.refund_payments]
    for step in steps if credited_first else reversed(steps):
        await step(STEP)
    assert await balances(sessions) == {}
