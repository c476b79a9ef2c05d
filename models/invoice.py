"""Invoices and credit notes, linked to order lines by quantity and amount."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import CheckConstraint, Index
from sqlmodel import Field, SQLModel

from models.columns import Document, Rate, minor, moment, written_at


class Invoice(SQLModel, table=True):
    """A blue invoice or a red one (credit note). The number is given when it is issued, without gaps."""

    __tablename__ = "invoices"
    __table_args__ = (
        Index("invoices_newest", "submitted_at", "invoice_key"),
        Index("invoice_number_once", "entity_id", "invoice_no", unique=True),
        CheckConstraint("net_minor + tax_minor = gross_minor", name="invoice_adds_up"),
    )

    invoice_key: str = Field(primary_key=True)
    invoice_no: str | None = None
    # blue | red; amounts of a red invoice are positive and mean "taken back"
    kind: str = "blue"
    original_key: str | None = Field(default=None, foreign_key="invoices.invoice_key")
    entity_id: str
    order_no: str = Field(index=True)
    voucher_no: str
    # submitted -> issued | rejected
    state: str = "submitted"
    currency: str
    net_minor: int = minor()
    tax_minor: int = minor()
    gross_minor: int = minor()
    buyer: dict[str, Any] = Field(default_factory=dict, sa_type=Document)
    provider_number: str | None = None
    problems: list[str] | None = Field(default=None, sa_type=Document)
    issue_date: date | None = None
    submitted_at: datetime = written_at()
    issued_at: datetime | None = moment()


class InvoiceLine(SQLModel, table=True):
    """Share of an order line on an invoice; the link that lets orders be combined and split on invoices."""

    __tablename__ = "invoice_lines"
    __table_args__ = (Index("invoice_lines_by_order", "order_no", "line_id"),)

    invoice_key: str = Field(primary_key=True, foreign_key="invoices.invoice_key")
    line_no: int = Field(primary_key=True)
    order_no: str
    line_id: str
    sku: str
    quantity: int
    tax_rate: Decimal = Field(sa_type=Rate)
    net_minor: int = minor()
    tax_minor: int = minor()
    gross_minor: int = minor()
