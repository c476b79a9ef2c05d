"""Presales on a real database: deposits that bind, are kept and go back, and books that are right for each."""

from datetime import UTC, datetime, timedelta

import pytest

from activities.orders import BranchInput, CancelInput, NotifyInput, OrderActivities, WaitInput
from activities.payments import PaymentActivities
from activities.revenue import RevenueActivities
from activities.step import Step
from activities.terms import TermsActivities
from domain.flow.nodes import BranchNode, Case
from integrations.memory import Memory
from integrations.payment.simulated import SimulatedPaymentProvider
from models.order import OrderHold
from runtime.database import Sessions
from store import orders as order_rows
from store import payments as payment_rows
from tests.conftest import Database
from tests.factories import orders
from tests.factories.books import balances, entries, open_books
from tests.factories.deliveries import deliver
from tests.factories.payments import bring, open_holds, order_row, payments, refunds, report, set_order, story

STEP = Step("SO-1", "forfeit")
UNDO = Step("SO-1", "unlock")
CLOSES_AT = datetime(2126, 11, 22, tzinfo=UTC)
DEPOSIT, BALANCE, TOTAL = 3_390, 7_910, 11_300
KEPT = {"1012.01": DEPOSIT, "6301": -DEPOSIT}
MISSED = BranchNode(
    kind="branch", cases=(Case(label="refundable", when="order.deposit_refundable", next="unlock"),), default="forfeit"
)


@pytest.fixture
async def sessions(database: Database) -> Sessions:
    await open_books(database.sessions)
    await orders.place(
        database.sessions,
        type="presale",
        lifecycle="accepted",
        payment_terms="deposit_balance",
        deposit_minor=DEPOSIT,
        balance_closes_at=CLOSES_AT,
    )
    return database.sessions


@pytest.fixture
def activities(sessions: Sessions) -> PaymentActivities:
    return PaymentActivities(sessions, SimulatedPaymentProvider(Memory()), tolerance_minor=1)


@pytest.fixture
def terms(sessions: Sessions) -> TermsActivities:
    return TermsActivities(sessions)


async def pay(sessions: Sessions, activities: PaymentActivities, *amounts: int) -> None:
    for number, amount in enumerate(amounts, start=1):
        await activities.apply_payment(await report(sessions, amount, f"P-{number}"))


async def ask_for_balance(sessions: Sessions) -> None:
    await OrderActivities(sessions).notify(NotifyInput("SO-1", "ask", 1, "order.balance_due", ("customer",)))


async def call_off(sessions: Sessions, said: str = '{"reason": "changed their mind"}') -> None:
    fact = await bring(sessions, said, "cancel-1", "SO-1", kind="cancel.requested")
    await OrderActivities(sessions).begin_cancel(CancelInput("SO-1", "service", fact.inbox_id))


async def test_deposit_in_parts_binds_once_it_is_complete(sessions: Sessions, activities: PaymentActivities) -> None:
    for number, (amount, bound) in enumerate([(1_000, False), (2_389, False), (1, True)], start=1):
        result = await activities.apply_payment(await report(sessions, amount, f"P-{number}"))
        assert result.standing.deposit_paid is bound
        assert set(await open_holds(sessions)) == (set() if bound else {"payment_short"})


async def test_balance_in_parts_is_as_planned(sessions: Sessions, activities: PaymentActivities) -> None:
    await pay(sessions, activities, DEPOSIT, 5_000, 2_910)
    assert await open_holds(sessions) == {}
    async with sessions() as session:
        assert (await order_rows.standing(session, "SO-1")).payment == "paid"
    assert await balances(sessions) == {"1012.01": TOTAL, "2204": -10_000, "2221.06": -1_300}


async def test_missed_balance_leaves_the_deposit_as_income_and_nothing_else(
    sessions: Sessions, activities: PaymentActivities, terms: TermsActivities
) -> None:
    await pay(sessions, activities, DEPOSIT)
    await ask_for_balance(sessions)
    await terms.forfeit_deposit(STEP)
    result = await activities.refund_payments(UNDO)
    assert (result.held, result.standing.payment, result.standing.money_in) == (None, "forfeited", False)
    assert await entries(sessions) == [
        "payment_received | Dr 1012.01 3390 | Cr 2204 3000 | Cr 2221.06 390",
        "deposit_forfeited | Dr 2204 3000 | Dr 2221.06 390 | Cr 6301 3390",
    ]
    assert await balances(sessions) == KEPT
    assert await refunds(sessions) == {}
    assert (await order_row(sessions)).forfeited_minor == DEPOSIT


async def test_part_of_a_balance_goes_back_when_the_rest_is_missed(
    sessions: Sessions, activities: PaymentActivities, terms: TermsActivities
) -> None:
    await pay(sessions, activities, 3_000, 2_000)
    await ask_for_balance(sessions)
    await terms.forfeit_deposit(STEP)
    await activities.refund_payments(UNDO)
    assert await balances(sessions) == KEPT
    assert await refunds(sessions) == {"SO-1-R1": ("P-2", 1_610, "succeeded")}
    row = await order_row(sessions)
    assert (row.paid_minor, row.refunded_minor, row.forfeited_minor) == (5_000, 1_610, DEPOSIT)


async def test_forfeit_deposit_twice_has_one_effect(
    sessions: Sessions, activities: PaymentActivities, terms: TermsActivities
) -> None:
    await pay(sessions, activities, DEPOSIT)
    await ask_for_balance(sessions)
    for _time in range(2):
        await terms.forfeit_deposit(STEP)
    for _time in range(2):
        await activities.refund_payments(UNDO)
    assert await balances(sessions) == KEPT
    told = await story(sessions)
    assert (told.count("deposit.lost"), told.count("deposit.forfeited")) == (1, 1)


async def test_refundable_deposit_goes_back_whole(
    sessions: Sessions, activities: PaymentActivities, terms: TermsActivities
) -> None:
    await set_order(sessions, deposit_refundable=True)
    await pay(sessions, activities, DEPOSIT)
    await ask_for_balance(sessions)
    await terms.forfeit_deposit(STEP)
    await activities.refund_payments(UNDO)
    assert set((await balances(sessions)).values()) <= {0}
    assert await refunds(sessions) == {"SO-1-R1": ("P-1", DEPOSIT, "succeeded")}


async def test_deposit_is_not_kept_from_who_paid_all_in_the_last_moment(
    sessions: Sessions, activities: PaymentActivities, terms: TermsActivities
) -> None:
    await pay(sessions, activities, DEPOSIT)
    await ask_for_balance(sessions)
    await activities.apply_payment(await report(sessions, BALANCE - 1, "P-2"))
    await terms.forfeit_deposit(STEP)
    assert (await order_row(sessions)).forfeit_deposit is False


async def test_balance_after_the_deposit_was_kept_goes_back_alone(
    sessions: Sessions, activities: PaymentActivities, terms: TermsActivities
) -> None:
    await pay(sessions, activities, DEPOSIT)
    await ask_for_balance(sessions)
    await terms.forfeit_deposit(STEP)
    await activities.refund_payments(UNDO)
    await set_order(sessions, lifecycle="expired")
    late = await activities.apply_payment(await report(sessions, BALANCE, "P-2"))
    assert (late.outcome, late.standing.money_in) == ("too_late", True)
    await activities.refund_payments(UNDO)
    assert await balances(sessions) == KEPT
    assert await refunds(sessions) == {"SO-1-R1": ("P-2", BALANCE, "succeeded")}


@pytest.mark.parametrize(
    ("refundable", "asked", "leads_to"),
    [(False, True, "forfeit"), (True, True, "unlock"), (False, False, "unlock")],
)
async def test_branch_knows_whether_the_deposit_is_refundable_now(
    sessions: Sessions, refundable: bool, asked: bool, leads_to: str
) -> None:
    await set_order(sessions, deposit_refundable=refundable)
    if asked:
        await ask_for_balance(sessions)
    decided = await OrderActivities(sessions).decide_branch(BranchInput("SO-1", "missed", 1, "presale", 1, MISSED))
    assert decided.next == leads_to


async def test_customer_who_was_asked_too_late_has_missed_nothing(
    sessions: Sessions, activities: PaymentActivities, terms: TermsActivities
) -> None:
    await set_order(sessions, balance_closes_at=datetime(2026, 1, 1, tzinfo=UTC))
    await pay(sessions, activities, DEPOSIT)
    await ask_for_balance(sessions)
    await terms.forfeit_deposit(STEP)
    assert (await order_row(sessions)).forfeit_deposit is False


@pytest.mark.parametrize(
    ("paid", "said", "kept"),
    [
        ([], '{"reason": "no"}', 0),
        ([1_000], '{"reason": "no"}', 0),
        ([DEPOSIT], '{"reason": "no"}', DEPOSIT),
        ([DEPOSIT, BALANCE], '{"reason": "no"}', DEPOSIT),
        ([TOTAL], '{"reason": "no", "deposit": "policy"}', DEPOSIT),
        ([DEPOSIT], '{"reason": "no", "deposit": "refund"}', 0),
    ],
)
async def test_order_called_off_keeps_a_complete_deposit_and_gives_back_the_rest(
    sessions: Sessions, activities: PaymentActivities, paid: list[int], said: str, kept: int
) -> None:
    await pay(sessions, activities, *paid)
    await call_off(sessions, said)
    result = await activities.refund_payments(UNDO)
    assert result.standing.money_in is False
    left = {account: minor for account, minor in (await balances(sessions)).items() if minor}
    assert left == ({"1012.01": kept, "6301": -kept} if kept else {})
    row = await order_row(sessions)
    assert (row.refunded_minor, row.forfeited_minor) == (sum(paid) - kept, kept)


async def test_order_that_is_held_can_be_called_off_without_losing_the_deposit(
    sessions: Sessions, activities: PaymentActivities
) -> None:
    await pay(sessions, activities, DEPOSIT)
    async with sessions() as session, session.begin():
        session.add(
            OrderHold(hold_id="H", order_no="SO-1", reason_code="out_of_stock", detail="", owner_role="warehouse")
        )
    await call_off(sessions)
    await activities.refund_payments(UNDO)
    assert await refunds(sessions) == {"SO-1-R1": ("P-1", DEPOSIT, "succeeded")}


async def test_cancellation_that_was_refused_leaves_the_deposit_alone(
    sessions: Sessions, activities: PaymentActivities
) -> None:
    await pay(sessions, activities, DEPOSIT)
    await call_off(sessions)
    assert (await order_row(sessions)).forfeit_deposit is True
    await OrderActivities(sessions).withdraw_cancel(CancelInput("SO-1", "service"))
    assert (await order_row(sessions)).forfeit_deposit is False


async def test_deposit_before_and_balance_after_delivery_use_the_receivable(
    sessions: Sessions, activities: PaymentActivities
) -> None:
    await activities.apply_payment(await report(sessions, DEPOSIT, method="bank_transfer"))
    await deliver(sessions, {"1": 1})
    await RevenueActivities(sessions).recognise_revenue(Step("SO-1", "revenue"))
    await activities.apply_payment(await report(sessions, BALANCE, "P-2", method="bank_transfer"))
    assert (await entries(sessions))[2:] == [
        "revenue_recognised | Dr 1122 7910 | Dr 2204 3000 | Cr 2221.06 910 | Cr 6001.01 10000",
        "vat_point_reached | Dr 2221.06 1300 | Cr 2221.01.01 1300",
        "cost_recognised | Dr 6401 6000 | Cr 1406 6000",
        "payment_received | Dr 1002 7910 | Cr 1122 7910",
    ]
    books = await balances(sessions)
    assert books == {"1002": TOTAL, "1405": -6_000, "2221.01.01": -1_300, "6001.01": -10_000, "6401": 6_000}
    assert sum(minor for account, minor in books.items() if not account.startswith(("14", "6401"))) == 0


async def test_wait_until_an_agreed_moment_is_not_taken_for_an_earlier_one(sessions: Sessions) -> None:
    opens_at = CLOSES_AT - timedelta(days=3)
    for node, until in (("early", opens_at), ("balance", CLOSES_AT)):
        wait = WaitInput("SO-1", node, 1, "payment.balance", timedelta(0), until)
        assert (await OrderActivities(sessions).open_wait(wait)).deadline == until
        assert (await order_row(sessions)).deadline_at == until


async def test_kind_of_a_payment_is_what_the_plan_expects_next(
    sessions: Sessions, activities: PaymentActivities
) -> None:
    await pay(sessions, activities, DEPOSIT, 5_000)
    assert await payments(sessions) == {"P-1": "applied", "P-2": "applied"}
    async with sessions() as session:
        kinds = [one.kind for one in await payment_rows.of_order(session, "SO-1")]
    assert kinds == ["deposit", "balance"]
