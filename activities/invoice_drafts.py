"""Recorded invoices as the provider wants them. Buyers' names go to the provider alone."""

from decimal import Decimal

from sqlmodel.ext.asyncio.session import AsyncSession

from integrations.einvoice.port import InvoiceDraft, InvoiceLine, InvoiceParty, RedLine, TaxAtRate
from models.masters import LegalEntity
from store import products
from store.invoices import InvoiceWithLines


async def draft_of(session: AsyncSession, recorded: InvoiceWithLines) -> InvoiceDraft:
    """The invoice to be issued. Raises InconsistentInvoice where its amounts do not agree."""
    invoice = recorded.invoice
    if invoice.issue_date is None:
        raise ValueError("a submitted invoice has a date")
    entity = await session.get_one(LegalEntity, invoice.entity_id)
    names = await products.names(session, {line.sku for line in recorded.lines})
    return InvoiceDraft(
        invoice_key=invoice.invoice_key,
        seller=InvoiceParty(entity.name, entity.tax_number),
        buyer=InvoiceParty(invoice.buyer["name"], invoice.buyer.get("tax_number")),
        currency=invoice.currency,
        lines=tuple(
            InvoiceLine(
                order_no=line.order_no,
                line_id=line.line_id,
                sku=line.sku,
                description=names.get(line.sku, line.sku),
                quantity=line.quantity,
                net_minor=line.net_minor,
                tax_minor=line.tax_minor,
                gross_minor=line.gross_minor,
                tax_rate=_plain(line.tax_rate),
            )
            for line in recorded.lines
        ),
        tax_by_rate=tax_by_rate(recorded),
        net_minor=invoice.net_minor,
        tax_minor=invoice.tax_minor,
        gross_minor=invoice.gross_minor,
        issue_date=invoice.issue_date,
    )


def tax_by_rate(recorded: InvoiceWithLines) -> tuple[TaxAtRate, ...]:
    """What the lines of each rate add up to, highest rate first."""
    sums: dict[Decimal, tuple[int, int]] = {}
    for line in recorded.lines:
        net, tax = sums.get(_plain(line.tax_rate), (0, 0))
        sums[_plain(line.tax_rate)] = (net + line.net_minor, tax + line.tax_minor)
    return tuple(TaxAtRate(rate, *sums[rate]) for rate in sorted(sums, reverse=True))


def red_lines(recorded: InvoiceWithLines) -> tuple[RedLine, ...]:
    """What a credit note takes back, line by line."""
    return tuple(
        RedLine(
            order_no=line.order_no,
            line_id=line.line_id,
            quantity=line.quantity,
            net_minor=line.net_minor,
            tax_minor=line.tax_minor,
            gross_minor=line.gross_minor,
            tax_rate=_plain(line.tax_rate),
        )
        for line in recorded.lines
    )


def _plain(rate: Decimal) -> Decimal:
    """The rate without the zeros that the database pads it with."""
    return rate.normalize()
