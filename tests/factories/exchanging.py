"""Exchanges for tests: an order that has arrived, what its buyer wants instead, and what became of both orders."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from activities.orders import CancelInput, CloseInput, OrderActivities
from activities.payments import PaymentActivities
from activities.refunding import RefundActivities
from activities.returning import ReturnActivities
from activities.revenue import RevenueActivities
from activities.step import Step
from domain.exchanging import replacement_number
from integrations.memory import Memory
from integrations.payment.port import RefundRequest, RefundResult
from integrations.payment.simulated import SimulatedPaymentProvider
from models.columns import now
from runtime.database import Sessions
from store import payments
from store.checks import credits, money
from tests.factories.books import balances
from tests.factories.deliveries import deliver
from tests.factories.orders import Line, place
from tests.factories.payments import report
from tests.factories.refunding import ask, goodwill
from tests.factories.returning import NUMBER, announced, received, row_of
from tests.factories.stock import stocked

NEW = replacement_number("web", NUMBER)
STEP = Step("SO-1", "return")
PRICE = 11_300


class Provider(SimulatedPaymentProvider):
    """A payment provider that remembers what it was asked."""

    def __init__(self) -> None:
        super().__init__(Memory())
        self.asked: list[tuple[str, str, int]] = []

    async def refund(self, request: RefundRequest, key: str) -> RefundResult:
        self.asked.append((request.order_no, request.payment_id, request.amount_minor))
        return await super().refund(request, key)


class Counter:
    """Those who exchange goods, and those who pay, on one database."""

    def __init__(self, sessions: Sessions) -> None:
        self.sessions = sessions
        self.provider = Provider()
        self.returning = ReturnActivities(sessions, 1)
        self.payments = PaymentActivities(sessions, self.provider, tolerance_minor=1)
        self.orders = OrderActivities(sessions)

    async def sold(self, quantity: int = 2, paid_minor: int | None = None, **columns: Any) -> None:
        """An order of this many units at 113.00 that is paid and has arrived, yesterday."""
        await stocked(self.sessions, SKU_1=10)
        await place(self.sessions, lines=[Line(quantity=quantity)], **({"lifecycle": "completed"} | columns))
        if paid_minor != 0:
            currency = columns.get("currency", "CNY")
            await self.payments.apply_payment(
                await report(self.sessions, paid_minor or quantity * PRICE, currency=currency)
            )
        await deliver(self.sessions, {"1": quantity}, at=now() - timedelta(days=1))
        await RevenueActivities(self.sessions).recognise_revenue(STEP)

    async def opened(self, units: int, *instead: dict[str, Any], **said: Any) -> str | None:
        wish = {"kind": "exchange", "instead": list(instead)} | said
        return (await self.returning.open_return(await announced(self.sessions, {"1": units}, **wish))).state

    async def receive(self, receipt_id: str = "R-1", last: bool = True, **found: int) -> str:
        fact = await received(self.sessions, {"line_id": "1"} | found, receipt_id=receipt_id, last=last)
        outcome = (await self.returning.receive_return(fact)).outcome
        await self.paid_out()
        return outcome

    async def paid_out(self, order_no: str = "SO-1") -> None:
        await self.payments.pay_refunds(Step(order_no, "return"))

    async def goodwill(self, minor: int, reason_code: str) -> None:
        await RefundActivities(self.sessions).grant_refund(await ask(self.sessions, goodwill(minor, reason_code)))
        await self.paid_out()

    async def pays(self, minor: int) -> str:
        """The customer pays for the replacement."""
        fact = await report(self.sessions, minor, "P-2", NEW)
        return (await self.payments.apply_payment(fact)).outcome

    async def call_off(self, result: str = "cancelled") -> None:
        """The replacement is undone as its workflow does it."""
        if result == "cancelled":
            await self.orders.begin_cancel(CancelInput(NEW, "clerk"))
        await self.payments.refund_payments(Step(NEW, "undo"))
        await self.orders.close_order(CloseInput(NEW, result))

    async def arrives(self, units: Mapping[str, int]) -> None:
        """The replacement has arrived and is in the books."""
        await deliver(self.sessions, units, "S-NEW", NEW, now())
        await RevenueActivities(self.sessions).recognise_revenue(Step(NEW, "revenue"))

    async def books(self) -> tuple[dict[str, int], dict[str, int]]:
        """What stands on the accounts of both orders."""
        return await balances(self.sessions), await balances(self.sessions, NEW)

    async def replacement_no(self) -> str | None:
        return (await row_of(self.sessions)).replacement_no

    async def credits(self) -> dict[str, tuple[str, int, str]]:
        """Payments of the replacement: category, amount and state, by id."""
        async with self.sessions() as session:
            rows = await payments.of_order(session, NEW)
        return {row.payment_id: (row.category, row.amount_minor, row.state) for row in rows}

    async def differences(self) -> list[str]:
        """What the checks of money and books find on both orders."""
        questions = (
            money.entries_balance,
            money.payments_are_in_the_books,
            money.refunds_are_in_the_books,
            money.orders_count_their_money,
            money.lines_count_what_was_granted,
            money.revenue_is_what_was_recognised,
            money.ended_sales_owe_no_goods,
            credits.credits_are_what_was_given_up,
            credits.no_credit_waits_for_a_return_that_is_over,
        )
        async with self.sessions() as session:
            return [f"{question.__name__}: {one}" for question in questions for one in await question(session, None)]


def same(quantity: int = 1) -> dict[str, Any]:
    return {"line_id": "1", "sku": "SKU-1", "quantity": quantity}


def other(unit_price_minor: int, quantity: int = 1) -> dict[str, Any]:
    """Units of another SKU, as our door has priced them."""
    priced = {"unit_price_minor": unit_price_minor, "tax_rate": "0.13"}
    return {"line_id": "1", "sku": "SKU-9", "quantity": quantity} | priced
