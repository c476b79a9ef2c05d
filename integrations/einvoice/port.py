"""What we ask of an e-invoice provider: a number for an invoice that adds up, and a red one to take it back."""

import re
from collections import defaultdict
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from enum import StrEnum
from typing import Literal, Protocol

from integrations.failure import PartyFailure

FileKind = Literal["xml", "pdf", "ofd"]


class InconsistentInvoice(PartyFailure):
    """The amounts of a draft do not agree with each other; it was not and will not be sent."""

    def __init__(self, detail: str) -> None:
        super().__init__("invoice_inconsistent", detail)


class EInvoiceUnavailable(PartyFailure):
    """No answer that can be used. The invoice may have been issued: `query` its key before anything else."""

    retryable = True


class FileNotOffered(PartyFailure):
    """The provider has no such file for the invoice."""

    def __init__(self, detail: str = "") -> None:
        super().__init__("invoice_file_not_offered", detail)


@dataclass(frozen=True)
class InvoiceParty:
    """Seller or buyer as it stands on the invoice; a private buyer has no tax number."""

    name: str
    tax_number: str | None = None
    address: str | None = None


@dataclass(frozen=True)
class InvoiceLine:
    """Units of an order line with their share of its amounts."""

    order_no: str
    line_id: str
    sku: str
    description: str
    quantity: int
    net_minor: int
    tax_minor: int
    gross_minor: int
    tax_rate: Decimal


@dataclass(frozen=True)
class TaxAtRate:
    """What the lines of one rate add up to."""

    tax_rate: Decimal
    net_minor: int
    tax_minor: int


@dataclass(frozen=True)
class InvoiceDraft:
    """An invoice to be issued. Cannot be made unless lines, taxes per rate and totals agree to the minor unit."""

    invoice_key: str
    seller: InvoiceParty
    buyer: InvoiceParty
    currency: str
    lines: tuple[InvoiceLine, ...]
    tax_by_rate: tuple[TaxAtRate, ...]
    net_minor: int
    tax_minor: int
    gross_minor: int
    issue_date: date

    def __post_init__(self) -> None:
        if re.fullmatch("[A-Z]{3}", self.currency) is None:
            raise InconsistentInvoice("currency is not an ISO 4217 code")
        if not self.lines:
            raise InconsistentInvoice("no lines")
        for line in self.lines:
            _require_sound(line.quantity, line.net_minor, line.tax_minor, line.gross_minor)
        totals = (self.net_minor, self.tax_minor, self.gross_minor)
        if totals != tuple(map(sum, zip(*(_amounts(line) for line in self.lines), strict=True))):
            raise InconsistentInvoice("totals differ from the sum of the lines")
        if len({each.tax_rate for each in self.tax_by_rate}) != len(self.tax_by_rate):
            raise InconsistentInvoice("a tax rate appears twice")
        if {each.tax_rate: (each.net_minor, each.tax_minor) for each in self.tax_by_rate} != _by_rate(self.lines):
            raise InconsistentInvoice("taxes per rate differ from the sums of their lines")


@dataclass(frozen=True)
class InvoiceRef:
    """An issued invoice: our key and the provider's number."""

    invoice_key: str
    provider_number: str


class RedReason(StrEnum):
    """Why an invoice is taken back, wholly or in part."""

    ORDER_CANCELLED = "order_cancelled"
    GOODS_RETURNED = "goods_returned"
    PRICE_REDUCED = "price_reduced"
    INVOICE_WRONG = "invoice_wrong"


@dataclass(frozen=True)
class RedLine:
    """What is taken back of one line; amounts are positive. Quantity 0 takes back money only."""

    order_no: str
    line_id: str
    quantity: int
    net_minor: int
    tax_minor: int
    gross_minor: int
    tax_rate: Decimal

    def __post_init__(self) -> None:
        _require_sound(self.quantity or 1, self.net_minor, self.tax_minor, self.gross_minor)


class IssueStatus(StrEnum):
    """How far the provider has come with a request."""

    PENDING = "pending"
    ISSUED = "issued"
    REJECTED = "rejected"


@dataclass(frozen=True)
class IssueResult:
    """Where a request stands: issued has a number, rejected (which is final) has reasons, pending has neither."""

    status: IssueStatus
    provider_number: str | None = None
    errors: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        has_number, has_errors = self.provider_number is not None, bool(self.errors)
        if (self.status is IssueStatus.ISSUED, self.status is IssueStatus.REJECTED) != (has_number, has_errors):
            raise ValueError("an issued result has a number, a rejected one errors, a pending one neither")

    @classmethod
    def pending(cls) -> "IssueResult":
        """Accepted, not yet decided."""
        return cls(IssueStatus.PENDING)

    @classmethod
    def issued(cls, provider_number: str) -> "IssueResult":
        """Issued under this number."""
        return cls(IssueStatus.ISSUED, provider_number)

    @classmethod
    def rejected(cls, *errors: str) -> "IssueResult":
        """Refused for these reasons; the same key will never be issued."""
        return cls(IssueStatus.REJECTED, None, errors)


class EInvoiceProvider(Protocol):
    """Who issues invoices that tax offices accept. Every call may raise EInvoiceUnavailable."""

    async def issue(self, draft: InvoiceDraft, idem_key: str) -> IssueResult:
        """At most one invoice is issued for the key; the answer to a repeated call is where that one stands."""
        ...

    async def red(
        self, original: InvoiceRef, lines: tuple[RedLine, ...], reason: RedReason, idem_key: str
    ) -> IssueResult:
        """At most one red invoice is issued for the key, never for more than is left of the original."""
        ...

    async def query(self, idem_key: str) -> IssueResult | None:
        """Where the request with this key stands, or None if it never arrived."""
        ...

    async def fetch(self, ref: InvoiceRef, kind: FileKind) -> bytes:
        """The file of an issued invoice; FileNotOffered if the provider has none of this kind."""
        ...


def _require_sound(quantity: int, net_minor: int, tax_minor: int, gross_minor: int) -> None:
    if quantity <= 0:
        raise InconsistentInvoice("a quantity is not positive")
    if min(net_minor, tax_minor) < 0 or net_minor + tax_minor != gross_minor:
        raise InconsistentInvoice("a line's net and tax do not make its gross")


def _amounts(line: InvoiceLine) -> tuple[int, int, int]:
    return line.net_minor, line.tax_minor, line.gross_minor


def _by_rate(lines: tuple[InvoiceLine, ...]) -> dict[Decimal, tuple[int, int]]:
    sums: dict[Decimal, tuple[int, int]] = defaultdict(lambda: (0, 0))
    for line in lines:
        net_minor, tax_minor = sums[line.tax_rate]
        sums[line.tax_rate] = (net_minor + line.net_minor, tax_minor + line.tax_minor)
    return dict(sums)
