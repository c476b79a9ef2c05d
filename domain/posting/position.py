"""Where a sale stands, and the balances its accounts must then have.

The balances follow from the position alone, not from the way it was reached. Events post the difference between two
positions; so money may come in any parts and order, before or after the goods, and the books end the same.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from domain.errors import DomainError
from domain.money import split
from domain.posting.roles import Role
from domain.pricing import PricedOrder, SoldAs


class ImpossiblePosition(DomainError):
    """A sale cannot stand there: a negative sum, or more passed to the customer than was sold."""

    code = "impossible_position"


@dataclass(frozen=True, slots=True)
class SaleTotals:
    """What a sale comes to, in minor units. The customer's and the platform's money together are the transaction."""

    total_minor: int
    """What the customer pays."""
    tax_minor: int
    """The VAT in what we sell as principal."""
    platform_minor: int = 0
    """What a platform adds to the customer's money."""
    agent_minor: int = 0
    """The part of the transaction we only collect, for a consignor."""

    def __post_init__(self) -> None:
        if min(self.total_minor, self.tax_minor, self.platform_minor, self.agent_minor, self.net_minor) < 0:
            raise ImpossiblePosition("the parts of a sale are zero or more")

    @classmethod
    def of(cls, order: PricedOrder) -> "SaleTotals":
        """The totals of an order's lines, those sold as agent apart."""
        principal = [line for line in order.lines if line.sold_as == SoldAs.PRINCIPAL]
        return cls(
            total_minor=order.total_minor,
            tax_minor=sum(line.tax_minor for line in principal),
            platform_minor=order.platform_discount_minor,
            agent_minor=order.transaction_minor - sum(line.transaction_minor for line in principal),
        )

    @property
    def transaction_minor(self) -> int:
        """What all parties together pay."""
        return self.total_minor + self.platform_minor

    @property
    def net_minor(self) -> int:
        """The most that can become our revenue."""
        return self.transaction_minor - self.tax_minor - self.agent_minor


NOTHING_SOLD = SaleTotals(total_minor=0, tax_minor=0)


@dataclass(frozen=True, slots=True)
class ControlShare:
    """A part of a sale whose goods pass to the customer: its net, its VAT, and the VAT an invoice made due before."""

    net_minor: int
    tax_minor: int
    tax_invoiced_minor: int = 0


@dataclass(frozen=True, slots=True)
class SalePosition:
    """A sale at one moment: what was agreed, what was settled, what has passed to the customer, which VAT is due."""

    totals: SaleTotals
    tolerance_minor: int = 0
    """The largest shortage or surplus of a payment that is written off to rounding."""
    receivable: Role = Role.RECEIVABLE
    """The role that is owed for goods passed before they were paid."""
    settled_minor: int = 0
    """Money received less refunds approved and deposits kept."""
    passed_net_minor: int = 0
    passed_tax_minor: int = 0
    tax_due_minor: int = 0
    """The VAT whose tax point has come, by passing or by an earlier invoice."""
    forfeited_minor: int = 0
    """Money of a deposit that we kept although nothing was supplied for it."""

    def __post_init__(self) -> None:
        fits = (
            0 <= self.passed_net_minor <= self.totals.net_minor
            and 0 <= self.passed_tax_minor <= self.totals.tax_minor
            and 0 <= self.tax_due_minor <= self.totals.tax_minor
            and min(self.settled_minor, self.forfeited_minor) >= 0
            and self.tolerance_minor >= 0
        )
        if not fits:
            raise ImpossiblePosition("more than was sold, or less than nothing")

    @property
    def is_settled(self) -> bool:
        """Whether the customer has paid in full, give or take the tolerance. No money at all settles only a zero."""
        due = self.totals.total_minor
        return self.settled_minor >= due - self.tolerance_minor and (self.settled_minor > 0 or due == 0)

    def paid(self, minor: int) -> "SalePosition":
        """After the customer paid `minor` more."""
        return replace(self, settled_minor=self.settled_minor + minor)

    def refunded(self, minor: int, totals: SaleTotals | None = None) -> "SalePosition":
        """After a refund of `minor` was approved, the sale now coming to `totals` (as before, if none are given)."""
        return replace(self, settled_minor=self.settled_minor - minor, totals=totals or self.totals)

    def invoiced(self, tax_minor: int) -> "SalePosition":
        """After an invoice made `tax_minor` of VAT due before the goods passed; negative for its credit note."""
        return replace(self, tax_due_minor=self.tax_due_minor + tax_minor)

    def passed(self, share: ControlShare) -> "SalePosition":
        """After control of a share has passed, its VAT being due now unless an invoice made it due before."""
        return replace(
            self,
            passed_net_minor=self.passed_net_minor + share.net_minor,
            passed_tax_minor=self.passed_tax_minor + share.tax_minor,
            tax_due_minor=self.tax_due_minor + share.tax_minor - share.tax_invoiced_minor,
        )

    def forfeited(self, minor: int) -> "SalePosition":
        """After `minor` of the money received became ours for good: it no longer pays for the goods."""
        return replace(self, settled_minor=self.settled_minor - minor, forfeited_minor=self.forfeited_minor + minor)

    def cancelled(self) -> "SalePosition":
        """After the whole sale was undone and all its money is to go back, but for a deposit that we keep."""
        return SalePosition(NOTHING_SOLD, self.tolerance_minor, self.receivable, forfeited_minor=self.forfeited_minor)

    def balances(self) -> Mapping[Role, int]:
        """The balance of every account of the sale but money and stock, debit positive; they sum to minus the money."""
        passed = self.passed_net_minor + self.passed_tax_minor
        platform = self._platform_claim(passed)
        difference = self.totals.total_minor - self.settled_minor if self.is_settled else 0
        rounding = difference if abs(difference) <= self.tolerance_minor else 0
        overpaid = rounding - difference
        covered = self.settled_minor + platform + rounding - overpaid
        net, tax, agent = self._unearned(max(covered - passed, 0))
        return {
            self.receivable: max(passed - covered, 0),
            Role.PLATFORM_RECEIVABLE: platform,
            Role.CONTRACT_LIABILITY: -net,
            Role.OUTPUT_VAT_PENDING: -(tax + self.passed_tax_minor - self.tax_due_minor),
            Role.OUTPUT_VAT: -self.tax_due_minor,
            Role.MERCHANT_PAYABLE: -agent,
            Role.OVERPAYMENT: -overpaid,
            Role.ROUNDING: rounding,
            Role.REVENUE: -self.passed_net_minor,
            Role.FORFEITED_DEPOSIT: -self.forfeited_minor,
        }

    def _platform_claim(self, passed_minor: int) -> int:
        # The platform owes its part once the customer has done his, or the goods have passed without waiting for him.
        if self.is_settled:
            return self.totals.platform_minor
        transaction = self.totals.transaction_minor
        return self.totals.platform_minor * passed_minor // transaction if transaction else 0

    def _unearned(self, minor: int) -> tuple[int, int, int]:
        # Money for goods not passed yet lies on net, VAT and consignor in the proportion in which they are still open.
        # Two at a time: of two shares neither ever shrinks when more money comes, of three one can.
        open_net = self.totals.net_minor - self.passed_net_minor
        open_tax = self.totals.tax_minor - self.passed_tax_minor
        own, agent = split(minor, [open_net + open_tax, self.totals.agent_minor])
        net, tax = split(own, [open_net, open_tax])
        return net, tax, agent
