"""How far an order line has come, and what of its price has therefore passed to the customer or become due as VAT."""

from dataclasses import dataclass, replace

from domain.posting.position import ControlShare
from domain.pricing import share_of_line


@dataclass(frozen=True, slots=True)
class LineProgress:
    """A line sold as principal, as far as it was not refunded: its units and price, the units that passed of them, and
    the units that invoices in force name. Until its credit note is there an invoice may name more units than are left.

    VAT is due for every unit that passed or was invoiced, whichever came first, and for none of them twice.
    """

    quantity: int
    net_minor: int
    tax_minor: int
    passed: int = 0
    invoiced: int = 0

    @property
    def passed_net_minor(self) -> int:
        return self._upto(self.net_minor, self.passed)

    @property
    def passed_tax_minor(self) -> int:
        return self._upto(self.tax_minor, self.passed)

    @property
    def tax_due_minor(self) -> int:
        return self._upto(self.tax_minor, max(self.passed, min(self.invoiced, self.quantity)))

    def passing(self, units: int) -> ControlShare:
        """What `units` more carry with them. All shares of a line sum to it exactly. Raises `QuantityExceeded`."""
        after = replace(self, passed=self.passed + units)
        net = after.passed_net_minor - self.passed_net_minor
        tax = after.passed_tax_minor - self.passed_tax_minor
        due_now = after.tax_due_minor - self.tax_due_minor
        return ControlShare(net, tax, tax - due_now)

    def invoicing(self, units: int) -> int:
        """The VAT that an invoice for `units` more makes due; negative `units` are a credit note's."""
        after = replace(self, invoiced=self.invoiced + units)
        return after.tax_due_minor - self.tax_due_minor

    def _upto(self, minor: int, units: int) -> int:
        # A line that was refunded whole has no units left, and nothing of its price.
        return share_of_line(minor, self.quantity, 0, units) if self.quantity or units else 0


def together(shares: list[ControlShare]) -> ControlShare:
    """All shares as one."""
    return ControlShare(
        sum(share.net_minor for share in shares),
        sum(share.tax_minor for share in shares),
        sum(share.tax_invoiced_minor for share in shares),
    )
