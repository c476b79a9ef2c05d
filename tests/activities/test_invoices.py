import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from sqlmodel import select
from temporalio.exceptions import ApplicationError
from temporalio.testing import ActivityEnvironment

from activities.orders import CancelInput, OrderActivities, ResolveInput
from activities.step import Step
from integrations.einvoice.port import TaxAtRate
from integrations.memory import Memory
from models.columns import now
from models.masters import Customer, NumberSeries
from models.order import OrderEvent
from runtime.database import Sessions
from store import invoices, orders
from store.invoices import InvoiceFilter, SeriesGap
from tests.conftest import Database
from tests.factories.books import balances, entries
from tests.factories.deliveries import deliver
from tests.factories.invoices import Provider, issue, overview
from tests.factories.orders import Line, add_all, place
from tests.factories.payments import open_holds, set_order, story

YEAR = datetime.now(ZoneInfo("Asia/Shanghai")).year
FIRST = f"{YEAR}-00000001"


@pytest.fixture
async def provider() -> AsyncIterator[Provider]:
    memory = Memory()
    yield Provider(memory)
    memory.close()


async def settle(sessions: Sessions, order_no: str = "SO-1") -> None:
    settled = ResolveInput(order_no, "retried", "clerk")
    await ActivityEnvironment().run(OrderActivities(sessions).resolve_holds, settled)


async def invoiced(sessions: Sessions, order_no: str = "SO-1") -> dict[str, int]:
    async with sessions() as session:
        return {line.line_id: line.invoiced for line in await orders.lines(session, order_no)}


async def put_customer(sessions: Sessions, tax_number: str | None = None) -> None:
    async with sessions() as session, session.begin():
        await session.merge(Customer(customer_id="C-7", name="示范有限公司", tax_number=tax_number))


async def set_line(sessions: Sessions, line_id: str, **columns: Any) -> None:
    async with sessions() as session, session.begin():
        line = next(line for line in await orders.lines(session, "SO-1") if line.line_id == line_id)
        for name, value in columns.items():
            setattr(line, name, value)


async def test_an_invoice_names_every_unit_and_gets_the_first_number(database: Database, provider: Provider) -> None:
    await place(database.sessions, lines=[Line("1", quantity=2)])
    await deliver(database.sessions, {"1": 2})
    await set_line(database.sessions, "1", recognised=2)
    result = await issue(database.sessions, provider)
    assert (result.held, result.outcome, result.standing.invoice) == (None, "applied", "full")
    assert await overview(database.sessions) == [("SO-1-I1", FIRST, "issued", 22_600)]
    assert await invoiced(database.sessions) == {"1": 2}
    async with database.sessions() as session:
        found = await invoices.find(session, "SO-1-I1")
    assert found is not None
    assert (found.invoice.provider_number, found.invoice.voucher_no) == ("0" * 19 + "1", "V-SO-1")
    assert found.invoice.issued_at is not None
    async with database.sessions() as session:
        event = (await session.exec(select(OrderEvent).where(OrderEvent.kind == "invoice.issued"))).one()
    assert event.data == {
        "invoice_key": "SO-1-I1",
        "invoice_no": FIRST,
        "original_key": None,
        "gross_minor": 22_600,
        "currency": "CNY",
    }


async def test_issuing_twice_has_one_effect(database: Database, provider: Provider) -> None:
    await place(database.sessions)
    first, second = await issue(database.sessions, provider), await issue(database.sessions, provider)
    assert first == second
    assert provider.asked == ["issue SO-1-I1"]
    assert await story(database.sessions) == ["invoice.issued"]
    assert len(await overview(database.sessions)) == 1


async def test_the_provider_gets_lines_that_sum_to_the_header_and_tax_per_rate(
    database: Database, provider: Provider
) -> None:
    lines = [
        Line("1", "SKU-1", 3, 3_333),
        Line("2", "SKU-2", 1, 10_600, Decimal("0.06")),
        Line("3", "SKU-3", 1, 999),
        Line("4", "SKU-4", 1, 0, gift_of="1"),
    ]
    await place(database.sessions, lines=lines)
    await issue(database.sessions, provider)
    (draft,) = provider.drafts
    assert [(line.line_id, line.quantity, line.gross_minor) for line in draft.lines] == [
        ("1", 3, 9_999),
        ("2", 1, 10_600),
        ("3", 1, 999),
        ("4", 1, 0),
    ]
    assert draft.tax_by_rate == (
        TaxAtRate(Decimal("0.13"), 8_849 + 884, 1_150 + 115),
        TaxAtRate(Decimal("0.06"), 10_000, 600),
    )
    assert (draft.net_minor, draft.tax_minor, draft.gross_minor) == (19_733, 1_865, 21_598)
    assert draft.gross_minor == sum(line.gross_minor for line in draft.lines)
    assert (draft.seller.name, draft.currency) == ("Main", "CNY")


async def test_the_buyer_is_who_our_master_says(database: Database, provider: Provider) -> None:
    await place(database.sessions, contact={"name": "王小明", "tax_number": "forged"})
    await put_customer(database.sessions, "91330000MA27XXXX1A")
    await issue(database.sessions, provider)
    assert (provider.drafts[0].buyer.name, provider.drafts[0].buyer.tax_number) == (
        "示范有限公司",
        "91330000MA27XXXX1A",
    )


async def test_a_buyer_unknown_to_us_is_named_by_the_order(database: Database, provider: Provider) -> None:
    await place(database.sessions, contact={"name": "王小明"})
    await issue(database.sessions, provider)
    assert (provider.drafts[0].buyer.name, provider.drafts[0].buyer.tax_number) == ("王小明", None)


async def test_units_cancelled_are_not_invoiced_and_parts_sum_to_the_line(
    database: Database, provider: Provider
) -> None:
    await place(database.sessions, lines=[Line("1", quantity=3, unit_price_minor=3_333)])
    await set_line(database.sessions, "1", cancelled=2, refunded_gross_minor=6_666, refunded_tax_minor=767)
    await issue(database.sessions, provider)
    await set_line(database.sessions, "1", cancelled=0, refunded_gross_minor=0, refunded_tax_minor=0)
    await issue(database.sessions, provider)
    first, rest = provider.drafts
    assert [(line.quantity, line.net_minor, line.tax_minor) for line in first.lines] == [(1, 2_950, 383)]
    assert [(line.quantity, line.net_minor, line.tax_minor) for line in rest.lines] == [(2, 5_899, 767)]
    assert first.gross_minor + rest.gross_minor == 9_999
    assert await invoiced(database.sessions) == {"1": 3}


async def test_an_order_that_costs_nothing_needs_no_invoice(database: Database, provider: Provider) -> None:
    await place(database.sessions, lines=[Line(unit_price_minor=0)])
    for _again in range(2):
        assert (await issue(database.sessions, provider)).outcome == "applied"
    assert (provider.asked, await overview(database.sessions)) == ([], [])
    assert await story(database.sessions) == ["invoice.not_needed"]


async def test_an_invoice_before_delivery_brings_the_vat_point_forward(database: Database, provider: Provider) -> None:
    await place(database.sessions, lines=[Line("1"), Line("2", "SKU-2", sold_as="agent")])
    await issue(database.sessions, provider)
    assert await entries(database.sessions) == ["invoice_issued | Dr 2221.06 1300 | Cr 2221.01.01 1300"]
    async with database.sessions() as session:
        events = (await session.exec(select(OrderEvent.kind))).all()
    assert list(events) == ["invoice.issued"]


async def test_only_the_vat_of_units_not_yet_recognised_moves(database: Database, provider: Provider) -> None:
    await place(database.sessions, lines=[Line("1", quantity=2)])
    await deliver(database.sessions, {"1": 1})
    await set_line(database.sessions, "1", recognised=1)
    await issue(database.sessions, provider)
    assert (await entries(database.sessions))[1:] == ["invoice_issued | Dr 2221.06 1300 | Cr 2221.01.01 1300"]


async def test_recognised_units_are_invoiced_without_an_entry(database: Database, provider: Provider) -> None:
    await place(database.sessions)
    await deliver(database.sessions, {"1": 1})
    await set_line(database.sessions, "1", recognised=1)
    before = await balances(database.sessions)
    await issue(database.sessions, provider)
    assert await balances(database.sessions) == before


async def test_a_lost_answer_leaves_one_invoice(database: Database, provider: Provider) -> None:
    await place(database.sessions)
    provider.behave(lost_reply_share=1.0)
    with pytest.raises(ApplicationError) as lost:
        await issue(database.sessions, provider)
    assert (lost.value.type, lost.value.message, lost.value.non_retryable) == (
        "einvoice_unavailable",
        "einvoice_unavailable",
        False,
    )
    assert await overview(database.sessions) == [("SO-1-I1", None, "submitted", 11_300)]
    assert await invoiced(database.sessions) == {"1": 0}
    await issue(database.sessions, provider)
    assert provider.asked == ["issue SO-1-I1", "query SO-1-I1"]
    assert await overview(database.sessions) == [("SO-1-I1", FIRST, "issued", 11_300)]


async def test_a_provider_that_never_heard_of_it_is_asked_again(database: Database, provider: Provider) -> None:
    await place(database.sessions)
    provider.behave(down=True)
    with pytest.raises(ApplicationError, match="einvoice_unavailable"):
        await issue(database.sessions, provider)
    provider.behave(down=False)
    await issue(database.sessions, provider)
    assert provider.asked == ["issue SO-1-I1", "query SO-1-I1", "issue SO-1-I1"]
    assert await overview(database.sessions) == [("SO-1-I1", FIRST, "issued", 11_300)]


async def test_a_provider_that_takes_its_time_is_asked_until_it_has_decided(
    database: Database, provider: Provider
) -> None:
    await place(database.sessions)
    provider.behave(pending_seconds=60)
    for _early in range(2):
        with pytest.raises(ApplicationError) as pending:
            await issue(database.sessions, provider)
        assert (pending.value.type, pending.value.non_retryable) == ("invoice_pending", False)
    provider.wait(61)
    assert (await issue(database.sessions, provider)).standing.invoice == "full"
    assert provider.asked == ["issue SO-1-I1", "query SO-1-I1", "query SO-1-I1"]


async def test_a_rejected_invoice_holds_the_order_and_a_new_one_follows(database: Database, provider: Provider) -> None:
    await place(database.sessions)
    await put_customer(database.sessions, "WRONG")
    provider.behave(rejected_tax_numbers=frozenset({"WRONG"}))
    first, second = await issue(database.sessions, provider), await issue(database.sessions, provider)
    assert first == second
    assert (first.held, first.standing.blocking_holds) == ("invoice_rejected", ("invoice_rejected",))
    assert await open_holds(database.sessions) == {
        "invoice_rejected": {"invoice_key": "SO-1-I1", "problems": ["buyer_tax_number_unknown"]}
    }
    assert await invoiced(database.sessions) == {"1": 0}
    assert provider.asked == ["issue SO-1-I1"]
    await put_customer(database.sessions, "91330000MA27XXXX1A")
    await settle(database.sessions)
    assert (await issue(database.sessions, provider)).held is None
    assert await overview(database.sessions) == [
        ("SO-1-I1", None, "rejected", 11_300),
        ("SO-1-I2", FIRST, "issued", 11_300),
    ]
    assert await invoiced(database.sessions) == {"1": 1}


async def test_an_order_called_off_before_is_not_invoiced(database: Database, provider: Provider) -> None:
    await place(database.sessions, cancel_requested_at=now())
    assert (await issue(database.sessions, provider)).outcome == "cancelling"
    assert (provider.asked, await overview(database.sessions)) == ([], [])


async def test_an_invoice_under_way_while_the_order_is_called_off_is_taken_back(
    database: Database, provider: Provider
) -> None:
    await place(database.sessions)
    provider.may_answer.clear()
    issuing = asyncio.create_task(issue(database.sessions, provider))
    await provider.has_issued.wait()
    asked = CancelInput("SO-1", "service")
    await ActivityEnvironment().run(OrderActivities(database.sessions).begin_cancel, asked)
    provider.may_answer.set()
    assert (await issuing).outcome == "cancelling"
    assert await overview(database.sessions) == [
        ("SO-1-I1", FIRST, "issued", 11_300),
        ("SO-1-R1", f"C{FIRST}", "issued", 11_300),
    ]
    assert await invoiced(database.sessions) == {"1": 0}
    assert await balances(database.sessions) == {}


async def test_fifty_orders_at_once_get_numbers_without_gaps(database: Database, provider: Provider) -> None:
    order_nos = [f"SO-{number}" for number in range(1, 51)]
    async with database.sessions() as session, session.begin():
        await add_all(session, dict.fromkeys(order_nos, (Line(),)))
    provider.behave(rejected_keys=frozenset({"SO-7-I1", "SO-8-I1"}))
    at_once = asyncio.Semaphore(10)

    async def invoice(order_no: str) -> None:
        async with at_once:
            if (await issue(database.sessions, provider, Step(order_no, "invoice"))).held is not None:
                await settle(database.sessions, order_no)
                await issue(database.sessions, provider, Step(order_no, "invoice"))

    await asyncio.gather(*(invoice(order_no) for order_no in order_nos))
    async with database.sessions() as session:
        issued = await invoices.page(session, InvoiceFilter(state="issued"), None, 200)
        assert sorted(one.invoice.invoice_no or "" for one in issued) == [f"{YEAR}-{at:08d}" for at in range(1, 51)]
        assert await invoices.series_gaps(session) == []
        assert (await session.exec(select(NumberSeries))).all() == [
            NumberSeries(series=f"invoice/main/{YEAR}", next_number=51)
        ]


async def test_an_invoice_that_cannot_be_posted_takes_no_number(database: Database, provider: Provider) -> None:
    await place(database.sessions, currency="USD")
    with pytest.raises(ApplicationError) as refused:
        await issue(database.sessions, provider)
    assert (refused.value.type, refused.value.non_retryable) == ("fx_rate_missing", True)
    assert await overview(database.sessions) == [("SO-1-I1", None, "submitted", 11_300)]
    await set_order(database.sessions, fx_rate=Decimal("7.2"))
    await issue(database.sessions, provider)
    assert await overview(database.sessions) == [("SO-1-I1", FIRST, "issued", 11_300)]
    async with database.sessions() as session:
        assert await invoices.series_gaps(session) == []


async def test_a_number_that_no_invoice_carries_is_found(database: Database, provider: Provider) -> None:
    await place(database.sessions)
    await issue(database.sessions, provider)
    series = f"invoice/main/{YEAR}"
    async with database.sessions() as session, session.begin():
        (await session.get_one(NumberSeries, series)).next_number = 4
    async with database.sessions() as session:
        assert await invoices.series_gaps(session) == [SeriesGap(series, 2), SeriesGap(series, 3)]


async def test_invoices_come_in_pages_newest_first(database: Database, provider: Provider) -> None:
    for number in range(1, 6):
        await place(database.sessions, f"SO-{number}")
        await issue(database.sessions, provider, Step(f"SO-{number}", "invoice"))
    keys, after = [], None
    async with database.sessions() as session:
        while True:
            rows = await invoices.page(session, InvoiceFilter(kind="blue"), after, 2)
            keys.append([one.invoice.invoice_key for one in rows[:2]])
            assert all(len(one.lines) == 1 for one in rows)
            if len(rows) <= 2:
                break
            after = (rows[1].invoice.submitted_at, rows[1].invoice.invoice_key)
        assert await invoices.page(session, InvoiceFilter(order_no="SO-9"), None, 2) == []
    assert keys == [["SO-5-I1", "SO-4-I1"], ["SO-3-I1", "SO-2-I1"], ["SO-1-I1"]]


async def test_the_year_of_a_number_is_the_year_where_the_entity_is(database: Database) -> None:
    await place(database.sessions)
    async with database.sessions() as session, session.begin():
        order = await orders.lock(session, "SO-1")
        due = invoices.due(await orders.lines(session, "SO-1"), {})
        new_year_in_shanghai = datetime(2026, 12, 31, 16, 30, tzinfo=UTC)
        submitted = await invoices.submit(session, order, due, new_year_in_shanghai)
        assert await invoices.take_number(session, submitted.invoice) == "2027-00000001"
