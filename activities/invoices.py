"""Invoices of an order: issued by the provider under our key, numbered by us without gaps, taken back by credit notes.

The provider is never called inside a transaction: the invoice is recorded as submitted, then asked for, then what came
of it is recorded. Only then do order lines count as invoiced and does an invoice bear a number.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from sqlmodel.ext.asyncio.session import AsyncSession
from temporalio import activity

from activities.failures import translated
from activities.invoice_drafts import draft_of, red_lines
from activities.posting import sale_of
from activities.step import Step, StepResult
from domain.posting.entry import Entry
from domain.posting.sale import invoice_credited, invoice_issued
from integrations.einvoice.port import (
    EInvoiceProvider,
    InvoiceDraft,
    InvoiceRef,
    IssueResult,
    IssueStatus,
    RedLine,
    RedReason,
)
from integrations.failure import PartyFailure
from models.columns import now
from models.invoice import Invoice
from models.order import Order
from runtime.database import Sessions
from runtime.sessions import before_asking_others
from store import events, holds, invoices, journal, orders
from store.events import Event
from store.holds import Reason
from store.invoices import InvoiceWithLines, ToCredit
from store.journal import PostingContext

_CODE = re.compile(r"[a-z][a-z0-9_.-]{0,63}")
_WITHDRAWN = ("withdrawn",)


class InvoicePending(PartyFailure):
    """The provider has accepted the invoice and not yet decided: ask again."""

    retryable = True


@dataclass(frozen=True)
class _Request:
    """What to ask the provider. `asked_before`: an earlier try may have reached him, though no answer was heard."""

    key: str
    asked_before: bool
    draft: InvoiceDraft


@dataclass(frozen=True)
class _RedRequest:
    """What to take back, of which invoice."""

    key: str
    asked_before: bool
    original: InvoiceRef
    lines: tuple[RedLine, ...]
    reason: RedReason


class InvoiceActivities:
    """What is asked of the e-invoice provider, and what came of it."""

    def __init__(self, sessions: Sessions, provider: EInvoiceProvider) -> None:
        self._sessions = sessions
        self._provider = provider

    @activity.defn
    async def issue_invoice(self, step: Step) -> StepResult:
        """Effect: every unit that the order keeps is on an issued invoice with a number; or the order is held.
        Key: the invoice's key, one per attempt that the provider has not rejected.
        Fails: invoice_pending, einvoice_unavailable and its kin (retryable); account_mapping_missing (final).
        """
        with translated():
            result, request = await self._draft(step)
            if request is None:
                return result
            await before_asking_others()
            answer = await self._provider.query(request.key) if request.asked_before else None
            if answer is None:
                answer = await self._provider.issue(request.draft, request.key)
            result = await self._note(step, request.key, answer)
            if result.standing.cancelling:
                # Called off while the provider was at it: nobody else may ever hear of this invoice.
                result = await self._credit_all(step, whole=True)
                return StepResult(result.standing, outcome="cancelling")
            return result

    @activity.defn
    async def credit_invoices(self, step: Step) -> StepResult:
        """Effect: every issued invoice of the order is taken back by a credit note, and no invoice is under way.
        Key: the credit note's key; an invoice has one credit note in force.
        Fails: invoice_pending, einvoice_unavailable and its kin (retryable).
        """
        with translated():
            async with self._sessions() as session:
                open_invoice = await invoices.submitted(session, step.order_no, "blue")
            if open_invoice is not None:
                key = open_invoice.invoice.invoice_key
                answer = await self._provider.query(key) or IssueResult.rejected(*_WITHDRAWN)
                await self._note(step, key, answer)
            return await self._credit_all(step, whole=True)

    @activity.defn
    async def credit_refunds(self, step: Step) -> StepResult:
        """Effect: issued invoices say no more than what refunds have left of the order's price.
        Key: the credit note's key; what credit notes took back is not taken back again.
        Fails: invoice_pending, einvoice_unavailable and its kin (retryable).
        """
        with translated():
            async with self._sessions() as session:
                if await invoices.submitted(session, step.order_no, "blue") is not None:
                    # Whether it will be issued is not known yet; only then is it known what to take back.
                    raise InvoicePending("invoice_pending")
            return await self._credit_all(step, whole=False)

    async def _draft(self, step: Step) -> tuple[StepResult, _Request | None]:
        async with self._sessions() as session, session.begin():
            order = await orders.lock(session, step.order_no)
            if order.cancel_requested_at is not None:
                return StepResult(await orders.standing(session, step.order_no), outcome="cancelling"), None
            # Asked again only once somebody has settled what was wrong.
            if await holds.find_open(session, step.order_no, "invoice_rejected") is not None:
                return StepResult(await orders.standing(session, step.order_no), held="invoice_rejected"), None
            waiting = await invoices.submitted(session, step.order_no, "blue")
            invoice = waiting or await _submit(session, order, step)
            standing = await orders.standing(session, step.order_no)
            if invoice is None:
                return StepResult(standing), None
            draft = await draft_of(session, invoice)
            return StepResult(standing), _Request(invoice.invoice.invoice_key, waiting is not None, draft)

    async def _credit_all(self, step: Step, *, whole: bool) -> StepResult:
        while (request := await self._draft_credit(step, whole=whole)) is not None:
            await before_asking_others()
            answer = await self._provider.query(request.key) if request.asked_before else None
            if answer is None:
                answer = await self._provider.red(request.original, request.lines, request.reason, request.key)
            result = await self._note(step, request.key, answer)
            if result.held is not None:
                return result
        async with self._sessions() as session:
            return StepResult(await orders.standing(session, step.order_no))

    async def _draft_credit(self, step: Step, *, whole: bool) -> _RedRequest | None:
        async with self._sessions() as session, session.begin():
            await orders.lock(session, step.order_no)
            waiting = await invoices.submitted(session, step.order_no, "red")
            note = waiting
            if note is None:
                credit = await _credit_due(session, step.order_no, whole=whole)
                if credit is None:
                    return None
                note = await invoices.submit_credit(session, credit, now())
            blue = await session.get_one(Invoice, note.invoice.original_key)
            reference = InvoiceRef(blue.invoice_key, blue.provider_number or "")
            lines, asked_before = red_lines(note), waiting is not None
            return _RedRequest(note.invoice.invoice_key, asked_before, reference, lines, _why(lines, whole=whole))

    async def _note(self, step: Step, key: str, answer: IssueResult) -> StepResult:
        """Afterwards the provider's answer is on record, with all that follows from it; the first final one stays."""
        if answer.status is IssueStatus.PENDING:
            raise InvoicePending("invoice_pending")
        async with self._sessions() as session, session.begin():
            order = await orders.lock(session, step.order_no)
            found = await invoices.find(session, key)
            if found is None:
                raise LookupError(key)
            held = None
            if answer.status is IssueStatus.ISSUED and found.invoice.state != "issued":
                await _note_issued(session, order, found, answer.provider_number)
            elif answer.status is IssueStatus.REJECTED and found.invoice.state == "submitted":
                held = await _note_rejected(session, order, found.invoice, answer.errors, step.node)
            return StepResult(await orders.standing(session, step.order_no), held=held)


async def _credit_due(session: AsyncSession, order_no: str, *, whole: bool) -> ToCredit | None:
    if whole:
        return await invoices.to_credit(session, order_no)
    known = await invoices.in_force(session, order_no)
    too_much = invoices.surplus(await orders.lines(session, order_no), known)
    return await invoices.to_credit(session, order_no, too_much) if too_much else None


def _why(lines: Sequence[RedLine], *, whole: bool) -> RedReason:
    if whole:
        return RedReason.ORDER_CANCELLED
    return RedReason.GOODS_RETURNED if any(line.quantity for line in lines) else RedReason.PRICE_REDUCED


async def _submit(session: AsyncSession, order: Order, step: Step) -> InvoiceWithLines | None:
    due = invoices.due(await orders.lines(session, order.order_no), await invoices.in_force(session, order.order_no))
    if sum(line.gross_minor for line in due) > 0:
        return await invoices.submit(session, order, due, now())
    message_id = f"invoice/not_needed/{order.order_no}"
    if due and not await events.has_message(session, order.order_no, message_id):
        await events.record(session, order, Event("invoice.not_needed", node=step.node, message_id=message_id))
    return None


async def _note_issued(session: AsyncSession, order: Order, found: InvoiceWithLines, number: str | None) -> None:
    invoice, issued_at = found.invoice, now()
    is_red = invoice.kind == "red"
    entry, key = await _count(session, order, found)
    if entry is not None:
        await journal.post(session, PostingContext.of(order, issued_at), [entry], key)
    invoice.state, invoice.issued_at = "issued", issued_at
    invoice.provider_number, invoice.problems = number, None
    # Last: until this transaction ends nobody else gets a number of the series.
    invoice.invoice_no = await invoices.take_number(session, invoice)
    told = {
        "invoice_key": invoice.invoice_key,
        "invoice_no": invoice.invoice_no,
        "original_key": invoice.original_key,
        "gross_minor": invoice.gross_minor,
        "currency": invoice.currency,
    }
    await events.record(session, order, Event("invoice.credited" if is_red else "invoice.issued", told))


async def _count(session: AsyncSession, order: Order, found: InvoiceWithLines) -> tuple[Entry | None, str]:
    """Order lines count the units as invoiced, or no longer; returns the VAT point this moves, and its key."""
    sale = await sale_of(session, order)
    by_id = {line.line_id: line for line in sale.lines}
    sign = -1 if found.invoice.kind == "red" else 1
    tax_minor = 0
    for line in found.lines:
        # Goods sold for a consignor carry his VAT; and the books of a sale that was undone are at zero already.
        if line.line_id in sale.progress and not sale.undone:
            tax_minor += sale.progress[line.line_id].invoicing(sign * line.quantity)
        by_id[line.line_id].invoiced += sign * line.quantity
    if sign > 0:
        return invoice_issued(tax_minor), f"invoiced/{order.order_no}/{found.invoice.invoice_key}"
    return invoice_credited(-tax_minor), f"credited/{order.order_no}/{found.invoice.invoice_key}"


async def _note_rejected(
    session: AsyncSession, order: Order, invoice: Invoice, problems: tuple[str, ...], node: str
) -> str | None:
    invoice.state, invoice.problems = "rejected", list(problems)
    # Events leave the house: of what the provider said only what is a code goes with them, in case he quotes the buyer.
    codes = [problem for problem in problems if _CODE.fullmatch(problem)]
    told = {"invoice_key": invoice.invoice_key, "problems": codes}
    await events.record(session, order, Event("invoice.rejected", told, node=node))
    if problems == _WITHDRAWN:
        return None
    # A credit note comes after the goods: nothing of the order stands still for it.
    reason = Reason("invoice_rejected", ", ".join(codes) or "rejected", told, node, blocking=invoice.kind == "blue")
    await holds.open_hold(session, order, reason)
    return "invoice_rejected"
