"""An e-invoice provider whose clock and mood tests set, and what the invoices say afterwards."""

import asyncio
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from temporalio.testing import ActivityEnvironment

from activities.invoices import InvoiceActivities
from activities.step import Step, StepResult
from integrations.einvoice.port import FileKind, InvoiceDraft, InvoiceRef, IssueResult, RedLine, RedReason
from integrations.einvoice.simulated import SimulatedEInvoiceProvider
from integrations.memory import Memory
from runtime.database import Sessions
from store import invoices

STEP = Step("SO-1", "invoice")


@dataclass
class Provider:
    """The simulated provider, remembering what it was asked for; `may_answer` holds its answers to `issue` back."""

    memory: Memory
    time: datetime = datetime(2026, 11, 22, 10, 0, tzinfo=UTC)
    asked: list[str] = field(default_factory=list)
    drafts: list[InvoiceDraft] = field(default_factory=list)
    has_issued: asyncio.Event = field(default_factory=asyncio.Event)
    may_answer: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self._provider = SimulatedEInvoiceProvider(self.memory, clock=lambda: self.time)
        self.may_answer.set()

    def behave(self, **script: Any) -> None:
        self._provider.behaviour = replace(self._provider.behaviour, **script)

    def wait(self, seconds: float) -> None:
        self.time += timedelta(seconds=seconds)

    async def issue(self, draft: InvoiceDraft, idem_key: str) -> IssueResult:
        self.asked.append(f"issue {idem_key}")
        self.drafts.append(draft)
        result = await self._provider.issue(draft, idem_key)
        self.has_issued.set()
        await self.may_answer.wait()
        return result

    async def red(
        self, original: InvoiceRef, lines: tuple[RedLine, ...], reason: RedReason, idem_key: str
    ) -> IssueResult:
        self.asked.append(f"red {idem_key}")
        return await self._provider.red(original, lines, reason, idem_key)

    async def query(self, idem_key: str) -> IssueResult | None:
        self.asked.append(f"query {idem_key}")
        return await self._provider.query(idem_key)

    async def fetch(self, ref: InvoiceRef, kind: FileKind) -> bytes:
        return await self._provider.fetch(ref, kind)


async def issue(sessions: Sessions, provider: Provider, step: Step = STEP) -> StepResult:
    return await ActivityEnvironment().run(InvoiceActivities(sessions, provider).issue_invoice, step)


async def credit(sessions: Sessions, provider: Provider, step: Step = STEP) -> StepResult:
    return await ActivityEnvironment().run(InvoiceActivities(sessions, provider).credit_invoices, step)


async def overview(sessions: Sessions, order_no: str = "SO-1") -> list[tuple[str, str | None, str, int]]:
    """Key, number, state and gross of every invoice of the order, first one first."""
    async with sessions() as session:
        return [
            (one.invoice.invoice_key, one.invoice.invoice_no, one.invoice.state, one.invoice.gross_minor)
            for one in await invoices.of_order(session, order_no)
        ]


async def credit_refunds(sessions: Sessions, provider: Provider, step: Step = STEP) -> StepResult:
    return await ActivityEnvironment().run(InvoiceActivities(sessions, provider).credit_refunds, step)
