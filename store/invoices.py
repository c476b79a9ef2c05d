"""Invoices and credit notes: what is still to be invoiced, what was submitted, and the numbers of what was issued."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import ColumnElement, literal, text, tuple_
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from models.invoice import Invoice, InvoiceLine
from models.masters import LegalEntity
from models.order import Order, OrderLine
from store import series, whole


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
    found = await whole.rows(session, Invoice, order_no)
    found.sort(key=lambda invoice: (invoice.submitted_at, invoice.invoice_key))
    lines = await whole.rows(session, InvoiceLine, order_no)
    return _together(found, sorted(lines, key=lambda line: line.line_no))


async def find(session: AsyncSession, invoice_key: str) -> InvoiceWithLines | None:
    """The invoice of this key with its lines, if there is one."""
    invoice = await session.get(Invoice, invoice_key)
    known = () if invoice is None else await of_order(session, invoice.order_no)
    return next((one for one in known if one.invoice is invoice), None)


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
    return _together(invoices, (await session.exec(query)).all())


def _together(invoices: Sequence[Invoice], lines: Sequence[InvoiceLine]) -> list[InvoiceWithLines]:
    of: dict[str, list[InvoiceLine]] = {}
    for line in lines:
        of.setdefault(line.invoice_key, []).append(line)
    return [InvoiceWithLines(invoice, tuple(of.get(invoice.invoice_key, ()))) for invoice in invoices]


async def submitted(session: AsyncSession, order_no: str, kind: str) -> InvoiceWithLines | None:
    """The order's invoice of this kind that was asked for and has no answer yet; there is at most one."""
    known = await of_order(session, order_no)
    return next((one for one in known if one.invoice.kind == kind and one.invoice.state == "submitted"), None)


@dataclass(frozen=True, slots=True)
class InForce:
    """What invoices say of a line, less what credit notes took back of it."""

    units: int = 0
    net_minor: int = 0
    tax_minor: int = 0


async def in_force(session: AsyncSession, order_no: str) -> dict[str, InForce]:
    """What issued invoices still say of each line; lines that none names are left out."""
    said: dict[str, InForce] = {}
    for one in await of_order(session, order_no):
        if one.invoice.state == "issued":
            sign = -1 if one.invoice.kind == "red" else 1
            for line in one.lines:
                known = said.get(line.line_id, InForce())
                said[line.line_id] = InForce(
                    known.units + sign * line.quantity,
                    known.net_minor + sign * line.net_minor,
                    known.tax_minor + sign * line.tax_minor,
                )
    return said


def due(lines: Sequence[OrderLine], invoiced: Mapping[str, InForce]) -> list[InvoiceLine]:
    """What the order keeps and no invoice in force names yet. The key is still to be given.

    Over all invoices of a line, less its credit notes, the amounts sum to what is left of its net and tax exactly.
    """
    open_lines = [line for line in lines if _kept(line) > line.invoiced]
    return [
        _rest(line, invoiced.get(line.line_id, InForce()), line_no) for line_no, line in enumerate(open_lines, start=1)
    ]


def _kept(line: OrderLine) -> int:
    return line.quantity - line.cancelled - line.refunded


def _net_left(line: OrderLine) -> int:
    return line.net_minor - (line.refunded_gross_minor - line.refunded_tax_minor)


def _rest(line: OrderLine, known: InForce, line_no: int) -> InvoiceLine:
    net = _net_left(line) - known.net_minor
    tax = line.tax_minor - line.refunded_tax_minor - known.tax_minor
    return _invoice_line(line, line_no, InForce(_kept(line) - line.invoiced, max(net, 0), max(tax, 0)))


def _invoice_line(line: OrderLine, line_no: int, said: InForce) -> InvoiceLine:
    return InvoiceLine(
        invoice_key="",
        line_no=line_no,
        order_no=line.order_no,
        line_id=line.line_id,
        sku=line.sku,
        quantity=said.units,
        tax_rate=line.tax_rate,
        net_minor=said.net_minor,
        tax_minor=said.tax_minor,
        gross_minor=said.net_minor + said.tax_minor,
    )


def surplus(lines: Sequence[OrderLine], invoiced: Mapping[str, InForce]) -> dict[str, InForce]:
    """What invoices in force say beyond what is left of the lines, and credit notes have to take back."""
    found = {}
    for line in lines:
        known = invoiced.get(line.line_id, InForce())
        too_much = InForce(
            max(known.units - _kept(line), 0),
            max(known.net_minor - _net_left(line), 0),
            max(known.tax_minor - (line.tax_minor - line.refunded_tax_minor), 0),
        )
        if too_much != InForce():
            found[line.line_id] = too_much
    return found


@dataclass(frozen=True, slots=True)
class ToCredit:
    """An issued invoice, and what of it a credit note is to take back."""

    original: Invoice
    lines: tuple[InvoiceLine, ...]


async def to_credit(
    session: AsyncSession, order_no: str, wanted: Mapping[str, InForce] | None = None
) -> ToCredit | None:
    """The order's first invoice of which credit notes have something `wanted` (None: anything) still to take back."""
    known = await of_order(session, order_no)
    for one in known:
        if one.invoice.kind == "blue" and one.invoice.state == "issued":
            notes = [note for note in known if _takes_back(note, one.invoice)]
            left = [_left(line, notes) for line in one.lines]
            lines = [part for line in left if (part := _wanted_of(line, wanted)) is not None]
            if sum(line.gross_minor for line in lines) > 0:
                return ToCredit(one.invoice, tuple(lines))
    return None


def _takes_back(note: InvoiceWithLines, original: Invoice) -> bool:
    return note.invoice.original_key == original.invoice_key and note.invoice.state != "rejected"


def _left(line: InvoiceLine, notes: Sequence[InvoiceWithLines]) -> InvoiceLine:
    gone = [one for note in notes for one in note.lines if one.line_id == line.line_id]
    left = InvoiceLine(**line.model_dump())
    left.quantity -= sum(one.quantity for one in gone)
    left.net_minor -= sum(one.net_minor for one in gone)
    left.tax_minor -= sum(one.tax_minor for one in gone)
    left.gross_minor = left.net_minor + left.tax_minor
    return left


def _wanted_of(line: InvoiceLine, wanted: Mapping[str, InForce] | None) -> InvoiceLine | None:
    if wanted is not None:
        most = wanted.get(line.line_id, InForce())
        line.quantity = min(line.quantity, most.units)
        line.net_minor, line.tax_minor = min(line.net_minor, most.net_minor), min(line.tax_minor, most.tax_minor)
        line.gross_minor = line.net_minor + line.tax_minor
    return line if line.quantity or line.gross_minor else None


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


async def submit_credit(session: AsyncSession, credit: ToCredit, at: datetime) -> InvoiceWithLines:
    """Afterwards a credit note over these lines of an issued invoice is on record as submitted."""
    blue = credit.original
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
    return await _add(session, note, credit.lines)


async def _add(session: AsyncSession, invoice: Invoice, lines: Sequence[InvoiceLine]) -> InvoiceWithLines:
    invoice.net_minor = sum(line.net_minor for line in lines)
    invoice.tax_minor = sum(line.tax_minor for line in lines)
    invoice.gross_minor = invoice.net_minor + invoice.tax_minor
    for line in lines:
        line.invoice_key = invoice.invoice_key
    await whole.write(session, invoice, *lines)
    return InvoiceWithLines(invoice, tuple(lines))


async def _next_key(session: AsyncSession, order_no: str, kind: str) -> str:
    count = sum(invoice.kind == kind for invoice in await whole.rows(session, Invoice, order_no))
    return f"{order_no}-{'I' if kind == 'blue' else 'R'}{count + 1}"


async def _buyer(session: AsyncSession, order: Order) -> dict[str, Any]:
    customer = await whole.buyer(session, order)
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
