from collections.abc import AsyncIterator
from datetime import datetime
from zoneinfo import ZoneInfo

import pytest
from sqlmodel import select
from temporalio.exceptions import ApplicationError

from activities.payments import PaymentActivities
from integrations.memory import Memory
from integrations.payment.simulated import SimulatedPaymentProvider
from models.columns import now
from models.masters import NumberSeries
from runtime.database import Sessions
from store import invoices, orders
from tests.conftest import Database
from tests.factories.books import balances, entries, open_books
from tests.factories.deliveries import deliver
from tests.factories.invoices import STEP, Provider, credit, issue, overview
from tests.factories.orders import Line, place
from tests.factories.payments import open_holds, report, set_order, story

YEAR = datetime.now(ZoneInfo("Asia/Shanghai")).year


@pytest.fixture
async def provider() -> AsyncIterator[Provider]:
    memory = Memory()
    yield Provider(memory)
    memory.close()


async def invoiced(sessions: Sessions) -> list[int]:
    async with sessions() as session:
        return [line.invoiced for line in await orders.lines(session, "SO-1")]


async def recognise(sessions: Sessions) -> None:
    await deliver(sessions, {"1": 1})
    async with sessions() as session, session.begin():
        for line in await orders.lines(session, "SO-1"):
            line.recognised = line.delivered


async def test_a_credit_note_takes_back_the_whole_invoice(database: Database, provider: Provider) -> None:
    await place(database.sessions, lines=[Line("1", quantity=2), Line("2", "SKU-2", 1, 0, gift_of="1")])
    await issue(database.sessions, provider)
    result = await credit(database.sessions, provider)
    assert (result.held, result.outcome, result.standing.invoice) == (None, "applied", "none")
    assert await overview(database.sessions) == [
        ("SO-1-I1", f"{YEAR}-00000001", "issued", 22_600),
        ("SO-1-R1", f"C{YEAR}-00000001", "issued", 22_600),
    ]
    async with database.sessions() as session:
        blue, red = await invoices.of_order(session, "SO-1")
    assert (red.invoice.kind, red.invoice.original_key) == ("red", "SO-1-I1")
    assert [(line.line_id, line.quantity, line.net_minor, line.tax_minor) for line in red.lines] == [
        (line.line_id, line.quantity, line.net_minor, line.tax_minor) for line in blue.lines
    ]
    assert await invoiced(database.sessions) == [0, 0]
    assert await story(database.sessions) == ["invoice.issued", "invoice.credited"]


async def test_crediting_twice_has_one_effect(database: Database, provider: Provider) -> None:
    await place(database.sessions)
    await issue(database.sessions, provider)
    first, second = await credit(database.sessions, provider), await credit(database.sessions, provider)
    assert first == second
    assert provider.asked == ["issue SO-1-I1", "red SO-1-R1"]
    assert len(await overview(database.sessions)) == 2


async def test_crediting_without_an_invoice_is_harmless(database: Database, provider: Provider) -> None:
    await place(database.sessions)
    assert (await credit(database.sessions, provider)).outcome == "applied"
    assert (provider.asked, await story(database.sessions)) == ([], [])


async def test_the_vat_point_goes_back_with_the_invoice(database: Database, provider: Provider) -> None:
    await place(database.sessions)
    await issue(database.sessions, provider)
    await credit(database.sessions, provider)
    assert await entries(database.sessions) == [
        "invoice_issued | Dr 2221.06 1300 | Cr 2221.01.01 1300",
        "invoice_credited | Dr 2221.01.01 1300 | Cr 2221.06 1300",
    ]
    assert await balances(database.sessions) == {}


@pytest.mark.parametrize("refund_first", [True, False])
async def test_undoing_a_paid_and_invoiced_order_leaves_no_vat_in_any_order(
    database: Database, provider: Provider, *, refund_first: bool
) -> None:
    await open_books(database.sessions)
    await place(database.sessions)
    memory = Memory()
    payments = PaymentActivities(database.sessions, SimulatedPaymentProvider(memory), tolerance_minor=1)
    await payments.apply_payment(await report(database.sessions, 11_300))
    await issue(database.sessions, provider)
    await set_order(database.sessions, cancel_requested_at=now())
    if refund_first:
        await payments.refund_payments(STEP)
    await credit(database.sessions, provider)
    if not refund_first:
        await payments.refund_payments(STEP)
    memory.close()
    assert await balances(database.sessions) == {}


async def test_the_vat_of_recognised_goods_stays_due(database: Database, provider: Provider) -> None:
    await place(database.sessions)
    await recognise(database.sessions)
    before = await balances(database.sessions)
    await issue(database.sessions, provider)
    await credit(database.sessions, provider)
    assert await balances(database.sessions) == before


async def test_a_lost_answer_leaves_one_credit_note(database: Database, provider: Provider) -> None:
    await place(database.sessions)
    await issue(database.sessions, provider)
    provider.behave(lost_reply_share=1.0)
    with pytest.raises(ApplicationError, match="einvoice_unavailable"):
        await credit(database.sessions, provider)
    await credit(database.sessions, provider)
    assert provider.asked == ["issue SO-1-I1", "red SO-1-R1", "query SO-1-R1"]
    assert [state for _key, _number, state, _gross in await overview(database.sessions)] == ["issued", "issued"]


async def test_an_invoice_without_an_answer_is_recorded_and_taken_back(database: Database, provider: Provider) -> None:
    await place(database.sessions)
    provider.behave(lost_reply_share=1.0)
    with pytest.raises(ApplicationError):
        await issue(database.sessions, provider)
    provider.behave(lost_reply_share=0.0)
    await credit(database.sessions, provider)
    assert provider.asked == ["issue SO-1-I1", "query SO-1-I1", "red SO-1-R1"]
    assert await invoiced(database.sessions) == [0]
    assert await balances(database.sessions) == {}


async def test_an_invoice_that_never_reached_the_provider_is_withdrawn(database: Database, provider: Provider) -> None:
    await place(database.sessions)
    provider.behave(down=True)
    with pytest.raises(ApplicationError):
        await issue(database.sessions, provider)
    provider.behave(down=False)
    result = await credit(database.sessions, provider)
    assert (result.held, result.standing.blocking_holds) == (None, ())
    assert await overview(database.sessions) == [("SO-1-I1", None, "rejected", 11_300)]
    assert provider.asked == ["issue SO-1-I1", "query SO-1-I1"]


async def test_an_undecided_invoice_is_waited_for(database: Database, provider: Provider) -> None:
    await place(database.sessions)
    provider.behave(pending_seconds=60)
    with pytest.raises(ApplicationError):
        await issue(database.sessions, provider)
    with pytest.raises(ApplicationError, match="invoice_pending"):
        await credit(database.sessions, provider)
    provider.wait(61)
    provider.behave(pending_seconds=0)
    assert (await credit(database.sessions, provider)).standing.invoice == "none"


async def test_a_rejected_credit_note_is_a_hold_and_the_next_try_has_its_own_key(
    database: Database, provider: Provider
) -> None:
    await place(database.sessions)
    await issue(database.sessions, provider)
    provider.behave(rejected_keys=frozenset({"SO-1-R1"}))
    assert (await credit(database.sessions, provider)).held == "invoice_rejected"
    assert await open_holds(database.sessions) == {
        "invoice_rejected": {"invoice_key": "SO-1-R1", "problems": ["request_rejected"]}
    }
    assert await invoiced(database.sessions) == [1]
    assert (await credit(database.sessions, provider)).held is None
    assert [(key, state) for key, _number, state, _gross in await overview(database.sessions)] == [
        ("SO-1-I1", "issued"),
        ("SO-1-R1", "rejected"),
        ("SO-1-R2", "issued"),
    ]


async def test_an_order_is_invoiced_anew_after_a_credit_note(database: Database, provider: Provider) -> None:
    await place(database.sessions)
    for _round in range(2):
        await issue(database.sessions, provider)
        await credit(database.sessions, provider)
    await issue(database.sessions, provider)
    assert [(key, number) for key, number, _state, _gross in await overview(database.sessions)] == [
        ("SO-1-I1", f"{YEAR}-00000001"),
        ("SO-1-R1", f"C{YEAR}-00000001"),
        ("SO-1-I2", f"{YEAR}-00000002"),
        ("SO-1-R2", f"C{YEAR}-00000002"),
        ("SO-1-I3", f"{YEAR}-00000003"),
    ]
    async with database.sessions() as session:
        assert await invoices.series_gaps(session) == []
        names = [row.series for row in (await session.exec(select(NumberSeries))).all()]
    assert sorted(names) == [f"credit/main/{YEAR}", f"invoice/main/{YEAR}"]
    assert await balances(database.sessions) == {"2221.01.01": -1_300, "2221.06": 1_300}
