"""Invoices and credit notes: what is still to be invoiced, what was submitted, and the numbers of what was issued."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import ColumnElement, literal, text, tuple_
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from domain.pricing import share_of_line
from models.invoice import Invoice, InvoiceLine
from models.masters import Customer, LegalEntity
from models.order import Order, OrderLine
from store import series


@dataclass(frozen=True, slots=True)
class InvoiceWithLines:
    """An invoice or credit note with its lines."""

    invoice: Invoice
    lines: tuple[InvoiceLine, ...]


@dataclass(frozen=True, slots=True)
class InvoiceFilter:
    """Which invoices a list shows; None: whatever they are."""

    order_no: str | None = None
    kind: str | None = None
    state: str | None = None


@dataclass(frozen=True, slots=True)
class SeriesGap:
    """A number that its series has given, or must have given, and no invoice carries."""

    series: str
    number: int


async def of_order(session: AsyncSession, order_no: str) -> list[InvoiceWithLines]:
    """The order's invoices and credit notes with their lines, first one first, rejected ones included."""
    await session.flush()
    query = select(Invoice).where(Invoice.order_no == order_no)
    found = (await session.exec(query.order_by(col(Invoice.submitted_at), col(Invoice.invoice_key)))).all()
    return await _with_lines(session, found)


async def find(session: AsyncSession, invoice_key: str) -> InvoiceWithLines | None:
    """The invoice of this key with its lines, if there is one."""
    invoice = await session.get(Invoice, invoice_key)
    return None if invoice is None else (await _with_lines(session, [invoice]))[0]


async def page(
    session: AsyncSession,
    wanted: InvoiceFilter,
    after: tuple[datetime, str] | None,
    limit: int,
    where: Sequence[ColumnElement[bool]] = (),
) -> list[InvoiceWithLines]:
    """Up to `limit + 1` invoices, newest first, those behind (`submitted_at`, `invoice_key`) if given."""
    key = (col(Invoice.submitted_at), col(Invoice.invoice_key))
    query = select(Invoice).where(*where).order_by(*(column.desc() for column in key)).limit(limit + 1)
    asked: dict[str, Any] = {"order_no": wanted.order_no, "kind": wanted.kind, "state": wanted.state}
    for name, value in asked.items():
        if value is not None:
            query = query.where(col(getattr(Invoice, name)) == value)
    if after is not None:
        query = query.where(tuple_(*key) < tuple_(*(literal(value) for value in after)))
    return await _with_lines(session, (await session.exec(query)).all())


async def _with_lines(session: AsyncSession, invoices: Sequence[Invoice]) -> list[InvoiceWithLines]:
    keys = [invoice.invoice_key for invoice in invoices]
    query = select(InvoiceLine).where(col(InvoiceLine.invoice_key).in_(keys)).order_by(col(InvoiceLine.line_no))
    lines: dict[str, list[InvoiceLine]] = {}
    for line in await session.exec(query):
        lines.setdefault(line.invoice_key, []).append(line)
    return [InvoiceWithLines(invoice, tuple(lines.get(invoice.invoice_key, ()))) for invoice in invoices]


async def submitted(session: AsyncSession, order_no: str, kind: str) -> InvoiceWithLines | None:
    """The order's invoice of this kind that was asked for and has no answer yet; there is at most one."""
    query = select(Invoice).where(Invoice.order_no == order_no, Invoice.kind == kind, Invoice.state == "submitted")
    found = (await session.exec(query)).one_or_none()
    return None if found is None else (await _with_lines(session, [found]))[0]


async def to_credit(session: AsyncSession, order_no: str) -> InvoiceWithLines | None:
    """The order's first issued invoice that no credit note, issued or submitted, takes back."""
    known = await of_order(session, order_no)
    credited = {
        one.invoice.original_key for one in known if one.invoice.kind == "red" and one.invoice.state != "rejected"
    }
    return next(
        (
            one
            for one in known
            if one.invoice.kind == "blue" and one.invoice.state == "issued" and one.invoice.invoice_key not in credited
        ),
        None,
    )


def due(lines: Sequence[OrderLine]) -> list[InvoiceLine]:
    """What no invoice in force names yet, with its share of the stored amounts. The key is still to be given.

    Over all invoices of a line the shares sum to its net and tax exactly.
    """
    open_lines = [line for line in lines if line.quantity - line.cancelled > line.invoiced]
    return [_share(line, line_no) for line_no, line in enumerate(open_lines, start=1)]


def _share(line: OrderLine, line_no: int) -> InvoiceLine:
    units = line.quantity - line.cancelled - line.invoiced
    net = share_of_line(line.net_minor, line.quantity, line.invoiced, units)
    tax = share_of_line(line.tax_minor, line.quantity, line.invoiced, units)
    return InvoiceLine(
        invoice_key="",
        line_no=line_no,
        order_no=line.order_no,
        line_id=line.line_id,
        sku=line.sku,
        quantity=units,
        tax_rate=line.tax_rate,
        net_minor=net,
        tax_minor=tax,
        gross_minor=net + tax,
    )


async def submit(session: AsyncSession, order: Order, lines: Sequence[InvoiceLine], at: datetime) -> InvoiceWithLines:
    """Afterwards an invoice for these lines is on record as submitted, for the buyer as our masters know him now."""
    entity = await session.get_one(LegalEntity, order.entity_id)
    invoice = Invoice(
        invoice_key=await _next_key(session, order.order_no, "blue"),
        entity_id=order.entity_id,
        order_no=order.order_no,
        voucher_no=order.voucher_no,
        currency=order.currency,
        buyer=await _buyer(session, order),
        issue_date=at.astimezone(ZoneInfo(entity.time_zone)).date(),
        submitted_at=at,
    )
    return await _add(session, invoice, lines)


async def submit_credit(session: AsyncSession, original: InvoiceWithLines, at: datetime) -> InvoiceWithLines:
    """Afterwards a credit note over the whole of an issued invoice is on record as submitted."""
    blue = original.invoice
    entity = await session.get_one(LegalEntity, blue.entity_id)
    note = Invoice(
        invoice_key=await _next_key(session, blue.order_no, "red"),
        kind="red",
        original_key=blue.invoice_key,
        entity_id=blue.entity_id,
        order_no=blue.order_no,
        voucher_no=blue.voucher_no,
        currency=blue.currency,
        buyer=blue.buyer,
        issue_date=at.astimezone(ZoneInfo(entity.time_zone)).date(),
        submitted_at=at,
    )
    return await _add(session, note, [InvoiceLine(**line.model_dump()) for line in original.lines])


async def _add(session: AsyncSession, invoice: Invoice, lines: Sequence[InvoiceLine]) -> InvoiceWithLines:
    invoice.net_minor = sum(line.net_minor for line in lines)
    invoice.tax_minor = sum(line.tax_minor for line in lines)
    invoice.gross_minor = invoice.net_minor + invoice.tax_minor
    session.add(invoice)
    await session.flush()
    for line in lines:
        line.invoice_key = invoice.invoice_key
    session.add_all(lines)
    await session.flush()
    return InvoiceWithLines(invoice, tuple(lines))


async def _next_key(session: AsyncSession, order_no: str, kind: str) -> str:
    asked = {"order_no": order_no, "kind": kind}
    count = text("SELECT count(*) FROM invoices WHERE order_no = :order_no AND kind = :kind")
    letter = "I" if kind == "blue" else "R"
    return f"{order_no}-{letter}{(await session.execute(count, asked)).scalar_one() + 1}"


async def _buyer(session: AsyncSession, order: Order) -> dict[str, Any]:
    customer = await session.get(Customer, order.customer_id) if order.customer_id else None
    said = order.contact.get("name") or order.ship_to.get("name") or order.customer_id or order.order_no
    return {
        "name": (customer.name if customer else None) or said,
        "tax_number": customer.tax_number if customer else None,
    }


async def take_number(session: AsyncSession, invoice: Invoice) -> str:
    """The next number of the invoice's series, which counts per entity, kind and year of its date, without gaps.

    Everybody else who wants one waits until this transaction ends.
    """
    if invoice.issue_date is None:
        raise ValueError("an invoice that is issued has a date")
    year = invoice.issue_date.year
    name, letter = ("credit", "C") if invoice.kind == "red" else ("invoice", "")
    number = await series.take(session, f"{name}/{invoice.entity_id}/{year}")
    return f"{letter}{year}-{number:08d}"


_GAPS = text("""
WITH carried AS (
    SELECT CASE kind WHEN 'red' THEN 'credit/' ELSE 'invoice/' END || entity_id || '/'
           || right(split_part(invoice_no, '-', 1), 4) AS series,
           split_part(invoice_no, '-', 2)::bigint AS number
    FROM invoices WHERE invoice_no IS NOT NULL
), given AS (
    SELECT s.series, n.number FROM number_series s CROSS JOIN LATERAL generate_series(1, s.next_number - 1) n (number)
    WHERE starts_with(s.series, 'invoice/') OR starts_with(s.series, 'credit/')
)
SELECT series, number FROM given FULL JOIN carried USING (series, number)
WHERE given.number IS NULL OR carried.number IS NULL
ORDER BY series, number LIMIT :most
""")


async def series_gaps(session: AsyncSession, most: int = 100) -> list[SeriesGap]:
    """Up to `most` numbers that were given and are carried by no invoice, or are carried and were never given."""
    return [SeriesGap(row.series, row.number) for row in await session.execute(_GAPS, {"most": most})]
