"""What we ask of a payment provider: money back to whoever paid."""

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from integrations.failure import PartyFailure


class PaymentProviderUnavailable(PartyFailure):
    """No answer that can be used. The money may be on its way: `query` the key, or ask again with the same one."""

    retryable = True


@dataclass(frozen=True)
class RefundRequest:
    """Money to give back for one payment; `amount_minor` is positive, `method` is how it was paid."""

    order_no: str
    payment_id: str
    refund_id: str
    amount_minor: int
    currency: str
    method: str

    def __post_init__(self) -> None:
        if self.amount_minor <= 0:
            raise ValueError("a refund gives back a positive amount")
        if re.fullmatch("[A-Z]{3}", self.currency) is None:
            raise ValueError("currency is not an ISO 4217 code")


class RefundStatus(StrEnum):
    """How far a refund has come; succeeded and refused are final."""

    SUCCEEDED = "succeeded"
    PENDING = "pending"
    REFUSED = "refused"


@dataclass(frozen=True)
class RefundResult:
    """Where a refund stands, with the provider's own reference if it gave one; a refused one has a `reason`."""

    provider_ref: str | None
    status: RefundStatus
    reason: str | None = None


class PaymentProvider(Protocol):
    """Who holds the buyers' money. Every call may raise PaymentProviderUnavailable."""

    async def refund(self, request: RefundRequest, key: str) -> RefundResult:
        """Money goes back at most once for the key; the answer to a repeated call is where that refund stands."""
        ...

    async def query(self, key: str) -> RefundResult | None:
        """Where the refund with this key stands, or None if it never arrived."""
        ...
