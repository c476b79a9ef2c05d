"""What every e-invoice provider keeps to: the simulated one, and the HTTP adapter in front of it."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from integrations.einvoice.over_http import HttpEInvoiceProvider
from integrations.einvoice.port import (
    EInvoiceProvider,
    EInvoiceUnavailable,
    FileNotOffered,
    InconsistentInvoice,
    InvoiceLine,
    InvoiceParty,
    InvoiceRef,
    IssueResult,
    IssueStatus,
    RedLine,
    RedReason,
    TaxAtRate,
)
from integrations.einvoice.simulated import EInvoiceBehaviour, SimulatedEInvoiceProvider
from integrations.http_client import build_client
from integrations.memory import Memory
from tests.factories.outside_parties import DRAFT, ONE_BACK, RATE
from tests.fakes.einvoice_server import einvoice_app
from tests.fakes.http_server import misbehaving, relaying_but_cutting, serving


@dataclass
class Party:
    """The provider under test, the simulator behind it, and the time it lives in."""

    provider: EInvoiceProvider
    simulated: SimulatedEInvoiceProvider
    now: datetime

    async def issued(self, key: str) -> InvoiceRef:
        result = await self.provider.issue(DRAFT, key)
        assert result.provider_number is not None
        return InvoiceRef(DRAFT.invoice_key, result.provider_number)


@pytest.fixture(params=["simulated", "over_http"])
async def party(request: pytest.FixtureRequest) -> AsyncIterator[Party]:
    memory = Memory()
    simulated = SimulatedEInvoiceProvider(memory, clock=lambda: made.now)
    made = Party(simulated, simulated, datetime(2026, 11, 22, 12, tzinfo=UTC))
    if request.param == "simulated":
        yield made
    else:
        async with serving(einvoice_app(simulated)) as url, build_client() as client:
            made.provider = HttpEInvoiceProvider(url, client, "token")
            yield made
    memory.close()


async def test_a_repeated_request_issues_one_invoice(party: Party) -> None:
    results = await asyncio.gather(*(party.provider.issue(DRAFT, "key/1") for _ in range(20)))

    assert set(results) == {IssueResult.issued("00000000000000000001")}
    assert await party.provider.query("key/1") == results[0]


async def test_numbers_have_no_gaps(party: Party) -> None:
    party.simulated.behaviour = EInvoiceBehaviour(rejected_keys=frozenset({"key/3"}))
    results = [await party.provider.issue(DRAFT, f"key/{number}") for number in range(1, 6)]

    numbers = [int(result.provider_number) for result in results if result.provider_number]
    assert numbers == [1, 2, 3, 4]


async def test_an_unknown_key_has_no_result(party: Party) -> None:
    assert await party.provider.query("key/1") is None


async def test_a_request_is_pending_until_its_time_and_then_issued(party: Party) -> None:
    party.simulated.behaviour = EInvoiceBehaviour(pending_seconds=60)

    assert await party.provider.issue(DRAFT, "key/1") == IssueResult.pending()
    assert await party.provider.query("key/1") == IssueResult.pending()
    party.now += timedelta(seconds=60)
    assert await party.provider.query("key/1") == IssueResult.issued("00000000000000000001")
    assert await party.provider.issue(DRAFT, "key/1") == IssueResult.issued("00000000000000000001")


async def test_a_rejection_is_a_result_and_stays(party: Party) -> None:
    buyer = InvoiceParty("某某公司", "BAD-NUMBER")
    party.simulated.behaviour = EInvoiceBehaviour(rejected_tax_numbers=frozenset({"BAD-NUMBER"}))
    rejected = await party.provider.issue(replace(DRAFT, buyer=buyer), "key/1")
    party.simulated.behaviour = EInvoiceBehaviour()

    assert rejected == IssueResult.rejected("buyer_tax_number_unknown")
    assert await party.provider.issue(replace(DRAFT, buyer=buyer), "key/1") == rejected


async def test_an_invoice_whose_reply_was_lost_is_found_by_its_key(party: Party) -> None:
    party.simulated.behaviour = EInvoiceBehaviour(lost_reply_share=1.0)
    with pytest.raises(EInvoiceUnavailable) as lost:
        await party.provider.issue(DRAFT, "key/1")

    assert (lost.value.code, lost.value.retryable) == ("einvoice_unavailable", True)
    assert await party.provider.query("key/1") == IssueResult.issued("00000000000000000001")
    assert await party.provider.issue(DRAFT, "key/1") == IssueResult.issued("00000000000000000001")


async def test_red_takes_back_no_more_than_was_issued(party: Party) -> None:
    original = await party.issued("key/1")
    first = await party.provider.red(original, ONE_BACK, RedReason.GOODS_RETURNED, "red/1")
    again = await party.provider.red(original, ONE_BACK, RedReason.GOODS_RETURNED, "red/1")
    second = await party.provider.red(original, ONE_BACK, RedReason.GOODS_RETURNED, "red/2")
    third = await party.provider.red(original, ONE_BACK, RedReason.GOODS_RETURNED, "red/3")

    assert first == again == IssueResult.issued("00000000000000000002")
    assert second == IssueResult.issued("00000000000000000003")
    assert third == IssueResult.rejected("red_exceeds_original")
    assert await party.provider.query("red/1") == first


async def test_red_needs_an_original_that_is_blue(party: Party) -> None:
    unknown = InvoiceRef("SO9/invoice/1", "00000000000000000009")
    blue = await party.issued("key/1")
    red = await party.provider.red(blue, ONE_BACK, RedReason.PRICE_REDUCED, "red/1")
    assert red.provider_number is not None

    for number, original in enumerate((unknown, InvoiceRef("SO1/red/1", red.provider_number))):
        result = await party.provider.red(original, ONE_BACK, RedReason.ORDER_CANCELLED, f"red/no/{number}")
        assert result == IssueResult.rejected("original_unknown")


async def test_an_issued_invoice_has_an_xml_file_and_no_other(party: Party) -> None:
    original = await party.issued("key/1")
    file = await party.provider.fetch(original, "xml")

    assert file.startswith(b"<?xml")
    assert "面膜".encode() in file
    assert "安装 &lt;上门&gt;".encode() in file
    for ref, kind in ((original, "pdf"), (original, "ofd"), (InvoiceRef("x", "404"), "xml")):
        with pytest.raises(FileNotOffered, match="invoice_file_not_offered"):
            await party.provider.fetch(ref, kind)  # type: ignore[arg-type]


async def test_a_connection_cut_after_acceptance_leaves_one_invoice() -> None:
    memory = Memory()
    simulated = SimulatedEInvoiceProvider(memory)
    async with serving(einvoice_app(simulated)) as url, build_client() as client:
        async with misbehaving(relaying_but_cutting(url)) as cut_url:
            with pytest.raises(EInvoiceUnavailable):
                await HttpEInvoiceProvider(cut_url, client, "token").issue(DRAFT, "key/1")
        result = await HttpEInvoiceProvider(url, client, "token").query("key/1")
    memory.close()

    assert result == IssueResult.issued("00000000000000000001")


@pytest.mark.parametrize(
    "change",
    [
        {"gross_minor": 27901},
        {"net_minor": 25001, "gross_minor": 27901},
        {"tax_by_rate": DRAFT.tax_by_rate[:1]},
        {"tax_by_rate": (TaxAtRate(RATE, 20001, 2600), DRAFT.tax_by_rate[1])},
        {"tax_by_rate": (*DRAFT.tax_by_rate, TaxAtRate(RATE, 20000, 2600))},
        {"lines": ()},
        {"lines": (replace(DRAFT.lines[0], quantity=0), DRAFT.lines[1])},
        {"lines": (replace(DRAFT.lines[0], net_minor=22600, tax_minor=-1), DRAFT.lines[1])},
        {"lines": (replace(DRAFT.lines[0], gross_minor=22601), DRAFT.lines[1])},
        {"currency": "cny"},
        {"currency": "CNYX"},
    ],
)
def test_a_draft_that_does_not_add_up_cannot_be_made(change: dict[str, Any]) -> None:
    with pytest.raises(InconsistentInvoice, match="invoice_inconsistent") as refusal:
        replace(DRAFT, **change)
    assert refusal.value.retryable is False


def test_a_free_gift_may_stand_on_an_invoice() -> None:
    gift = InvoiceLine("SO1", "3", "GIFT", "赠品", 1, 0, 0, 0, RATE)
    assert replace(DRAFT, lines=(*DRAFT.lines, gift)).gross_minor == 27900


def test_a_red_line_may_take_back_money_without_units() -> None:
    assert RedLine("SO1", "1", 0, 1000, 130, 1130, RATE).quantity == 0
    with pytest.raises(InconsistentInvoice):
        RedLine("SO1", "1", -1, 1000, 130, 1130, RATE)
    with pytest.raises(InconsistentInvoice):
        RedLine("SO1", "1", 1, 1000, 130, 1131, RATE)


@pytest.mark.parametrize(
    ("status", "number", "errors"),
    [
        (IssueStatus.ISSUED, None, ()),
        (IssueStatus.REJECTED, None, ()),
        (IssueStatus.PENDING, "1", ()),
        (IssueStatus.ISSUED, "1", ("x",)),
    ],
)
def test_a_result_cannot_contradict_itself(status: IssueStatus, number: str | None, errors: tuple[str, ...]) -> None:
    with pytest.raises(ValueError, match="an issued result has a number"):
        IssueResult(status, number, errors)
